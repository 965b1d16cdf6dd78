"""A return's slopes in the cooperation probabilities of both players, and how they turn: formulas, elementwise.

Why the formula: one elimination of the chain gives the values and the visits, and with them all ten slopes; differentiating the
elimination would carry each of its divisions through again.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from lapg_theory.exact.chain import (
    Elimination,
    Five,
    Four,
    Play,
    acted,
    dot,
    eliminate,
    finite_visits,
    moves,
    onward,
    stacked,
    valued,
    visited,
    visits,
)
from lapg_theory.game import FiniteHorizon
from lapg_theory.game.noise import MISTAKEN_BY_OTHER, blurred


class Slopes(NamedTuple):
    """A return per step and its slopes in both players' five cooperation probabilities, row player's view."""

    value: Any
    row: Five
    column: Five


def _contrasts(after: Four) -> Four:
    """What one player's cooperation adds to the value: row's if the column plays C, D; column's if the row does."""
    return [after[0] - after[2], after[1] - after[3], after[0] - after[1], after[2] - after[3]]


def _row_advantages(column: Play, after: Four) -> Five:
    """What cooperating instead of defecting adds in each state, for the row player's choice."""
    if_c, if_d, _, _ = _contrasts(after)
    return [e * if_c + f * if_d for e, f in zip(*column, strict=True)]


def _column_advantages(row: Play, after: Four) -> Five:
    """The same for the column player's choice."""
    _, _, if_row_c, if_row_d = _contrasts(after)
    return [c * if_row_c + d * if_row_d for c, d in zip(*row, strict=True)]


def _advantages(row: Play, column: Play, after: Four) -> tuple[Five, Five]:
    return _row_advantages(column, after), _column_advantages(row, after)


def products(x: Any, y: Any) -> list[Any]:
    """Products entry by entry."""
    return [a * b for a, b in zip(x, y, strict=True)]


class _Solution(NamedTuple):
    """A discounted pair solved once: `weights` are the (discounted) visits to s0, CC, CD, DC, DD, per step."""

    row: Play
    column: Play
    gamma: Any
    chain: Elimination
    seen: Four
    weights: Five


def _solve(row: Play, column: Play, horizon: Any) -> _Solution:
    chain = eliminate(row, column, horizon)
    seen = visits(chain, row, column, horizon)
    return _Solution(row, column, horizon.gamma, chain, seen, [1 / horizon.weight, *(horizon.gamma * x for x in seen)])


def _values(solution: _Solution, reward: Four) -> tuple[Any, Four]:
    """Return per step, and relative values of the outcomes."""
    mean = dot(solution.seen, reward)
    return mean, valued(solution.chain, [r - mean for r in reward])


def _slopes_of(solution: _Solution, reward: Four) -> Slopes:
    """Slope = weight x advantage."""
    mean, after = _values(solution, reward)
    by_row, by_column = _advantages(solution.row, solution.column, after)
    return Slopes(mean, products(solution.weights, by_row), products(solution.weights, by_column))


def _turned(solution: _Solution, move: Five) -> Four:
    """The derivative of the visits when the column player's probabilities change by `move`."""
    push = products(solution.weights, move)
    to_c, to_d = dot(push, solution.row.cooperate), dot(push, solution.row.defect)
    return visited(solution.chain, [to_c, -to_c, to_d, -to_d])


def _slopes_and_turn(solution: _Solution, reward: Four, move: Five, turned: Four) -> tuple[Slopes, Slopes]:
    """The product rule on slope = weight x advantage, `turned` being the derivative of the visits along `move`."""
    mean, after = _values(solution, reward)
    by_row, by_column = _advantages(solution.row, solution.column, after)
    weights, gamma = solution.weights, solution.gamma
    change = dot(turned, reward)
    later = valued(solution.chain, [gamma * move[s] * by_column[s] - change for s in range(1, 5)])
    more_row, more_column = _advantages(solution.row, solution.column, later)
    if_c, if_d, _, _ = _contrasts(after)
    more_row = [gain + m * (if_c - if_d) for gain, m in zip(more_row, move, strict=True)]
    turned_weights = [0.0, *(gamma * x for x in turned)]
    turn_row, turn_column = (
        [a + b for a, b in zip(products(turned_weights, gain), products(weights, more), strict=True)]
        for gain, more in ((by_row, more_row), (by_column, more_column))
    )
    slopes = Slopes(mean, products(weights, by_row), products(weights, by_column))
    return slopes, Slopes(change, turn_row, turn_column)


