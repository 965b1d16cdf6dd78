"""Mutual defection in groups: what rewarding cooperation is worth to one agent among naive learners.

In a group of N the agent and N - 1 - k others intend to defect always, and k naive learners ascend their own return. The
agent's policy has 2 N + 1 entries (`AnonymousGame`); while everybody but the learners defects only its opening and its
answers to j = 0, ..., k cooperating co-players after own D are visited: s0, D0, ..., Dk. For N = 2 and k = 1 these are
s0, DD and DC.
"""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from lapg_theory.certificate.thresholds import first_positive, standard_error
from lapg_theory.exact.anonymous import group_chances, group_rewards
from lapg_theory.exact.chain import Discount
from lapg_theory.exact.markov import side_by_side, total
from lapg_theory.exact.precision import float64
from lapg_theory.game import MOST_NODES, MOST_UPDATES, AnonymousGame, Discounted, check_count
from lapg_theory.game.noise import refuse_noise
from lapg_theory.shaping.general import general_course


def _check(game: AnonymousGame, naive: Any) -> None:
    if not isinstance(game, AnonymousGame) or game.players < 2:
        raise ValueError(
            f"game must be an AnonymousGame of 2 or more players, such as public_goods(3, 2), got {game!r}"
        )
    refuse_noise(game, "defection is certified in groups", "take groups of two, or leave the noise out")
    if not game.is_dilemma:
        raise ValueError(f"{game.name} is no dilemma: defecting must always earn more, and all C more than all D")
    check_count("naive", naive)
    if naive >= game.players:
        raise ValueError(f"naive must be at most {game.players - 1}, one less than the players, got {naive}")


def places(players: int, naive: int) -> dict[str, int]:
    """Where s0, D0, ..., Dk stand in a policy of 2 N + 1 entries."""
    return {"s0": 0} | {f"D{j}": 2 * players - j for j in range(naive + 1)}


def initial_groups(
    players: int, naive: int, spread: float, nodes: int, scramblings: int, seed: int
) -> Float[np.ndarray, "scramblings nodes naive states"]:
    """Initial logits of groups of learners, N(0, spread^2), from scrambled Sobol sequences."""
    from scipy.stats import norm, qmc

    shape = (naive, 2 * players + 1)
    streams = np.random.SeedSequence(seed).spawn(scramblings)
    points = [qmc.Sobol(int(np.prod(shape)), seed=np.random.default_rng(s)).random(nodes) for s in streams]
    return spread * norm.ppf(np.clip(points, 2.0**-53, 1 - 2.0**-53)).reshape(scramblings, nodes, *shape)


@functools.partial(jax.jit, static_argnames=("game", "naive", "updates"))
def _gradient(game: AnonymousGame, theta: Any, gamma: Any, eta: Any, *, naive: int, updates: int) -> Any:
    """Slopes [1 + naive + 1, n] of the agent's mean return per step, in s0, D0, ..., Dk at unconditional defection."""
    horizon, size = Discount(gamma, 1 / (1 - gamma)), 2 * game.players + 1
    ways = np.eye(size)[list(places(game.players, naive).values())]
    alld = jnp.zeros(size)

    def value(x):
        agent = jnp.broadcast_to(x @ ways, (len(theta), size))
        seats = [agent, *[alld] * (game.players - 1 - naive), *(theta[:, i] for i in range(naive))]
        learners = range(game.players - naive, game.players)
        returns, _ = general_course(game, seats, horizon, naive=list(learners), eta=eta, updates=updates)
        return returns[:, 0].mean(0) / horizon.weight

    return jax.jacfwd(value)(jnp.zeros(len(ways))).T


