"""Small layers that the sequence models share.

Their derivatives are written by hand where XLA's CPU code for the derived ones is slow: weight gradients through transposed
copies, and products fused into reductions. Barriers keep such products apart; they do not change the value.
"""

import math
from functools import cache, partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lapg_rl.native import draws
from lapg_rl.native.calls import as_sequences, call, differentiable, fits


def fan_in(key: Array, inputs: int, *shape: int) -> Float[Array, "..."]:
    """Normal weights of variance 1 / inputs (LeCun), of the given shape."""
    flat = draws.normal(key, (math.prod(shape),))  # the same numbers; a loop over four axes takes seconds to compile
    return flat.reshape(shape) / jnp.sqrt(inputs)


def total(x: Float[Array, "..."], axes: tuple[int, ...], keepdims: bool = False) -> Float[Array, "..."]:
    """The sum over `axes`, computed apart from what makes `x` and from what uses the sum."""
    return jax.lax.optimization_barrier(jnp.sum(jax.lax.optimization_barrier(x), axes, keepdims=keepdims))


def _slices(x, sizes):
    starts = [sum(sizes[:k]) for k in range(len(sizes))]
    return tuple(x[..., start : start + size] for start, size in zip(starts, sizes, strict=True))


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def split_linear(
    x: Float[Array, "... d"], weight: Float[Array, "d e"], sizes: tuple[int, ...]
) -> tuple[Float[Array, "..."], ...]:
    """Return x @ weight, its columns split into blocks of the given sizes."""
    return _slices(x @ weight, sizes)


def _linear_forward(x, weight, sizes):
    x = jax.lax.optimization_barrier(x)
    return tuple(x @ columns for columns in _slices(weight, sizes)), (x, weight)


def _linear_backward(sizes, residuals, grads):
    x, weight = residuals
    tokens = tuple(range(x.ndim - 1))
    grad_x = sum(grad @ columns.T for grad, columns in zip(grads, _slices(weight, sizes), strict=True))
    return grad_x, jnp.concatenate([jnp.tensordot(x, grad, axes=(tokens, tokens)) for grad in grads], axis=1)


split_linear.defvjp(_linear_forward, _linear_backward)


def linear(x: Float[Array, "... d"], weight: Float[Array, "d e"]) -> Float[Array, "... e"]:
    """Return x @ weight."""
    return split_linear(x, weight, (weight.shape[1],))[0]


def _inverse_rms(x):
    return jax.lax.rsqrt(total(x * x, (-1,), keepdims=True) / x.shape[-1] + 1e-6)


@jax.custom_vjp
def normalised(x: Float[Array, "... d"]) -> Float[Array, "... d"]:
    """Return x / sqrt(mean(x^2) + 1e-6), the mean over the last axis."""
    return x * _inverse_rms(x)


def _normalised_forward(x):
    scale = _inverse_rms(x)
    return x * scale, (x * scale, scale)


def _normalised_backward(residuals, grad):
    y, scale = residuals
    return (scale * (grad - y * (total(grad * y, (-1,), keepdims=True) / y.shape[-1])),)


normalised.defvjp(_normalised_forward, _normalised_backward)


