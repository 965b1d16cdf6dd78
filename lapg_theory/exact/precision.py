"""Double precision where it is wanted, without touching the user's global JAX setting."""

import functools
import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from lapg_theory.game import Discounted, MatrixGame

In = ParamSpec("In")
Out = TypeVar("Out")


def float64() -> AbstractContextManager:
    """A context in which JAX computes in float64; outside it the user's own setting holds."""
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    return importlib.import_module("jax.experimental").enable_x64(True)  # older releases keep it there


def _numbers(leaf: Any) -> Any:
    """What a game or a discounted horizon holds, which is where JAX arrays may hide."""
    if isinstance(leaf, MatrixGame):
        return (leaf.row, leaf.column)
    return leaf.gamma if isinstance(leaf, Discounted) else leaf


def _is_jax(tree: Any) -> bool:
    return any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(jax.tree.map(_numbers, tree)))


def exact(function: Callable[In, Out]) -> Callable[In, Out]:
    """Decorate a JAX function of array-likes: NumPy and Python inputs give NumPy float64 results.

    As soon as one argument, payoff or discount is a JAX array or tracer the function runs as it is, in the dtype of the
    policies, so that users may differentiate, map and compile through it.
    """

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        if _is_jax((args, kwargs)):
            return function(*args, **kwargs)
        with float64():
            return jax.tree.map(lambda leaf: np.asarray(leaf)[()], function(*args, **kwargs))

    return wrapper


def as_floats(*values: Any) -> tuple[jax.Array, ...]:
    """The values as JAX arrays of one floating dtype: that of the JAX arrays among them, else the widest enabled."""
    held = [v.dtype for v in values if isinstance(v, jax.Array) and jnp.issubdtype(v.dtype, jnp.floating)]
    dtype = jnp.result_type(*held) if held else jnp.result_type(float)
    return tuple(jnp.asarray(v, dtype) for v in values)
