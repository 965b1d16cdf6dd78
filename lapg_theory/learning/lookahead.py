"""Look-ahead: respond to where the other's naive step will take it, without trying to influence it."""

import dataclasses

from lapg_theory.learning.rule import Logits, Rate, Rule, Stage, partials


@dataclasses.dataclass(frozen=True, kw_only=True)
class LookAhead(Rule):
    """theta_1 += rate dJ_1/dtheta_1 (theta_1, theta_2 + inner_rate dJ_2/dtheta_2), the look-ahead taken as fixed.

    (Zhang & Lesser 2010, AAAI.)
    """

    inner_rate: Rate = 1.0

    def ascent(self, stage: Stage, own: Logits, other: Logits) -> Logits:
        """The own gradient where the other will be after one naive step."""
        later = other + self.inner_rate * partials(stage, own, other).other_by_other
        return partials(stage, own, later).own_by_own
