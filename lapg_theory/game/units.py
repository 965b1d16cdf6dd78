"""Payoffs in units of their own: what a search with fixed tolerances works with, whatever units a caller thinks in."""

import dataclasses
import math
from typing import Any, NamedTuple

from lapg_theory.game.conventions import own_view
from lapg_theory.game.matrix_game import MatrixGame


class Scale(NamedTuple):
    """Payoff = base + unit * payoff in own units; a return per step is turned back by `level`, a slope by `unit` alone."""

    unit: float
    base: Any

    def level(self, value: Any) -> Any:
        """What a return per step in own units is in the caller's."""
        return self.base + self.unit * value


def scale_of(payoffs: Any, base: Any) -> Scale:
    """The scale of some payoffs: `unit` is the power of two that brings their spread into [2, 4), 1 where all are equal.

    A power of two, so that no digit is lost. The dilemma 2, 1, 0, -1 is in its own units.
    """
    spread = float(max(payoffs) - min(payoffs))
    return Scale(math.ldexp(1.0, math.frexp(spread)[1] - 2) if spread else 1.0, base)


def in_units(table: Any, scale: Scale) -> tuple[tuple[float, float], tuple[float, float]]:
    """A table of payoffs in own units."""
    (a, b), (c, d) = ([float(x - scale.base) / scale.unit for x in line] for line in table)
    return ((a, b), (c, d))


def check_numbers(game: MatrixGame) -> None:
    """Refuse a game whose payoffs are no numbers."""
    try:
        [float(payoff) for payoff in own_view(game.row) + own_view(game.column)]
    except TypeError:
        raise ValueError(f"{game.name} has payoffs that are no numbers; see lapg_theory.symbolic") from None


def normalised(game: MatrixGame) -> tuple[MatrixGame, Scale, Scale]:
    """The game with each player's payoffs in own units, mutual defection at 0; and the row and the column player's scale.

    A learning rate on the column player's returns per step is multiplied by its `unit` to mean the same.
    """
    check_numbers(game)
    row, column = (scale_of(payoffs, payoffs[3]) for payoffs in (game.row_payoffs, game.column_payoffs))
    scaled = dataclasses.replace(game, row=in_units(game.row, row), column=in_units(game.column, column))
    return scaled, row, column


def on_one_scale(game: MatrixGame) -> tuple[MatrixGame, Scale]:
    """The game with both players' payoffs in the same units, the row player's mutual defection at 0."""
    check_numbers(game)
    row, column = own_view(game.row), own_view(game.column)
    unit = max(scale_of(payoffs, 0).unit for payoffs in (row, column))
    scale = Scale(unit, row[3])
    return dataclasses.replace(game, row=in_units(game.row, scale), column=in_units(game.column, scale)), scale
