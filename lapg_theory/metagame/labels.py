"""What a policy does with its own kind and with naive learners, in one word."""

import numpy as np
from jaxtyping import Float

from lapg_theory.game.words import WORDS, words
from lapg_theory.metagame.objective import Policies, Setting, Values, partial, shaping

#: Names of behaviours, in the order in which reports list them.
LABELS = WORDS


def self_play(setting: Setting, p: Policies, q: Policies) -> tuple[Values, Float[np.ndarray, "n 2"]]:
    """Mean return per step of the two players of each pair, and what either opens with (chance of cooperating)."""
    mean = (partial(setting, p, q)[0] + partial(setting, q, p)[0]) / 2
    return mean, np.stack([p[:, 0], q[:, 0]], 1)


def labels(setting: Setting, p: Policies, q: Policies) -> list[str]:
    """One of LABELS for each pair (p, q) of agents of a pool, from their mean reward and its gain from naive learners.

    See `lapg_theory.game.words`.
    """
    together, openings = self_play(setting, p, q)
    shaped = (shaping(setting, p)[0] + shaping(setting, q)[0]) / 2
    gain = shaped - shaping(setting, np.zeros_like(p))[0]
    return words(setting.game, together, gain=gain, opening=openings.min(1)).tolist()
