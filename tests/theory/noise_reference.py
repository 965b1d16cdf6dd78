"""Noisy repeated games by the plainest routes: every private view kept, nothing folded together."""

import itertools
from fractions import Fraction

import numpy as np

BOTH = (0, 1)


def act(chance, action, slip):
    """Chance that the action is done where C is intended with `chance`."""
    done = chance * (1 - slip) + (1 - chance) * slip
    return done if action == 0 else 1 - done


def see(actual, seen, glance):
    """Chance that an action is seen as `seen`."""
    return 1 - glance if seen == actual else glance


def sixteen_states(game, p, q, gamma, slip, glance):
    """Returns of both players from the chain over what was done and what either player saw of the other: 16 states."""
    states = list(itertools.product(BOTH, repeat=4))  # done by 1, by 2, seen by 1, seen by 2

    def row(first, second):
        return [
            act(first, a, slip) * act(second, b, slip) * see(b, x, glance) * see(a, y, glance) for a, b, x, y in states
        ]

    M = np.array([row(p[1 + 2 * a + x], q[1 + 2 * b + y]) for a, b, x, y in states])
    seen = np.linalg.solve(np.eye(16) - gamma * M.T, row(p[0], q[0]))
    return np.array([seen @ [table[a][b] for a, b, *_ in states] for table in (game.row, game.column)])


def histories(game, p, q, steps, slip, glance):
    """Returns of both players of a short game as sums over every history of actions and views, in rational numbers."""
    p, q, slip, glance = ([Fraction(x) for x in xs] if np.ndim(xs) else Fraction(xs) for xs in (p, q, slip, glance))
    total = [Fraction(0), Fraction(0)]

    def on(chance, first, second, left):
        for a, b in itertools.product(BOTH, repeat=2):
            now = chance * act(p[first], a, slip) * act(q[second], b, slip)
            for k, table in enumerate((game.row, game.column)):
                total[k] += now * Fraction(table[a][b])
            for x, y in itertools.product(BOTH, repeat=2) if left > 1 else ():
                on(now * see(b, x, glance) * see(a, y, glance), 1 + 2 * a + x, 1 + 2 * b + y, left - 1)

    on(Fraction(1), 0, 0, steps)
    return total


def played(game, p, q, steps, games, slip, glance, seed):
    """Mean returns of simulated games, and their standard errors."""
    rng = np.random.default_rng(seed)
    tables, states, earned = np.array([game.row, game.column]), np.zeros((2, games), int), np.zeros((2, games))
    for _ in range(steps):
        intended = rng.random((2, games)) >= np.stack([np.take(p, states[0]), np.take(q, states[1])])  # True is D
        done = (intended ^ (rng.random((2, games)) < slip)).astype(int)
        earned += tables[:, done[0], done[1]]
        views = done[::-1] ^ (rng.random((2, games)) < glance)
        states = 1 + 2 * done + views
    return earned.mean(1), earned.std(1, ddof=1) / np.sqrt(games)


def slopes(function, x, step=1e-6):
    """Central differences of a scalar or array function of a vector."""
    shifts = step * np.eye(len(x))
    return np.array([(function(x + s) - function(x - s)) / (2 * step) for s in shifts])
