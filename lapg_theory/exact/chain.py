"""The Markov chain of outcomes that two memory-one policies make, elementwise: every return starts here.

Everything is unrolled over the four outcomes CC, CD, DC, DD (the row player's view), so that an operation acts on whole
batches of pairs at once. A player is a `Play`: five probabilities of cooperating and their five complements, each an
array of any batch shape. Returns and visits are *normalised* here: per step, in units of `horizon.weight`.

The discounted chain is eliminated state by state in the manner of Grassmann, Taksar and Heyman: the chance to leave a
state is the sum of the chances of where it goes, never one minus the chance to stay. No difference of nearly equal
numbers occurs, so float32 is good for gamma up to 0.99999. (Grassmann, Taksar & Heyman 1985, Operations Research 33;
O'Cinneide 1993, Numerische Mathematik 65.)
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lapg_theory.exact.arrays import module, once, scan, sigmoids
from lapg_theory.exact.arrays import stacked as stacked
from lapg_theory.game import MIRROR, Discounted, FiniteHorizon, Horizon, MatrixGame, check_game
from lapg_theory.game.conventions import own_view
from lapg_theory.game.noise import MISTAKEN, MISTAKEN_BY_OTHER, blurred
from lapg_theory.game.numbers import is_jax

Four = Any  # a sequence: one array for each of CC, CD, DC, DD
Five = Any  # and s0 before them


class Play(NamedTuple):
    """One player's probabilities of cooperating and of defecting, s0, CC, CD, DC, DD."""

    cooperate: Five
    defect: Five

    def mirrored(self) -> "Play":
        """The same player seen from the other side: CD and DC trade places."""
        return Play(*([side[state] for state in MIRROR] for side in self))


class Discount(NamedTuple):
    """A discounted horizon whose numbers may be traced: `weight` = 1 / (1 - gamma), given apart to keep its digits.

    `noise` is that of the game, which goes with the horizon wherever it goes.
    """

    gamma: Any
    weight: Any
    noise: Any = None


@dataclasses.dataclass(frozen=True)
class NoisySteps(FiniteHorizon):
    """A finite horizon with the noise of the game."""

    noise: Any = None


class Elimination(NamedTuple):
    """A discounted chain, eliminated from DD down to CC: the factors with which both of its linear systems are solved.

    `flow[n][j]`, j < n, is the chance to go from n to j with all states above n cut out; `flow[i][n]`, i < n, the
    expected visits to n for one to i before going below n; `stay[n]` the expected steps before n is left downwards.
    """

    flow: Sequence[Four]
    stay: Four


def payoffs(game: MatrixGame, player: int = 0) -> Four:
    """Payoffs of the row (0) or the column player (1) for CC, CD, DC, DD *in the row player's view*.

    Raises:
        ValueError: for what is no game, or payoffs that are no numbers (symbols belong to `lapg_theory.symbolic`).
    """
    check_game(game)
    values = own_view((game.row, game.column)[player])
    try:
        return tuple(value if is_jax(value) else float(value) for value in values)
    except TypeError:
        raise ValueError(f"{game.name} has payoffs {values} that are no numbers; see lapg_theory.symbolic") from None


def from_probabilities(p: Any) -> Play:
    """The player with cooperation probabilities `p`, states first."""
    return Play([p[s] for s in range(5)], [1 - p[s] for s in range(5)])


def from_logits(theta: Any) -> Play:
    """The player with log-odds of cooperating `theta`, states first; both probabilities keep all their digits."""
    if not is_jax(theta):
        return Play(*map(list, sigmoids(theta)))
    return Play(*map(list, zip(*(sigmoids(theta[s]) for s in range(5)), strict=True)))


def done(game: MatrixGame, *policies: Any) -> tuple[Any, ...]:
    """What players who intend these policies, [..., 5], do in the game: themselves where it has no noise."""
    return policies if game.noise is None else tuple(game.noise.acted(policy) for policy in policies)


def acted(row: Play, column: Play, horizon: Any) -> tuple[Play, Play]:
    """What two players that intend this do, under the noise that goes with the horizon; `column` in the row's view."""
    noise = getattr(horizon, "noise", None)
    if noise is None:
        return row, column
    pair = []
    for player, mistaken in ((row, MISTAKEN), (column, MISTAKEN_BY_OTHER)):
        sides = [blurred(side, noise.execution, noise.perception, mistaken) for side in player]
        pair.append(Play(*([x + noise.execution for x in side] for side in sides)))
    return pair[0], pair[1]


def as_seen(outcomes: Any, horizon: Any) -> Any:
    """Weights of the outcomes CC, CD, DC, DD, first axis, as the row player sees them: it may mistake the other's action."""
    noise = getattr(horizon, "noise", None)
    if noise is None:
        return outcomes
    return outcomes + noise.perception * (outcomes[np.array([1, 0, 3, 2])] - outcomes)


def dot(x: Four, y: Four) -> Any:
    """Sum of products, elementwise over whatever batch the entries hold."""
    return sum(a * b for a, b in zip(x, y, strict=True))


def moves(row: Play, column: Play, state: int) -> Four:
    """Chances of the next outcome CC, CD, DC, DD from `state` of the row player's view (`column` in that view too)."""
    (c, d), (e, f) = ((side[state] for side in player) for player in (row, column))
    return [c * e, c * f, d * e, d * f]


