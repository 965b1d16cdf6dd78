"""LOLA with exact gradients through any number of look-ahead steps: what LOLA-DiCE estimates by sampling."""

import dataclasses

import jax.numpy as jnp

from lapg_theory.exact.chain import from_logits, stacked
from lapg_theory.game import check_count
from lapg_theory.learning.rule import Logits, Rate, Rule, Share, Stage, partials
from lapg_theory.shaping.course import value_and_slope


@dataclasses.dataclass(frozen=True, kw_only=True)
class LolaDice(Rule):
    """theta_1 += rate [mix dJ_1(theta_1, theta_2^L)/dtheta_1 + (1 - mix) dJ_1/dtheta_1], L = `look_aheads`.

    theta_2^L is the other's policy after L naive steps from its current one, differentiated through exactly. With one
    look-ahead and mix 1 this is LOLA without its first-order expansion. (Foerster et al. 2018, arXiv 1802.05098; the
    mix with the partial gradient: Meulemans et al. 2025, arXiv 2410.18636.)

    Attributes:
        inner_rate: learning rate of the look-ahead steps.
        look_aheads: their number, >= 1.
        mix: weight of the look-ahead gradient, in [0, 1].
    """

    inner_rate: Rate = 1.0
    look_aheads: int = 1
    mix: Share = 1.0

    def __post_init__(self):
        Rule.__post_init__(self)
        check_count("look_aheads", self.look_aheads)

    def ascent(self, stage: Stage, own: Logits, other: Logits) -> Logits:
        """Convex mix of the look-ahead gradient and the partial gradient."""
        ego, last_only = from_logits(own), jnp.zeros(self.look_aheads + 1, own.dtype).at[-1].set(1)
        rewards, rate = (stage.own, stage.other), self.inner_rate * stage.unit
        _, slope = value_and_slope(ego, other, rewards, stage.horizon, rate, self.look_aheads, last_only)
        aware = stage.unit * stacked(ego.cooperate) * stacked(ego.defect) * slope
        return self.mix * aware + (1 - self.mix) * partials(stage, own, other).own_by_own
