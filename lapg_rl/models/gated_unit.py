"""The gated recurrent unit over a sequence, with a hand-written derivative: one product a step, the weights' after all steps.

The derived one multiplies for each gate and each weight in every step; here a step of either direction is one product and one
fused elementwise pass, and the weight gradient is one product over all steps.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lapg_rl.models.layers import total
from lapg_rl.models.recurrence import before


def _sigmoid(x):
    return 0.5 + 0.5 * jnp.tanh(0.5 * x)  # XLA's CPU tanh is cheaper than its exp


def gated_step(
    h: Float[Array, "... d"], inputs: Float[Array, "... e"], weight: Float[Array, "d e"], bias: Float[Array, " d"]
) -> tuple[Float[Array, "... d"], tuple[Float[Array, "... d"], ...]]:
    """(h', (r, z, n, c)), the blocks of `inputs` and of h W being those of r, z, n.

    r, z = sigmoid(inputs + h W), c = h W + bias, n = tanh(inputs + r c), h' = n + z (h - n).
    """
    d = h.shape[-1]
    product = jax.lax.optimization_barrier(h @ weight)
    r, z = (_sigmoid(inputs[..., k : k + d] + product[..., k : k + d]) for k in (0, d))
    c = product[..., 2 * d :] + bias
    n = jnp.tanh(inputs[..., 2 * d :] + r * c)
    return n + z * (h - n), (r, z, n, c)


@jax.custom_vjp
def gated_unit(
    inputs: Float[Array, "t ... e"], weight: Float[Array, "d e"], bias: Float[Array, " d"]
) -> Float[Array, "t ... d"]:
    """The states h_1, ..., h_t of `gated_step` from h_0 = 0."""
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


gated_unit.defvjp(_forward, _backward)
