"""Shaping naive learners (LAPG): the exact return over a naive learner's whole course of learning, and its gradient.

The learner starts at logits theta_0 and steps `updates` times, theta_{m+1} = theta_m + eta dJ_col/dtheta (p, theta_m);
the shaping return of the fixed policy p is the mean or the sum over m = 0..updates of J_row(p, theta_m), differentiated
through all updates. (Meulemans et al. 2025, arXiv 2410.18636.)
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lapg_theory.exact.chain import Discount, from_probabilities, payoffs, traceable
from lapg_theory.exact.precision import as_floats, exact
from lapg_theory.exact.returns import checked
from lapg_theory.game import MOST_UPDATES, Horizon, MatrixGame, check_count
from lapg_theory.shaping.course import learning_path, path_returns, value_and_slope
from lapg_theory.shaping.weighting import Weighting, episodes


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


def _prepare(
    game: MatrixGame, horizon: Horizon | Discount, p: Any, q0: Any, eta: Any, updates: int, normalize: bool
) -> tuple:
    check_count("updates", updates, least=0, most=MOST_UPDATES)
    if np.shape(q0)[-1:] != (5,):
        raise ValueError(f"q0 needs five logits (s0, CC, CD, DC, DD) in its last axis, got shape {np.shape(q0)}")
    if not isinstance(q0, jax.core.Tracer) and np.isnan(np.asarray(q0, dtype=float)).any():
        raise ValueError("q0 holds nan, which is no logit")
    if not isinstance(eta, jax.core.Tracer) and not ((np.asarray(eta) >= 0) & (np.asarray(eta) < np.inf)).all():
        raise ValueError(f"eta must be a finite learning rate >= 0, got {eta}")
    rate = eta if normalize else eta * horizon.weight
    return checked("p", p), q0, rate, (payoffs(game), payoffs(game, 1)), traceable(horizon, game)


@exact
def naive_course(
    game: MatrixGame, horizon: Horizon | Discount, p: Any, q0: Any, eta: Any, updates: int, normalize: bool = True
) -> tuple[Any, Any, Any]:
    """A naive learner's course of learning against the fixed policy p: (logits, J_row, J_col).

    Shapes [..., updates + 1, 5], [..., updates + 1] and [..., updates + 1]; entry m is before update m (the last: after
    all). Arguments and errors as for `shaping_return`.

    Args:
        game: any 2x2 game with numbers as payoffs.
        horizon: `Discounted` or `FiniteHorizon`.
        p: the row player's five cooperation probabilities, [..., 5], own view.
        q0: the naive column player's initial *logits*, [..., 5], its own view.
        eta: the naive learning rate.
        updates: how often it learns (>= 0).
        normalize: the learner ascends its return per step (False: the sum).

    Example:
        >>> import lapg_theory as lt
        >>> policies, *_ = lt.naive_course(lt.prisoners_dilemma(), lt.Discounted(0.9), lt.ALLD, (0.5,) * 5, 1.0, 3)
        >>> policies.shape  # before each update, and after the last
        (4, 5)
    """
    return _shape(*_prepare(game, horizon, p, q0, eta, updates, normalize), updates=updates, want="course")


@exact
def shaping_return(
    game: MatrixGame,
    horizon: Horizon | Discount,
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
        ValueError: for probabilities outside [0, 1], wrong shapes, a rate that is negative or infinite, a count that is no
            integer >= 0, or unknown weighting.

    Example:
        >>> import lapg_theory as lt
        >>> game, horizon = lt.prisoners_dilemma(), lt.Discounted(0.9)
        >>> bool(lt.shaping_return(game, horizon, lt.TFT, (0.5,) * 5, 1.0, 3) > 0)
        True
    """
    count = episodes(weighting, updates)
    prepared = _prepare(game, horizon, p, q0, eta, updates, normalize)
    return count * _shape(*prepared, updates=updates, want="course")[1].mean(-1)


@exact
def shaping_value_and_gradient(
    game: MatrixGame,
    horizon: Horizon | Discount,
    p: Any,
    q0: Any,
    eta: Any,
    updates: int,
    normalize: bool = True,
    weighting: Weighting = "mean",
) -> tuple[Any, Any]:
    """`shaping_return` and its gradient in the probabilities p, [..., 5], by a fast adjoint pass.

    For the gradient in the ego's logits multiply by p (1 - p). Arguments and errors as for `shaping_return`.

    Args:
        game: any 2x2 game with numbers as payoffs.
        horizon: `Discounted` or `FiniteHorizon`.
        p: the row player's five cooperation probabilities, [..., 5], own view.
        q0: the naive column player's initial *logits*, [..., 5], its own view.
        eta: the naive learning rate.
        updates: how often it learns (>= 0).
        normalize: the learner ascends its return per step (False: the sum).
        weighting: "mean" or "sum" over the inner episodes.

    Example:
        >>> import lapg_theory as lt
        >>> game, horizon = lt.prisoners_dilemma(), lt.Discounted(0.9)
        >>> value, gradient = lt.shaping_value_and_gradient(game, horizon, (0.5,) * 5, (0.5,) * 5, 1.0, 3)
        >>> gradient.shape
        (5,)
    """
    count = episodes(weighting, updates)
    prepared = _prepare(game, horizon, p, q0, eta, updates, normalize)
    value, gradient = _shape(*prepared, updates=updates, want="gradient")
    return count * value, count * gradient
