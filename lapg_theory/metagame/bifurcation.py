"""How the fixed points move, appear and vanish as one parameter of the pool changes."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from lapg_theory.game.show import brief
from lapg_theory.metagame.atlas import FixedPoint, describe, distinct
from lapg_theory.metagame.newton import settle
from lapg_theory.metagame.phase import vary
from lapg_theory.metagame.pool import MetaGame


@dataclasses.dataclass(frozen=True)
class Bifurcation:
    """The fixed points found at each value of one parameter."""

    over: str
    values: np.ndarray
    points: tuple[tuple[FixedPoint, ...], ...]

    __repr__ = brief

    def range(self, label: str, stable: bool = True) -> tuple[float, float] | None:
        """Smallest and largest value at which a (stable) fixed point of this behaviour was found; None for no value."""
        return self._ends(lambda point: point.label == label and point.stable >= stable)

    def neutral(self, label: str) -> tuple[float, float] | None:
        """As `range`, of neutral points: nothing leads away from them, but in states that play never reaches nothing holds.

        They are corners of continua that behave alike. What the defection certificate calls stable is of this kind.
        """
        return self._ends(lambda point: point.label == label and point.stability == "neutral")

    def _ends(self, chosen: Callable[[FixedPoint], bool]) -> tuple[float, float] | None:
        pairs = zip(self.values, self.points, strict=True)
        there = [value for value, points in pairs if any(map(chosen, points))]
        return (float(min(there)), float(max(there))) if there else None


def bifurcation(meta: MetaGame, *, over: str, values: Any, starts: int = 2) -> Bifurcation:
    """Follow the fixed points over a parameter: from a full search at both ends, value by value towards the other end.

    A branch that neither end has, and that no followed point falls onto, is missed: take such a range in parts.

    Args:
        meta: the pool; the parameter `over` is replaced.
        over: which parameter varies: "p_naive", "tau", "eta" or "gamma".
        values: its values, sorted.
        starts: random starts of each full search.

    Raises:
        ValueError: for values that are not sorted, or out of the parameter's range.

    Example:
        >>> import lapg_theory as lt
        >>> pool = lt.MetaGame(lt.prisoners_dilemma(), gamma=0.99, p_naive=0.25, eta=1.0, updates=4, nodes=8)
        >>> found = lt.bifurcation(pool, over="p_naive", values=[0.25, 0.5])
        >>> len(found.values)
        2
    """
    values = list(values)
    if values != sorted(values) or len(values) < 2:
        raise ValueError(f"values must be two or more numbers in rising order, got {values}")
    pools = [
        dataclasses.replace(meta, p_naive=value) if over == "p_naive" else vary(meta, over, value) for value in values
    ]
    found: list[list[np.ndarray]] = [[] for _ in pools]
    for order in (range(len(pools)), range(len(pools) - 1, -1, -1)):
        p = np.array([point.policy for point in pools[order[0]].fixed_points(starts=starts, nash=False)])
        for i in order:
            p, _, residual = settle(pools[i].setting().own_units[0], p, tolerance=1e-9, iterations=15)
            p = distinct(p[residual < 1e-8], 1e-4)
            found[i].append(p)
            if not len(p):
                break
    points = tuple(
        describe(pool.setting(), distinct(np.concatenate(parts), 1e-4))
        for pool, parts in zip(pools, found, strict=True)
    )
    return Bifurcation(over, np.array(values), points)
