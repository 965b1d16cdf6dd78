"""Level L0, play: sampled returns and occupancies of memory-one pairs against the exact ones."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lapg_rl.crossval.setting import FEW_ACTIONS, Setting
from lapg_rl.crossval.simulation import HONEST, Simulation, collected, compiled, play
from lapg_rl.crossval.statistics import compare_means, joined
from lapg_rl.crossval.verdict import Level, Sampled
from lapg_rl.models import memory_one
from lapg_rl.play.coplayers import FixedStrategy
from lapg_theory import exact_returns, float64, general_returns, occupancy
from lapg_theory.exact.general import seat_view
from lapg_theory.exact.markov import done, side_by_side, visited
from lapg_theory.game import (
    GTFT,
    WSLS,
    AnonymousGame,
    Discounted,
    FiniteHorizon,
    Horizon,
    NormalFormGame,
    group_strategy,
)
from lapg_theory.game.noise import Noise, counts_seen, glances

GAMES = 2**14
#: A deviation that must not go unseen: this share of the payoff range, or of the steps.
SHARE = 0.02
#: What is left of the weight of the game where a game that should stop at random is cut off.
TAIL = 1e-6


def pairs(setting: Setting) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The pairs that are played: the setting's, in both seats, and two strategies with trembling hands."""
    ego, naive = setting.players
    if setting.actions > 2:
        return {"ego, naive": (ego, naive), "naive, ego": (naive, ego), "copy, next": _known(setting.actions)}
    group = isinstance(setting.game, AnonymousGame)
    known = [group_strategy(name, setting.players_count) for name in ("tft", "grim")] if group else (GTFT, WSLS)
    tremble = [0.1 + 0.8 * np.array(p) for p in known]
    name = "TFT, grim" if group else "GTFT, WSLS"
    return {"ego, naive": (ego, naive), "naive, ego": (naive, ego), name: (tremble[0], tremble[1])}


def _known(k: int) -> tuple[np.ndarray, np.ndarray]:
    """A player that does what the other did, and one that does the action after that; both tremble."""
    last = np.tile(np.arange(k), k)
    copy, following = (np.eye(k)[np.concatenate([[0], row])] for row in (last, (last + 1) % k))
    return 0.2 / k + 0.8 * copy, 0.2 / k + 0.8 * following


def exact_rewards(setting: Setting, pair: tuple, horizon: Horizon) -> Float[np.ndarray, " 2"]:
    """Rewards per step of the ego and of its co-player, or the mean of those that all play so."""
    p, q = pair
    if setting.actions > 2:
        return np.asarray(general_returns(setting.game, [p, q], horizon)) / horizon.weight
    if isinstance(setting.game, AnonymousGame):
        own, *others = general_returns(setting.game, [p] + [q] * (setting.players_count - 1), horizon) / horizon.weight
        return np.array([own, np.mean(others)])
    return np.array(exact_returns(setting.game, p, q, horizon)) / horizon.weight


def exact_shares(setting: Setting, pair: tuple, horizon: Horizon) -> Float[np.ndarray, " states"]:
    """Shares of the steps in which the ego does C, then D, and sees all, ..., none of the others cooperate.

    With k actions: of all joint actions, own first, as the ego sees them.
    """
    n, shares, noise = setting.players_count, [], setting.game.noise
    if setting.actions > 2:
        return _shares_of_joint_actions(setting, pair, horizon)
    if not isinstance(setting.game, AnonymousGame):
        p, q = pair if noise is None else map(noise.acted, pair)
        shares = np.asarray(occupancy(p, q, horizon))
        return shares if noise is None else _as_seen(shares, noise, n)
    for own in range(2):  # a game that pays 1 in one state, and nothing else, returns how often it comes
        for cooperating in range(n - 1, -1, -1):
            pays = np.zeros((2, n))
            pays[own, cooperating] = 1
            there = dataclasses.replace(setting.game, cooperator=pays[0], defector=pays[1])
            shares.append(exact_rewards(dataclasses.replace(setting, game=there), pair, horizon)[0])
    return np.array(shares) if noise is None else _as_seen(np.array(shares), noise, n)


def _shares_of_joint_actions(setting: Setting, pair: tuple, horizon: Horizon) -> np.ndarray:
    noise, actions = setting.game.noise, setting.game.actions
    with float64():
        acted = [done(jnp.asarray(policy), player, actions, noise) for player, policy in enumerate(pair)]
        seats = [seat_view(policy, player, actions) for player, policy in enumerate(acted)]
        shares = np.asarray(visited(side_by_side(seats), horizon)) / horizon.weight
    if noise is None:
        return shares
    return (shares.reshape(actions) @ np.asarray(glances(noise.perception, actions[1:]))).ravel()


