"""What an agent learns beside its policy, for its estimator or algorithm to read: one row of `MODELS` a thing that is read.

The models have the architecture of the policy and lie around the state of its optimiser, so in checkpoints and nowhere else.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax

from lapg_rl.config import LearnerConfig, tables
from lapg_rl.estimators import estimator
from lapg_rl.learn import choices, influence
from lapg_rl.learn.credit import reads
from lapg_rl.optimisers import model_optimiser


class Modelling(NamedTuple):
    """What a learner that keeps a model has in the place of its optimiser's state, which is `policy` (or the next model's)."""

    policy: Any
    model: Any
    optimiser: Any


class Held(NamedTuple):
    """A model, and the state of its optimiser."""

    model: Any
    optimiser: Any


class Beside(NamedTuple):
    """Something learnt beside the policy.

    Attributes:
        outputs: how many numbers the model gives a token besides its value, from the number of actions.
        see: `(model, own, other, config)` to what the estimator reads, and what is to be learnt, in sequences.
        loss: of the model on the latter: `(model, lessons, config) -> (loss, metrics)`.
    """

    outputs: Callable[[int], int]
    see: Callable[..., tuple[Any, Any]]
    loss: Callable[..., tuple[Any, dict[str, Any]]]


#: By the name under which it is read; new ones go to the end, since keys of random numbers follow from the place.
MODELS: Mapping[str, Beside] = {
    "modelled": Beside(choices.outputs, choices.see, choices.model_loss),
    "influences": Beside(influence.outputs, influence.see, influence.baseline_loss),
    "predicted": Beside(choices.outputs, choices.predict, choices.prediction_loss),
}


def read(config: LearnerConfig, what: str) -> bool:
    """Whether an estimator of the agents reads it: a name of `lapg_rl.learn.credit.SEEN`."""
    return any(what in reads(estimator(name)) for name in config.estimators)


def kept(config: LearnerConfig) -> dict[int, str]:
    """Those of `MODELS` that agents keep, by their place, counted from 1."""
    wanted = tables.row(config.algorithm, tables.ALGORITHMS).keeps
    return {n: what for n, what in enumerate(MODELS, start=1) if what in wanted or read(config, what)}


def begin(config: LearnerConfig, optimisers: Any, models: Any) -> Modelling:
    """The agents' optimisers and fresh models, along a leading axis."""
    start = jax.vmap(lambda m: model_optimiser(config).init(eqx.filter(m, eqx.is_inexact_array)))(models)
    return Modelling(optimisers, models, start)


def apart(config: LearnerConfig, optimiser_state: Any) -> tuple[Any, dict[str, Held]]:
    """The state of the policy's optimiser, and the models that lie around it, the innermost first."""
    held = {}
    for what in reversed(kept(config).values()):
        optimiser_state, *rest = optimiser_state
        held[what] = Held(*rest)
    return optimiser_state, dict(reversed(held.items()))
