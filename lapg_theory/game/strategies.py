"""Named memory-one strategies: five cooperation probabilities in the order s0, CC, CD, DC, DD, own view."""

import difflib
import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from lapg_theory.game.horizons import check_count
from lapg_theory.game.numbers import check_probabilities

ALLC = (1.0, 1.0, 1.0, 1.0, 1.0)
ALLD = (0.0, 0.0, 0.0, 0.0, 0.0)
RANDOM = (0.5, 0.5, 0.5, 0.5, 0.5)
TFT = (1.0, 1.0, 0.0, 1.0, 0.0)
SUSPICIOUS_TFT = (0.0, 1.0, 0.0, 1.0, 0.0)
GTFT = (1.0, 1.0, 1 / 3, 1.0, 1 / 3)
WSLS = (1.0, 1.0, 0.0, 0.0, 1.0)
GRIM = (1.0, 1.0, 0.0, 0.0, 0.0)

#: Every named strategy. GTFT forgives with probability 1/3, right for T, R, P, S = 5, 3, 1, 0 (Nowak & Sigmund 1992).
NAMED = {
    "allc": ALLC,
    "alld": ALLD,
    "random": RANDOM,
    "tft": TFT,
    "suspicious-tft": SUSPICIOUS_TFT,
    "gtft": GTFT,
    "wsls": WSLS,
    "grim": GRIM,
}

#: The full name of each named strategy, and after the colon what it does.
ABOUT = {
    "allc": "always-cooperate",
    "alld": "always-defect",
    "random": "a fair coin at every step",
    "tft": "tit-for-tat: opens with C, then does what the other did",
    "suspicious-tft": "suspicious tit-for-tat: the same, but opens with D",
    "gtft": "generous tit-for-tat: forgives a defection with probability 1/3",
    "wsls": "win-stay lose-shift (Pavlov): changes its action after S or P",
    "grim": "grim trigger: cooperates until somebody defects",
    "zd-extort-X": "extortioner: gains X times the other's (long games, no discount)",
}


def check_policy(name: str, policy: Any) -> np.ndarray:
    """`policy` as a float array with last axis of five probabilities; a string is the name of a strategy.

    Entries outside [0, 1] by no more than rounding, as mixtures of policies may be, are put on the bound.

    Raises:
        ValueError: for another last axis, an entry outside [0, 1] or not a number, or an unknown name.
    """
    array = check_probabilities(name, strategy(policy) if isinstance(policy, str) else policy)
    if array.ndim == 0 or array.shape[-1] != 5:
        raise ValueError(
            f"{name} needs five probabilities (s0, CC, CD, DC, DD) in its last axis, got shape {array.shape}"
        )
    return array


def strategy(name: str) -> tuple[float, ...]:
    """The named strategy, e.g. `strategy("tft")`.

    Raises:
        ValueError: for an unknown name, with near matches or the known ones.
    """
    if name.startswith("zd-extort-"):
        raise ValueError(
            f"what {name} plays depends on the game; lapg_theory.game.named_policy(game, {name!r}) has its five probabilities"
        )
    if name not in NAMED:
        raise ValueError(f"unknown strategy {name!r}; {hint(name)}")
    return NAMED[name]


def hint(name: str, others: Iterable[str] = ()) -> str:
    """What a mistyped name of a strategy may stand for, among the named ones and `others`; else what is known."""
    flat, known = name.lower().replace("_", "-").replace(" ", "-"), [*others, *NAMED, "zd-extort-3"]
    names = {short: ABOUT[short].partition(":")[0].lower().rstrip(")").split(" (") for short in NAMED}
    full = {name.replace(" ", "-"): short for short, found in names.items() for name in found}
    near = [flat] if flat in full else difflib.get_close_matches(flat, [*known, *full], n=3, cutoff=0.6)
    found = list(dict.fromkeys(full.get(match, match) for match in near))
    return f"did you mean {' or '.join(found)}?" if found else f"known: {', '.join(known)} or another factor"


def probabilities(text: str, count: int) -> tuple[float, ...] | None:
    """So many probabilities from "1,0.5,0", or None where the text is something else."""
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        return None
    return values if len(values) == count and all(0 <= x <= 1 for x in values) else None


def written_policy(text: str) -> tuple[float, ...] | None:
    """The policy of a text (see `named_policy`), or None where that is a name. Raises ValueError for no probabilities."""
    if re.fullmatch("[CD]{5}", text):
        return tuple(float(letter == "C") for letter in text)
    if "," not in text:
        return None
    if (found := probabilities(text, 5)) is None:
        raise ValueError(f"expected five probabilities in [0, 1], s0,CC,CD,DC,DD, got {text!r}")
    return found


#: By name, from the number of players n: own action C before D, the co-players that cooperated from n - 1 down.
_OF_GROUPS: dict[str, Callable[[int], tuple[float, ...]]] = {
    "allc": lambda n: (1.0,) * (2 * n + 1),
    "alld": lambda n: (0.0,) * (2 * n + 1),
    "tft": lambda n: (1.0, *(j / (n - 1) for j in range(n - 1, -1, -1)), *(j / (n - 1) for j in range(n - 1, -1, -1))),
    "grim": lambda n: (1.0, 1.0, *(0.0,) * (2 * n - 1)),
    "random": lambda n: (0.5,) * (2 * n + 1),
}
#: The names that `group_strategy` knows.
GROUP_NAMED = tuple(_OF_GROUPS)


def group_strategy(name: str, players: Any) -> tuple[float, ...]:
    """A named strategy for an anonymous group: 2 n + 1 probabilities in the order that `AnonymousGame` gives.

    "allc", "alld", "random"; "tft" cooperates with a chance equal to the share of co-players that cooperated and opens
    with C (proportional tit-for-tat); "grim" cooperates while everybody does. For n = 2 those of `NAMED`.

    Raises:
        ValueError: for an unknown name, or players that are no integer >= 2.
    """
    check_count("players", players, least=2)
    if name not in _OF_GROUPS:
        raise ValueError(f"unknown strategy {name!r} for a group; known: {', '.join(GROUP_NAMED)}")
    return _OF_GROUPS[name](players)
