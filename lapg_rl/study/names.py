"""How opponents are called on a command line; nothing heavy is imported, so that a mistyped name is told at once."""

import difflib
import re

from lapg_rl.config import tables
from lapg_theory.game import NAMED

NAIVE = "naive"
EXTORTIONER = re.compile(r"zd-extort-(\d+(?:\.\d+)?)")
#: The fixed strategies that every evaluation meets: the named ones, and an extortioner.
STRATEGIES = (*NAMED, "zd-extort-3")


def check_name(name: str) -> None:
    """Refuse what is no fixed strategy and not `naive`. Raises ValueError with near matches."""
    known = (NAIVE, *STRATEGIES)
    if name not in known and not EXTORTIONER.fullmatch(name) and not tables.is_address(name):
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = (
            f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}, zd-extort-X, or a run folder"
        )
        raise ValueError(f"unknown co-player {name!r}; {hint}")
