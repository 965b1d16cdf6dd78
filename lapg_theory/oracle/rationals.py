"""Arrays of rationals over one common denominator: sums and products are integer work, which Fractions are not."""

import math
from fractions import Fraction
from typing import Any

import numpy as np


class Rationals:
    """Integer `values` (dtype object) over one positive integer `denominator`; broadcasts like NumPy."""

    def __init__(self, values: np.ndarray, denominator: int = 1):
        self.values, self.denominator = values, denominator

    @classmethod
    def of(cls, numbers: Any) -> "Rationals":
        """From an array or nested sequence of Fractions and integers."""
        array = np.array(numbers, dtype=object)
        denominator = math.lcm(*(value.denominator for value in array.flat))
        scaled = [value.numerator * (denominator // value.denominator) for value in array.flat]
        return cls(np.array(scaled, dtype=object).reshape(array.shape), denominator)

    @classmethod
    def stack(cls, parts: list["Rationals"]) -> "Rationals":
        """Equal shapes along a new first axis."""
        denominator = math.lcm(*(part.denominator for part in parts))
        return cls(np.stack([part._over(denominator) for part in parts]), denominator)

    def _over(self, denominator: int) -> np.ndarray:
        factor = denominator // self.denominator
        return self.values if factor == 1 else self.values * factor

    def __add__(self, other: "Rationals") -> "Rationals":
        denominator = math.lcm(self.denominator, other.denominator)
        return Rationals(self._over(denominator) + other._over(denominator), denominator)

    def __sub__(self, other: "Rationals") -> "Rationals":
        return self + other * -1

    def __mul__(self, other: "Rationals | int") -> "Rationals":
        if isinstance(other, int):
            return Rationals(self.values * other, self.denominator)
        return Rationals(self.values * other.values, self.denominator * other.denominator)

    def __truediv__(self, divisor: int) -> "Rationals":
        return Rationals(self.values, self.denominator * divisor)

    def __matmul__(self, other: "Rationals") -> "Rationals":
        return Rationals(self.values @ other.values, self.denominator * other.denominator)

    def __getitem__(self, index: Any) -> "Rationals":
        return Rationals(self.values[index], self.denominator)

    def sum(self, axis: int) -> "Rationals":
        """Sum over one axis."""
        return Rationals(self.values.sum(axis), self.denominator)

    def numbers(self) -> np.ndarray:
        """The same as an object array of Fractions."""
        return self.values * Fraction(1, self.denominator)
