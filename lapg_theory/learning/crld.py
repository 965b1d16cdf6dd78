"""Deterministic learning dynamics: what temporal-difference learners do where they sample endlessly between updates.

In every state the chance of action a is multiplied by exp(rate delta(s, a)) and normalised again. With Q the action values of
the pair itself, in returns per step (or in sums, see `normalize`),

    actor-critic   delta(s, a) = beta [Q(s, a) - V(s)],      SARSA   delta(s, a) = beta Q(s, a) - log pi(a | s).

With two actions that moves the logit of state s by rate beta [Q(s, C) - Q(s, D)], for SARSA with - rate logit added: it
explores, and rests at the softmax of beta Q. Unlike a gradient, neither weighs states by how often they are visited.
(Barfuss, Donges & Kurths 2019, Phys. Rev. E 99.)
"""

import dataclasses

from lapg_theory.exact.chain import acted, from_logits, outcome_values, stacked
from lapg_theory.exact.returns import refuse_perception
from lapg_theory.game import FiniteHorizon, MatrixGame
from lapg_theory.learning.alignment import gains
from lapg_theory.learning.rule import Logits, Rate, Rule, Stage


def _advantages(stage: Stage, own: Logits, other: Logits) -> Logits:
    """Q(s, C) - Q(s, D) in each state, in units of the stage."""
    if isinstance(stage.horizon, FiniteHorizon):
        raise ValueError(
            f"temporal-difference learners have one value for each state, but those of {stage.horizon} change from step to "
            "step: give Discounted(gamma)"
        )
    row, column = from_logits(own), from_logits(other).mirrored()
    unit = stage.unit / stage.horizon.weight
    after = stacked(outcome_values(row, column, [unit * r for r in stage.own], stage.horizon))
    noise = getattr(stage.horizon, "noise", None)
    found = gains(acted(row, column, stage.horizon)[1], after)
    return found if noise is None else (1 - 2 * noise.execution) * found


class Temporal(Rule):
    """A learner with one value for each state that it sees."""

    def check_noise(self, game: MatrixGame) -> None:
        """Refuse perception errors."""
        refuse_perception(game, "temporal-difference learners are derived for states that both players see alike")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ActorCritic(Temporal):
    """theta_s += rate beta [Q(s, C) - Q(s, D)]: actor-critic learning, and exactly the natural policy gradient.

    The Fisher matrix of a policy in logits is diagonal, visits(s) p_s (1 - p_s), and the gradient that times Q(s, C) - Q(s,
    D). (Kakade 2001, NeurIPS.)

    Attributes:
        beta: scale of the values, the intensity of choice.

    Raises:
        ValueError: for a beta that is no finite number >= 0; for a finite horizon, where it is applied.
    """

    beta: Rate = 1.0

    def ascent(self, stage: Stage, own: Logits, other: Logits) -> Logits:
        """The advantage of cooperating in each state."""
        return self.beta * _advantages(stage, own, other)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sarsa(Temporal):
    """theta_s += rate (beta [Q(s, C) - Q(s, D)] - theta_s): SARSA learning with softmax exploration.

    It rests where every policy is the softmax of beta times its own action values; 1 / beta is the exploration.

    Attributes:
        beta: intensity of choice.

    Raises:
        ValueError: for a beta that is no finite number >= 0; for a finite horizon, where it is applied.
    """

    beta: Rate = 1.0

    def ascent(self, stage: Stage, own: Logits, other: Logits) -> Logits:
        """The way to the softmax of the present values."""
        return self.beta * _advantages(stage, own, other) - own
