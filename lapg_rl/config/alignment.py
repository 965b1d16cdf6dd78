"""The section `learner.alignment`: what estimators that read the co-player's rewards take it to be."""

import dataclasses
from typing import Literal

from lapg_rl.config.checks import check, check_at_least_zero, check_kinds


@dataclasses.dataclass(frozen=True)
class AlignmentConfig:
    """How Advantage Alignment credits own actions for what they do to a co-player's choices; in the game's own rewards.

    Attributes:
        beta: how much own past advantages count, the inverse of the temperature by which the co-player is taken to act;
            0 is independent learning.
        past: their sum, "discounted" as derived for two players, or their "mean", as run among many.
        past_lambda: the lambda of their generalised advantages; 0 takes each step for itself, as the derivation does.
    """

    beta: float = 1.0
    past: Literal["discounted", "mean"] = "discounted"
    past_lambda: float = 0.0

    def __post_init__(self):
        check_kinds("learner.alignment", self)
        check_at_least_zero("learner.alignment", self, "beta")
        check(0 <= self.past_lambda <= 1, "learner.alignment.past_lambda", self.past_lambda, "in [0, 1]", "derived: 0")
