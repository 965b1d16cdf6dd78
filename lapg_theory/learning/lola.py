"""LOLA by its first-order expansion, in the two readings that circulate under that name; `dice` has the exact one.

LOLA (Foerster et al. 2018, AAMAS) lets a player differentiate through one naive step of the other. To first order in
the other's rate alpha its objective is J_1 + alpha dJ_1/dtheta_2 . dJ_2/dtheta_2, and its gradient has two new terms.
The original code keeps only the one that shapes the other's step; others differentiate both factors.
"""

import dataclasses

from lapg_theory.learning.rule import Logits, Rate, Rule, Stage, partials, turns


@dataclasses.dataclass(frozen=True, kw_only=True)
class LolaFoerster(Rule):
    """theta_1 += rate [dJ_1/dtheta_1 + alpha (d2J_2/dtheta_1 dtheta_2) dJ_1/dtheta_2], alpha = `inner_rate`.

    The shaping term only: dJ_1/dtheta_2 is held fixed (stop-gradient), as in the authors' code.
    """

    inner_rate: Rate = 1.0

    def ascent(self, stage: Stage, own: Logits, other: Logits) -> Logits:
        """Own gradient and shaping term."""
        now = partials(stage, own, other)
        shaping = turns(stage, own, other, now.own_by_other).other_by_own
        return now.own_by_own + self.inner_rate * shaping


@dataclasses.dataclass(frozen=True, kw_only=True)
class LolaTaylor(Rule):
    """theta_1 += rate d/dtheta_1 [J_1 + alpha dJ_1/dtheta_2 . dJ_2/dtheta_2], both factors differentiated.

    The shaping term and the look-ahead term alpha (d2J_1/dtheta_1 dtheta_2) dJ_2/dtheta_2; alpha = `inner_rate`. The
    LOLA of Letcher et al. 2019 (ICLR) and Lu et al. 2022 (ICML).
    """

    inner_rate: Rate = 1.0

    def ascent(self, stage: Stage, own: Logits, other: Logits) -> Logits:
        """Gradient of the expanded objective."""
        now = partials(stage, own, other)
        shaping = turns(stage, own, other, now.own_by_other).other_by_own
        look_ahead = turns(stage, own, other, now.other_by_other).own_by_own
        return now.own_by_own + self.inner_rate * (shaping + look_ahead)
