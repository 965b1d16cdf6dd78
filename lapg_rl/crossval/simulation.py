"""The sampling side of a cross-validation, as one object whose parts can be exchanged: that is how errors are injected."""

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lapg_rl.config import LearnerConfig, NaiveConfig
from lapg_rl.envs import IteratedGroupGame, IteratedMatrixGame
from lapg_rl.estimators import ESTIMATORS
from lapg_rl.learn.credit import experience
from lapg_rl.learn.losses import loss
from lapg_rl.machine import compiling
from lapg_rl.models import Tabular
from lapg_rl.play.company import naive_learner
from lapg_rl.play.coplayers import Group, NaiveLearner
from lapg_rl.play.rollout import Trajectory, meta_batch
from lapg_theory.game import AnonymousGame, MatrixGame, NormalFormGame

#: Plain policy gradient: the loss whose gradient is the estimator's, with nothing added, clipped or normalised.
PLAIN = LearnerConfig(
    algorithm="a2c", epochs=1, minibatches=1, optimiser="sgd", value_coef=0.0, reward_scale=1.0, advantages="raw"
)
#: Parallel games that are played at once; more only cost memory.
GAMES_AT_ONCE = 2**16


def _unchanged(part: Any) -> Any:
    return part


def plain_learner(eta: float) -> NaiveConfig:
    """The production naive learner as plain policy-gradient ascent with rate `eta` in log-odds, on the return per step.

    A memory-one table has two logits in each state, which gradient ascent moves in opposite directions, so the log-odds
    move twice as fast as either: hence half the rate.
    """
    return NaiveConfig(
        learning_rate=eta / 2, optimiser="sgd", clip_norm=1e9, gamma=1.0, value_coef=0.0, normalize_advantages=False,
        reward_scale=1.0,
    )  # fmt: skip


@functools.cache
def learner(config: NaiveConfig) -> NaiveLearner:
    """The naive co-player of a config: always the same object, for what is compiled for it to be used again."""
    return naive_learner(config)


def environment_of(game: MatrixGame | AnonymousGame | NormalFormGame) -> IteratedMatrixGame | IteratedGroupGame:
    """The environment that repeats a game."""
    return IteratedGroupGame(game) if isinstance(game, AnonymousGame) else IteratedMatrixGame(game)


@dataclasses.dataclass(frozen=True, eq=False)
class Simulation:
    """What the levels take from `lapg_rl`: how to build the environment, the table of estimators, the co-players.

    `schedule` is the order in which what changes in the course of training, [updates, ...], is gone through.
    """

    make_env: Callable[[Any], Any] = environment_of
    estimators: Mapping[str, Callable[..., Any]] = dataclasses.field(default_factory=lambda: ESTIMATORS)
    coplayer: Callable[[Any], Any] = _unchanged
    schedule: Callable[[np.ndarray], np.ndarray] = _unchanged


HONEST = Simulation()


def repeated(tree: Any, count: int) -> Any:
    """The same co-player `count` times, along a new leading axis."""
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *jnp.shape(x))), tree)


def play(
    simulation: Simulation,
    game: MatrixGame | AnonymousGame | NormalFormGame,
    ego: Any,
    coplayer: Any,
    identity: Any,
    key: Array,
    count: int,
    **sizes: int,
) -> tuple[Trajectory, ...]:
    """`count` meta-episodes of `ego` against the same co-player, by the production rollout: `[k, b, m, t]`.

    In a group such a co-player sits in every other seat, and there is a trajectory for each.
    """
    env, player = simulation.make_env(game), simulation.coplayer(coplayer)
    if isinstance(game, AnonymousGame):
        player, identity = Group((player,), (game.players - 1,)), (repeated(identity, game.players - 1),)
    return meta_batch(env, ego, player, repeated(identity, count), key, **sizes)


def estimates(
    simulation: Simulation, ego: Tabular, own: Trajectory, estimators: Sequence[str], which: Int[Array, ""] | int = 0
) -> Float[Array, "k s *a"]:
    """Each meta-episode's estimate of the gradient of the shaping return in the ego's log-odds, by the production loss.

    The loss is a mean over the M T steps of credits that are scaled by B (see `lapg_rl.learn.losses`), so its gradient is
    -1 / (M T) times the estimate. A return depends on two logits only by their difference, the log-odds, so the slope
    in the first of them is the slope in the log-odds. With k actions: those in all logits but the last one, [k, s, k - 1].
    The estimator is one of `estimators`, the one at `which`.
    """
    config = dataclasses.replace(PLAIN, estimator=",".join(estimators))  # type: ignore
    played = experience(own, True, config, which, table=simulation.estimators)
    steps = math.prod(own.rewards.shape[2:])
    gradient = jax.vmap(lambda batch: eqx.filter_grad(loss, has_aux=True)(ego, batch, config)[0])(played)
    slopes = -steps * gradient.logits
    return slopes[..., 0] if slopes.shape[-1] == 2 else slopes[..., :-1]


def collected(sample: Callable[[Array, int], Any], key: Array, count: int, batch: int) -> Any:
    """`sample(key, n)` (leading axis n) in pieces of GAMES_AT_ONCE games, put together on the host, at least `count`."""
    size = max(1, min(count, GAMES_AT_ONCE // batch))
    pieces = [
        jax.tree.map(np.asarray, sample(jax.random.fold_in(key, n), size)) for n in range(math.ceil(count / size))
    ]
    return jax.tree.map(lambda *parts: np.concatenate(parts).astype(float), *pieces)


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`jax.jit`, for each simulation, game, co-player, count and sizes apart, with `compiling.options`."""
    constants = {"simulation", "game", "coplayer", "count", "sizes", "at_once", "slopes"}
    static = sorted(constants & set(inspect.signature(function).parameters))
    jitted = functools.cache(lambda options: jax.jit(function, static_argnames=static, compiler_options=dict(options)))

    @functools.wraps(function)
    def call(*args, **kwargs):
        return jitted(compiling.options())(*args, **kwargs)

    return call
