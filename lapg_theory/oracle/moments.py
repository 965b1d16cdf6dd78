"""Exact mean and variance of the four gradient estimators, by recursion over multisets of inner episodes.

The ego plays a fixed memory-one policy that forgets at the boundary of an inner episode, so given the co-player's
policy q the B streams of one inner episode are independent and identically distributed, and what follows depends on
them only through the multiset of their episodes. Each estimator is linear in the scores,

    g = sum_b sum_l grad log p(a_l^b) (c_now G_cur + c_own G_fut^b + c_all sum_b' G_fut^b'),

so that a few moments of the future suffice: those of the streams' returns F^b, of g, and their cross moment.
"""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from lapg_theory.game import COOPERATE, MatrixGame
from lapg_theory.game.noise import refuse_noise
from lapg_theory.oracle import episodes as ep
from lapg_theory.oracle.rationals import Rationals

ESTIMATORS = ("lapg", "batch_unaware", "mfos", "inner_episode")
Vector = tuple[Fraction, ...]


def weights(batch: int) -> dict[str, tuple[Fraction, Fraction, Fraction]]:
    """(c_now, c_own, c_all) of each estimator: what multiplies G_cur, the own and everybody's future return."""
    one, mean, none = Fraction(1), Fraction(1, batch), Fraction(0)
    return {
        "lapg": (mean, none, mean),
        "batch_unaware": (mean, mean, none),
        "mfos": (one, none, mean),
        "inner_episode": (mean, none, none),
    }


@dataclasses.dataclass(frozen=True)
class Expectations:
    """Exact expectations over a meta-episode; vectors run over the ego's logits, s0, CC, CD, DC, DD.

    `J` = E[1/B sum_b sum_l R_l^b], `gradient` its derivative; `lapg`, `batch_unaware`, `mfos` and `inner_episode` the
    expected estimates; `variance` the variance of each estimate, component by component.
    """

    J: Fraction
    gradient: Vector
    lapg: Vector
    batch_unaware: Vector
    mfos: Vector
    inner_episode: Vector
    variance: dict[str, Vector]


class _Moments(NamedTuple):
    """Moments of the rest of a meta-episode for n policies of the co-player, shaped [n, estimator or 1, state or 1]."""

    F: Rationals  # E F^b, the expected return of one stream
    F2: Rationals  # E (F^b)^2
    F11: Rationals  # E F^b F^b', b != b'
    slope: Rationals  # derivative of F in the ego's logits
    g: Rationals  # E g
    cross: Rationals  # E g F^b, one stream's return
    g2: Rationals  # E g^2


class _Recursion:
    """The moments by recursion over inner episodes; what depends on the ego alone is tabled when it is built."""

    def __init__(self, payoffs: Vector, p: Vector, steps: int, inner_episodes: int, batch: int):
        self.last, self.batch, every = inner_episodes - 1, batch, ep.episodes(steps)
        self.seen = [ep.swap(episode) for episode in every]
        self.path = np.array([[5 * action + state for state, action in ep.visits(episode)] for episode in self.seen])
        self.ego = Rationals.of([ep.probability(p, episode) for episode in every])
        self.reward = Rationals.of([[[ep.rewards_to_go(payoffs, episode)[0]]] for episode in every])
        scores, now = zip(*(_scores(payoffs, p, episode) for episode in every), strict=True)
        self.score, self.now = Rationals.of(scores), Rationals.of(now)
        self.weights = [Rationals.of([[c] for c in column]) for column in zip(*weights(batch).values(), strict=True)]
        multisets = list(itertools.combinations_with_replacement(range(len(every)), batch if self.last else 0))
        self.multisets, self.orders = np.array(multisets), np.array([_orders(m) for m in multisets], dtype=object)

    def moments(self, qs: list[Vector], update: ep.Update, episode: int = 0) -> _Moments:
        """Moments from inner episode `episode` on, against co-players that play `qs`."""
        chance = self._chance(qs)
        if episode == self.last:
            return self._final(chance)
        lines = []
        for i, q in enumerate(qs):
            after = [ep.policy("the update", update(q, tuple(self.seen[j] for j in m))) for m in self.multisets]
            drawn = chance.values[i][self.multisets].prod(1) * self.orders
            weight = Rationals(drawn, chance.denominator**self.batch)[:, None, None]
            terms = self._combine(self.moments(after, update, episode + 1))
            lines.append([(weight * term).sum(0) for term in terms])
        return _Moments(*(Rationals.stack(list(column)) for column in zip(*lines, strict=True)))

    def _chance(self, qs: list[Vector]) -> Rationals:
        """[n, episode] probability of each inner episode against each co-player."""
        q = Rationals.of(qs)
        by_action = np.concatenate([q.values, q.denominator - q.values], 1)
        return Rationals(by_action[:, self.path].prod(2), q.denominator ** self.path.shape[1]) * self.ego

    def _final(self, chance: Rationals) -> _Moments:
        """The last inner episode: the streams are independent, so one of them tells everything."""

        def mean(statistic: Rationals) -> Rationals:
            return Rationals((chance @ statistic[:, 0]).values[:, None], chance.denominator * statistic.denominator)

        B, r, c, F = self.batch, self.reward, self.weights[0], mean(self.reward)
        one, g = mean(self.now), c * mean(self.now) * B
        return _Moments(
            F=F,
            F2=mean(r * r),
            F11=F * F,
            slope=mean(r * self.score),
            g=g,
            cross=c * (mean(r * self.now) + one * F * (B - 1)),
            g2=c * c * (mean(self.now * self.now) * B + one * one * (B * (B - 1))),
        )

    def _combine(self, rest: _Moments) -> tuple[Rationals, ...]:
        """The moments given the multiset of this inner episode, one line per multiset, and those of the rest."""
        B, (c_now, c_own, c_all) = self.batch, self.weights
        reward, score = self.reward[self.multisets], self.score[self.multisets]
        mean, scores, squares = reward.sum(1) / B, score.sum(1), (score * score).sum(1)
        pairs = mean * mean * (B * B) - (reward * reward).sum(1)
        now = c_now * self.now[self.multisets].sum(1)
        # the factor of F^b in g is c_own * score^b + c_all * scores; here its sum over b and the sum of its squares
        lever = (c_own + c_all * B) * scores
        square = c_own * c_own * squares + c_all * (c_own * 2 + c_all * B) * scores * scores
        g = now + lever * rest.F
        return (
            mean + rest.F,
            (reward * reward).sum(1) / B + mean * rest.F * 2 + rest.F2,
            pairs / max(B * (B - 1), 1) + mean * rest.F * 2 + rest.F11,
            scores * (mean + rest.F) + rest.slope,
            g + rest.g,
            mean * (g + rest.g) + now * rest.F + lever * (rest.F2 + rest.F11 * (B - 1)) / B + rest.cross,
            now * (now + (lever * rest.F + rest.g) * 2)
            + square * (rest.F2 - rest.F11)
            + lever * (lever * rest.F11 + rest.cross * 2)
            + rest.g2,
        )


