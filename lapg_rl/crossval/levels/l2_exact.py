"""Level L2, estimator, exact: identities of the exact expectations, and the production estimators under enumeration.

The smallest problem in which a learner matters (T = M = B = 2) has 4^8 joint histories. Each is replayed through the
environment, the policies, the co-player's update and the estimators that training uses; the estimates, weighted with the
chances that the policies give the histories, must be the oracle's rationals.
"""

import itertools
import math
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lapg_rl.crossval.setting import FEW_ACTIONS, Setting, derived
from lapg_rl.crossval.simulation import HONEST, Simulation, compiled, estimates
from lapg_rl.crossval.verdict import Exact, Level
from lapg_rl.models import memory_one
from lapg_rl.play.coplayers import ReinforceLearner
from lapg_rl.play.rollout import Trajectory, broadcast_state, log_prob
from lapg_theory import float64, oracle

STEPS = EPISODES = BATCH = 2
#: The identities are checked at these batch sizes.
BATCHES = (2, 3)
#: The environment holds payoffs in single precision.
TOLERANCE = 1e-6
HISTORIES_AT_ONCE = 2**12
#: Batch sizes at which the oracle gives the gap to the limit, and the number of inner episodes of which pairs are not too many.
ENUMERATED, MOST_PAIRED = (1, 2, 3, 4), 1500


def steps_of(setting: Setting) -> int:
    """T of what is enumerated: 2, or 1 where minibatches of two such episodes are too many."""
    few = setting.actions <= FEW_ACTIONS
    return STEPS if setting.plain or (few and 2 in batches_of(setting, STEPS)) else 1


def batches_of(setting: Setting, steps: int) -> tuple[int, ...]:
    """The batch sizes at which the expectations are enumerated: fewer where an inner episode has more ways to go."""
    if setting.plain:
        return ENUMERATED
    episodes, most = oracle.general.size(setting.game, setting.players_count, steps), oracle.general.MOST_BATCHES

    def feasible(batch: int) -> bool:
        few = math.comb(episodes + batch - 1, batch) <= most // 10
        return batch == 1 or few or (batch == 2 and episodes < MOST_PAIRED)

    return tuple(filter(feasible, ENUMERATED))


def read(setting: Setting, slopes: Any) -> Any:
    """Those of [..., coordinates] that are ever read: of a single step those of the opening."""
    return slopes[..., : setting.actions - 1] if steps_of(setting) == 1 else slopes


def openings(setting: Setting) -> tuple[np.ndarray, np.ndarray]:
    """Both players as the oracle takes them: with k actions, of a single step the first row alone."""
    p, q = setting.players
    return (p[:1], q[:1]) if setting.actions > 2 and steps_of(setting) == 1 else (p, q)


@derived
def expectations(setting: Setting, batch: int) -> Any:
    """The oracle's expectations at M = 2 against the REINFORCE learner of the setting, or one in each other seat."""
    if not setting.plain:
        p, q = openings(setting)
        learners = [q] * (setting.players_count - 1)
        sizes = {
            "steps": steps_of(setting),
            "batch": batch,
            "rate": float(setting.rate),
            "clip": reinforce(setting).clip,
        }
        found = oracle.general_expectations(setting.game, p, learners, **sizes)
        return type(found)(found.J, *(read(setting, setting.compared(table)) for table in found[1:]))
    rule = oracle.Reinforce(setting.game, setting.rate)
    sizes = {"steps": STEPS, "inner_episodes": EPISODES, "batch": batch}
    return oracle.expectations(setting.game, setting.ego, setting.naive, **sizes, update=rule)


def reinforce(setting: Setting) -> ReinforceLearner:
    """The same learner on the sampling side."""
    return ReinforceLearner(float(setting.rate), 0.04 / setting.actions)


def vector(values: Any) -> np.ndarray:
    """Fractions as floats."""
    return np.array([float(value) for value in values])


def bias(found: Any) -> np.ndarray:
    """What batch-unaware credits miss of the gradient."""
    return vector(found.gradient) - vector(found.batch_unaware)


def replay(
    simulation: Simulation,
    game,
    ego: Any,
    coplayer: Any,
    identity: Any,
    own: Int[Array, "b m t"],
    other: Int[Array, "b m t"],
) -> tuple[Float[Array, ""], Trajectory]:
    """(log of the chance that both play these actions, the ego's trajectory): the rollout with the actions given."""
    batch, episodes, steps = own.shape
    env, coplayer = simulation.make_env(game), simulation.coplayer(coplayer)
    keys = jax.random.split(jax.random.key(0), batch)
    memory, state = broadcast_state(ego.initial_state(), batch), coplayer.init(identity, batch)
    log_chance, played = jnp.zeros(()), []
    for m in range(episodes):
        (env_state, seen), row = jax.vmap(env.reset)(keys), []
        for t in range(steps):
            memory, (logits, values) = jax.vmap(ego.step)(memory, seen[:, 0])
            state, (co_logits, co_values) = coplayer.act(state, seen[:, 1])
            log_probs = log_prob(logits, own[:, m, t]), log_prob(co_logits, other[:, m, t])
            actions = jnp.stack([own[:, m, t], other[:, m, t]], axis=1)
            env_state, following, rewards = jax.vmap(env.step)(env_state, actions, keys)
            log_chance = log_chance + log_probs[0].sum() + log_probs[1].sum()
            row.append(
                (
                    Trajectory(seen[:, 0], own[:, m, t], rewards[:, 0], log_probs[0], values),
                    Trajectory(seen[:, 1], other[:, m, t], rewards[:, 1], log_probs[1], co_values),
                )
            )
            seen = following
        record = jax.tree.map(lambda *x: jnp.stack(x, axis=1), *row)
        state = coplayer.end_of_inner_episode(state, record[1])
        played.append(record[0])
    return log_chance, jax.tree.map(lambda *x: jnp.stack(x, axis=1), *played)


