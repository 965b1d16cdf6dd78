"""The exact field of a pool of learning-aware agents, for either kind of horizon and with an entropy bonus.

All in logits, states first, any batch behind, per step of the game. An agent's objective is

    share x (mean over a naive learner's course and over initial learners) + (1 - share) x (mean over the other agents),

and the bonus adds T x (mean entropy of its actions over the same visits), T = entropy coefficient / reward scale; as in
sampled policy gradients the bonus is not differentiated through the visits.
"""

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from lapg_theory.exact.chain import (
    Play,
    acted,
    as_seen,
    eliminate,
    finite_visits,
    from_logits,
    payoffs,
    stacked,
    traceable,
    visits,
)
from lapg_theory.exact.slopes import slopes
from lapg_theory.game import MOST_UPDATES, FiniteHorizon, Horizon, MatrixGame, check_count, check_game
from lapg_theory.game.numbers import is_rate
from lapg_theory.shaping.course import learning_path, value_and_slope


@dataclasses.dataclass(frozen=True)
class Pool:
    """Whom an agent of the pool meets, but for the shares.

    Attributes:
        game: a symmetric 2x2 game.
        horizon: `Discounted` or `FiniteHorizon`.
        eta: the naive learning rate in logits, on returns per step.
        updates: number of naive updates; a course has one inner episode more.
        learners: initial logits of the naive learners, [n, 5], or other ones for each run, [runs, n, 5].

    Raises:
        ValueError: for a game that is not symmetric, a rate that is negative or infinite, updates that are no integer
            >= 0, or learners of another shape.
    """

    game: MatrixGame
    horizon: Horizon
    eta: float | int
    updates: Any
    learners: Any

    def __post_init__(self):
        check_game(self.game)
        if not self.game.is_symmetric:
            raise ValueError(f"{self.game.name} is not symmetric, but in a pool everyone plays either seat")
        if not is_rate(self.eta):
            raise ValueError(f"eta must be a finite learning rate >= 0, got {self.eta}")
        check_count("updates", self.updates, least=0, most=MOST_UPDATES)
        traceable(self.horizon)
        if np.ndim(self.learners) not in (2, 3) or np.shape(self.learners)[-1] != 5:
            raise ValueError(
                f"learners must be initial logits [n, 5] or [runs, n, 5], got shape {np.shape(self.learners)}"
            )

    @property
    def traced(self) -> "Numbers":
        """What compiled code takes."""
        rewards = (payoffs(self.game), payoffs(self.game, 1))
        learners = np.moveaxis(np.atleast_3d(self.learners.T), 1, -1)  # [5, runs or 1, n]
        return Numbers(rewards, traceable(self.horizon, self.game), float(self.eta), jnp.asarray(learners[:, :, None]))


class Numbers(NamedTuple):
    """A pool as compiled code takes it; `learners` [5, runs or 1, 1, n]."""

    rewards: Any
    horizon: Any
    eta: Any
    learners: Any


class Meeting(NamedTuple):
    """An agent's return per step against some company, its slopes in probabilities, its visits: [...], [5, ...] each."""

    value: Any
    slope: Any
    visits: Any


def decisions(row: Play, column: Play, horizon: Any) -> Any:
    """Share of (discounted) decisions made in s0, CC, CD, DC, DD, summing to one; `column` in the row player's view."""
    row, column = acted(row, column, horizon)
    if isinstance(horizon, FiniteHorizon):
        before, _ = finite_visits(row, column, horizon.steps)
        seen = as_seen(before.sum(0) / horizon.steps, horizon)
        return jnp.concatenate([jnp.full_like(seen[:1], 1 / horizon.steps), seen])
    seen = as_seen(stacked(visits(eliminate(row, column, horizon), row, column, horizon)), horizon)
    return stacked([1 / horizon.weight + 0 * seen[0], *(horizon.gamma * x for x in seen)])


def among_agents(numbers: Numbers, theta: Any) -> Meeting:
    """What agents [5, runs, n] meet in each other: the mean over the n - 1 others of their run."""
    n = theta.shape[-1]
    ego, other = from_logits(theta[..., :, None]), from_logits(theta[..., None, :]).mirrored()
    (found,) = slopes(ego, other, numbers.rewards[:1], numbers.horizon)
    weight = (1 - jnp.eye(n, dtype=theta.dtype)) / (n - 1)
    parts = found.value, stacked(found.row), decisions(ego, other, numbers.horizon)
    return Meeting(*((part * weight).sum(-1) for part in parts))


def like_oneself(numbers: Numbers, theta: Any) -> Meeting:
    """What agents [5, ...] meet in a copy of themselves that doesn't learn."""
    ego = from_logits(theta)
    (found,) = slopes(ego, ego.mirrored(), numbers.rewards[:1], numbers.horizon)
    return Meeting(found.value, stacked(found.row), decisions(ego, ego.mirrored(), numbers.horizon))


def with_naive(numbers: Numbers, theta: Any, updates: int, eta: Any = None, visits: bool = True) -> Meeting:
    """What agents [5, runs, n] meet in naive learners over their courses of learning; visits on demand, else zero."""
    eta = numbers.eta if eta is None else eta
    ego = from_logits(theta[..., None])
    start = jnp.broadcast_to(numbers.learners.astype(theta.dtype), (*theta.shape, numbers.learners.shape[-1]))
    value, slope = value_and_slope(ego, start, numbers.rewards, numbers.horizon, eta, updates)
    if not visits:
        return Meeting(value.mean(-1), slope.mean(-1), jnp.zeros_like(theta))
    path = learning_path(ego, start, numbers.rewards[1], numbers.horizon, eta, updates)
    seen = decisions(ego, from_logits(jnp.moveaxis(path, 1, 0)).mirrored(), numbers.horizon)
    seen = jnp.broadcast_to(seen, (5, updates + 1, *start.shape[1:]))
    return Meeting(value.mean(-1), slope.mean(-1), seen.mean((1, -1)))


def product(theta: Any) -> Any:
    """The products p (1 - p), all digits kept."""
    player = from_logits(theta)
    return stacked(player.cooperate) * stacked(player.defect)
