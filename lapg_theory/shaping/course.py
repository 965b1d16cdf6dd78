"""A naive learner's whole course of learning against a fixed policy, and the slope of a return taken over it.

All in logits of the learner, states first, any batch behind: theta_{m+1} = theta_m + rate dJ_col/dtheta (p, theta_m),
with J_col per step (`rate` carries the factor `horizon.weight` of a learner that ascends the sum).
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lapg_theory.exact.chain import Four, Play, dot, from_logits, stacked, visit_distribution
from lapg_theory.exact.slopes import Slopes, products, slopes, slopes_and_turns
from lapg_theory.game import MIRROR

Thetas = Float[Array, "5 *n"]
Path = Float[Array, "episodes 5 *n"]


def learner_slopes(ego: Play, theta: Thetas, rewards: Any, horizon: Any) -> list[Slopes]:
    """For each payoff vector: return per step, its slopes in the ego's probabilities and in the learner's logits."""
    learner = from_logits(theta)
    scale = products(*learner)
    return [
        Slopes(value, stacked(row), stacked([scale[s] * column[MIRROR[s]] for s in range(5)]))
        for value, row, column in slopes(ego, learner.mirrored(), rewards, horizon)
    ]


def learner_turns(ego: Play, theta: Thetas, rewards: Any, horizon: Any, move: Thetas) -> list[tuple[Slopes, Slopes]]:
    """`learner_slopes` and their directional derivatives when the learner's logits change by `move`."""
    learner = from_logits(theta)
    scale = products(*learner)
    shift = [scale[s] * move[s] for s in range(5)]
    bend = [shift[s] * (learner.defect[s] - learner.cooperate[s]) for s in range(5)]
    found = []
    for here, turn in slopes_and_turns(ego, learner.mirrored(), rewards, horizon, [shift[s] for s in MIRROR]):
        uphill = stacked([scale[s] * here.column[MIRROR[s]] for s in range(5)])
        turned = stacked([scale[s] * turn.column[MIRROR[s]] + bend[s] * here.column[MIRROR[s]] for s in range(5)])
        found.append((Slopes(here.value, stacked(here.row), uphill), Slopes(turn.value, stacked(turn.row), turned)))
    return found


def learning_path(ego: Play, theta: Thetas, reward: Four, horizon: Any, rate: Any, updates: int) -> Path:
    """The learner's logits before each update and after the last, [updates + 1, 5, ...]."""

    def update(now, _):
        ((_, _, uphill),) = learner_slopes(ego, now, [reward], horizon)
        return now + rate * uphill, now

    last, before = jax.lax.scan(update, theta, length=updates)
    return jnp.concatenate([before, last[None]])


def path_returns(ego: Play, path: Path, rewards: Any, horizon: Any) -> list[jax.Array]:
    """For each payoff vector the return per step at every point of a learning path, [updates + 1, ...]."""
    learner = from_logits(jnp.moveaxis(path, 1, 0))
    seen = visit_distribution(ego, learner.mirrored(), horizon)
    return [dot(seen, reward) for reward in rewards]


def value_and_slope(
    ego: Play, theta: Thetas, rewards: Any, horizon: Any, rate: Any, updates: int, weights: Any = None
) -> tuple[Any, Any]:
    """Weighted sum over the inner episodes of J_row per step, and its slope in the ego's five probabilities.

    `weights` has one entry for each of the updates + 1 inner episodes; by default it makes their mean. The adjoint
    method: the course of learning forward, then sensitivities to the learner's logits backward. The Hessian of J_col is
    symmetric, so one directional derivative of its gradient per update is all that is needed.
    """
    path = learning_path(ego, theta, rewards[1], horizon, rate, updates)
    weights = jnp.full(updates + 1, 1 / (updates + 1), theta.dtype) if weights is None else weights

    def back(carry, episode):
        total, slope, ahead = carry
        now, weight = episode
        (here, _), (_, turn) = learner_turns(ego, now, rewards, horizon, rate * ahead)
        new = slope + weight * here.row + turn.row, ahead + weight * here.column + turn.column
        return (total + weight * here.value, *new), None

    zero = jnp.zeros_like(theta)
    (total, slope, _), _ = jax.lax.scan(back, (zero[0], zero, zero), (path, weights), reverse=True)
    return total, slope
