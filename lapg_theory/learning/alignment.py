"""Advantage Alignment and LOQA with exact advantages: credit own actions by how they move the co-player's choices.

Both take the co-player to act by a softmax of its own action values Q2, and differentiate through them: an action of ours
at step k changes Q2 of every choice of the co-player before it, and so how often that choice is made. With own and
co-player's exact advantages A1 and A2 the direction is

    E sum_k gamma^k [A1_k + beta (sum_{t<k} w_t kappa^(k-t-1) A1_t) A2_k] grad log pi_1(a_k | s_k),

beta 1 / temperature. Advantage Alignment has w = 1 and kappa = 1, LOQA w = 1 - pi_2(b_t | s_t), since only the Q of the
action taken counts as ours to change, and a decay kappa. In closed form for memory-one policies: with D the discounted
visits to the states, B[s', s] = sum over actions (a, b) that lead from s to s' of pi_1 pi_2 w A1(s, a, b) and P the chain,

    M = gamma (I - kappa gamma P^T)^-1 B D,      beta p_s (1 - p_s) [A2(s, C) - A2(s, D)] M_s

is what is added to the own gradient in the logit of state s, A2(s, a) the mean over the co-player's action. As sampled
estimators both weigh every step alike: they leave out gamma^t, so their credit carries gamma^(k-t).

Wherever both policies are deterministic, actions taken have no advantage, so B = 0 and M = 0: there, unconditional
defection included, both rules equal independent learning (`lapg_theory.symbolic.alignment` proves it).
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from lapg_theory.exact.chain import (
    Discount,
    Play,
    eliminate,
    finite_visits,
    from_logits,
    moves,
    outcome_values,
    stacked,
    visited,
    visits,
)
from lapg_theory.game import FiniteHorizon, MatrixGame
from lapg_theory.game.numbers import is_traced
from lapg_theory.learning.rule import Logits, Rate, Rule, Share, Stage, partials


def _surprises(row: Play, column: Play, after: Any, weights: Any) -> Any:
    """Chance of each outcome from each state times its weighted advantage, [5, 4], from the values of the outcomes."""
    chances = jnp.stack([stacked(moves(row, column, state)) for state in range(5)])
    return chances * weights * (after - (chances @ after)[:, None])


def gains(column: Play, after: Any) -> Any:
    """What our C rather than D is worth to the one whose values of outcomes are given, in each state, [5]."""
    if_c, if_d = after[0] - after[2], after[1] - after[3]
    return stacked([c * if_c + d * if_d for c, d in zip(*column, strict=True)])


def _discounted(row: Play, column: Play, values: Sequence[Any], weights: Any, horizon: Any, decay: Any) -> Any:
    own, other = values
    surprises = _surprises(row, column, own, weights)
    chain = eliminate(row, column, horizon)
    seen = horizon.gamma * horizon.weight * stacked(visits(chain, row, column, horizon))
    inflow = surprises[0] + seen @ surprises[1:]
    slower = horizon.gamma * decay
    chain = eliminate(row, column, Discount(slower, 1 / (1 - slower)))
    M = horizon.gamma * stacked(visited(chain, list(inflow)))
    return gains(column, other)[1:] * M


def _finite(row: Play, column: Play, values: Sequence[Any], weights: Any, horizon: Any, decay: Any) -> Any:
    own, other = (jnp.moveaxis(value, 0, -1) for value in values)  # [steps, 4]
    onward = jnp.stack([stacked(moves(row, column, state)) for state in range(1, 5)])
    before, _ = finite_visits(row, column, horizon.steps)
    first = _surprises(row, column, own[0], weights)[0]

    def body(M, step):
        seen, own_later, other_later = step
        added = gains(column, other_later)[1:] * M
        return decay * (M @ onward) + seen @ _surprises(row, column, own_later, weights)[1:], added

    _, added = jax.lax.scan(body, first, (before, own[1:], other[1:]))
    return added.sum(0)


def alignment(stage: Stage, own: Logits, other: Logits, weights: Any, decay: Any) -> Logits:
    """What is added to the own gradient, for w by state and outcome [5, 4] and kappa, per unit of beta.

    Rewards are taken in units of the stage: with returns per step both players' advantages are 1 / `horizon.weight` of
    those of the sums.
    """
    row, column = from_logits(own), from_logits(other).mirrored()
    unit = stage.unit / stage.horizon.weight
    values = [
        stacked(outcome_values(row, column, [unit * r for r in rewards], stage.horizon))
        for rewards in (stage.own, stage.other)
    ]
    through = _finite if isinstance(stage.horizon, FiniteHorizon) else _discounted
    later = through(row, column, values, weights, stage.horizon, decay)
    scale = stacked(row.cooperate) * stacked(row.defect)
    return scale * jnp.concatenate([jnp.zeros_like(later[:1]), later])


class Aligned(Rule):
    """A rule that credits own actions by how they move the co-player's choices."""

    def check_noise(self, game: MatrixGame) -> None:
        """Refuse noise: what an action that was not intended is to be credited with is no question these rules answer."""
        if game.noise is not None:
            raise ValueError(
                f"{type(self).__name__} is derived for games without noise, got {game.noise}; take naive, look-ahead or "
                "learning-aware rules"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdvantageAlignment(Aligned):
    """theta_1 += rate E sum_k gamma^k [A1_k + beta (sum_{t<k} A1_t) A2_k] grad log pi_1(a_k), with exact advantages.

    For a co-player that acts by a softmax of its own action values at temperature 1 / beta. (Duque et al. 2025, ICLR.)

    Attributes:
        beta: how strongly own advantages of the past count; 0 is independent learning.

    Raises:
        ValueError: for a beta that is no finite number >= 0.
    """

    beta: Rate = 1.0

    def ascent(self, stage: Stage, own: Logits, other: Logits) -> Logits:
        """Own gradient and alignment."""
        return partials(stage, own, other).own_by_own + self.beta * alignment(stage, own, other, 1.0, 1.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Loqa(Aligned):
    """LOQA where its action values are exact: Advantage Alignment with w = 1 - pi_2(b_t) and a decay of the past.

    (Aghajohari et al. 2024, ICLR.)

    Attributes:
        temperature: of the softmax by which the co-player is taken to act.
        decay: kappa, by which each further step between a choice of the co-player and ours counts less.
        weight: of the shaping term; 0 is independent learning.

    Raises:
        ValueError: for a temperature that is not positive, a decay outside [0, 1], or a weight that is negative.
    """

    temperature: Rate = 1.0
    decay: Share = 0.9
    weight: Rate = 1.0

    def __post_init__(self):
        Rule.__post_init__(self)
        if not is_traced(self.temperature) and self.temperature <= 0:
            raise ValueError(f"temperature must be > 0, got {self.temperature!r}; it divides the shaping term")

    def ascent(self, stage: Stage, own: Logits, other: Logits) -> Logits:
        """Own gradient, and what our actions do to the co-player's choices."""
        seen = from_logits(other).mirrored()
        surprise = jnp.stack([stacked([d, c, d, c]) for c, d in zip(*seen, strict=True)])  # chance of the other choice
        strength = self.weight / self.temperature
        return partials(stage, own, other).own_by_own + strength * alignment(stage, own, other, surprise, self.decay)
