"""Exact gradients of the returns: the policy-gradient formula for speed, autodiff for second derivatives."""

import functools
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from lapg_theory.exact.chain import Discount, Play, from_logits, from_probabilities, payoffs, stacked, traceable
from lapg_theory.exact.precision import as_floats, exact
from lapg_theory.exact.returns import check_batches, checked
from lapg_theory.exact.slopes import products, slopes
from lapg_theory.game import MIRROR, Horizon, MatrixGame

Space = Literal["probability", "logit"]


class Gradients(NamedTuple):
    """Returns of both players (sums) and their four gradients [..., 5], each in the view of the player moved."""

    J_row: Any
    J_column: Any
    row_by_p: Any
    row_by_q: Any
    column_by_p: Any
    column_by_q: Any


def _play(policy: Any, space: str) -> Play:
    return (from_logits if space == "logit" else from_probabilities)(jnp.moveaxis(policy, -1, 0))


@functools.partial(jax.jit, static_argnames="space")
def _gradients(p: Any, q: Any, rewards: Any, horizon: Any, space: str) -> Gradients:
    row, column = (_play(policy, space) for policy in as_floats(p, q))
    scales = [products(*player) if space == "logit" else [1.0] * 5 for player in (row, column)]
    found = slopes(row, column.mirrored(), rewards, horizon)
    gradients = []
    for by in found:
        for scale, own in ((scales[0], by.row), (scales[1], [by.column[s] for s in MIRROR])):
            gradients.append(horizon.weight * jnp.moveaxis(stacked(products(scale, own)), 0, -1))
    return Gradients(*(horizon.weight * by.value for by in found), *gradients)


@functools.partial(jax.jit, static_argnames="space")
def _hessians(p: Any, q: Any, rewards: Any, horizon: Any, space: str) -> tuple[Any, Any]:
    p, q = as_floats(p, q)

    def one(joint):
        found = _gradients(joint[:5], joint[5:], rewards, horizon, space)
        return tuple(jnp.concatenate(part) for part in (found[2:4], found[4:6]))

    shape = jnp.broadcast_shapes(p.shape, q.shape)
    joint = jnp.concatenate([jnp.broadcast_to(x, shape) for x in (p, q)], axis=-1).reshape(-1, 10)
    return tuple(H.reshape(*shape[:-1], 10, 10) for H in jax.vmap(jax.jacfwd(one))(joint))


def _prepare(game: MatrixGame, p: Any, q: Any, horizon: Any, space: str) -> tuple:
    if space not in ("probability", "logit"):
        raise ValueError(f'space must be "probability" or "logit", got {space!r}')
    if space == "probability":
        p, q = checked("p", p), checked("q", q)
    check_batches(p, q)
    return p, q, (payoffs(game), payoffs(game, 1)), traceable(horizon, game)


@exact
def returns_and_gradients(
    game: MatrixGame, p: Any, q: Any, horizon: Horizon | Discount, space: Space = "probability"
) -> Gradients:
    """Returns of both players and all four gradients, for one pair or a batch of pairs.

    dJ/dp_s = d_s (Q(s, C) - Q(s, D)), d_s the expected (discounted) number of visits to s: one elimination and two
    substitutions a player, no autodiff. With space "logit" p and q hold logits, and gradients are with respect to them.

    Shapes: p and q [..., 5] in their own views; returns [...], gradients [..., 5]. Errors as for `exact_returns`.
    """
    return _gradients(*_prepare(game, p, q, horizon, space), space)


@exact
def hessians(
    game: MatrixGame, p: Any, q: Any, horizon: Horizon | Discount, space: Space = "probability"
) -> tuple[Any, Any]:
    """Second derivatives (of J_row, of J_column) in the joint vector (p, q), each [..., 10, 10].

    The mixed block d2J/dp dq is H[..., :5, 5:]. Arguments and errors as for `returns_and_gradients`.
    """
    return _hessians(*_prepare(game, p, q, horizon, space), space)
