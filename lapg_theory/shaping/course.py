"""A naive learner's whole course of learning against a fixed policy, and the slope of a return taken over it.

All in logits of the learner, states first, any batch behind: theta_{m+1} = theta_m + rate dJ_col/dtheta (p, theta_m),
with J_col per step (`rate` carries the factor `horizon.weight` of a learner that ascends the sum).
"""

from typing import Any

from jaxtyping import Float

from lapg_theory.exact.arrays import module, scan
from lapg_theory.exact.chain import Five, Four, Play, dot, from_logits, stacked, visit_distribution
from lapg_theory.exact.slopes import Slopes, products, slopes, slopes_and_turn, slopes_and_turns, uphill
from lapg_theory.game import MIRROR

Thetas = Float[Any, "5 *n"]
Path = Float[Any, "episodes 5 *n"]


def learner_slopes(ego: Play, theta: Thetas, rewards: Any, horizon: Any) -> list[Slopes]:
    """For each payoff vector: return per step, its slopes in the ego's probabilities and in the learner's logits."""
    learner = from_logits(theta)
    scale = products(*learner)
    return [_in_logits(scale, found) for found in slopes(ego, learner.mirrored(), rewards, horizon)]


def learner_turns(ego: Play, theta: Thetas, rewards: Any, horizon: Any, move: Thetas) -> list[tuple[Slopes, Slopes]]:
    """`learner_slopes` and their directional derivatives when the learner's logits change by `move`."""
    learner, scale, shift, bend = _moved(theta, move)
    found = slopes_and_turns(ego, learner.mirrored(), rewards, horizon, shift)
    return [(_in_logits(scale, here), _turned(scale, bend, here, turn)) for here, turn in found]


def _moved(theta: Thetas, move: Thetas) -> tuple[Play, Five, Five, Five]:
    """The learner, dq/dtheta, how its q change when its logits change by `move` (ego's view), and how dq/dtheta does."""
    learner = from_logits(theta)
    scale = products(*learner)
    shift = [scale[s] * move[s] for s in range(5)]
    bend = [shift[s] * (learner.defect[s] - learner.cooperate[s]) for s in range(5)]
    return learner, scale, [shift[s] for s in MIRROR], bend


def _in_logits(scale: Five, here: Slopes) -> Slopes:
    return Slopes(here.value, stacked(here.row), stacked([scale[s] * here.column[MIRROR[s]] for s in range(5)]))


def _turned(scale: Five, bend: Five, here: Slopes, turn: Slopes) -> Slopes:
    turned = stacked([scale[s] * turn.column[MIRROR[s]] + bend[s] * here.column[MIRROR[s]] for s in range(5)])
    return Slopes(turn.value, stacked(turn.row), turned)


def learning_path(ego: Play, theta: Thetas, reward: Four, horizon: Any, rate: Any, updates: int) -> Path:
    """The learner's logits before each update and after the last, [updates + 1, 5, ...]."""

    def update(now, _):
        learner = from_logits(now)
        scale, slope = products(*learner), uphill(ego, learner.mirrored(), reward, horizon)
        return now + rate * stacked([scale[s] * slope[MIRROR[s]] for s in range(5)]), now

    last, before = scan(update, theta, length=updates)
    return module(before, last).concatenate([before, last[None]])


def path_returns(ego: Play, path: Path, rewards: Any, horizon: Any) -> list[Any]:
    """For each payoff vector the return per step at every point of a learning path, [updates + 1, ...]."""
    learner = from_logits(module(path).moveaxis(path, 1, 0))
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
    xp = module(path)
    weights = xp.full(updates + 1, 1 / (updates + 1), theta.dtype) if weights is None else weights

    def back(carry, episode):
        total, slope, ahead = carry
        now, weight = episode
        learner, scale, shift, bend = _moved(now, rate * ahead)
        here, naive, turn = slopes_and_turn(ego, learner.mirrored(), rewards, horizon, shift)
        here, turn = _in_logits(scale, here), _turned(scale, bend, naive, turn)
        new = slope + weight * here.row + turn.row, ahead + weight * here.column + turn.column
        return (total + weight * here.value, *new), None

    zero = xp.zeros_like(theta)
    (total, slope, _), _ = scan(back, (zero[0], zero, zero), (path, weights), reverse=True)
    return total, slope