@compiled
def _weighted(
    simulation: Simulation, game, p: Array, q: Array, own: Array, other: Array, coplayer: Any
) -> tuple[Array, Array, dict[str, Array]]:
    """Sums over histories of chance, chance times return, and chance times each estimate."""
    ego = memory_one(p)
    log_chance, played = jax.vmap(lambda a, b: replay(simulation, game, ego, coplayer, q, a, b))(own, other)
    chance = jnp.exp(log_chance)
    sums = {name: chance @ estimates(simulation, ego, played, [name]) for name in oracle.moments.ESTIMATORS}
    return chance.sum(), chance @ played.rewards.sum((2, 3)).mean(1), sums


def enumerated(simulation: Simulation, setting: Setting) -> tuple[float, float, dict[str, np.ndarray]]:
    """(total chance, J, each estimator's expectation) of the sampling side, over all histories, in double precision."""
    shape = (-1, BATCH, EPISODES, STEPS)
    choices = np.array(list(itertools.product((0, 1), repeat=BATCH * EPISODES * STEPS)))
    size = HISTORIES_AT_ONCE // len(choices)
    total: Any = None
    with float64():
        p, q = (jnp.asarray(x) for x in setting.players)
        for block in np.split(choices, len(choices) // size):
            own = jnp.asarray(np.repeat(block, len(choices), axis=0).reshape(shape))
            other = jnp.asarray(np.tile(choices, (size, 1)).reshape(shape))
            part = _weighted(simulation, setting.game, p, q, own, other, reinforce(setting))
            total = part if total is None else jax.tree.map(jnp.add, total, part)
        chance, J, sums = jax.tree.map(np.asarray, total)
    return float(chance), float(J), sums


def _identities(setting: Setting) -> list[Exact]:
    """Three identities of rationals; the deviation is that of exact fractions, so 0 means equal."""
    gaps: dict[str, list[Fraction]] = {"lapg": [], "bias": [], "mfos": []}
    for batch in BATCHES:
        e = expectations(setting, batch)
        for grad, lapg, blind, mfos, present in zip(
            e.gradient, e.lapg, e.batch_unaware, e.mfos, e.inner_episode, strict=True
        ):
            gaps["lapg"].append(lapg - grad)
            gaps["bias"].append(grad - blind - (batch - 1) * (blind - present))
            gaps["mfos"].append(mfos - batch * blind)
    size = float(np.abs(bias(expectations(setting, BATCHES[-1]))).max())
    names = {
        "lapg": "oracle: E[LAPG] = gradient",
        "bias": "oracle: bias of batch-unaware = minus the cross-stream part",
        "mfos": "oracle: E[M-FOS] = B E[batch-unaware]",
    }
    return [
        Exact(names[key], float(max(map(abs, gap))), 0.0, size, "the batch-unaware bias") for key, gap in gaps.items()
    ]


def level(setting: Setting, simulation: Simulation = HONEST) -> Level:
    """Check the identities, then the production estimators against the oracle."""
    checks, told = _identities(setting), expectations(setting, BATCH)
    chance, J, sums = enumerated(simulation, setting)
    size = float(np.abs(bias(told)).max())
    gap = max(abs(chance - 1), abs(J - float(told.J)))
    checks.append(
        Exact(
            "enumerated play: total chance, J",
            gap,
            TOLERANCE * max(1.0, abs(float(told.J))),
            size,
            "the batch-unaware bias",
        )
    )
    bars = {}
    for name in oracle.moments.ESTIMATORS:
        truth = vector(getattr(told, name))
        gap, allowed = float(np.abs(sums[name] - truth).max()), TOLERANCE * float(np.abs(truth).max())
        checks.append(Exact(f"enumerated {name}", gap, allowed, size, "the batch-unaware bias"))
        bars[name] = {"oracle": truth.tolist(), "enumerated": sums[name].tolist()}
    notes = (
        f"T = M = B = 2: all {4 ** (STEPS * EPISODES * BATCH):,} joint histories, replayed through the environment, the "
        "co-player's update and the loss of the training code in double precision. LAPG's expectation is the gradient; "
        "batch-unaware credits lose what a trajectory does to the games of the others; M-FOS is B times the "
        "batch-unaware estimator, so it points the same way.",
    )
    data = {"gradient": vector(told.gradient).tolist(), "bars": bars, "J": float(told.J)}
    return Level("L2", tuple(checks), data, notes, setting.false_alarms)
