"""What counts as a number: one rule for every rate, discount, factor and payoff that a caller hands over."""

import decimal
import math
import numbers
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


def is_finite(value: Any) -> bool:
    """Whether the value is a finite real number of Python (a `Decimal` is one), and no truth value."""
    real = isinstance(value, numbers.Real | decimal.Decimal) and not isinstance(value, bool)
    return real and math.isfinite(value)


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


def is_rate(value: Any) -> bool:
    """Whether it is a finite number >= 0; traced ones pass unchecked."""
    try:
        return is_traced(value) or bool(check_number("it", value) >= 0)
    except ValueError:
        return False


def is_positive(value: Any) -> bool:
    """Whether it is a finite number above 0."""
    return is_rate(value) and bool(value > 0)


def check_rate(name: str, value: Any) -> Any:
    """A finite number >= 0, as `check_number` gives it; traced ones pass unchecked.

    Raises:
        ValueError: for anything else.
    """
    if not is_rate(value):
        raise ValueError(f"{name} must be a finite number >= 0, got {value!r}")
    return check_number(name, value)


def check_probabilities(name: str, value: Any) -> np.ndarray:
    """`value` as a float array of probabilities; what rounding has carried out of [0, 1] is brought back to the bound.

    Rounding: eight units in the last place of 1, of the type that the numbers come in.

    Raises:
        ValueError: for an entry further outside [0, 1], NaN or no number.
    """
    try:
        given = np.asarray(value)
        array = np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must hold probabilities, got {value!r}") from None
    if given.dtype.kind in "US":
        raise ValueError(f"{name} must hold probabilities, got the text {value!r}")
    slack = 8 * float(np.finfo(given.dtype if given.dtype.kind == "f" else float).eps)
    outside = ~((array >= -slack) & (array <= 1 + slack))
    if outside.any():
        raise ValueError(
            f"{name} holds {array[outside].flat[0]}, which is no probability: every entry must lie in [0, 1]"
        )
    return np.asarray(np.clip(array, 0.0, 1.0))


def check_share(name: str, value: Any) -> Any:
    """A share in [0, 1], or an array of them, put on the bound where rounding has carried it over; traced: unchecked.

    Raises:
        ValueError: for a share outside [0, 1], NaN or no number.
    """
    if is_traced(value):
        return value
    try:
        if isinstance(plain(value), bool):
            raise ValueError
        return check_probabilities(name, value)[()]
    except ValueError:
        shown = repr(value) if isinstance(value, str) else value
        raise ValueError(f"{name} must lie in [0, 1], got {shown}") from None


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
