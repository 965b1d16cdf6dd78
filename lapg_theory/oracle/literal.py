"""The same expectations by brute force: every joint history of every stream, for an ego with any memory."""

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from lapg_theory.game import COOPERATE, S0, MatrixGame, state_index
from lapg_theory.game.noise import refuse_noise
from lapg_theory.oracle import episodes as ep
from lapg_theory.oracle.moments import Expectations, weights
from lapg_theory.oracle.rationals import Rationals

#: One stream so far: its finished inner episodes and, last, the steps of the one under way, in the ego's view.
History = tuple[ep.Episode, ...]


def current_state(history: History) -> int:
    """The memory-one observation: the state s0, CC, CD, DC, DD within the current inner episode."""
    return state_index(*history[-1][-1]) if history[-1] else S0


class _Table(NamedTuple):
    """What the ego's policy fixes about each possible history of one stream."""

    chance: Rationals  # [stream] probability of the ego's actions
    rewards: Rationals  # [stream, m, t]
    scores: Rationals  # [stream, m, t, parameter] gradient of the log probability of the action


def _table(
    p: Sequence[Fraction], payoffs: Sequence[Fraction], streams: list[History], observe: Callable[[History], int]
) -> _Table:
    chance, rewards, scores = [], [], []
    for stream in streams:
        seen = [[(observe((*stream[:m], e[:t])), e[t][0]) for t in range(len(e))] for m, e in enumerate(stream)]
        chance.append(math.prod(p[k] if a == COOPERATE else 1 - p[k] for episode in seen for k, a in episode))
        rewards.append([[payoffs[state_index(*actions) - 1] for actions in episode] for episode in stream])
        scores.append([[[((a == COOPERATE) - p[k]) * (k == j) for j in range(len(p))] for k, a in e] for e in seen])
    return _Table(Rationals.of(chance), Rationals.of(rewards), Rationals.of(scores))


def _co_player(naive: Any, streams: list[History], leaves: np.ndarray, update: ep.Update) -> Rationals:
    """[leaf] probability of all the actions of the co-player."""
    seen = [tuple(ep.swap(episode) for episode in stream) for stream in streams]
    probability = functools.cache(ep.probability)

    @functools.cache
    def after(minibatches: tuple[tuple[ep.Episode, ...], ...]) -> tuple[Fraction, ...]:
        if not minibatches:
            return ep.policy("naive", naive)
        return ep.policy("the update", update(after(minibatches[:-1]), minibatches[-1]))

    chances = []
    for leaf in leaves:
        minibatches = tuple(zip(*(seen[i] for i in leaf), strict=True))
        played = (probability(after(minibatches[:m]), e) for m, batch in enumerate(minibatches) for e in batch)
        chances.append(math.prod(played))
    return Rationals.of(chances)


def _estimate(table: _Table, leaves: np.ndarray, coefficients: Sequence[Fraction]) -> Rationals:
    """[leaf, parameter]: one estimator, as the double sum of credit times score that defines it."""
    rewards = table.rewards[leaves]  # [leaf, b, m, t]
    total = rewards.values.sum(3, keepdims=True)
    now = Rationals(rewards.values[..., ::-1].cumsum(3)[..., ::-1], rewards.denominator)
    future = Rationals(total.sum(2, keepdims=True) - total.cumsum(2), rewards.denominator)
    c_now, c_own, c_all = (Rationals.of(c) for c in coefficients)
    credit = now * c_now + future * c_own + future.sum(1)[:, None] * c_all
    per_stream = [(credit[:, b, ..., None] * table.scores[leaves[:, b]]).sum(1).sum(1) for b in range(leaves.shape[1])]
    return functools.reduce(Rationals.__add__, per_stream)


def enumerate_histories(
    game: MatrixGame,
    ego: Any,
    naive: Any,
    *,
    steps: int,
    inner_episodes: int,
    batch: int,
    update: ep.Update,
    observe: Callable[[History], int] = current_state,
    max_leaves: int = 100_000,
) -> Expectations:
    """The expectations as literal sums over the 4^(T M B) joint histories, for an ego of any memory.

    `ego[k]` is the probability of cooperating on observation `k = observe(history)`, where `history` holds the
    stream's finished inner episodes and, last, the steps so far of the current one. Vectors of the result run over k.

    Args:
        game: the 2x2 game.
        ego: the ego's probabilities of cooperating.
        naive: the co-player's five probabilities at first, its own view.
        steps: T, steps of an inner episode.
        inner_episodes: M.
        batch: B, parallel trajectories.
        update: the co-player's learning rule, from its probabilities and the minibatch to its next probabilities.
        observe: what the ego remembers: from a history to an index of `ego`.
        max_leaves: refuse larger sums.

    Raises:
        ValueError: for a size that is no count, a probability outside [0, 1], or more than `max_leaves` leaves.
    """
    refuse_noise(game, "histories are enumerated", "give policies that slip by themselves")
    ep.check_sizes(steps, inner_episodes, batch)
    ep.check_leaves(4 ** (steps * inner_episodes * batch), "4^(T M B)", max_leaves)
    streams = list(itertools.product(ep.episodes(steps), repeat=inner_episodes))
    leaves = np.indices((len(streams),) * batch).reshape(batch, -1).T
    p = ep.probabilities("ego", ego)
    table = _table(p, [ep.number(value) for value in game.row_payoffs], streams, observe)
    chance = _co_player(naive, streams, leaves, update)
    for b in range(batch):
        chance = chance * table.chance[leaves[:, b]]

    def expect(quantity: Rationals) -> np.ndarray:
        return (chance[:, None] * quantity).sum(0).numbers()

    total = (table.rewards[leaves].sum(3).sum(2).sum(1) / batch)[:, None]
    gradient = expect(total * table.scores[leaves].sum(3).sum(2).sum(1))
    means, variance = {}, {}
    for name, coefficients in weights(batch).items():
        estimate = _estimate(table, leaves, coefficients)
        means[name] = tuple(expect(estimate))
        variance[name] = tuple(expect(estimate * estimate) - expect(estimate) ** 2)
    return Expectations(expect(total)[0], tuple(gradient), **means, variance=variance)
