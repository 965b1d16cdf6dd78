"""Estimators that credit what an action does to the co-player's choices, summed over all histories of a tiny game.

With exact values the sum is the exact direction of the learning rule of the same name, which solves linear equations.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lapg_rl.config import AlignmentConfig
from lapg_rl.estimators import advantage_alignment, loqa, reciprocator
from lapg_rl.interfaces import Influences, Others
from lapg_theory.exact.precision import float64
from lapg_theory.game import FiniteHorizon, prisoners_dilemma
from lapg_theory.learning import AdvantageAlignment, Loqa, Naive

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


def given(cases, x):
    """The mean of x over all histories alike in `cases` [n, ...], for each history."""
    _, alike = np.unique(cases.reshape(len(cases), -1), axis=0, return_inverse=True)
    sums = [np.bincount(alike.ravel(), CHANCE * x) for x in (x, np.ones(len(cases)))]
    return (sums[0] / sums[1])[alike.ravel()]


def test_the_reciprocator_rewards_itself_for_nothing_on_average_but_for_what_it_changes():
    """Its rewards have mean 0 given all but the own action, so what they add is sum_t E g_t d/dlogit E[r_2t | b_t]."""
    influences = np.zeros((2, len(MOVES), T))  # mine, its
    for t in range(T):
        before = MOVES[:, :t].reshape(len(MOVES), -1)
        for k, (rewards, action) in enumerate(((REWARDS[1], OTHER), (REWARDS[0], OWN))):
            alike = np.concatenate([before, action[:, t, None]], axis=1)
            influences[k, :, t] = rewards[:, t] - given(alike, rewards[:, t])
    settings = AlignmentConfig(reciprocity=0.8, debit=0.6, balance_decay=0.5)

    def one(own, value, mine, its):
        seen = Influences(mine[None, None], its[None, None])
        more = {"influences": seen, "reward_scale": SCALE, "alignment": settings, "gamma": 1.0}
        return reciprocator.intrinsic(**more)[0, 0], reciprocator(
            own[None, None], value[None, None], gae_lambda=1.0, **more
        )

    with float64():
        told = (SCALE * jnp.asarray(x) for x in (REWARDS[0], VALUES[0], *influences))
        rewards, credits = jax.vmap(one)(*told)
    added, balance, cooperate = np.zeros(5), np.zeros(len(MOVES)), 1 / (1 + np.exp(-LOGITS[0]))
    for t in range(T):
        alike = np.concatenate([MOVES[:, :t].reshape(len(MOVES), -1), OTHER[:, t, None]], axis=1)
        np.testing.assert_allclose(given(alike, np.asarray(rewards)[:, t] / SCALE), 0, atol=1e-12)
        p, b = cooperate[SEEN[:, t]], OTHER[:, t]
        slope = p * (1 - p) * (np.array(PD.column, float)[0, b] - np.array(PD.column, float)[1, b])
        np.add.at(added, SEEN[:, t], 0.8 * CHANCE * balance * slope)
        balance = 0.5 * balance + influences[1, :, t] - 0.6 * influences[0, :, t]
    own, _ = Naive(normalize=False).direction(PD, FiniteHorizon(T), tuple(LOGITS))
    np.testing.assert_allclose(expected_direction(np.asarray(credits)[:, 0, 0] / SCALE), own + added, atol=1e-12)
    assert np.abs(added).max() > 0.05


@pytest.mark.parametrize("settings", [{"past_lambda": 1.0}, {"past": "mean"}])
def test_what_is_run_in_practice_is_not_the_derived_direction(settings):
    """Past advantages that look ahead are correlated with the action that they credit; means are other weights."""
    with float64():
        credits = credits_of(advantage_alignment, alignment=AlignmentConfig(beta=0.7, **settings))
    expected, _ = AdvantageAlignment(beta=0.7, normalize=False).direction(PD, FiniteHorizon(T), tuple(LOGITS))
    assert np.abs(expected_direction(credits) - expected).max() > 0.01
