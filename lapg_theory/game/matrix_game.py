"""Two-player, two-action games: one class, and the small zoo of games that the field uses."""

import dataclasses
import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from lapg_theory.game.conventions import cell_table, own_view
from lapg_theory.game.noise import Noise, noise_of
from lapg_theory.game.numbers import is_finite, is_jax, plain

Table = tuple[tuple[Any, Any], tuple[Any, Any]]


def _table(label: str, given: Any) -> Table:
    """A 2x2 table of payoffs as tuples of plain numbers."""
    shape = f"{label} payoffs must be a 2x2 table ((CC, CD), (DC, DD)), got {given!r}"
    try:
        lines = [list(line) for line in (given.to_numpy() if hasattr(given, "to_numpy") else given)]
    except TypeError:  # nothing to iterate over
        raise ValueError(shape) from None
    if [len(line) for line in lines] != [2, 2]:
        raise ValueError(shape)
    (a, b), (c, d) = ([plain(value) for value in line] for line in lines)
    for value in (a, b, c, d):
        if isinstance(value, list | tuple | np.ndarray):
            raise ValueError(shape)
        number = isinstance(value, numbers.Number)  # symbols and JAX arrays are none
        if isinstance(value, str | bytes | None) or (number and not is_finite(value)):
            raise ValueError(f"{label} payoffs must be finite numbers, got {value!r} in {given!r}")
    return ((a, b), (c, d))


@dataclasses.dataclass(frozen=True)
class MatrixGame:
    """A 2x2 bimatrix game.

    `row[a][b]` and `column[a][b]` are the payoffs of the row and the column player when the row player plays action
    `a` and the column player `b` (0 = cooperate, 1 = defect). Entries may be floats, fractions, SymPy expressions or JAX
    arrays, traced ones too; the named dilemmas below check an order, so they need numbers. Tables may be nested
    sequences, arrays or data frames; they are kept as tuples. `noise` is there where actions or observations err: `noisy`.

    Raises:
        ValueError: for tables that are not 2x2, or entries that are no finite numbers.

    Example:
        >>> import lapg_theory as lt
        >>> lt.MatrixGame(((3, 0), (0, 2)), ((2, 0), (0, 3))).is_symmetric
        False
    """

    row: Any
    column: Any
    name: str = "matrix game"
    noise: Noise | None = None

    def __post_init__(self):
        for label in ("row", "column"):
            object.__setattr__(self, label, _table(label, getattr(self, label)))

    def __hash__(self) -> int:
        payoffs = [value.item() if is_jax(value) else value for value in own_view(self.row) + own_view(self.column)]
        return hash((*payoffs, self.name, self.noise))

    def noisy(self, execution: Any = 0.0, perception: Any = 0.0) -> "MatrixGame":
        """The same game with execution and perception errors, in place of any that it has; see `lapg_theory.game.noise`."""
        return dataclasses.replace(self, noise=noise_of(execution, perception))

    @property
    def row_payoffs(self) -> tuple[Any, Any, Any, Any]:
        """The row player's payoffs in its own view: CC, CD, DC, DD."""
        return own_view(self.row)

    @property
    def column_payoffs(self) -> tuple[Any, Any, Any, Any]:
        """The column player's payoffs in its own view: CC, CD, DC, DD."""
        return own_view(tuple(zip(*self.column, strict=True)))

    @property
    def is_symmetric(self) -> bool:
        """Whether both players face the same payoffs in their own view."""
        return self.row_payoffs == self.column_payoffs

    @property
    def is_dilemma(self) -> bool:
        """Whether it is a prisoner's dilemma: symmetric, with T > R > P > S."""
        if not self.is_symmetric:
            return False
        T, R, P, S = self.trps
        return bool(T > R > P > S)

    @property
    def trps(self) -> tuple[Any, Any, Any, Any]:
        """(T, R, P, S) of a symmetric game.

        Raises:
            ValueError: for a game whose two players face different payoffs.
        """
        if not self.is_symmetric:
            raise ValueError(f"{self.name} is not symmetric, so it has no single (T, R, P, S); use row and column")
        R, S, T, P = self.row_payoffs
        return T, R, P, S


def check_game(game: Any) -> None:
    """Refuse what is no `MatrixGame`, such as a bare tuple of payoffs."""
    if not isinstance(game, MatrixGame):
        raise ValueError(f"game must be a MatrixGame, such as symmetric_game(T, R, P, S), got {game!r}")


def symmetric_game(T: Any, R: Any, P: Any, S: Any, name: str = "symmetric game") -> MatrixGame:
    """The symmetric game with payoffs T (own D, other C), R (both C), P (both D), S (own C, other D).

    Args:
        T: own D against the other's C (temptation).
        R: both C (reward).
        P: both D (punishment).
        S: own C against the other's D (sucker's payoff).
        name: how messages call the game.

    Example:
        >>> import lapg_theory as lt
        >>> lt.symmetric_game(T=5, R=3, P=1, S=0).row
        ((3, 0), (5, 1))
    """
    return MatrixGame(cell_table(T, R, P, S), ((R, T), (S, P)), name)


