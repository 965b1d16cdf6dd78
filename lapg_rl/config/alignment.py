"""The section `learner.alignment`: what estimators that read the co-player's rewards take it to be."""

import dataclasses
from typing import Literal

from lapg_rl.config.checks import check, check_at_least_zero, check_kinds, check_positive


@dataclasses.dataclass(frozen=True)
class AlignmentConfig:
    """How Advantage Alignment, LOQA and the Reciprocator read the co-player's rewards; in the game's own rewards.

    Attributes:
        beta: of Advantage Alignment: how much own past advantages count, the inverse of the temperature by which the co-player
            is taken to act; 0 is independent learning.
        past: of Advantage Alignment: their sum, "discounted" as derived for two players, or their "mean", as run among many.
        past_lambda: the lambda of their generalised advantages; 0 takes each step for itself, as the derivation does.
        temperature: of LOQA: that of the softmax of its action values by which the co-player is taken to act.
        decay: of LOQA: by which each further step between a choice of the co-player and ours counts less.
        weight: of LOQA's shaping term; 0 is independent learning.
        q_rate: of LOQA and the Reciprocator: the learning rate of what they learn beside the policy (Adam), the model of the
            co-player's action values, or the baselines of influences.
        reciprocity: of the Reciprocator: the weight of its intrinsic reward; 0 is independent learning, 5 is published for the
            prisoner's dilemma.
        debit: of the Reciprocator: how much of its own influence on the co-player is taken off the balance: 1
            in the published formula, 0 in the published code for the prisoner's dilemma.
        balance_decay: of the Reciprocator: by which, besides gamma, the balance shrinks every step; 0 answers the last step
            alone.
        reach: of the Reciprocator: how much of what follows a step counts as influence of its actions; 0 takes its rewards
            alone, 1 its return.
    """

    beta: float = 1.0
    past: Literal["discounted", "mean"] = "discounted"
    past_lambda: float = 0.0
    temperature: float = 1.0
    decay: float = 0.9
    weight: float = 1.0
    q_rate: float = 0.01
    reciprocity: float = 5.0
    debit: float = 0.0
    balance_decay: float = 1.0
    reach: float = 0.0

    def __post_init__(self):
        check_kinds("learner.alignment", self)
        check_at_least_zero("learner.alignment", self, "beta", "weight", "q_rate", "reciprocity")
        check_positive("learner.alignment", self, "it divides the action values", "temperature")
        for field, usual in (
            ("past_lambda", "the derivation takes 0"),
            ("decay", "the published value is 0.9"),
            ("debit", "0 or 1 are published"),
            ("balance_decay", "1 leaves the discount alone"),
            ("reach", "0 takes the rewards of the step, 1 the return"),
        ):
            value = getattr(self, field)
            check(0 <= value <= 1, f"learner.alignment.{field}", value, "in [0, 1]", usual)
