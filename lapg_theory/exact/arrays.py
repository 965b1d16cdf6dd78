"""Which array module computes: JAX where an array of JAX comes in, else NumPy, without seconds of import and compilation.

The formulas of `chain`, `slopes` and `lapg_theory.shaping.course` are written once, in what both modules have and in these.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lapg_theory.game.numbers import is_jax


def module(*values: Any) -> Any:
    """`jax.numpy` where one of the values is an array of JAX, traced or not, else `numpy`."""
    return sys.modules["jax.numpy"] if any(map(is_jax, values)) else np


def sigmoids(x: Any) -> tuple[Any, Any]:
    """1 / (1 + exp(-x)) and 1 / (1 + exp(x)); both keep all their digits."""
    if is_jax(x):
        sigmoid = sys.modules["jax"].nn.sigmoid
        return sigmoid(x), sigmoid(-x)
    x = np.asarray(x)
    small = np.exp(-np.abs(x))
    large = 1 / (1 + small)
    small = small * large
    return np.where(x > 0, large, small), np.where(x > 0, small, large)


def once(values: Any, *witnesses: Any) -> Any:
    """The same values, computed once: where JAX traces one of the witnesses, it may not repeat them in every later use."""
    return sys.modules["jax"].lax.optimization_barrier(values) if any(map(is_jax, witnesses)) else values


def stacked(parts: Sequence[Any]) -> Any:
    """The parts along a new first axis, broadcast to one shape."""
    xp = module(*parts)
    return xp.stack(xp.broadcast_arrays(*parts))


def scan(
    body: Callable[[Any, Any], tuple[Any, Any]],
    start: Any,
    each: tuple[Any, ...] | None = None,
    *,
    length: int | None = None,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """`jax.lax.scan`, in NumPy a loop: the last carry, and what `body` gave at every step (one array, or None).

    Args:
        body: (carry, the entries of this step, or None) to (carry, an array or None).
        start: the first carry, an array or a tuple of arrays.
        each: arrays with a first axis, the steps.
        length: the number of steps where there are no such arrays.
        reverse: begin at the last entry.
    """
    if any(map(is_jax, (*start, *(each or ())) if isinstance(start, tuple) else (start,))):
        return sys.modules["jax"].lax.scan(body, start, each, length=length, reverse=reverse)
    carry, kept = start, []
    steps = range(length or 0) if each is None else range(len(each[0]))
    for i in steps[::-1] if reverse else steps:
        carry, new = body(carry, None if each is None else tuple(part[i] for part in each))
        kept.append(new)
    if not kept:
        return carry, np.empty((0, *np.shape(start))) if each is None else None
    return carry, None if kept[0] is None else np.stack(kept[::-1] if reverse else kept)
