"""What a policy does with its own kind and with naive learners, in one word."""

import numpy as np
from jaxtyping import Float

from lapg_theory.metagame.objective import Policies, Setting, Values, partial, shaping

#: Names of behaviours, in the order in which reports list them.
LABELS = ("cooperate", "alternate", "extort", "defect", "other")


def self_play(setting: Setting, p: Policies, q: Policies) -> tuple[Values, Float[np.ndarray, "n 2"]]:
    """Mean return per step of the two players of each pair, and what either opens with (chance of cooperating)."""
    mean = (partial(setting, p, q)[0] + partial(setting, q, p)[0]) / 2
    return mean, np.stack([p[:, 0], q[:, 0]], 1)


def labels(setting: Setting, p: Policies, q: Policies) -> list[str]:
    """One of LABELS for each pair (p, q) of agents of a pool; lengths in units of R - P.

    cooperate: they earn at least 0.8 together and open with cooperation; alternate: at least 0.8, but by another way;
    extort: at most 0.2 together, and at least 0.05 more from naive learners than unconditional defection earns;
    defect: at most 0.2, and no such gain; other: in between.
    """
    _, R, P, _ = setting.game.trps
    together, openings = self_play(setting, p, q)
    level = (together - P) / (R - P)
    shaped = (shaping(setting, p)[0] + shaping(setting, q)[0]) / 2
    gain = (shaped - shaping(setting, np.zeros_like(p))[0]) / (R - P)
    return words(level, gain, openings.min(1))


def words(level: Values, gain: Values, opening: Values) -> list[str]:
    """The words of `labels`: from rewards above P among agents, gains over a defector from naive learners, openings."""
    found = np.full(len(level), "other", dtype=object)
    found[level <= 0.2] = "defect"
    found[(level <= 0.2) & (gain >= 0.05)] = "extort"
    found[level >= 0.8] = "alternate"
    found[(level >= 0.8) & (opening >= 0.5)] = "cooperate"
    return found.tolist()
