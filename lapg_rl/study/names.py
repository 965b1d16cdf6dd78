"""How opponents are called on a command line; nothing heavy is imported, so that a mistyped name is told at once."""

from lapg_rl.config import tables
from lapg_theory.game import NAMED
from lapg_theory.game.extortion import EXTORTIONER
from lapg_theory.game.strategies import hint

NAIVE = "naive"
#: The fixed strategies that every evaluation meets: the named ones, and an extortioner.
STRATEGIES = (*NAMED, "zd-extort-3")


def check_name(name: str) -> None:
    """Refuse what is no fixed strategy and not `naive`. Raises ValueError with near matches."""
    if name not in (NAIVE, *STRATEGIES) and not EXTORTIONER.fullmatch(name) and not tables.is_address(name):
        raise ValueError(f"unknown co-player {name!r}; {hint(name, [NAIVE])}, or a run folder")