def _scores(payoffs: Vector, p: Vector, episode: ep.Episode) -> tuple[list[list[Fraction]], list[list[Fraction]]]:
    """[1, 5] sums over an episode of the score (gradient of log probability), and of score times reward to go."""
    score, now = [Fraction(0)] * 5, [Fraction(0)] * 5
    for (state, action), value in zip(ep.visits(episode), ep.rewards_to_go(payoffs, episode), strict=True):
        surprise = (action == COOPERATE) - p[state]
        score[state] += surprise
        now[state] += surprise * value
    return [score], [now]


def _orders(members: Sequence[int]) -> int:
    """In how many orders the streams can hold this (sorted) multiset of episodes."""
    repeats = (math.factorial(len(list(group))) for _, group in itertools.groupby(members))
    return math.factorial(len(members)) // math.prod(repeats)


def leaves(steps: int, inner_episodes: int, batch: int) -> int:
    """How many single-stream episodes `expectations` evaluates: C(4^T + B - 1, B)^(M-1) 4^T."""
    return math.comb(4**steps + batch - 1, batch) ** (inner_episodes - 1) * 4**steps


def expectations(
    game: MatrixGame,
    ego: Any,
    naive: Any,
    *,
    steps: int,
    inner_episodes: int,
    batch: int,
    update: ep.Update,
    max_leaves: int = 1_000_000,
) -> Expectations:
    """Exact J, its gradient, and mean and variance of each estimator, against a co-player that learns by `update`.

    `ego` and `naive` are memory-one policies in their own views (s0, CC, CD, DC, DD), the ego's without memory across
    inner episodes. All arithmetic is rational and the results are Fractions: give numbers as integers, Fractions or
    strings such as "1/3"; a float stands for its exact binary value.

    Args:
        game: the 2x2 game.
        ego: the ego's probabilities of cooperating.
        naive: the co-player's five probabilities at first, its own view.
        steps: T, steps of an inner episode.
        inner_episodes: M.
        batch: B, parallel trajectories.
        update: the co-player's learning rule, from its probabilities and the minibatch to its next probabilities.
        max_leaves: refuse larger sums.

    Raises:
        ValueError: for a size that is no count, a probability outside [0, 1], or more than `max_leaves` leaves.

    Source: the estimators of Meulemans et al., "Multi-agent cooperation through learning-aware policy gradients"
    (2025), with those of Lu et al., "Model-free opponent shaping" (2022), and of naive learners as baselines.
    """
    refuse_noise(game, "estimators are enumerated", "give policies that slip by themselves")
    ep.check_sizes(steps, inner_episodes, batch)
    ep.check_leaves(leaves(steps, inner_episodes, batch), "C(4^T + B - 1, B)^(M-1) 4^T", max_leaves)
    p, q = ep.policy("ego", ego), ep.policy("naive", naive)
    payoffs = tuple(ep.number(value) for value in game.row_payoffs)
    result = _Recursion(payoffs, p, steps, inner_episodes, batch).moments([q], update)
    J, _, _, gradient, g, _, g2 = (term[0].numbers() for term in result)
    means = dict(zip(ESTIMATORS, map(tuple, g), strict=True))
    variance = dict(zip(ESTIMATORS, map(tuple, g2 - g**2), strict=True))
    return Expectations(J[0, 0], tuple(gradient[0]), **means, variance=variance)
