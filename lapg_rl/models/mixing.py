"""What a block of Hawk does after its two branches: convolution, recurrence, gate, MLP; by kernels or by JAX."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lapg_rl.models.layers import embedded, gelu_gated, merged, split_linear
from lapg_rl.models.recurrence import Route
from lapg_rl.models.rg_lru import causal_convolution, rg_lru, rg_lru_step
from lapg_rl.native.calls import as_sequences, by, call, differentiable, fits


class Weights(NamedTuple):
    """`gates` are block-diagonal maps, of r and of i; `decay` is -log a where r is 1; `mlp_in` holds the scale of its norm."""

    conv: Float[Array, "w d"]
    conv_bias: Float[Array, " d"]
    gates: Float[Array, "2 heads k k"]
    gate_bias: Float[Array, " 2d"]
    decay: Float[Array, " d"]
    out: Float[Array, "d d"]
    mlp_in: Float[Array, "d 2h"]
    mlp_out: Float[Array, "h d"]


def mixed(
    x: Float[Array, "t ... d"],
    gate: Float[Array, "t ... d"],
    value: Float[Array, "t ... d"],
    weights: Weights,
    route: Route,
) -> Float[Array, "t ... d"]:
    """The block's output over sequences that start in the initial state.

    Args:
        x: the block's input.
        gate: the gate before its activation.
        value: the input of the recurrent branch, before the convolution.
        weights: of the block.
        route: of the recurrence in JAX.
    """
    if not _fits((x, gate, value), weights):
        return _plain(x, gate, value, weights, route)
    return _native(*(as_sequences(a) for a in (x, gate, value)), weights).reshape(x.shape)


def entered(
    observations: Float[Array, "t ... o"], table: Float[Array, "o _"], weights: Weights, route: Route
) -> Float[Array, "t ... d"]:
    """`mixed` of what is looked up in a table of x, gate and value, side by side; made for observations that are one-hot."""
    if not len(table) or not _fits((observations, table), weights):
        x, gate, value = embedded(observations, table, 3)
        return mixed(x, gate, value, weights, route)
    found = _native_entered(as_sequences(observations), table, weights)
    return found.reshape(*observations.shape[:-1], found.shape[-1])


def mixed_step(
    x: Float[Array, " d"],
    gate: Float[Array, " d"],
    value: Float[Array, " d"],
    state: tuple[Float[Array, " d"], ...],
    weights: Weights,
) -> tuple[tuple[Float[Array, " d"], ...], Float[Array, " d"]]:
    """One step of `mixed`: the new state, of which the last is the recurrent one and the others past values, and the output."""
    *past, h = state
    h, x = (_native_step if _fits((x, gate, value, state), weights) else _plain_step)(
        x, gate, value, tuple(past), h, weights
    )
    return (*[*past, value][1:], h), x


def _fits(arrays, weights):
    return fits((arrays, weights), len(weights.decay), weights.gates.shape[-1], len(weights.mlp_out))


def _gate_inputs(u, weights):
    dense = jnp.concatenate([jax.scipy.linalg.block_diag(*gate) for gate in weights.gates], axis=1)
    recurrence, inputs = split_linear(u, dense, (len(dense), len(dense)))
    recurrence_bias, input_bias = jnp.split(weights.gate_bias, 2)
    return recurrence + recurrence_bias, inputs + input_bias


def _merged(x, gate, h, weights):
    return merged(x, gelu_gated(gate, h), weights.out, weights.mlp_in, weights.mlp_out)


def _plain(x, gate, value, weights, route: Route = "scan"):
    u = causal_convolution(value, weights.conv, weights.conv_bias)
    return _merged(x, gate, rg_lru(*_gate_inputs(u, weights), u, weights.decay, route), weights)


def _plain_step(x, gate, value, past, h, weights):
    u = sum((v * w for v, w in zip([*past, value], weights.conv, strict=True)), weights.conv_bias)
    h = rg_lru_step(h, *_gate_inputs(u, weights), u, weights.decay)
    return h, _merged(x, gate, h, weights)


def _plain_entered(observations, table, weights):
    x, gate, value = split_linear(observations, table, (len(weights.decay),) * 3)
    return _plain(x, gate, value, weights)


def _sizes(t, n, weights, looked_up=0):
    return (t, n, len(weights.decay), len(weights.mlp_out), len(weights.conv), weights.gates.shape[1], looked_up)


def _forward(kept, rows, table, weights):
    """By the kernel, from x, gate and value, or where there is a `table` from observations."""
    t, n, _ = rows[0].shape
    d = len(weights.decay)
    start = (jnp.zeros((n, len(weights.conv) - 1, d), rows[0].dtype), jnp.zeros((n, d), rows[0].dtype))
    outputs = ((t, n, d), (n, d), (4, t, n, d), (t, n, 2 * len(weights.mlp_out)))
    y, _, *saved = call(
        "hawk_kept" if kept else "hawk",
        outputs[: 4 if kept else 2],
        (*rows, *start),
        (*table, *weights),
        _sizes(t, n, weights, len(table[0]) if table else 0),
    )
    return (y, tuple(saved)) if kept else y


def _backward(rows, table, weights, kept, grad):
    """Gradients of x, gate and value, or of the table, and of the weights."""
    t, n, _ = grad.shape
    first = tuple(a.shape for a in table) or (grad.shape,) * 3
    found = call(
        "hawk_back",
        first + tuple(a.shape for a in weights),
        (*rows, *kept, grad),
        (*table, *weights),
        _sizes(t, n, weights, len(table[0]) if table else 0),
    )
    return *found[: len(first)], Weights(*found[len(first) :])


def _backward_entered(args, kept, grad):
    observations, table, weights = args
    by_table, by_weights = _backward((observations,), (table,), weights, kept, grad)
    _, gate, value = split_linear(observations, table, (len(weights.decay),) * 3)
    *parts, _ = _backward((gate, value), (), weights, kept, grad)  # by XLA left out where nobody asks for the first
    return jnp.concatenate(parts, axis=-1) @ table.T, by_table, by_weights


def _run_step(x, gate, value, past, h, weights):
    rows = (
        *(a[None, None] for a in (x, gate, value)),
        jnp.stack(past)[None] if past else jnp.zeros((1, 0, len(x)), x.dtype),
        h[None],
    )
    y, h = call("hawk", ((1, 1, len(x)), (1, len(x))), rows, weights, _sizes(1, 1, weights))
    return h[0], y[0, 0]


_native = differentiable(
    _plain,
    lambda *args: _forward(False, args[:3], (), args[3]),
    lambda *args: _forward(True, args[:3], (), args[3]),
    lambda args, kept, grad: _backward(args[1:3], (), args[3], kept, grad),
)
_native_entered = differentiable(
    _plain_entered,
    lambda observations, table, weights: _forward(False, (observations,), (table,), weights),
    lambda observations, table, weights: _forward(True, (observations,), (table,), weights),
    _backward_entered,
)
_native_step = by(_run_step, _plain_step)
