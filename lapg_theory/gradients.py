"""Exact gradients of the returns: the policy-gradient formula for speed, autodiff for second derivatives."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax

from lapg_theory.chain import (
    Five,
    Four,
    Play,
    dot,
    eliminate,
    finite_visits,
    moves,
    onward,
    relative_values,
    stacked,
    visits,
)
from lapg_theory.game import FiniteHorizon


class Slopes(NamedTuple):
    """A return per step and its slopes in both players' five cooperation probabilities, row player's view."""

    value: Any
    row: Five
    column: Five


def _advantages(row: Play, column: Play, state: int, after: Four) -> tuple[Any, Any]:
    """What cooperating instead of defecting in `state` adds, for the row and for the column player's choice."""
    (c, d), (e, f) = ((side[state] for side in player) for player in (row, column))
    return e * (after[0] - after[2]) + f * (after[1] - after[3]), c * (after[0] - after[1]) + d * (after[2] - after[3])


def _discounted_slopes(row: Play, column: Play, rewards: Sequence[Four], horizon: Any) -> list[Slopes]:
    chain = eliminate(row, column, horizon)
    seen = visits(chain, horizon)
    weights = [1 / horizon.weight, *(horizon.gamma * x for x in seen)]
    found = []
    for reward in rewards:
        mean = dot(seen, reward)
        after = relative_values(chain, [r - mean for r in reward])
        pairs = [_advantages(row, column, state, after) for state in range(5)]
        by_row, by_column = ([w * pair[k] for w, pair in zip(weights, pairs, strict=True)] for k in (0, 1))
        found.append(Slopes(mean, by_row, by_column))
    return found


def _finite_slopes(row: Play, column: Play, rewards: Sequence[Four], horizon: Any) -> list[Slopes]:
    before, last = finite_visits(row, column, horizon.steps)
    chances, start = onward(row, column), moves(row, column, 0)
    found = []
    for reward in rewards:

        def body(carry, now, reward=reward):
            later, total = carry
            pairs = [_advantages(row, column, state, later) for state in range(1, 5)]
            gain = stacked([now[i] * pairs[i][k] for k in (0, 1) for i in range(4)])
            new = stacked([reward[i] + sum(chances[i][j] * later[j] for j in range(4)) for i in range(4)])
            return (new, total + gain), None

        end = stacked([x * 0 + r for x, r in zip(last, reward, strict=True)])
        zero = stacked([last[i] * 0 for i in (0, 1, 2, 3) * 2])
        (first, total), _ = jax.lax.scan(body, (end, zero), before, reverse=True)
        at_start = _advantages(row, column, 0, first)
        by_row, by_column = ([x / horizon.steps for x in (at_start[k], *total[4 * k : 4 * k + 4])] for k in (0, 1))
        found.append(Slopes(dot(start, first) / horizon.steps, by_row, by_column))
    return found


def slopes(row: Play, column: Play, rewards: Sequence[Four], horizon: Any) -> list[Slopes]:
    """For each payoff vector: the return per step and its slopes in both players' five cooperation probabilities.

    dJ/dp_s = visits(s) (Q(s, C) - Q(s, D)), one elimination for all. Everything in the row player's view (`column`,
    payoffs and the second list of slopes too) and in units of `horizon.weight`.
    """
    route = _finite_slopes if isinstance(horizon, FiniteHorizon) else _discounted_slopes
    return route(row, column, rewards, horizon)
