"""The section `learner.alignment`: what estimators that read the co-player's rewards take it to be."""

import dataclasses
from typing import Literal

from lapg_rl.config.checks import check, check_at_least_zero, check_kinds, check_positive


@dataclasses.dataclass(frozen=True)
class AlignmentConfig:
    """How Advantage Alignment and LOQA credit own actions for what they do to a co-player's choices; in the game's own rewards.

    Attributes:
        beta: of Advantage Alignment: how much own past advantages count, the inverse of the temperature by which the co-player
            is taken to act; 0 is independent learning.
        past: of Advantage Alignment: their sum, "discounted" as derived for two players, or their "mean", as run among many.
        past_lambda: the lambda of their generalised advantages; 0 takes each step for itself, as the derivation does.
        temperature: of LOQA: that of the softmax of its action values by which the co-player is taken to act.
        decay: of LOQA: by which each further step between a choice of the co-player and ours counts less.
        weight: of LOQA's shaping term; 0 is independent learning.
        q_rate: of LOQA: the learning rate of the model of the co-player's action values (Adam).
    """

    beta: float = 1.0
    past: Literal["discounted", "mean"] = "discounted"
    past_lambda: float = 0.0
    temperature: float = 1.0
    decay: float = 0.9
    weight: float = 1.0
    q_rate: float = 0.01

    def __post_init__(self):
        check_kinds("learner.alignment", self)
        check_at_least_zero("learner.alignment", self, "beta", "weight", "q_rate")
        check_positive("learner.alignment", self, "it divides the action values", "temperature")
        for field, usual in (("past_lambda", "the derivation takes 0"), ("decay", "the published value is 0.9")):
            value = getattr(self, field)
            check(0 <= value <= 1, f"learner.alignment.{field}", value, "in [0, 1]", usual)
