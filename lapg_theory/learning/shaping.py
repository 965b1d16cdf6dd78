"""Shaping naive learners (LAPG): the exact return over a naive learner's whole course of learning, and its gradient.

The learner starts at logits theta_0 and steps `updates` times, theta_{m+1} = theta_m + eta dJ_col/dtheta (p, theta_m);
the shaping return of the fixed policy p is the mean or the sum over m = 0..updates of J_row(p, theta_m), differentiated
through all updates. (Meulemans et al. 2025, arXiv 2410.18636.)
"""

import functools
from typing import Any, Literal

import jax
import jax.numpy as jnp

from lapg_theory.chain import Four, Play, dot, from_logits, from_probabilities, stacked, traceable, visit_distribution
from lapg_theory.game import MIRROR, MatrixGame, check_count
from lapg_theory.gradients import slopes
from lapg_theory.precision import as_floats, exact
from lapg_theory.returns import checked, payoffs

Weighting = Literal["mean", "sum"]


def learner_slopes(ego: Play, theta: jax.Array, rewards: Any, horizon: Any) -> list[tuple[Any, jax.Array, jax.Array]]:
    """For each payoff vector: return per step, its slopes in the ego's probabilities and in the learner's logits."""
    learner = from_logits(theta)
    scale = [c * d for c, d in zip(*learner, strict=True)]
    return [
        (mean, stacked(own), stacked([scale[s] * other[MIRROR[s]] for s in range(5)]))
        for mean, own, other in slopes(ego, learner.mirrored(), rewards, horizon)
    ]


def learning_path(ego: Play, theta: jax.Array, reward: Four, horizon: Any, rate: Any, updates: int) -> jax.Array:
    """The learner's logits before each update and after the last, [updates + 1, 5, ...]."""

    def update(now, _):
        ((_, _, uphill),) = learner_slopes(ego, now, [reward], horizon)
        return now + rate * uphill, now

    last, before = jax.lax.scan(update, theta, length=updates)
    return jnp.concatenate([before, last[None]])


def path_returns(ego: Play, path: jax.Array, rewards: Any, horizon: Any) -> list[jax.Array]:
    """For each payoff vector the return per step at every point of a learning path, [updates + 1, ...]."""
    learner = from_logits(jnp.moveaxis(path, 1, 0))
    seen = visit_distribution(ego, learner.mirrored(), horizon)
    return [dot(seen, reward) for reward in rewards]


def value_and_slope(
    ego: Play, theta: jax.Array, rewards: Any, horizon: Any, rate: Any, updates: int
) -> tuple[Any, Any]:
    """Mean of J_row over the inner episodes per step, and its slope in the ego's five probabilities.

    The adjoint method: the course of learning forward, then sensitivities to the learner's logits backward. The Hessian
    of J_col is symmetric, so one directional derivative of its gradient per update is all that is needed.
    """
    path = learning_path(ego, theta, rewards[1], horizon, rate, updates)

    def back(carry, now):
        total, slope, ahead = carry
        ((mean, own, other),) = learner_slopes(ego, now, rewards[:1], horizon)
        _, (turn_own, turn_other) = jax.jvp(
            lambda at: learner_slopes(ego, at, rewards[1:], horizon)[0][1:], (now,), (ahead,)
        )
        return (total + mean, slope + own + rate * turn_own, ahead + other + rate * turn_other), None

    zero = jnp.zeros_like(theta)
    (total, slope, _), _ = jax.lax.scan(back, (zero[0], zero, zero), path, reverse=True)
    return total / (updates + 1), slope / (updates + 1)


@functools.partial(jax.jit, static_argnames=("updates", "want"))
def _shape(p: Any, q0: Any, eta: Any, rewards: Any, horizon: Any, *, updates: int, want: str) -> Any:
    p, q0, eta = as_floats(p, q0, eta)
    batch = jnp.broadcast_shapes(p.shape[:-1], q0.shape[:-1], eta.shape)
    p, q0 = (jnp.moveaxis(jnp.broadcast_to(x, (*batch, 5)), -1, 0) for x in (p, q0))
    ego = from_probabilities(p)
    if want == "gradient":
        value, slope = value_and_slope(ego, q0, rewards, horizon, eta, updates)
        return horizon.weight * value, horizon.weight * jnp.moveaxis(slope, 0, -1)
    path = learning_path(ego, q0, rewards[1], horizon, eta, updates)
    row, column = (jnp.moveaxis(horizon.weight * r, 0, -1) for r in path_returns(ego, path, rewards, horizon))
    return jnp.moveaxis(path, (0, 1), (-2, -1)), row, column


