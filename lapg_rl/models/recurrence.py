"""The linear recurrence h_t = a_t h_{t-1} + b_t over the first axis, by two routes with one hand-written derivative."""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Route = Literal["auto", "scan", "associative"]


def _scan(a, b, reverse):
    def advance(h, inputs):
        h = inputs[0] * h + inputs[1]
        return h, h

    return jax.lax.scan(advance, jnp.zeros_like(b[0]), (a, b), reverse=reverse)[1]


def _associative(a, b, reverse):
    def compose(first, second):
        return first[0] * second[0], second[0] * first[1] + second[1]

    return jax.lax.associative_scan(compose, (a, b), reverse=reverse)[1]


_ROUTES = {"scan": _scan, "associative": _associative}


@jax.custom_vjp
def _recur_scan(a, b):
    return _scan(a, b, False)


@jax.custom_vjp
def _recur_associative(a, b):
    return _associative(a, b, False)


def _forward(route):
    def forward(a, b):
        h = _ROUTES[route](a, b, False)
        return h, (a, h)

    return forward


def _backward(route):
    def backward(residuals, grad_h):
        a, h = residuals
        following = jnp.concatenate([a[1:], jnp.zeros_like(a[:1])])
        grad_b = _ROUTES[route](following, grad_h, True)
        before = jnp.concatenate([jnp.zeros_like(h[:1]), h[:-1]])
        return grad_b * before, grad_b

    return backward


_recur_scan.defvjp(_forward("scan"), _backward("scan"))
_recur_associative.defvjp(_forward("associative"), _backward("associative"))


def linear_recurrence(
    a: Float[Array, "t ..."], b: Float[Array, "t ..."], route: Route = "auto"
) -> Float[Array, "t ..."]:
    """h_t = a_t h_{t-1} + b_t with h_{-1} = 0, over the first axis.

    `route` is "scan" (a loop over time, best on CPU), "associative" (a parallel prefix, best on GPU), or "auto", which
    picks by the platform that the code is compiled for.
    """
    if route == "auto":
        return jax.lax.platform_dependent(a, b, cpu=_recur_scan, default=_recur_associative)
    return {"scan": _recur_scan, "associative": _recur_associative}[route](a, b)
