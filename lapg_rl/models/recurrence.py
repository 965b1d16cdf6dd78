"""The linear recurrence h_t = a_t h_{t-1} + b_t over the first axis, by two routes, with a hand-written derivative.

Why two: a loop reads and writes every number once, which is all that a CPU's memory allows; an accelerator would wait for each
of its steps, so there the associative scan does twice the work in log t of them. Why by hand: the derived one keeps every
partial product of the scan, the adjoint needs h alone.
"""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Route = Literal["auto", "scan", "associative"]


def _scan(a, b):
    def advance(h, inputs):
        h = inputs[0] * h + inputs[1]
        return h, h

    return jax.lax.scan(advance, jnp.zeros_like(b[0]), (a, b), unroll=4)[1]


def _scan_adjoint(a, g):
    def advance(later, inputs):
        s = inputs[1] + later
        return inputs[0] * s, s

    return jax.lax.scan(advance, jnp.zeros_like(g[0]), (a, g), reverse=True, unroll=4)[1]


def _compose(first, second):
    return first[0] * second[0], second[0] * first[1] + second[1]


def _associative(a, b):
    return jax.lax.associative_scan(_compose, (a, b))[1]


def _associative_adjoint(a, g):
    following = jnp.concatenate([a[1:], jnp.zeros_like(a[:1])])
    return jax.lax.associative_scan(_compose, (following, g), reverse=True)[1]


def _by(route, scan, associative):
    if route == "auto":
        return partial(jax.lax.platform_dependent, cpu=scan, default=associative)
    return {"scan": scan, "associative": associative}[route]


def solve(a: Float[Array, "t ..."], b: Float[Array, "t ..."], route: Route) -> Float[Array, "t ..."]:
    """Like `linear_recurrence`, for use inside hand-written derivatives."""
    return _by(route, _scan, _associative)(a, b)


def adjoint(a: Float[Array, "t ..."], g: Float[Array, "t ..."], route: Route) -> Float[Array, "t ..."]:
    """s_t = g_t + a_{t+1} s_{t+1}: the derivative with respect to b, where g is that with respect to h."""
    return _by(route, _scan_adjoint, _associative_adjoint)(a, g)


def before(h: Float[Array, "t ..."]) -> Float[Array, "t ..."]:
    """The states that the steps began with, h_{t-1}: zero, then all but the last."""
    return jnp.concatenate([jnp.zeros_like(h[:1]), h[:-1]])


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def linear_recurrence(
    a: Float[Array, "t ..."], b: Float[Array, "t ..."], route: Route = "auto"
) -> Float[Array, "t ..."]:
    """h_t = a_t h_{t-1} + b_t with h_{-1} = 0, over the first axis.

    `route` is "scan" (a loop over time, best on CPU), "associative" (a parallel prefix, best on GPU), or "auto", which
    picks by the platform that the code is compiled for.
    """
    return solve(a, b, route)


def _forward(a, b, route):
    h = solve(a, b, route)
    return h, (a, h)


def _backward(route, residuals, grad_h):
    a, h = residuals
    grad_b = adjoint(a, grad_h, route)
    return grad_b * before(h), grad_b


linear_recurrence.defvjp(_forward, _backward)