def _refuse_complex(**payoffs: Any) -> None:
    """Complex numbers have no order."""
    for name, value in payoffs.items():
        if isinstance(plain(value), complex):
            raise ValueError(f"{name} must be a finite number, got {value!r}")


def _ordered(kind: str, condition: str, holds: Callable[..., Any], T: Any, R: Any, P: Any, S: Any) -> MatrixGame:
    _refuse_complex(T=T, R=R, P=P, S=S)
    if not holds(T, R, P, S):
        raise ValueError(
            f"(T, R, P, S) = ({T}, {R}, {P}, {S}) is no {kind}: it needs {condition}. "
            "Change the payoffs, or build any 2x2 game with symmetric_game(T, R, P, S)."
        )
    return symmetric_game(T, R, P, S, kind)


def prisoners_dilemma(T: Any = 2, R: Any = 1, P: Any = 0, S: Any = -1) -> MatrixGame:
    """The prisoner's dilemma, T > R > P > S; the default payoffs are those of the learning-aware literature.

    T + S > 2R is allowed: one round is the same dilemma, but in a repeated game taking turns then beats cooperating.

    Args:
        T: own D against the other's C (temptation).
        R: both C (reward).
        P: both D (punishment).
        S: own C against the other's D (sucker's payoff).

    Raises:
        ValueError: where the payoffs are not in that order.

    Example:
        >>> import lapg_theory as lt
        >>> lt.prisoners_dilemma().trps
        (2, 1, 0, -1)
    """
    return _ordered("prisoner's dilemma", "T > R > P > S", lambda T, R, P, S: T > R > P > S, T, R, P, S)


def donation_game(benefit: Any = 2, cost: Any = 1) -> MatrixGame:
    """The prisoner's dilemma in which cooperating costs `cost` and gives the other `benefit` > `cost` > 0.

    Example:
        >>> import lapg_theory as lt
        >>> lt.donation_game(benefit=3, cost=1).trps
        (3, 2, 0, -1)
    """
    _refuse_complex(benefit=benefit, cost=cost)
    benefit, cost = plain(benefit), plain(cost)
    return prisoners_dilemma(T=benefit, R=benefit - cost, P=0 * cost, S=-cost)


def stag_hunt(T: Any = 2, R: Any = 3, P: Any = 1, S: Any = 0) -> MatrixGame:
    """The stag hunt, R > T >= P > S: two pure equilibria, the better one risky.

    Args:
        T: own D against the other's C (temptation).
        R: both C (reward).
        P: both D (punishment).
        S: own C against the other's D (sucker's payoff).

    Example:
        >>> import lapg_theory as lt
        >>> lt.stag_hunt().is_dilemma
        False
    """
    return _ordered("stag hunt", "R > T >= P > S", lambda T, R, P, S: R > T >= P > S, T, R, P, S)


def chicken(T: Any = 3, R: Any = 2, P: Any = 0, S: Any = 1) -> MatrixGame:
    """Chicken (hawk-dove, snowdrift), T > R > S > P: defecting against a defector is the worst.

    Args:
        T: own D against the other's C (temptation).
        R: both C (reward).
        P: both D (punishment).
        S: own C against the other's D (sucker's payoff).

    Example:
        >>> import lapg_theory as lt
        >>> lt.chicken().trps
        (3, 2, 0, 1)
    """
    return _ordered("game of chicken", "T > R > S > P", lambda T, R, P, S: T > R > S > P, T, R, P, S)


def battle_of_the_sexes(favourite: Any = 3, other: Any = 2, apart: Any = 0) -> MatrixGame:
    """Battle of the sexes: both want to meet; action 0 is the row player's favourite place, action 1 the column's.

    Raises:
        ValueError: unless favourite > other > apart.

    Example:
        >>> import lapg_theory as lt
        >>> lt.battle_of_the_sexes().row
        ((3, 0), (0, 2))
    """
    _refuse_complex(favourite=favourite, other=other, apart=apart)
    if not favourite > other > apart:
        raise ValueError(f"battle of the sexes needs favourite > other > apart, got {favourite}, {other}, {apart}")
    row = ((favourite, apart), (apart, other))
    return MatrixGame(row, ((other, apart), (apart, favourite)), "battle of the sexes")


def matching_pennies(stake: Any = 1) -> MatrixGame:
    """Matching pennies: zero-sum; the row player wins `stake` > 0 when the actions match, the column otherwise.

    Example:
        >>> import lapg_theory as lt
        >>> lt.matching_pennies().column
        ((-1, 1), (1, -1))
    """
    stake = plain(stake)
    _refuse_complex(stake=stake)
    if not stake > 0:
        raise ValueError(f"matching pennies needs stake > 0, got {stake}")
    row = ((stake, -stake), (-stake, stake))
    return MatrixGame(row, ((-stake, stake), (stake, -stake)), "matching pennies")
