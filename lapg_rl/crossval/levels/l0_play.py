"""Level L0, play: sampled returns and occupancies of memory-one pairs against the exact ones."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lapg_rl.crossval.setting import Setting
from lapg_rl.crossval.simulation import HONEST, Simulation, collected, compiled, play
from lapg_rl.crossval.statistics import compare_means, joined
from lapg_rl.crossval.verdict import Level, Sampled
from lapg_rl.models import memory_one
from lapg_rl.play.coplayers import FixedStrategy
from lapg_theory import exact_returns, occupancy
from lapg_theory.game import GTFT, WSLS, Discounted, Horizon

GAMES = 2**14
#: A deviation that must not go unseen: this share of the payoff range, or of the steps.
SHARE = 0.02
#: What is left of the weight of the game where a game that should stop at random is cut off.
TAIL = 1e-6


def pairs(setting: Setting) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The pairs that are played: the setting's, in both seats, and two strategies with trembling hands."""
    ego, naive = setting.players
    tremble = [0.1 + 0.8 * np.array(p) for p in (GTFT, WSLS)]
    return {"ego, naive": (ego, naive), "naive, ego": (naive, ego), "GTFT, WSLS": (tremble[0], tremble[1])}


@compiled
def _outcomes(
    simulation: Simulation, game, p: Array, q: Array, key: Array, count: int, sizes: tuple[int, int]
) -> tuple[Int[Array, "n t"], Float[Array, "n t 2"]]:
    batch, steps = sizes
    coplayer = FixedStrategy()
    own, other = play(
        simulation, game, memory_one(p), coplayer, q, key, count, batch=batch, inner_episodes=1, steps=steps
    )
    rewards = jnp.stack([own.rewards, other.rewards], axis=-1)
    return (2 * own.actions + other.actions).reshape(-1, steps), rewards.reshape(-1, steps, 2)


def _sums(
    simulation: Simulation, setting: Setting, pair: tuple, horizon: Horizon, key: Array, games: int
) -> tuple[np.ndarray, np.ndarray]:
    """Counts of the outcomes [n, 4] and summed rewards [n, 2] of whole games.

    A discounted game stops after each step with probability 1 - gamma, which makes sums discounted sums.
    """
    batch, p, q = 32, *(jnp.asarray(x, jnp.float32) for x in pair)
    steps = setting.steps
    if isinstance(horizon, Discounted):
        steps = math.ceil(math.log(TAIL) / math.log(horizon.gamma))

    def sample(key, count):
        play_key, stop_key = jax.random.split(key)
        outcomes, rewards = _outcomes(simulation, setting.game, p, q, play_key, count, (batch, steps))
        alive = np.ones(outcomes.shape, bool)
        if isinstance(horizon, Discounted):
            length = jax.random.geometric(stop_key, 1 - horizon.gamma, outcomes.shape[:1])
            alive = np.arange(steps) < np.asarray(length)[:, None]
        seen = (np.asarray(outcomes)[..., None] == np.arange(4)) & alive[..., None]
        return seen.sum(1), (np.asarray(rewards) * alive[..., None]).sum(1)

    return collected(sample, key, games // batch, batch * steps)


def _compare(simulation: Simulation, setting: Setting, horizon: Horizon, key: Array) -> tuple[list[Sampled], list]:
    """Two comparisons, from games of their own, and what the figure shows."""
    discounted = isinstance(horizon, Discounted)
    games = setting.samples(GAMES)
    rule = f"stopped at random, gamma {horizon.gamma:g}" if discounted else f"over {setting.steps} steps"
    scale = np.array(
        [max(map(float, r)) - min(map(float, r)) for r in (setting.game.row_payoffs, setting.game.column_payoffs)]
    )
    returns, shares, shown = [], [], []
    for n, (name, pair) in enumerate(pairs(setting).items()):
        exact = np.array(exact_returns(setting.game, *pair, horizon)) / horizon.weight
        visits = np.asarray(occupancy(*pair, horizon))
        counts, _ = _sums(simulation, setting, pair, horizon, jax.random.fold_in(key, 2 * n), games)
        _, sums = _sums(simulation, setting, pair, horizon, jax.random.fold_in(key, 2 * n + 1), games)
        counts, sums = counts / horizon.weight, sums / horizon.weight
        returns.append(compare_means("", sums, exact, SHARE * np.diag(scale), ""))
        shares.append(compare_means("", counts, visits, SHARE * (np.eye(4) - np.roll(np.eye(4), 1, 1)), ""))
        for kind, sample, truth in (("return", sums, exact), ("share", counts, visits)):
            error = sample.std(0) / math.sqrt(len(sample))
            shown.append({"pair": name, "rule": rule, "kind": kind, "exact": truth.tolist(),
                          "sampled": sample.mean(0).tolist(), "error": error.tolist()})  # fmt: skip
    checks = [
        joined(f"returns of both players, {rule}", returns, f"one return off by {SHARE:.0%} of the payoff range"),
        joined(f"shares of CC, CD, DC, DD, {rule}", shares, f"{SHARE:.0%} of the steps in another state"),
    ]
    return checks, shown


def level(setting: Setting, simulation: Simulation = HONEST) -> Level:
    """Play the pairs over a fixed number of steps and with random stopping, and compare."""
    keys = jax.random.split(jax.random.fold_in(jax.random.key(setting.seed), 0), 2)
    found = [
        _compare(simulation, setting, horizon, key)
        for horizon, key in zip((setting.horizon, Discounted(setting.gamma)), keys, strict=True)
    ]
    checks = tuple(check for part, _ in found for check in part)
    notes = (
        "Sampling and theory share the payoff table and the order of states, nothing else: the environment draws actions "
        "step by step, the theory sums over the Markov chain or solves it.",
    )
    return Level("L0", checks, {"points": [point for _, part in found for point in part]}, notes, setting.false_alarms)
