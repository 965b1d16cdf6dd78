"""What pairs of agents of a mixed pool do, and how sure theory must be of it: for all that train in level L5."""

import numpy as np

from lapg_rl.crossval import ascent
from lapg_theory.game import MatrixGame
from lapg_theory.game.words import words

#: Factor of a naive rate, or of the odds of a share, within which a boundary may lie elsewhere than predicted.
MARGIN = 1.25
PHASES = ("cooperate", "extort", "defect", "other")


def phases(policies: np.ndarray, game: MatrixGame, eta: np.ndarray, *, steps: int, naive_updates: int) -> np.ndarray:
    """What the two agents of each run do, from their policies [runs, 2, 5], in the words of `lapg_theory.game.words`."""
    sizes = {"steps": steps, "naive_updates": naive_updates}
    together, shaped = ascent.earnings(game, policies, eta, **sizes)
    _, plain = ascent.earnings(game, np.zeros_like(policies), eta, **sizes)
    return words(game, together, gain=(shaped - plain).mean(1))
