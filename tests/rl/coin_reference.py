"""The Coin Game once more, in plain Python and NumPy: every joint state, every outcome, scripts by breadth-first search."""

import functools
import itertools

import numpy as np

MOVES = ((0, 1), (0, -1), (1, 0), (-1, 0))


def moved(cell, action, size):
    (row, column), (down, right) = divmod(cell, size), MOVES[action]
    return (row + down) % size * size + (column + right) % size


@functools.cache
def distances(size):
    """Numbers of moves from each cell to each other one, by breadth-first search."""
    table = np.full((size**2, size**2), -1)
    for start in range(size**2):
        table[start, start], front, away = 0, [start], 0
        while front:
            away += 1
            front = [new for cell in front for new in {moved(cell, a, size) for a in range(4)} if table[start, new] < 0]
            table[start, front] = away
    return table


def states(size):
    """All (cell of player 0, cell of player 1, cell of the coin, owner) at which a player may have to choose."""
    cells = range(size**2)
    return [s for s in itertools.product(cells, cells, cells, (0, 1)) if s[2] not in s[:2]]


def outcomes(state, actions, size):
    """{(state after, rewards): probability} of a joint action."""
    *cells, coin, owner = state
    cells = [moved(cell, action, size) for cell, action in zip(cells, actions, strict=True)]
    takers = [i for i in (0, 1) if cells[i] == coin]
    if not takers:
        return {((*cells, coin, owner), (0, 0)): 1.0}
    rewards = [0, 0]
    for taker in takers:
        rewards[taker] += 1
        if taker != owner:
            rewards[owner] -= 2
    free = [cell for cell in range(size**2) if cell not in cells]
    return {((*cells, new, 1 - owner), tuple(rewards)): 1 / len(free) for new in free}


def script(state, player, defects, size):
    """The chances of the four moves: always-defect, always-cooperate, or (None) each of them."""
    if defects is None:
        return np.full(4, 0.25)
    coin, owner = state[2:]
    away = [distances(size)[moved(state[player], action, size), coin] for action in range(4)]
    wanted = min(away) if defects or owner == player else max(away)
    good = np.array([steps == wanted for steps in away], float)
    return good / good.sum()


def starts(size, distinct):
    """{state: probability} at the start."""
    chances = {}
    pairs = [p for p in itertools.product(range(size**2), repeat=2) if not distinct or p[0] != p[1]]
    for pair in pairs:
        free = [cell for cell in range(size**2) if cell not in pair]
        for coin, owner in itertools.product(free, (0, 1)):
            chances[(*pair, coin, owner)] = 1 / len(pairs) / len(free) / 2
    return chances


@functools.cache
def chain(defects, size=3):
    """The chain of two scripts, exact: `(states, transitions [s, s], rewards [s, 2], taken [s, player, owner])`.

    Rewards and coins taken are expectations of the step that is made in a state.
    """
    known = {state: n for n, state in enumerate(states(size))}
    transitions = np.zeros((len(known), len(known)))
    rewards, taken = np.zeros((len(known), 2)), np.zeros((len(known), 2, 2))
    for state, n in known.items():
        chances = [script(state, player, defects[player], size) for player in (0, 1)]
        for actions in itertools.product(range(4), repeat=2):
            p = chances[0][actions[0]] * chances[1][actions[1]]
            if not p:
                continue
            for player in (0, 1):
                taken[n, player, state[3]] += p * (moved(state[player], actions[player], size) == state[2])
            for (after, earned), q in outcomes(state, actions, size).items():
                transitions[n, known[after]] += p * q
                rewards[n] += p * q * np.array(earned)
    return list(known), transitions, rewards, taken


def means(defects, steps, distinct=True, size=3):
    """Exact means a step over `steps` steps: rewards [2], and coins taken [player, 0 its own or 1 the other's]."""
    known, transitions, rewards, taken = chain(defects, size)
    chances = starts(size, distinct)
    at = np.array([chances.get(state, 0.0) for state in known])
    earned, coins = np.zeros(2), np.zeros((2, 2))
    for _ in range(steps):
        earned, coins = earned + at @ rewards, coins + np.einsum("s,sij->ij", at, taken)
        at = at @ transitions
    return earned / steps, np.array([coins[0], coins[1][::-1]]) / steps
