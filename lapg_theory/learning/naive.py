"""Naive learning: each player ascends its own return and takes the other for fixed."""

import dataclasses
from typing import Any, Literal

import jax.numpy as jnp

from lapg_theory.chain import from_probabilities, stacked
from lapg_theory.gradients import slopes
from lapg_theory.learning.rule import Joint, Logits, Rule, Stage, partials


@dataclasses.dataclass(frozen=True, kw_only=True)
class Naive(Rule):
    """Simultaneous gradient ascent: theta_i += rate dJ_i/dtheta_i.

    Attributes:
        space: "logit", or "probability": the joint policy then holds probabilities, and a step is clipped to [0, 1].
    """

    space: Literal["logit", "probability"] = "logit"

    def ascent(self, stage: Stage, own: Logits, other: Logits) -> Logits:
        """dJ_own/down."""
        if self.space == "logit":
            return partials(stage, own, other).own_by_own
        (found,) = slopes(from_probabilities(own), from_probabilities(other).mirrored(), [stage.own], stage.horizon)
        return stage.unit * stacked(found.row)

    def settle(self, policy: Any) -> Any:
        """Clip probabilities to [0, 1]."""
        return jnp.clip(policy, 0, 1) if self.space == "probability" else policy

    def probabilities(self, joint: Joint) -> Joint:
        """The joint policy as cooperation probabilities: itself, where it holds them."""
        return joint if self.space == "probability" else Rule.probabilities(self, joint)
