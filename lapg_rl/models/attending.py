"""What a block of the transformer does after its projections: attention, then an MLP; by kernels or by JAX."""

from functools import cache, partial
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from lapg_rl.models.attention import apart, attend, attend_to_cache, rotate, stretch_of, turns
from lapg_rl.models.layers import merged
from lapg_rl.native.calls import as_sequences, by, call, differentiable, fits


class Weights(NamedTuple):
    """`mlp_in` holds the scale of its norm."""

    out: Float[Array, "d d"]
    mlp_in: Float[Array, "d 2h"]
    mlp_out: Float[Array, "h d"]


def kernels_fit(x: Array, weights: Weights, heads: int) -> bool:
    """Whether kernels can do a block: they turn the halves of heads as a whole."""
    return fits((x, weights), x.shape[-1], x.shape[-1] // heads // 2, len(weights.mlp_out))


def attended(
    x: Float[Array, "t ... d"],
    queries: Float[Array, "t ... d"],
    keys: Float[Array, "t ... d"],
    values: Float[Array, "t ... d"],
    weights: Weights,
    heads: int,
) -> Float[Array, "t ... d"]:
    """By kernels, the block's output over sequences, of its input and what it was projected to, not yet turned."""
    found = _native(heads)(*(as_sequences(a) for a in (x, queries, keys, values)), weights)
    return found.reshape(x.shape)


def attended_step(
    x: Float[Array, " d"],
    query: Float[Array, "heads k"],
    keys: Float[Array, "heads k c"],
    values: Float[Array, "heads c k"],
    seen: Int[Array, ""],
    weights: Weights,
) -> Float[Array, " d"]:
    """The block's output for one token, of its turned query and the first `seen` slots of the cache."""
    run = _native_step if kernels_fit(x, weights, len(query)) else _plain_step
    return run(x, query, keys, values, seen.astype(x.dtype), weights)


def _turned(x, heads):
    halves = jnp.moveaxis(x.reshape(*x.shape[:2], heads, 2, -1), 3, 0)
    first, second = (half.reshape(*x.shape[:2], -1).swapaxes(0, 1) for half in halves)
    return rotate(first, second, jnp.arange(len(x)), heads)


def _plain(heads, x, queries, keys, values, weights):
    values, stretch = apart(values.swapaxes(0, 1), heads), stretch_of(len(x), True)
    found = attend(_turned(queries, heads), _turned(keys, heads), values, stretch)
    return merged(x, found.swapaxes(0, 1), *weights)


def _plain_step(x, query, keys, values, seen, weights):
    return merged(x[None], attend_to_cache(query, keys, values, seen.astype(int))[None], *weights)[0]


def _sizes(heads, x, weights):
    return (*x.shape, len(weights.mlp_out), heads)


def _tables(heads, x):
    return turns(jnp.arange(len(x)), x.shape[-1] // heads // 2)


def _forward(heads, kept, x, queries, keys, values, weights):
    t, n, d = x.shape
    outputs = (x.shape, (2, t, n, d), (t, n, heads), (t, n, 2 * len(weights.mlp_out)))
    y, *saved = call(
        "transformer_kept" if kept else "transformer",
        outputs if kept else outputs[:1],
        (x, queries, keys, values),
        (*_tables(heads, x), *weights),
        _sizes(heads, x, weights),
    )
    return (y, tuple(saved)) if kept else y


def _backward(heads, args, kept, grad):
    x, *projected, weights = args
    shapes = tuple(a.shape for a in (x, *projected, *weights))
    rows, tables = (*projected, *kept, grad), (*_tables(heads, x), *weights)
    found = call("transformer_back", shapes, rows, tables, _sizes(heads, x, weights))
    return (*found[:4], Weights(*found[4:]))


@cache
def _native(heads: int):
    return differentiable(
        partial(_plain, heads),
        partial(_forward, heads, False),
        partial(_forward, heads, True),
        partial(_backward, heads),
    )


def _run_step(x, query, keys, values, seen, weights):
    rows = tuple(a[None, None] for a in (x, query.reshape(-1), keys, values, seen))
    sizes = (*_sizes(len(query), x[None, None], weights), keys.shape[-1])
    return call("transformer_step", ((1, 1, len(x)),), rows, weights, sizes)[0][0, 0]


_native_step = by(_run_step, _plain_step)
