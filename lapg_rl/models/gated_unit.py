"""The gated recurrent unit over a sequence, with a hand-written derivative: one product a step, the weights' after all steps.

The derived one multiplies for each gate and each weight in every step; here a step of either direction is one product and one
fused elementwise pass, and the weight gradient is one product over all steps.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lapg_rl.models.layers import sigmoid, total
from lapg_rl.models.recurrence import before
from lapg_rl.native.calls import as_sequences, by, call, differentiable, fits


def next_state(
    h: Float[Array, " d"], inputs: Float[Array, " e"], weight: Float[Array, "d e"], bias: Float[Array, " d"]
) -> Float[Array, " d"]:
    """The next state: h' of `gated_step`."""
    if not fits((h, inputs, weight, bias), len(weight)):
        return gated_step(h, inputs, weight, bias)[0]
    return _native_step(h, inputs, weight, bias)


def _run_step(h, inputs, weight, bias):
    (d,) = h.shape
    return call("gru", ((1, 1, d),), (inputs[None, None], h[None]), (weight, bias), (1, 1, d))[0][0, 0]


_native_step = by(_run_step, lambda *args: gated_step(*args)[0])


def gated_step(
    h: Float[Array, "... d"], inputs: Float[Array, "... e"], weight: Float[Array, "d e"], bias: Float[Array, " d"]
) -> tuple[Float[Array, "... d"], tuple[Float[Array, "... d"], ...]]:
    """(h', (r, z, n, c)), the blocks of `inputs` and of h W being those of r, z, n.

    r, z = sigmoid(inputs + h W), c = h W + bias, n = tanh(inputs + r c), h' = n + z (h - n).
    """
    d = h.shape[-1]
    product = jax.lax.optimization_barrier(h @ weight)
    r, z = (sigmoid(inputs[..., k : k + d] + product[..., k : k + d]) for k in (0, d))
    c = product[..., 2 * d :] + bias
    n = jnp.tanh(inputs[..., 2 * d :] + r * c)
    return n + z * (h - n), (r, z, n, c)


def gated_unit(
    inputs: Float[Array, "t ... e"], weight: Float[Array, "d e"], bias: Float[Array, " d"]
) -> Float[Array, "t ... d"]:
    """The states h_1, ..., h_t of `gated_step` from h_0 = 0."""
    if not fits((inputs, weight, bias), len(weight)):
        return _plain(inputs, weight, bias)
    return _native(as_sequences(inputs), weight, bias).reshape(*inputs.shape[:-1], len(weight))


@jax.custom_vjp
def _plain(inputs, weight, bias):
    return _forward(inputs, weight, bias)[0]


def _forward(inputs, weight, bias):
    def advance(h, x):
        h, gates = gated_step(h, x, weight, bias)
        return h, (h, *gates)

    start = jnp.zeros((*inputs.shape[1:-1], len(weight)), inputs.dtype)
    h, *gates = jax.lax.scan(advance, start, inputs)[1]
    return h, (h, *gates, weight)


def _backward(residuals, grad_h):
    h, r, z, n, c, weight = residuals
    h = before(h)
    # what one unit of dh' makes of each gate's argument, for all steps at once
    by_z, by_n = (h - n) * z * (1 - z), (1 - z) * (1 - n * n)
    by_c = by_n * r
    by_r = by_c * (1 - r) * c

    def back(later, step):
        grad, keeps, *slopes = step
        s = grad + later
        moved = jnp.concatenate([s * slope for slope in slopes], axis=-1)
        return s * keeps + jax.lax.optimization_barrier(moved) @ weight.T, (s, moved)

    s, moved = jax.lax.scan(back, jnp.zeros_like(h[0]), (grad_h, z, by_r, by_z, by_c), reverse=True)[1]
    tokens, d = tuple(range(h.ndim - 1)), len(weight)
    grad_inputs = jnp.concatenate([moved[..., : 2 * d], s * by_n], axis=-1)
    return grad_inputs, jnp.tensordot(h, moved, axes=(tokens, tokens)), total(moved[..., 2 * d :], tokens)


_plain.defvjp(_forward, _backward)


def _native_forward(kept, inputs, weight, bias):
    t, n, d = (*inputs.shape[:2], len(weight))
    outputs = ((t, n, d), (4, t, n, d))[: 2 if kept else 1]
    start = jnp.zeros((n, d), inputs.dtype)
    h, *gates = call("gru_kept" if kept else "gru", outputs, (inputs, start), (weight, bias), (t, n, d))
    return (h, (h, *gates)) if kept else h


def _native_backward(args, kept, grad):
    t, n, d = grad.shape
    shapes = tuple(x.shape for x in args)
    return tuple(call("gru_back", shapes, (*kept, grad), (args[1],), (t, n, d)))


_native = differentiable(_plain, partial(_native_forward, False), partial(_native_forward, True), _native_backward)