def _finite_slopes(row: Play, column: Play, reward: Four, horizon: FiniteHorizon) -> Slopes:
    import jax
    import jax.numpy as jnp

    before, last = finite_visits(row, column, horizon.steps)
    chances = onward(row, column)

    def body(carry, now):
        later, total = carry
        weights = [last[0] * 0, *now]
        by_row, by_column = _advantages(row, column, later)
        new = stacked([reward[i] + dot(chances[i], later) for i in range(4)])
        return (new, total + stacked(products(weights, by_row) + products(weights, by_column))), None

    end = stacked([x * 0 + r for x, r in zip(last, reward, strict=True)])
    start = (end, jnp.zeros((10, *last.shape[1:]), last.dtype))
    (first, total), _ = jax.lax.scan(body, start, before, reverse=True)
    at_start = _advantages(row, column, first)
    by_row, by_column = ([x / horizon.steps for x in (at_start[k][0], *total[5 * k + 1 : 5 * k + 5])] for k in (0, 1))
    return Slopes(dot(moves(row, column, 0), first) / horizon.steps, by_row, by_column)


def _pulled(found: Slopes, noise: Any) -> Slopes:
    """Slopes in what is done as slopes in what is intended."""
    numbers = noise.execution, noise.perception
    return Slopes(found.value, blurred(found.row, *numbers), blurred(found.column, *numbers, MISTAKEN_BY_OTHER))


def slopes(row: Play, column: Play, rewards: Sequence[Four], horizon: Any) -> list[Slopes]:
    """For each payoff vector: the return per step and its slopes in both players' five cooperation probabilities.

    dJ/dp_s = visits(s) (Q(s, C) - Q(s, D)), one elimination for all. Everything in the row player's view (`column`,
    payoffs and the second list of slopes too) and in units of `horizon.weight`. Under noise they are slopes in what is
    intended.
    """
    noise = getattr(horizon, "noise", None)
    found = _slopes(*acted(row, column, horizon), rewards, horizon)
    return found if noise is None else [_pulled(one, noise) for one in found]


def _slopes(row: Play, column: Play, rewards: Sequence[Four], horizon: Any) -> list[Slopes]:
    if isinstance(horizon, FiniteHorizon):
        return [_finite_slopes(row, column, reward, horizon) for reward in rewards]
    solution = _solve(row, column, horizon)
    return [_slopes_of(solution, reward) for reward in rewards]


def uphill(row: Play, column: Play, reward: Four, horizon: Any) -> Five:
    """Slopes of one payoff in the column player's probabilities alone."""
    if isinstance(horizon, FiniteHorizon) or horizon.noise is not None:
        return slopes(row, column, [reward], horizon)[0].column
    solution = _solve(row, column, horizon)
    return products(solution.weights, _column_advantages(row, _values(solution, reward)[1]))


def slopes_and_turns(
    row: Play, column: Play, rewards: Sequence[Four], horizon: Any, move: Five
) -> list[tuple[Slopes, Slopes]]:
    """`slopes`, and their directional derivatives when the column player's probabilities change by `move`.

    One column of the Hessian for the price of one more gradient: differentiating (I - gamma M) h = r - J gives the same
    linear system with another right-hand side. `move` in the row player's view.
    """
    noise = getattr(horizon, "noise", None)
    if noise is None:
        return _turns(row, column, rewards, horizon, move)
    move = blurred(move, noise.execution, noise.perception, MISTAKEN_BY_OTHER)
    found = _turns(*acted(row, column, horizon), rewards, horizon, move)
    return [(_pulled(here, noise), _pulled(turn, noise)) for here, turn in found]


def _turns(row: Play, column: Play, rewards: Sequence[Four], horizon: Any, move: Five) -> list[tuple[Slopes, Slopes]]:
    if isinstance(horizon, FiniteHorizon):
        import jax

        change = Play(list(move), [-m for m in move])
        found = jax.jvp(lambda moved: _slopes(row, moved, rewards, horizon), (column,), (change,))
        return list(zip(*found, strict=True))
    solution = _solve(row, column, horizon)
    turned = _turned(solution, move)
    return [_slopes_and_turn(solution, reward, move, turned) for reward in rewards]


def slopes_and_turn(
    row: Play, column: Play, rewards: Sequence[Four], horizon: Any, move: Five
) -> tuple[Slopes, Slopes, Slopes]:
    """Of `slopes_and_turns` what an adjoint needs: slopes of the first payoff, and slopes and turn of the second."""
    if isinstance(horizon, FiniteHorizon) or horizon.noise is not None:
        (here, _), (learner, turn) = slopes_and_turns(row, column, rewards, horizon, move)
        return here, learner, turn
    solution = _solve(row, column, horizon)
    return _slopes_of(solution, rewards[0]), *_slopes_and_turn(solution, rewards[1], move, _turned(solution, move))