def norm_linear(
    x: Float[Array, "... d"], scale: Float[Array, " d"], weight: Float[Array, "d e"], parts: int
) -> tuple[Float[Array, "..."], ...]:
    """RMSNorm(x) @ weight in equal `parts`, where RMSNorm(x) = normalised(x) * (1 + scale)."""
    widths, weight = (weight.shape[1] // parts,) * parts, folded(scale, weight)
    if not fits((x, weight), *weight.shape):
        return split_linear(normalised(x), weight, widths)  # a product for each part, as in its derivative
    return normalised_linear(x, weight, jnp.zeros(weight.shape[1], x.dtype), widths)


def folded(scale: Float[Array, " d"], weight: Float[Array, "d e"]) -> Float[Array, "d e"]:
    """The scale of an RMSNorm in the matrix behind it."""
    return (1 + scale)[:, None] * weight


def sigmoid(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """The logistic function, by tanh: XLA's is cheaper than its exp on a CPU."""
    return 0.5 + 0.5 * jnp.tanh(0.5 * x)


_GELU = 2**0.5 / jnp.pi**0.5


def _gelu_tanh(x):
    return jnp.tanh(_GELU * x * (1 + 0.044715 * x * x))


@jax.custom_vjp
def gelu_gated(gate: Float[Array, "..."], value: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return gelu(gate) * value, gelu by its tanh approximation."""
    return 0.5 * gate * (1 + _gelu_tanh(gate)) * value


def _gated_backward(residuals, grad):
    gate, value = residuals
    t = _gelu_tanh(gate)
    slope = 0.5 * (1 + t) + 0.5 * gate * (1 - t * t) * _GELU * (1 + 3 * 0.044715 * gate * gate)
    return grad * value * slope, grad * (0.5 * gate * (1 + t))


gelu_gated.defvjp(lambda gate, value: (gelu_gated(gate, value), (gate, value)), _gated_backward)


class GatedMLP(eqx.Module):
    """Residual gated MLP: x + W_out (gelu(W_gate n) * (W_in n)), n = RMSNorm(x)."""

    scale: Float[Array, " d"]
    weight_in: Float[Array, "d 2h"]
    weight_out: Float[Array, "h d"]

    def __init__(self, width: int, hidden: int, *, key: Array):
        first, second = draws.split(key)
        self.scale = jnp.zeros(width)
        self.weight_in = fan_in(first, width, width, 2 * hidden)
        self.weight_out = fan_in(second, hidden, hidden, width)

    def __call__(self, x: Float[Array, "... d"]) -> Float[Array, "... d"]:
        """Apply to any number of leading axes."""
        return gated_mlp(x, folded(self.scale, self.weight_in), self.weight_out)


def gated_mlp(
    x: Float[Array, "... d"], weight_in: Float[Array, "d _"], weight_out: Float[Array, "h d"]
) -> Float[Array, "... d"]:
    """`GatedMLP`, the scale of its norm in `weight_in`."""
    return x + linear(gelu_gated(*split_linear(normalised(x), weight_in, (len(weight_out),) * 2)), weight_out)


def merged(
    x: Float[Array, "... d"],
    branch: Float[Array, "... d"],
    out: Float[Array, "d d"],
    mlp_in: Float[Array, "d _"],
    mlp_out: Float[Array, "h d"],
) -> Float[Array, "... d"]:
    """How a block ends: what its branch found is added to its input by `out`, then the gated MLP."""
    return gated_mlp(x + linear(branch, out), mlp_in, mlp_out)


class Readout(eqx.Module):
    """Final RMSNorm, then linear action logits and value, both starting at zero (a uniform policy)."""

    scale: Float[Array, " d"]
    weight: Float[Array, "d outputs"]
    bias: Float[Array, " outputs"]

    def __init__(self, width: int, num_actions: int):
        self.scale = jnp.zeros(width)
        self.weight = jnp.zeros((width, num_actions + 1))
        self.bias = jnp.zeros(num_actions + 1)

    def __call__(self, x: Float[Array, "... d"]) -> tuple[Float[Array, "... a"], Float[Array, "..."]]:
        """(logits, value) for any number of leading axes."""
        widths = (self.weight.shape[1] - 1, 1)
        logits, value = normalised_linear(x, folded(self.scale, self.weight), self.bias, widths)
        return logits, value[..., 0]


def normalised_linear(
    x: Float[Array, "... d"], weight: Float[Array, "d e"], bias: Float[Array, " e"], widths: tuple[int, ...]
) -> tuple[Float[Array, "..."], ...]:
    """Return normalised(x) @ weight + bias, its columns split into blocks of the given widths."""
    if not fits((x, weight, bias), len(weight)):
        return _plain_projection(widths, x, weight, bias)
    found = _projection(widths)(_rows(x), weight, bias)
    return tuple(part.reshape(*x.shape[:-1], part.shape[-1]) for part in found)


def embedded(x: Float[Array, "... o"], table: Float[Array, "o e"], parts: int = 1) -> tuple[Float[Array, "..."], ...]:
    """Return x @ table in equal `parts`; made for observations, which are mostly 0."""
    if not fits((x, table), table.shape[1] // parts):
        return _plain_embedding(parts, x, table)
    return tuple(part.reshape(*x.shape[:-1], part.shape[-1]) for part in _embedding(parts)(_rows(x), table))


def _rows(x):
    return as_sequences(x) if x.ndim > 1 else x[None, None]


def _plain_projection(widths, x, weight, bias):
    return _slices(linear(normalised(x), weight) + bias, widths)


def _plain_embedding(parts, x, table):
    return split_linear(x, table, (table.shape[1] // parts,) * parts)


@cache
def _projection(widths):
    def run(x, weight, bias):
        shapes = tuple((*x.shape[:2], width) for width in widths)
        return tuple(call("project", shapes, (x,), (weight, bias), (*x.shape, len(widths), *widths)))

    def back(args, kept, grads):
        x, weight, _ = args
        shapes = tuple(a.shape for a in args)
        return tuple(call("project_back", shapes, (x, *grads), (weight,), (*x.shape, len(widths), *widths)))

    return differentiable(partial(_plain_projection, widths), run, lambda *args: (run(*args), ()), back)


@cache
def _embedding(parts):
    def run(x, table):
        width = table.shape[1] // parts
        return tuple(call("embed", ((*x.shape[:2], width),) * parts, (x,), (table,), (*x.shape, parts, width)))

    def back(args, kept, grads):
        x, table = args
        by_x = jnp.concatenate(grads, axis=-1) @ table.T  # left out where nobody asks
        return by_x, call("embed_back", (table.shape,), (x, *grads), (), (*x.shape, parts, table.shape[1] // parts))[0]

    return differentiable(partial(_plain_embedding, parts), run, lambda *args: (run(*args), ()), back)