def _as_seen(shares: np.ndarray, noise: Noise, n: int) -> np.ndarray:
    """Shares of what is done as shares of what the ego sees of it."""
    return (shares.reshape(2, n) @ np.array(counts_seen(noise.perception, n - 1))).ravel()


@compiled
def _outcomes(
    simulation: Simulation, game, p: Array, q: Array, key: Array, count: int, sizes: tuple[int, int]
) -> tuple[Int[Array, "n t"], Float[Array, "n t 2"]]:
    batch, steps = sizes
    coplayer = FixedStrategy()
    own, *others = play(
        simulation, game, memory_one(p), coplayer, q, key, count, batch=batch, inner_episodes=1, steps=steps
    )
    others = jax.tree.map(lambda *x: jnp.stack(x), *others)
    rewards = jnp.stack([own.rewards, others.rewards.mean(0)], axis=-1)
    ways = game.actions[1] if isinstance(game, NormalFormGame) else 1 + len(others.actions)
    outcomes = ways * own.actions + others.actions.sum(0)
    if game.noise is not None:  # what was done is told by what is seen next, which nobody does after the last step
        later = own.observations[..., 1:, :].argmax(-1) - 1
        outcomes = jnp.concatenate([later, jnp.full_like(later[..., :1], -1)], axis=-1)
    return outcomes.reshape(-1, steps), rewards.reshape(-1, steps, 2)


def _sums(
    simulation: Simulation, setting: Setting, pair: tuple, horizon: Horizon, key: Array, games: int
) -> tuple[np.ndarray, np.ndarray]:
    """Counts of the outcomes [n, states] and summed rewards [n, 2] of whole games.

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
        seen = (np.asarray(outcomes)[..., None] == np.arange(len(setting.states) - 1)) & alive[..., None]
        return seen.sum(1), (np.asarray(rewards) * alive[..., None]).sum(1)

    return collected(sample, key, games // batch, batch * steps)


def _compare(simulation: Simulation, setting: Setting, horizon: Horizon, key: Array) -> tuple[list[Sampled], list]:
    """Two comparisons, from games of their own, and what the figure shows."""
    discounted = isinstance(horizon, Discounted)
    games = setting.samples(GAMES)
    rule = f"stopped at random, gamma {horizon.gamma:g}" if discounted else f"over {setting.steps} steps"
    scale = np.array([max(map(float, r)) - min(map(float, r)) for r in setting.payoffs])
    returns, shares, shown = [], [], []
    for n, (name, pair) in enumerate(pairs(setting).items()):
        steps = horizon  # those whose outcome is seen
        if setting.game.noise is not None and not discounted:
            steps = FiniteHorizon(setting.steps - 1)
        exact, visits = exact_rewards(setting, pair, horizon), exact_shares(setting, pair, steps)
        counts, _ = _sums(simulation, setting, pair, horizon, jax.random.fold_in(key, 2 * n), games)
        _, sums = _sums(simulation, setting, pair, horizon, jax.random.fold_in(key, 2 * n + 1), games)
        counts, visits = _together(setting, counts / steps.weight), _together(setting, visits)
        sums = sums / horizon.weight
        returns.append(compare_means("", sums, exact, SHARE * np.diag(scale), ""))
        shares.append(
            compare_means("", counts, visits, SHARE * (np.eye(len(visits)) - np.roll(np.eye(len(visits)), 1, 1)), "")
        )
        for kind, sample, truth in (("return", sums, exact), ("share", counts, visits)):
            error = sample.std(0) / math.sqrt(len(sample))
            shown.append({"pair": name, "rule": rule, "kind": kind, "exact": truth.tolist(),
                          "sampled": sample.mean(0).tolist(), "error": error.tolist()})  # fmt: skip
    checks = [
        joined(f"returns of both players, {rule}", returns, f"one return off by {SHARE:.0%} of the payoff range"),
        joined(f"shares of {_outcomes_named(setting)}, {rule}", shares, f"{SHARE:.0%} of the steps in another state"),
    ]
    return checks, shown


def _outcomes_named(setting: Setting) -> str:
    if setting.actions == 2:
        return ", ".join(setting.states[1:])
    return f"all {setting.actions**2} joint actions" if setting.actions <= FEW_ACTIONS else "both actions modulo 4"


def _together(setting: Setting, shares: np.ndarray) -> np.ndarray:
    """[..., cells]: shares of joint actions, which with many are so rare that they are put together, 4 x 4."""
    if setting.actions <= FEW_ACTIONS:
        return shares
    own, other = np.divmod(np.arange(setting.actions**2), setting.actions)
    return shares @ np.eye(16)[4 * (own % 4) + other % 4]


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
