"""Named memory-one strategies: five cooperation probabilities in the order s0, CC, CD, DC, DD, own view."""

from typing import Any

import numpy as np

from lapg_theory.game.horizons import check_count
from lapg_theory.game.matrix_game import MatrixGame

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


def check_policy(name: str, policy: Any) -> np.ndarray:
    """`policy` as a float array with last axis of five probabilities.

    Raises:
        ValueError: for another last axis, or an entry outside [0, 1] or not a number.
    """
    array = np.asarray(policy, dtype=float)
    if array.ndim == 0 or array.shape[-1] != 5:
        raise ValueError(
            f"{name} needs five probabilities (s0, CC, CD, DC, DD) in its last axis, got shape {array.shape}"
        )
    if not np.all((array >= 0) & (array <= 1)):
        worst = array[~((array >= 0) & (array <= 1))].flat[0]
        raise ValueError(f"{name} holds {worst}, which is no probability: every entry must lie in [0, 1]")
    return array


def strategy(name: str) -> tuple[float, ...]:
    """The named strategy, e.g. `strategy("tft")`.

    Raises:
        ValueError: for an unknown name; the message lists the known ones.
    """
    if name not in NAMED:
        raise ValueError(f"unknown strategy {name!r}; known: {', '.join(NAMED)}")
    return NAMED[name]


def group_strategy(name: str, players: Any) -> tuple[float, ...]:
    """A named strategy for an anonymous group: 2 n + 1 probabilities in the order that `AnonymousGame` gives.

    "allc", "alld", "random"; "tft" cooperates with a chance equal to the share of co-players that cooperated and opens
    with C (proportional tit-for-tat); "grim" cooperates while everybody does. For n = 2 those of `NAMED`.

    Raises:
        ValueError: for an unknown name, or players that are no integer >= 2.
    """
    check_count("players", players, least=2)
    others, n = range(players - 1, -1, -1), players
    known = {
        "allc": (1.0,) * (2 * n + 1),
        "alld": (0.0,) * (2 * n + 1),
        "random": (0.5,) * (2 * n + 1),
        "tft": (1.0, *(j / (n - 1) for j in others), *(j / (n - 1) for j in others)),
        "grim": (1.0, 1.0, *(0.0,) * (2 * n - 1)),
    }
    if name not in known:
        raise ValueError(f"unknown strategy {name!r} for a group; known: {', '.join(known)}")
    return known[name]


def extortioner(game: MatrixGame, factor: Any, scale: Any = None) -> tuple[float, ...]:
    """The zero-determinant strategy that holds its surplus over P at `factor` times its co-player's; it starts with D.

    With a = (R - P) / (P - S), c = (T - P) / (P - S), x the factor and f the scale it cooperates after CC, CD, DC, DD with
    probability 1 - f (x - 1) a, 1 - f (1 + x c), f (x + c), 0. Exact in endlessly repeated play without discount
    (Press & Dyson 2012, PNAS 109).

    Args:
        game: a symmetric game.
        factor: x >= 1.
        scale: f > 0, at most min(1 / (1 + x c), 1 / (x + c)); by default half of that.

    Raises:
        ValueError: for a factor or scale outside its range, or a game that is not symmetric.
    """
    T, R, P, S = game.trps
    if not factor >= 1:
        raise ValueError(f"factor must be at least 1, got {factor}; 1 is tit-for-tat")
    a, c = (R - P) / (P - S), (T - P) / (P - S)
    most = min(1 / (1 + factor * c), 1 / (factor + c))
    f = most / 2 if scale is None else scale
    if not 0 < f <= most:
        raise ValueError(f"scale must lie in (0, {most:.6g}] at factor {factor:g}, got {f}")
    return (0.0, *(float(p) for p in (1 - f * (factor - 1) * a, 1 - f * (1 + factor * c), f * (factor + c), 0.0)))
