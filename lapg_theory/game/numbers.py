"""What counts as a number: one rule for every rate, discount, factor and payoff that a caller hands over."""

import math
import sys
from typing import Any

import numpy as np


def is_jax(value: Any) -> bool:
    """Whether the value is an array of JAX, traced or not: its type decides in which precision things are computed."""
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(value, jax.Array)


def is_traced(value: Any) -> bool:
    """Whether JAX is tracing the value (to differentiate, map or compile), so that it has no number to check."""
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(value, jax.core.Tracer)


def plain(value: Any) -> Any:
    """A NumPy scalar as the Python number that it holds (so that -1 of an unsigned one is -1); all else as it is."""
    return value.item() if isinstance(value, np.generic) else value


def check_number(name: str, value: Any) -> Any:
    """`value` as a Python number: ints and floats as they are, all other real numbers as the nearest float.

    Real numbers are those of Python, NumPy and JAX, `Fraction`, `Decimal` and SymPy's. Traced values pass unchecked.

    Raises:
        ValueError: for anything else, such as text, truth values, several numbers or NaN.
    """
    if is_traced(value):
        return value
    number = plain(value)
    if not isinstance(number, int | float):
        number = _as_float(number)
    if number is None or isinstance(number, bool) or not math.isfinite(number):
        raise ValueError(f"{name} must be a finite number, got {value!r}")
    return number


def _as_float(value: Any) -> float | None:
    """The float nearest to a number of another kind; None where it is no single real number."""
    several = getattr(value, "shape", ()) != () or isinstance(value, str | bytes | bytearray)
    boolean = getattr(getattr(value, "dtype", None), "kind", "") == "b"
    if several or boolean or not hasattr(value, "__float__"):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):  # complex, symbols
        return None
