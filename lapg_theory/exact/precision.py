"""Double precision where it is wanted, without touching the user's global JAX setting."""

import dataclasses
import functools
import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from lapg_theory.exact import pytrees as pytrees

In = ParamSpec("In")
Out = TypeVar("Out")


def float64() -> AbstractContextManager:
    """A context in which JAX computes in float64; outside it the user's own setting holds.

    Example:
        >>> import jax.numpy as jnp, lapg_theory as lt
        >>> with lt.float64():
        ...     print(jnp.zeros(1).dtype)
        float64
    """
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    return importlib.import_module("jax.experimental").enable_x64(True)  # older releases keep it there


def _is_jax(tree: Any) -> bool:
    """Whether an array of JAX is among the leaves, or among the fields of those that are data classes (a game, a rule)."""
    leaves = jax.tree.leaves(tree)
    held = [vars(leaf) for leaf in leaves if dataclasses.is_dataclass(leaf) and not isinstance(leaf, type)]
    return any(isinstance(leaf, jax.Array) for leaf in leaves) or any(map(_is_jax, held))


def exact(function: Callable[In, Out]) -> Callable[In, Out]:
    """Decorate a JAX function of array-likes: NumPy and Python inputs give NumPy float64 results.

    As soon as one argument, payoff, rate or discount is a JAX array or tracer the function runs as it is, in the dtype of
    the policies, so that users may differentiate, map and compile through it. Else it is computed at once, also while
    JAX traces a user's function, in which it is a constant.
    """

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        if _is_jax((args, kwargs)):
            return function(*args, **kwargs)
        with jax.ensure_compile_time_eval(), float64():
            return jax.tree.map(lambda leaf: np.asarray(leaf)[()], function(*args, **kwargs))

    return wrapper


def as_floats(*values: Any) -> tuple[jax.Array, ...]:
    """The values as JAX arrays of one floating dtype: that of the JAX arrays among them, else the widest enabled."""
    held = [v.dtype for v in values if isinstance(v, jax.Array) and jnp.issubdtype(v.dtype, jnp.floating)]
    dtype = jnp.result_type(*held) if held else jnp.result_type(float)
    return tuple(jnp.asarray(v, dtype) for v in values)
