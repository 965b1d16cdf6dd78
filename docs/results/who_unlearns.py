"""Which learners unlearn cooperation: those of a shaping run, and changed in one thing each; two minutes.

python docs/results/who_unlearns.py FOLDER, or FILE.zip of a run that was exported with its agents.
"""

import dataclasses
import sys
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from lapg_rl.config import NaiveConfig
from lapg_rl.machine import compiling
from lapg_rl.models import Tabular, memory_one
from lapg_rl.optimisers import make_optimiser
from lapg_rl.play.coplayers import NaiveLearner
from lapg_rl.runs.folder import RunFolder
from lapg_rl.study import entrants
from lapg_rl.study.matches import make_play
from lapg_rl.study.results import opened
from lapg_theory.game import ALLD

TEACHES, LESSONS = (0.0, 1.0, 0.0, 0.37, 0.0), 13  # the best memory-one policy; inner episodes until it only defects
GAMES = 64  # meta-episodes, of B games each
FACTORS = 2.0 ** np.arange(-5, 14)  # of the run's rate, among which each kind of learner gets its own


class Teacher(eqx.Module):
    """Plays a memory-one policy for some inner episodes, then defects."""

    teaches: Tabular
    defects: Tabular
    lessons: int = eqx.field(static=True)

    def initial_state(self) -> Array:
        """How many inner episodes have begun."""
        return jnp.zeros((), int)

    def step(self, state: Array, observation: Array) -> tuple[Array, tuple[Array, Array]]:
        """`(state, (logits, value))`; an inner episode begins with the first of the five observations."""
        begun, nothing = state + (observation[0] > 0), self.teaches.initial_state()
        (_, taught), (_, then) = (policy.step(nothing, observation) for policy in (self.teaches, self.defects))
        return begun, jax.tree.map(lambda x, y: jnp.where(begun > self.lessons, y, x), taught, then)


def adam(config: NaiveConfig, b1: float = 0.9, b2: float = 0.999) -> Any:
    """The learner's own optimiser, with other decays of the moments."""
    steps = optax.adam(config.learning_rate, b1, b2, eps=config.adam_eps)
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), steps)


def begun_anew(optimiser: Any, after: int) -> Any:
    """An optimiser whose state is a fresh one again after so many steps."""

    def update(gradient: Any, state: Any, parameters: Any = None) -> Any:
        count, inner = state
        inner = jax.tree.map(lambda now, then: jnp.where(count == after, then, now), inner, optimiser.init(gradient))
        step, inner = optimiser.update(gradient, inner, parameters)
        return step, (count + 1, inner)

    return optax.GradientTransformation(lambda x: (jnp.zeros((), int), optimiser.init(x)), update)


def kinds(config: NaiveConfig) -> dict[str, tuple[NaiveConfig, Any, bool]]:
    """Each kind of learner: its config, its optimiser, and whether its policies are tables."""
    raw, plain = (dataclasses.replace(config, **x) for x in ({"normalize_advantages": False}, {"optimiser": "sgd"}))
    as_it_is, steps = make_optimiser(config), make_optimiser(plain)
    return {
        "as they are": (config, as_it_is, False),
        "Adam begun anew": (config, begun_anew(as_it_is, LESSONS), False),
        "Adam without momentum": (config, adam(config, b1=0.0), False),
        "Adam, second moment of .9": (config, adam(config, b2=0.9), False),
        "plain steps": (config, steps, False),
        "advantages not normalised": (raw, as_it_is, False),
        "plain steps, not normalised": (raw, steps, False),
        "tables": (config, as_it_is, True),
        "tables, plain steps": (config, steps, True),
        "tables, plain, not normalised": (raw, steps, True),
    }


def main(place: str) -> None:
    """Print the course of every kind of learner with the script, and with the agent."""
    folder = opened(place)
    run, (agent, *_) = RunFolder(folder), entrants.agents(folder)
    cfg, key = run.trusted_config(), jax.random.key(0)
    trained = entrants.naive_of(cfg, run.final_state(), 0).policy
    networks = jax.tree.map(lambda x: x[jnp.arange(GAMES) % len(x)], trained)
    tables = jax.vmap(lambda k: Tabular(5, 2, key=k))(jax.random.split(key, GAMES))
    teacher, goal = Teacher(memory_one(TEACHES), memory_one(ALLD), LESSONS), None
    print(
        f"learners cooperate in inner episodes 1, {LESSONS + 1} and {cfg.inner_episodes}; what the other earns a step"
    )
    for name, (config, optimiser, tabular) in kinds(cfg.naive).items():
        policies = tables if tabular else networks

        @compiling.jitted
        def course(ego: Any, factor: Any, policies: Any, config: Any = config, optimiser: Any = optimiser) -> Any:
            """How often learners of `factor` times the rate cooperate, and what the ego earns, by inner episode."""
            learner = NaiveLearner(optax.chain(optimiser, optax.scale(factor)), config)
            tally = make_play(cfg, learner)(ego, policies, key)
            return tally.cooperated[1].sum(-1) / tally.visits[1].sum(-1), tally.rewards[0].mean(0)

        factors = jnp.array([1.0] if goal is None else FACTORS)
        taught = [float(course(teacher, factor, policies)[0][LESSONS]) for factor in factors]
        goal = taught[0] if goal is None else goal
        factor = factors[np.argmin(np.abs(np.array(taught) - goal))]
        for who, ego in (("script", teacher), ("agent", agent.policy)):
            cooperates, earns = course(ego, factor, policies)
            at = " ".join(f"{cooperates[n]:.2f}" for n in (0, LESSONS, -1))
            ends = " ".join(f"{x:.2f}" for x in earns[LESSONS:])
            line = f"{name:30} {factor:6.2f} x rate  {who}: {at}; {earns.mean():.2f} in all"
            print(f"{line}, {ends} from {LESSONS + 1} on", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