def group_components(
    game: AnonymousGame,
    *,
    gamma: float | int,
    eta: float | int,
    updates: Any,
    naive: Any,
    spread: float | int = 1.0,
    nodes: Any = 64,
    scramblings: Any = 4,
    seed: int = 0,
) -> Mapping[str, tuple[float, float]]:
    """The shaping gradient at unconditional defection in a group, by state s0, D0, ..., Dk: (value, standard error), per step.

    The same quantity as `DefectionCertificate.components`, where the agent meets `naive` learners at once, each of which
    learns from its own return, and defectors on the other seats. By differentiation through all courses of learning.

    Args:
        game: a dilemma, such as `public_goods(players, factor)`.
        gamma: discount in [0, 1).
        eta: naive learning rate, on returns per step.
        updates: how often they learn.
        naive: k, how many of the others learn naively, 1 to N - 1.
        spread: standard deviation of their initial logits.
        nodes: initial groups of learners, a power of two; there are 2^(k + 1) (N - k) states, so keep k small.
        scramblings: independent sets of them, for the error bar.
        seed: of the scramblings.

    Raises:
        ValueError: for a game that is no dilemma or has noise, and numbers out of their range.
    """
    _check(game, naive)
    Discounted(gamma)
    check_count("updates", updates, most=MOST_UPDATES)
    check_count("nodes", nodes, most=MOST_NODES)
    check_count("scramblings", scramblings, least=2)
    theta = initial_groups(game.players, naive, float(spread), nodes, scramblings, seed)
    with float64():
        found = [_gradient(game, x, float(gamma), float(eta), naive=naive, updates=updates) for x in theta]
        slopes = np.asarray(jnp.stack(found)).mean(2)  # [scramblings, state]
    return {
        name: (float(column.mean()), standard_error(column))
        for name, column in zip(places(game.players, naive), slopes.T, strict=True)
    }


def _seats(players: int, naive: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Who is there, of agent 0, defectors 1, one learner 2 and its fellows 3, and how many of each."""
    held = [(0, 1), (1, players - 1 - naive), (2, 1), (3, naive - 1)]
    kinds, sizes = zip(*[(kind, size) for kind, size in held if size], strict=True)
    return kinds, sizes


@functools.partial(jax.jit, static_argnames=("n", "naive", "updates"))
def _all_cooperated(rewards: Any, tau: Any, gamma: Any, *, n: int, naive: int, updates: int) -> Any:
    """The component Dk per coin-flip chance that all k of n cooperate, where all learners start at 1/2 and so stay alike."""
    horizon, (kinds, sizes) = Discount(gamma, 1 / (1 - gamma)), _seats(n, naive)
    seat, way = kinds.index(2), np.eye(2 * n + 1)[places(n, naive)[f"D{naive}"]]

    def returns(agent, own, others):
        policies = (agent, jnp.zeros(2 * n + 1), jax.nn.sigmoid(own), jax.nn.sigmoid(others))
        chances = [group_chances(policies[kind], g, sizes) for g, kind in enumerate(kinds)]
        return total(side_by_side(chances), rewards, horizon) / horizon.weight

    def value(x):
        def learn(theta, _):
            uphill = jax.grad(lambda own: returns(x * way, own, theta)[seat])(theta)
            return theta + tau / updates * uphill, returns(x * way, theta, theta)[0]

        return jax.lax.scan(learn, jnp.zeros(2 * n + 1), length=updates + 1)[1].mean()

    return jax.jvp(value, (0.0,), (1.0,))[1] * 2.0**naive


def critical_time(
    game: AnonymousGame, *, gamma: float | int, naive: Any, updates: Any = 40, longest: float | int = 300.0
) -> float | None:
    """Total naive learning time from which on rewarding the cooperation of all k learners pays; None if not up to `longest`.

    For learners that start by tossing coins, exactly, at a finite number of updates. `lapg_theory.symbolic.group` has it
    to first order in closed form.

    Args:
        game: a dilemma, such as `public_goods(players, factor)`.
        gamma: discount in [0, 1).
        naive: k, how many of the others learn naively, 1 to N - 1.
        updates: how often they learn in that time.
        longest: learning time, rate on returns per step x updates, in units of the game's payoffs.

    Raises:
        ValueError: as for `group_components`.
    """
    _check(game, naive)
    Discounted(gamma)
    check_count("updates", updates, most=MOST_UPDATES)

    rewards = group_rewards(game, _seats(game.players, naive)[1])

    def at(tau: float) -> float:
        with float64():
            kind = {"n": game.players, "naive": naive, "updates": updates}
            return float(_all_cooperated(rewards, tau, float(gamma), **kind))

    return first_positive(at, np.geomspace(longest / 1000, longest, 31), 1e-6)
