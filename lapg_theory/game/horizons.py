"""How long a game lasts: for ever with a discount, or a fixed number of steps."""

import dataclasses
import numbers
import sys
from typing import Any


def check_count(name: str, value: Any, least: int = 1) -> None:
    """Refuse anything but an int >= `least` (bools and floats included: a scan would silently truncate 976.5)."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise ValueError(f"{name} must be an integer >= {least}, got {value!r}")


def is_traced(value: Any) -> bool:
    """Whether JAX is tracing the value (to differentiate, map or compile), so that it has no number to check."""
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(value, jax.core.Tracer)


@dataclasses.dataclass(frozen=True)
class Discounted:
    """An infinitely repeated game with discount factor `gamma`: J = sum over t >= 0 of gamma^t r_t.

    gamma may be traced by JAX, to differentiate or map over it; it is then not checked.

    Raises:
        ValueError: unless 0 <= gamma < 1.
    """

    gamma: Any

    def __post_init__(self):
        try:
            inside = is_traced(self.gamma) or bool(0 <= self.gamma < 1)
        except (TypeError, ValueError):  # no number, or several
            inside = False
        if not inside:
            raise ValueError(
                f"gamma must lie in [0, 1), got {self.gamma!r}; for an undiscounted game use FiniteHorizon"
            )

    @property
    def weight(self) -> Any:
        """Sum of the discount weights, 1 / (1 - gamma): the return of a reward of 1 at every step."""
        return 1 / (1 - self.gamma)


@dataclasses.dataclass(frozen=True)
class FiniteHorizon:
    """A game of exactly `steps` steps, undiscounted: J = sum of the rewards.

    Raises:
        ValueError: unless `steps` is an integer >= 1.
    """

    steps: Any

    def __post_init__(self):
        check_count("steps", self.steps)

    @property
    def weight(self) -> float:
        """The return of a reward of 1 at every step: the number of steps."""
        return float(self.steps)


Horizon = Discounted | FiniteHorizon
