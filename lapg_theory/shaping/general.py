"""Naive learners in any game: whole courses of learning in groups and with k actions, to shape them or to watch them.

Nothing is derived by hand here: gradients are taken by automatic differentiation through the linear solve of
`general_returns`. For 2x2 games it is the second route to `naive_course` and `shaping_value_and_gradient`.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from lapg_theory.exact.chain import Discount, traceable
from lapg_theory.exact.general import general_returns
from lapg_theory.exact.precision import as_floats, exact
from lapg_theory.game import MOST_UPDATES, AnonymousGame, Horizon, MatrixGame, check_count
from lapg_theory.game.numbers import is_rate


def _chances(theta: Any, log_odds: bool) -> Any:
    return jax.nn.sigmoid(theta) if log_odds else jax.nn.softmax(theta, axis=-1)


@exact
def general_course(
    game: Any,
    policies: Sequence[Any],
    horizon: Horizon | Discount,
    *,
    naive: Sequence[int],
    eta: Any,
    updates: int,
    normalize: bool = True,
) -> tuple[Any, Any]:
    """Courses of naive learners, who learn all at once, against policies that stay: (returns, logits).

    theta_i <- theta_i + eta dJ_i/dtheta_i, `updates` times, for every seat i in `naive`. The mean of a fixed player's returns
    over the inner episodes is its shaping return; JAX input may be differentiated through all updates, which gives the
    learning-aware gradient in any game.

    Args:
        game: what `general_returns` takes.
        policies: one for each player; of a naive one the initial *logits*: log-odds of cooperating for a `MatrixGame` or
            an `AnonymousGame`, otherwise logits of a softmax over actions, [..., 1 + s, k], for a `StochasticGame` [...,
            s, k]. Leading axes must be equal.
        horizon: `Discounted` or `FiniteHorizon`.
        naive: seats of the learners, counted from 0; each learns from its own return alone.
        eta: the learning rate, one number.
        updates: how often they learn (>= 0).
        normalize: they ascend returns per step (False: the sums).

    Returns:
        Returns [updates + 1, n, ...], sums over the steps of each inner episode, the first before any learning; and the
        logits of the learners after all of it, in the order of `naive`.

    Raises:
        ValueError: for seats that the game has not, a rate that is no finite number >= 0, a count that is no integer >= 0,
            and as for `general_returns`.
    """
    check_count("updates", updates, least=0, most=MOST_UPDATES)
    seats = tuple(naive)
    if len(set(seats)) != len(seats) or not set(seats) <= set(range(len(policies))):
        raise ValueError(f"naive must be different seats among 0, ..., {len(policies) - 1}, got {naive}")
    if not is_rate(eta):
        raise ValueError(f"eta must be a finite learning rate >= 0, got {eta!r}")
    log_odds = isinstance(game, MatrixGame | AnonymousGame)
    known = [None if i in seats else policy for i, policy in enumerate(policies)]
    start = tuple(as_floats(*(policies[i] for i in seats)))
    rate = eta / horizon.weight if normalize else eta

    def returns(theta):
        drawn = iter(theta)
        return general_returns(
            game, [_chances(next(drawn), log_odds) if p is None else jnp.asarray(p) for p in known], horizon
        )

    traceable(horizon)
    return _course(returns, start, seats, rate, updates)


def _course(returns: Any, start: tuple[Any, ...], seats: tuple[int, ...], rate: Any, updates: int) -> tuple[Any, Any]:
    @jax.jit
    def learn(theta):
        found, pullback = jax.vjp(returns, theta)

        def own_slope(k, seat):
            weight = jnp.zeros_like(found) + jnp.expand_dims(
                jnp.arange(len(found)) == seat, tuple(range(1, found.ndim))
            )
            return pullback(weight)[0][k]

        moved = tuple(x + rate * own_slope(k, seat) for k, (x, seat) in enumerate(zip(theta, seats, strict=True)))
        return moved, found

    last, before = jax.lax.scan(lambda theta, _: learn(theta), start, length=updates)
    return jnp.concatenate([before, returns(last)[None]]), last
