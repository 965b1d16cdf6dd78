"""The best policies among naive learners that know more than the last move: the inner episode, the last outcome, or both.

A sequence model that sees the whole meta-episode may do in inner episode m what a memory-one policy cannot: teach first
and exploit last. Its exact optimum bounds from above what such agents can earn. An agent that *knows the episode* has five
probabilities for each of them. One that *knows the last outcome* remembers throughout an inner episode how the one before
ended: it has five probabilities for each of CC, CD, DC, DD, and five more for the first inner episode. The learner, who
forgets, updates on the mean over the kinds of games that it plays; the outcome is a clock, because it changes as the
learner learns. (With a discount the end comes with probability 1 - gamma after every step, and the last outcome is
distributed as the visits.)
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from lapg_theory.exact.chain import (
    Discount,
    Play,
    acted,
    as_seen,
    finite_visits,
    from_logits,
    payoffs,
    stacked,
    traceable,
    visit_distribution,
)
from lapg_theory.exact.precision import float64
from lapg_theory.game import MOST_UPDATES, FiniteHorizon, Horizon, MatrixGame, check_count, check_policy
from lapg_theory.game.numbers import is_rate
from lapg_theory.shaping.climb import climb, highest
from lapg_theory.shaping.course import learner_slopes
from lapg_theory.shaping.initialisations import sobol_logits
from lapg_theory.shaping.optimum import STARTS


def _last(row: Play, column: Play, horizon: Any) -> Any:
    """Distribution of the last outcome of an inner episode as the row player sees it, CC, CD, DC, DD."""
    if isinstance(horizon, FiniteHorizon):
        return as_seen(finite_visits(*acted(row, column, horizon), horizon.steps)[1], horizon)
    return as_seen(stacked(visit_distribution(row, column, horizon)), horizon)


def _curves(policies: Any, theta: Any, rewards: Any, horizon: Any, eta: Any) -> tuple[Any, Any]:
    """Returns per step of agent and learner in each inner episode; `policies` [episodes, kinds of games, 5]."""
    kinds = policies.shape[1]

    def episode(carry, p):
        theta, before = carry
        several = jnp.broadcast_to(theta[:, None], (5, *before.shape))
        p = [jnp.broadcast_to(p[:, s, None], before.shape) for s in range(5)]
        ego = Play(p, [1 - x for x in p])
        own, naive = learner_slopes(ego, several, rewards, horizon)
        later = theta + eta * (before * naive.column).sum(1)
        chance = before
        if kinds > 1:
            last = (before * _last(ego, from_logits(several).mirrored(), horizon)).sum(1)
            chance = jnp.concatenate([jnp.zeros_like(last[:1]), last])
        return (later, chance), ((before * own.value).sum(0).mean(), (before * naive.value).sum(0).mean())

    first = jnp.zeros((kinds, *theta.shape[1:]), theta.dtype).at[0].set(1.0)
    return jax.lax.scan(episode, (theta, first), policies)[1]


@functools.partial(jax.jit, static_argnames=("episode", "outcome", "updates"))
def _value_and_slope(
    x: Any, theta: Any, rewards: Any, horizon: Any, eta: Any, *, episode: bool, outcome: bool, updates: int
) -> Any:
    def value(x):
        return _curves(_policies(x, episode, outcome, updates), theta, rewards, horizon, eta)[0].mean()

    return jax.value_and_grad(value)(x)


def _policies(x: Any, episode: bool, outcome: bool, updates: int) -> Any:
    """Policies [episodes, kinds of games, 5] from free numbers."""
    x = x.reshape(updates + 1 if episode else 1, 5 if outcome else 1, 5)
    return jnp.broadcast_to(x, (updates + 1, *x.shape[1:]))


@dataclasses.dataclass(frozen=True)
class InformedShaper:
    """The best policy found among naive learners for an agent that knows more; rewards per step.

    Attributes:
        policies: cooperation probabilities [inner episode, kind of game, state]; with `outcome` the kinds are the first
            inner episode, and those after one that ended with CC, CD, DC, DD; else there is one.
        value: its reward, mean over the inner episodes and the initial learners.
        naive_value: the naive learners' reward, likewise.
        curve: its reward in each inner episode, [updates + 1].
        naive_curve: theirs.
        residual: largest slope of the value that still points to where the policy may go.
        by_start: the value reached from every start.
    """

    policies: Float[np.ndarray, "episodes kinds 5"]
    value: float
    naive_value: float
    curve: Float[np.ndarray, " episodes"]
    naive_curve: Float[np.ndarray, " episodes"]
    residual: float
    by_start: Float[np.ndarray, " starts"]


def train_informed_shaper(
    game: MatrixGame,
    horizon: Horizon | Discount,
    *,
    eta: float | int,
    updates: Any,
    episode: bool = True,
    outcome: bool = False,
    learners: Any = None,
    starts: Sequence[Any] = STARTS,
) -> InformedShaper:
    """Maximise the mean return over a naive learner's course, over policies that know the episode or the last outcome.

    L-BFGS-B in [0, 1]^n with gradients by reverse-mode differentiation; no proof that a maximum is global.

    Args:
        game: any 2x2 game with numbers as payoffs.
        horizon: `Discounted` or `FiniteHorizon`.
        eta: the naive learning rate in logits, on returns per step.
        updates: number of naive updates; there is one inner episode more.
        episode: whether the policy may differ between inner episodes.
        outcome: whether it may depend on the last outcome of the inner episode before.
        learners: initial naive logits, [n, 5]; by default 512 scrambled Sobol points for N(0, 1).
        starts: memory-one policies to start from (`train_shaper` finds a good one); the best end counts.

    Raises:
        ValueError: for no start or one that is no policy, counts that are none, a rate that is negative or infinite, or
            learners of another shape.
    """
    check_count("updates", updates, most=MOST_UPDATES)
    if not is_rate(eta):
        raise ValueError(f"eta must be a finite learning rate >= 0, got {eta}")
    if len(starts) == 0:
        raise ValueError("starts is empty: give at least one policy to start from")
    theta = sobol_logits(512) if learners is None else np.asarray(learners, float)
    if theta.ndim != 2 or theta.shape[1] != 5:
        raise ValueError(f"learners must be initial logits [n, 5], got shape {theta.shape}")
    numbers = (theta.T, (payoffs(game), payoffs(game, 1)), traceable(horizon, game), float(eta))
    kind = {"episode": episode, "outcome": outcome, "updates": updates}

    def value_and_slope(x):
        value, slope = (np.asarray(part) for part in _value_and_slope(x, *numbers, **kind))
        return float(value), slope

    copies = (updates + 1 if episode else 1) * (5 if outcome else 1)
    first = [np.tile(check_policy("starts", start), copies) for start in starts]
    with float64():
        ends = climb(value_and_slope, first, ftol=1e-15, gtol=1e-9, maxiter=3000, maxfun=30000)
        x = np.clip(highest(ends).policy, 0, 1)
        policies = _policies(jnp.asarray(x), **kind)
        own, naive = (np.asarray(curve) for curve in _curves(policies, *numbers))
        residual = np.abs(np.clip(x + value_and_slope(x)[1], 0, 1) - x).max()
    by_start = np.array([end.value for end in ends])
    return InformedShaper(np.asarray(policies), own.mean(), naive.mean(), own, naive, residual, by_start)