def eliminate(row: Play, column: Play, horizon: Any) -> Elimination:
    """Eliminate the discounted chain; `column` in the row player's view; needs `horizon.gamma` and `horizon.weight`."""
    flow = [[horizon.gamma * chance for chance in moves(row, column, state)] for state in range(1, 5)]
    end: list[Any] = [1 / horizon.weight] * 4
    stay: list[Any] = [None] * 4
    for n in (3, 2, 1):
        stay[n] = 1 / (end[n] + sum(flow[n][:n]))
        for i in range(n):
            share = flow[i][n] * stay[n]
            flow[i] = [flow[i][j] + share * flow[n][j] for j in range(n)] + [share] + flow[i][n + 1 :]
            end[i] = end[i] + share * end[n]
    stay[0] = 1 / end[0]
    return Elimination(*once((flow, stay), flow[0][0], stay[0]))


def visited(chain: Elimination, mass: Four) -> Four:
    """Solve x^T (I - gamma M) = mass^T: expected discounted visits when `mass` is put on the outcomes."""
    mass = list(mass)
    for n in (3, 2, 1):
        top = mass[n] * chain.stay[n]
        mass = [mass[j] + top * chain.flow[n][j] for j in range(n)] + [top] + mass[n + 1 :]
    seen = [mass[0] * chain.stay[0]]
    for n in (1, 2, 3):
        seen.append(mass[n] + sum(seen[i] * chain.flow[i][n] for i in range(n)))
    return once(seen, *seen[:1])


def valued(chain: Elimination, reward: Four) -> Four:
    """Solve (I - gamma M) h = reward; for rewards relative to their mean over the visits, h = V - J is moderate."""
    held = list(reward)
    for n in (3, 2, 1):
        held = [held[i] + chain.flow[i][n] * held[n] for i in range(n)] + held[n:]
    value = []
    for n in range(4):
        value.append((held[n] + sum(chain.flow[n][j] * value[j] for j in range(n))) * chain.stay[n])
    return once(value, *value[:1])


def visits(chain: Elimination, row: Play, column: Play, horizon: Any) -> Four:
    """Discounted visit distribution of the outcomes: (1 - gamma) start^T (I - gamma M)^-1, summing to one."""
    return visited(chain, [chance / horizon.weight for chance in moves(row, column, 0)])


def onward(row: Play, column: Play) -> Sequence[Four]:
    """The 4x4 chances of the next outcome (second index) after each outcome (first index)."""
    return [moves(row, column, state) for state in range(1, 5)]


def finite_visits(row: Play, column: Play, steps: int) -> tuple[Any, Any]:
    """Distributions of the outcome at every step but the last, [steps - 1, 4, ...], and the last, by iteration."""
    chances = onward(row, column)

    def body(now, _):
        return stacked([sum(now[i] * chances[i][j] for i in range(4)) for j in range(4)]), now

    last, before = scan(body, stacked(moves(row, column, 0)), length=steps - 1)
    return before, last


def visit_distribution(row: Play, column: Play, horizon: Any) -> Four:
    """Normalised visits to CC, CD, DC, DD for either kind of horizon; `column` in the row player's view."""
    row, column = acted(row, column, horizon)
    if isinstance(horizon, FiniteHorizon):
        before, last = finite_visits(row, column, horizon.steps)
        return list((before.sum(0) + last) / horizon.steps)
    return visits(eliminate(row, column, horizon), row, column, horizon)


def outcome_values(row: Play, column: Play, reward: Four, horizon: Any) -> Four:
    """Sum of (discounted) rewards from each outcome on, its own included; a finite horizon adds a first axis, time."""
    row, column = acted(row, column, horizon)
    if isinstance(horizon, FiniteHorizon):
        chances = onward(row, column)

        def body(later, _):
            new = stacked([reward[i] + sum(chances[i][j] * later[j] for j in range(4)) for i in range(4)])
            return new, later

        end = stacked([chance * 0 + r for chance, r in zip(moves(row, column, 0), reward, strict=True)])
        first, later = scan(body, end, length=horizon.steps - 1, reverse=True)
        xp = module(first, later)
        return list(xp.moveaxis(xp.concatenate([first[None], later]), 1, 0))
    chain = eliminate(row, column, horizon)
    mean = dot(visits(chain, row, column, horizon), reward)
    relative = valued(chain, [r - mean for r in reward])
    return [horizon.weight * mean + value for value in relative]


def traceable(horizon: Horizon | Discount, game: Any = None) -> Any:
    """The horizon as compiled code takes it: a discount as traced numbers, a number of steps as a constant.

    With it goes the noise of the `game`, if that has any.

    Raises:
        ValueError: for what is no horizon, such as a bare number.
    """
    if not isinstance(horizon, Discounted | FiniteHorizon | Discount):
        raise ValueError(f"horizon must be Discounted(gamma) or FiniteHorizon(steps), got {horizon!r}")
    noise = getattr(game, "noise", None)
    if not isinstance(horizon, FiniteHorizon):
        return Discount(horizon.gamma, horizon.weight, noise)
    return horizon if noise is None else NoisySteps(horizon.steps, noise)
