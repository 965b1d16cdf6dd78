"""Payoff tables of two players as a config keeps them: checked, and always spelled alike."""

import json
import re
from typing import Any, NoReturn

from lapg_rl.config.checks import LARGE, shown
from lapg_theory.game import MatrixGame, NormalFormGame
from lapg_theory.game.numbers import plain

#: Of a player: it sees the last actions of both as a one-hot of 1 + k^2 entries.
MOST_ACTIONS = 16
_SHAPE = (
    "one k x k table of numbers, own action down, the other's across (a symmetric game), or two, the row player's and the "
    "column player's"
)
#: Other spellings of what is no finite number.
_UNBOUNDED = re.compile(r"[+-]?\b(nan|inf|infinity)\b", re.IGNORECASE)
Table = list[list[int | float]]


def canonical(given: Any) -> str:
    """Tables, as JSON, nested sequences or a file .nfg, as compact JSON; one table where the game is symmetric, else two.

    Raises:
        ValueError: for what is no square table of 2 to 16 actions, or two, or holds anything but moderate finite numbers.
    """
    if isinstance(given, str) and not given.strip():
        return ""
    row, column = _tables(given)
    both = row if column == _mirrored(row) else [row, column]
    return json.dumps(both, separators=(",", ":"))


def game_of(text: str, name: str = "matrix game") -> MatrixGame | NormalFormGame:
    """The game of tables as `canonical` spells them: a `MatrixGame` if there are two actions."""
    both = _tables(text)
    return MatrixGame(*both, name) if len(both[0]) == 2 else NormalFormGame(both, name)


def spelled(game: MatrixGame | NormalFormGame) -> str:
    """The payoffs of a game of two players, as `canonical` spells them."""
    return canonical([game.row, game.column] if isinstance(game, MatrixGame) else game.payoffs)


def _tables(given: Any) -> tuple[Table, Table]:
    """The row player's table and the column player's, both by the row player's action first."""
    found = given.tolist() if hasattr(given, "tolist") else given
    if isinstance(given, str) and given.strip().endswith(".nfg"):
        found = NormalFormGame.from_nfg(given.strip()).payoffs.tolist()
    elif isinstance(given, str):
        try:  # JSON knows NaN and Infinity only, which are refused by their name
            found = json.loads(_UNBOUNDED.sub("NaN", given))
        except (ValueError, RecursionError):
            _refuse(given)
    if _length(found) == 2 and _length(found[0]) and _length(found[0][0]):
        row, column = (_square(table, given) for table in found)
        if len(row) != len(column):
            _refuse(given)
        return row, column
    row = _square(found, given)
    return row, _mirrored(row)


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list | tuple) else 0


def _square(table: Any, given: Any) -> Table:
    count = _length(table)
    if not count or any(_length(line) != count for line in table):
        _refuse(given)
    if not 2 <= count <= MOST_ACTIONS:
        raise ValueError(
            f"game.payoffs must have 2 to {MOST_ACTIONS} actions a player, got {count}; play others as an environment of your "
            "own, game.kind=package.module:function"
        )
    return [[_number(value, given) for value in line] for line in table]


def _number(value: Any, given: Any) -> int | float:
    """A payoff, whole ones as integers, so that 2 and 2.0 are one game."""
    if _length(value) or isinstance(value, dict):
        _refuse(given)
    value = plain(value)
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) <= LARGE:  # as of NaN
        raise ValueError(
            f"game.payoffs must be finite numbers between -{LARGE:g} and {LARGE:g}, got {shown(value)}; rescale, or correct it"
        )
    return int(value) if value == int(value) else float(value)


def _mirrored(table: Table) -> Table:
    return [list(line) for line in zip(*table, strict=True)]


def _refuse(given: Any) -> NoReturn:
    raise ValueError(f"game.payoffs must be {_SHAPE}, got {shown(given)}; as in game.payoffs=[[4,0],[3,2]]") from None
