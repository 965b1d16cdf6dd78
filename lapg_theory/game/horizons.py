"""How long a game lasts: for ever with a discount, or a fixed number of steps."""

import dataclasses
import numbers
from typing import Any

from lapg_theory.game.numbers import check_number, is_jax, is_traced

#: Naive updates, learners of a quadrature and steps of a game that exact functions take; more would fill hours or the memory.
MOST_UPDATES, MOST_NODES, MOST_STEPS = 100_000, 2**22, 10_000_000


def check_count(name: str, value: Any, least: int = 1, most: int | None = None) -> None:
    """Refuse anything but an int in bounds (bools and floats, too: a scan would silently truncate 976.5).

    Args:
        name: of the argument, for the message.
        value: what was given.
        least: the smallest that it may be.
        most: the largest, if there is one.

    Raises:
        ValueError: it names the argument, the bound and the value.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise ValueError(f"{name} must be an integer >= {least}, got {value!r}")
    if most is not None and int(value) > most:
        raise ValueError(f"{name} must be at most {most:,}, got {value:,}")


@dataclasses.dataclass(frozen=True)
class Discounted:
    """An infinitely repeated game with discount factor `gamma`: J = sum over t >= 0 of gamma^t r_t.

    gamma may be any real number (kept as a float), or an array of JAX; where JAX traces it, it is not checked.

    Raises:
        ValueError: unless 0 <= gamma < 1.

    Example:
        >>> import lapg_theory as lt
        >>> round(lt.Discounted(0.95).weight)
        20
    """

    gamma: Any

    def __post_init__(self):
        try:
            gamma = check_number("gamma", self.gamma)
        except ValueError:  # no number, or several
            gamma = None
        if gamma is None or not (is_traced(gamma) or 0 <= gamma < 1):
            raise ValueError(
                f"gamma must lie in [0, 1), got {self.gamma!r}; a game without discount needs an end (FiniteHorizon)"
            )
        if not is_jax(self.gamma):
            object.__setattr__(self, "gamma", gamma)

    @property
    def weight(self) -> Any:
        """Sum of the discount weights, 1 / (1 - gamma): the return of a reward of 1 at every step."""
        return 1 / (1 - self.gamma)


@dataclasses.dataclass(frozen=True)
class FiniteHorizon:
    """A game of exactly `steps` steps, undiscounted: J = sum of the rewards.

    Raises:
        ValueError: unless `steps` is an integer >= 1.

    Example:
        >>> import lapg_theory as lt
        >>> lt.FiniteHorizon(10).weight
        10.0
    """

    steps: Any

    def __post_init__(self):
        check_count("steps", self.steps, most=MOST_STEPS)

    @property
    def weight(self) -> float:
        """The return of a reward of 1 at every step: the number of steps."""
        return float(self.steps)


Horizon = Discounted | FiniteHorizon
