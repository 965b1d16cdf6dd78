"""What one agent can earn from a group of naive learners, each of which ascends its own return.

The agent has a policy of 2 n + 1 entries (`AnonymousGame`) that stays, or one for each inner episode: an agent that remembers
the whole meta-episode may teach first and exploit last. All by automatic differentiation through the courses of learning.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from lapg_theory.certificate.group import initial_groups
from lapg_theory.exact.chain import traceable
from lapg_theory.exact.general import general_returns
from lapg_theory.exact.precision import float64
from lapg_theory.game import AnonymousGame, Horizon, check_count, group_strategy
from lapg_theory.game.show import brief
from lapg_theory.shaping.climb import climb, highest


@dataclasses.dataclass(frozen=True)
class GroupOptimum:
    """The best policy found, and what comes of it; rewards per step.

    Attributes:
        policies: [episodes, 2 n + 1], or [1, 2 n + 1] where it stays the same.
        reward: the agent's, over all inner episodes.
        curve: the same in each inner episode.
        learners_curve: mean reward of the learners in each inner episode.
        ends: what the searches from all starts ended at, the highest first.
    """

    policies: Float[np.ndarray, "m s"]
    reward: float
    curve: Float[np.ndarray, " episodes"]
    learners_curve: Float[np.ndarray, " episodes"]
    ends: tuple[float, ...]

    __repr__ = brief


@functools.partial(jax.jit, static_argnames=("game", "horizon", "episodes"))
def _curves(game: AnonymousGame, horizon: Horizon, policies: Any, theta: Any, eta: Any, episodes: int) -> Any:
    """Rewards per step [2, episodes] of the agent and the mean learner, over the learners' starts [nodes, k, s]."""

    def episode(theta: Any, policy: Any) -> Any:
        agent = jnp.broadcast_to(policy, theta[:, 0].shape)

        def returns(theta):
            seats = [agent, *(jax.nn.sigmoid(theta[:, i]) for i in range(game.players - 1))]
            return general_returns(game, seats, horizon) / horizon.weight

        found, pullback = jax.vjp(returns, theta)
        own = [pullback(jnp.zeros_like(found).at[i + 1].set(1))[0][:, i] for i in range(game.players - 1)]
        return theta + eta * jnp.stack(own, axis=1), jnp.stack([found[0].mean(), found[1:].mean()])

    rows = jnp.broadcast_to(policies, (episodes, policies.shape[-1]))
    return jax.lax.scan(episode, theta, rows)[1].T


def group_curves(
    game: AnonymousGame, policies: Any, horizon: Horizon, *, eta: float | int, episodes: int, starts: Any
) -> Float[np.ndarray, "2 episodes"]:
    """Rewards per step of an agent, and the mean of n - 1 naive learners, in each inner episode.

    Args:
        game: an `AnonymousGame`.
        policies: the agent's 2 n + 1 chances of cooperating, or such a row for each inner episode.
        horizon: of an inner episode.
        eta: naive learning rate on returns per step.
        episodes: inner episodes; they learn after each.
        starts: the learners' initial logits, [nodes, n - 1, 2 n + 1]; the mean over them is taken.

    Raises:
        ValueError: as for `general_returns`.
    """
    traceable(horizon)
    check_count("episodes", episodes)
    with float64():
        rows = jnp.atleast_2d(jnp.asarray(policies, float))
        return np.asarray(_curves(game, horizon, rows, jnp.asarray(starts, float), float(eta), episodes))


def group_optimum(
    game: AnonymousGame,
    horizon: Horizon,
    *,
    eta: float | int,
    episodes: int,
    spread: float = 0.0,
    nodes: int = 1,
    by_episode: bool = False,
    starts: int = 8,
    seed: int = 0,
) -> GroupOptimum:
    """The best policy among n - 1 naive learners that a search from several starts finds; nothing says that it is global.

    Args:
        game: an `AnonymousGame` of at least two players.
        horizon: of an inner episode.
        eta: naive learning rate on returns per step.
        episodes: inner episodes; the learners learn after each but the last.
        spread: standard deviation of the learners' initial logits; 0: they toss coins.
        nodes: initial groups of learners that are averaged over, a power of two.
        by_episode: whether the policy may differ from inner episode to inner episode.
        starts: random policies that the search starts from, besides always C, always D and tit-for-tat.
        seed: of both.

    Raises:
        ValueError: for counts that are no integers >= 1, and as for `general_returns`.

    Example:
        >>> import lapg_theory as lt
        >>> from lapg_theory.shaping.group import group_optimum
        >>> best = group_optimum(lt.public_goods(3, 2.4), lt.FiniteHorizon(2), eta=5, episodes=5, starts=1)
        >>> best.policies.shape, best.reward >= best.ends[-1]
        ((1, 7), True)
    """
    for name, value in (("episodes", episodes), ("nodes", nodes), ("starts", starts)):
        check_count(name, value)
    n = game.players
    theta = initial_groups(n, n - 1, float(spread), nodes, 1, seed)[0]
    traceable(horizon)
    rows = episodes if by_episode else 1
    with float64():

        @jax.jit
        def slope(flat: Any) -> Any:
            def value(flat):
                return _curves(game, horizon, flat.reshape(rows, -1), jnp.asarray(theta), float(eta), episodes)[
                    0
                ].mean()

            return jax.value_and_grad(value)(flat)

        def value_and_slope(flat: Any) -> tuple[Any, Any]:
            value, uphill = slope(jnp.asarray(flat))
            return float(value), np.asarray(uphill, float)

        drawn = np.random.default_rng(seed).uniform(size=(starts, 2 * n + 1))
        known = [np.clip(group_strategy(name, n), 0.02, 0.98) for name in ("allc", "alld", "tft")]
        ends = climb(value_and_slope, [np.tile(start, rows) for start in (*known, *drawn)], ftol=1e-9, gtol=1e-7)
    best = highest(ends)
    policies = best.policy.reshape(rows, -1)
    own, theirs = group_curves(game, policies, horizon, eta=eta, episodes=episodes, starts=theta)
    return GroupOptimum(policies, best.value, own, theirs, tuple(sorted((end.value for end in ends), reverse=True)))
