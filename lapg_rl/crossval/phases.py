"""What pairs of agents of a mixed pool do, and how sure theory must be of it: for all that train in level L5."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lapg_rl.crossval import ascent
from lapg_rl.crossval.statistics import binomial_interval
from lapg_theory.game import MatrixGame
from lapg_theory.game.words import words

#: Factor of a naive rate, or of the odds of a share, within which a boundary may lie elsewhere than predicted.
MARGIN = 1.25
PHASES = ("cooperate", "extort", "defect", "other")


def at_odds(share: Any, factor: Any) -> Any:
    """The share whose odds are `factor` times as large."""
    return factor * share / (1 - share + factor * share)


def tallied(seen: Sequence[str] | np.ndarray, predicted: Mapping[str, float | int]) -> dict[str, dict[str, Any]]:
    """For each outcome how often it was seen, with the interval of that frequency, and how often it was predicted."""
    hits = {name: int((np.asarray(seen) == name).sum()) for name in predicted}
    return {
        name: {"seen": hits[name], "interval": binomial_interval(hits[name], len(seen)), "predicted": told}
        for name, told in predicted.items()
    }


def phases(policies: np.ndarray, game: MatrixGame, eta: np.ndarray, *, steps: int, naive_updates: int) -> np.ndarray:
    """What the two agents of each run do, from their policies [runs, 2, 5], in the words of `lapg_theory.game.words`."""
    sizes = {"steps": steps, "naive_updates": naive_updates}
    together, shaped = ascent.earnings(game, policies, eta, **sizes)
    _, plain = ascent.earnings(game, np.zeros_like(policies), eta, **sizes)
    return words(game, together, gain=(shaped - plain).mean(1))
