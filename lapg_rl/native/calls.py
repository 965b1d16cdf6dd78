"""The kernels as functions of arrays, with the derivatives of what they stand for."""

import contextlib
import contextvars
import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from lapg_rl.native import library

LANES = 8  # widths are multiples of it

Shape = tuple[int, ...]

_wanted = contextvars.ContextVar("_wanted", default=True)


@contextlib.contextmanager
def left_out() -> Iterator[None]:
    """Within it what is traced holds JAX's own operations alone, as those need who translate them."""
    token = _wanted.set(False)
    try:
        yield
    finally:
        _wanted.reset(token)


def fits(arrays: Any, *widths: int) -> bool:
    """Whether the kernels can do it: a tree of arrays of float32, a CPU, widths that are multiples of `LANES`, a compiler."""
    whole = all(x.dtype == jnp.float32 for x in jax.tree.leaves(arrays)) and not any(width % LANES for width in widths)
    return _wanted.get() and whole and library.in_use() is not None


def call(
    name: str,
    outputs: tuple[Shape, ...],
    rows: tuple[Array, ...],
    weights: tuple[Array, ...],
    sizes: Shape,
    dtype: Any = jnp.float32,
) -> list[Array]:
    """Run the kernel of that name.

    Args:
        name: one of `library.KERNELS`.
        outputs: the shapes of what it gives.
        rows: its first inputs, which differ from sequence to sequence.
        weights: the others.
        sizes: the lengths of the axes, steps and sequences first.
        dtype: of all arrays.
    """
    arrays = (*rows, *weights)
    found = jax.ffi.ffi_call(
        f"lapg_{name}", [jax.ShapeDtypeStruct(shape, dtype) for shape in outputs], vmap_method="expand_dims"
    )
    told = {"ranks": np.array([x.ndim for x in arrays]), "sizes": np.array(sizes), "rows": np.int64(len(rows))}
    return list(found(*arrays, **told))


def by(native: Callable[..., Any], plain: Callable[..., Any]) -> Callable[..., Any]:
    """What `native` gives, with the derivative of `plain`, which gives the same."""
    found = jax.custom_vjp(native)
    found.defvjp(lambda *args: (found(*args), args), lambda args, grad: jax.vjp(plain, *args)[1](grad))
    return found


def differentiable(
    plain: Callable[..., Any],
    run: Callable[..., Any],
    forward: Callable[..., Any],
    backward: Callable[..., Any],
) -> Callable[..., Any]:
    """What `run` gives, derived by kernels; derivatives of higher order are those of `plain`, which gives the same.

    Args:
        plain: the function.
        run: the kernel for it.
        forward: a kernel for what it gives and what its derivative needs to know.
        backward: a kernel for the gradients of all arguments, from those, what `forward` kept, and the gradient of the result.
    """

    def plain_forward(*args):
        kept = jax.eval_shape(forward, *args)[1]
        return plain(*args), jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), kept)

    keeping = by(forward, plain_forward)
    back = by(backward, lambda args, kept, grad: jax.vjp(plain, *args)[1](grad))

    def begin(*args):
        result, kept = keeping(*args)
        return result, (args, kept)

    found = jax.custom_vjp(run)
    found.defvjp(begin, lambda known, grad: back(*known, grad))
    return found


def as_sequences(x: Array) -> Array:
    """An array [t, ..., d] as [t, n, d]."""
    return x.reshape(x.shape[0], math.prod(x.shape[1:-1]), x.shape[-1])
