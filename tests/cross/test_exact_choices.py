"""Estimators that credit what an action does to the co-player's choices, summed over all histories of a tiny game.

With exact values the sum is the exact direction of the learning rule of the same name, which solves linear equations.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lapg_rl.config import AlignmentConfig
from lapg_rl.estimators import advantage_alignment, loqa
from lapg_rl.interfaces import Others
from lapg_theory.exact.precision import float64
from lapg_theory.game import FiniteHorizon, prisoners_dilemma
from lapg_theory.learning import AdvantageAlignment, Loqa

T, SCALE = 3, 0.2
PD = prisoners_dilemma()
LOGITS = np.random.default_rng(3).normal(size=(2, 5))
MOVES = np.array(list(itertools.product((0, 1), repeat=2 * T))).reshape(-1, T, 2)
OWN, OTHER = MOVES[..., 0], MOVES[..., 1]


def states(first, second):
    return np.concatenate([np.zeros((len(first), 1), int), 1 + 2 * first[:, :-1] + second[:, :-1]], axis=1)


def log_chances(logits, seen, actions):
    return np.where(actions == 0, -np.logaddexp(0, -logits[seen]), -np.logaddexp(0, logits[seen]))


SEEN = states(OWN, OTHER)
LOG_OTHER = log_chances(LOGITS[1], states(OTHER, OWN), OTHER)
CHANCE = np.exp((log_chances(LOGITS[0], SEEN, OWN) + LOG_OTHER).sum(1))
REWARDS = np.stack([np.array(PD.row, float)[OWN, OTHER], np.array(PD.column, float)[OWN, OTHER]])


def values(rewards):
    """The mean return from each step on, over all histories that are alike up to it."""
    to_go = np.flip(np.flip(rewards, 1).cumsum(1), 1)
    found = np.empty(to_go.shape)
    for t in range(T):
        _, alike = np.unique(MOVES[:, :t].reshape(len(MOVES), -1), axis=0, return_inverse=True)
        sums = [np.bincount(alike.ravel(), CHANCE * x) for x in (to_go[:, t], np.ones(len(MOVES)))]
        found[:, t] = (sums[0] / sums[1])[alike.ravel()]
    return found


VALUES = np.stack([values(rewards) for rewards in REWARDS])


def expected_direction(credits):
    """Sum over histories of chance * sum over steps of credit * grad log pi in the five logits of cooperation."""
    cooperate = 1 / (1 + np.exp(-LOGITS[0]))
    slope = np.where(OWN == 0, 1 - cooperate[SEEN], -cooperate[SEEN])
    found = np.zeros(5)
    np.add.at(found, SEEN, CHANCE[:, None] * slope * credits)
    return found


def credits_of(estimator, **more):
    """Of every history, as a meta-episode of one game and one inner episode."""

    def one(own, mine, other, theirs, chances):
        others = Others(*(x[None, None, None] for x in (other, theirs, chances)))
        seen = {estimator.reads[0]: others}
        return estimator(
            own[None, None], mine[None, None], reward_scale=SCALE, gamma=1.0, gae_lambda=1.0, **seen, **more
        )

    scaled = [SCALE * jnp.asarray(x) for x in (REWARDS[0], VALUES[0], REWARDS[1], VALUES[1])]
    return np.asarray(jax.vmap(one)(*scaled, jnp.exp(jnp.asarray(LOG_OTHER))))[:, 0, 0] / SCALE


def test_advantage_alignment_is_its_rule():
    with float64():
        found = expected_direction(credits_of(advantage_alignment, alignment=AlignmentConfig(beta=0.7)))
    expected, _ = AdvantageAlignment(beta=0.7, normalize=False).direction(PD, FiniteHorizon(T), tuple(LOGITS))
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_loqa_with_exact_action_values_is_its_rule():
    settings = {"temperature": 2.0, "decay": 0.6, "weight": 3.0}
    with float64():
        found = expected_direction(credits_of(loqa, alignment=AlignmentConfig(**settings)))
    expected, _ = Loqa(**settings, normalize=False).direction(PD, FiniteHorizon(T), tuple(LOGITS))
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("settings", [{"past_lambda": 1.0}, {"past": "mean"}])
def test_what_is_run_in_practice_is_not_the_derived_direction(settings):
    """Past advantages that look ahead are correlated with the action that they credit; means are other weights."""
    with float64():
        credits = credits_of(advantage_alignment, alignment=AlignmentConfig(beta=0.7, **settings))
    expected, _ = AdvantageAlignment(beta=0.7, normalize=False).direction(PD, FiniteHorizon(T), tuple(LOGITS))
    assert np.abs(expected_direction(credits) - expected).max() > 0.01