def _prepare(game: MatrixGame, horizon: Any, p: Any, q0: Any, eta: Any, updates: int, normalize: bool) -> tuple:
    check_count("updates", updates, least=0)
    if jnp.shape(q0)[-1:] != (5,):
        raise ValueError(f"q0 needs five logits (s0, CC, CD, DC, DD) in its last axis, got shape {jnp.shape(q0)}")
    rate = eta if normalize else eta * horizon.weight
    return checked("p", p), q0, rate, (payoffs(game), payoffs(game, 1)), traceable(horizon)


def _episodes(weighting: str, updates: int) -> int:
    if weighting not in ("mean", "sum"):
        raise ValueError(f'weighting must be "mean" or "sum" (over the inner episodes), got {weighting!r}')
    return updates + 1 if weighting == "sum" else 1


@exact
def naive_course(
    game: MatrixGame, horizon: Any, p: Any, q0: Any, eta: Any, updates: int, normalize: bool = True
) -> tuple[Any, Any, Any]:
    """A naive learner's course of learning against the fixed policy p: (logits, J_row, J_col).

    Shapes [..., updates + 1, 5], [..., updates + 1] and [..., updates + 1]; entry m is before update m (the last: after
    all). Arguments and errors as for `shaping_return`.
    """
    return _shape(*_prepare(game, horizon, p, q0, eta, updates, normalize), updates=updates, want="course")


@exact
def shaping_return(
    game: MatrixGame,
    horizon: Any,
    p: Any,
    q0: Any,
    eta: Any,
    updates: int,
    normalize: bool = True,
    weighting: Weighting = "mean",
) -> Any:
    """Return of the fixed policy p over a naive learner's inner episodes m = 0..updates, exactly.

    J(p) = mean (or sum) over m of J_row(p, theta_m), theta_{m+1} = theta_m + eta dJ_col/dtheta. Nothing is averaged
    over initial learners: do that over the axis that holds them. JAX input may be differentiated in any mode.

    Args:
        game: any 2x2 game with numbers as payoffs.
        horizon: `Discounted` or `FiniteHorizon`.
        p: the row player's five cooperation probabilities, [..., 5], own view.
        q0: the naive column player's initial *logits*, [..., 5], its own view; leading axes broadcast against p's.
        eta: the naive learning rate, broadcast against the leading axes.
        updates: how often it learns (>= 0).
        normalize: the learner ascends its return per step, J_col / horizon.weight (False: J_col itself).
        weighting: "mean" or "sum" over the updates + 1 inner episodes.

    Returns:
        The returns, sums over the steps of an inner episode, of the broadcast leading shape.

    Raises:
        ValueError: for probabilities outside [0, 1], wrong shapes, a count that is no integer >= 0, or unknown
        weighting.
    """
    count = _episodes(weighting, updates)
    prepared = _prepare(game, horizon, p, q0, eta, updates, normalize)
    return count * _shape(*prepared, updates=updates, want="course")[1].mean(-1)


@exact
def shaping_value_and_gradient(
    game: MatrixGame,
    horizon: Any,
    p: Any,
    q0: Any,
    eta: Any,
    updates: int,
    normalize: bool = True,
    weighting: Weighting = "mean",
) -> tuple[Any, Any]:
    """`shaping_return` and its gradient in the probabilities p, [..., 5], by a fast adjoint pass (forward mode works on
    it).

    For the gradient in the ego's logits multiply by p (1 - p). Arguments and errors as for `shaping_return`.
    """
    count = _episodes(weighting, updates)
    prepared = _prepare(game, horizon, p, q0, eta, updates, normalize)
    value, gradient = _shape(*prepared, updates=updates, want="gradient")
    return count * value, count * gradient
