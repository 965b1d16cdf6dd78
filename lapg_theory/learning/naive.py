"""Naive learning: each player ascends its own return and takes the other for fixed."""

import dataclasses
from typing import Any, Literal

import jax.numpy as jnp

from lapg_theory.exact.chain import from_probabilities, stacked
from lapg_theory.exact.returns import checked
from lapg_theory.exact.slopes import slopes
from lapg_theory.learning.rule import Joint, Logits, Rule, Stage, partials


@dataclasses.dataclass(frozen=True, kw_only=True)
class Naive(Rule):
    """Simultaneous gradient ascent: theta_i += rate dJ_i/dtheta_i.

    Attributes:
        space: "logit", or "probability": the joint policy then holds probabilities, and a step is clipped to [0, 1].
    """

    space: Literal["logit", "probability"] = "logit"

    def __post_init__(self):
        Rule.__post_init__(self)
        if self.space not in ("logit", "probability"):
            raise ValueError(f'space must be "logit" or "probability", got {self.space!r}')

    def check(self, joint: Any) -> None:
        """Refuse a joint policy that is none, and probabilities outside [0, 1]."""
        Rule.check(self, joint)
        if self.space == "probability":
            for name, policy in zip(("row", "column"), joint, strict=True):
                checked(name, policy)

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
