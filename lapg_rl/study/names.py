"""How opponents are called on a command line; nothing heavy is imported, so that a mistyped name is told at once."""

import re

from lapg_rl.config import tables
from lapg_theory.game import NAMED, MatrixGame, NormalFormGame
from lapg_theory.game.extortion import EXTORTIONER
from lapg_theory.game.strategies import hint

NAIVE = "naive"
ALWAYS = re.compile(r"always-(\d{1,2})")
#: The fixed strategies that every evaluation of a dilemma meets: the named ones, and an extortioner.
STRATEGIES = (*NAMED, "zd-extort-3")


def strategies(game: MatrixGame | NormalFormGame | None) -> tuple[str, ...]:
    """The fixed strategies that every evaluation of a repeated game meets; none where that is no such game."""
    if game is None:
        return ()
    if isinstance(game, MatrixGame):
        return STRATEGIES if game.is_dilemma else tuple(NAMED)
    return (*(f"always-{action}" for action in range(game.actions[0])), "random")


def is_strategy(name: str) -> bool:
    """Whether it is the name of a fixed strategy of some game."""
    return name in STRATEGIES or bool(EXTORTIONER.fullmatch(name) or ALWAYS.fullmatch(name))


def check_name(name: str) -> None:
    """Refuse what is no fixed strategy and not `naive`. Raises ValueError with near matches."""
    if name != NAIVE and not is_strategy(name) and not tables.is_address(name):
        raise ValueError(f"unknown co-player {name!r}; {hint(name, [NAIVE, 'always-0'])}, or a run folder")
