"""Deterministic learning dynamics against published numbers, the natural gradient, softmax rest points, and pyCRLD's view."""

import numpy as np
import pytest

from lapg_theory import action_values, occupancy
from lapg_theory.game import (
    TFT,
    Discounted,
    FiniteHorizon,
    MatrixGame,
    from_peer,
    prisoners_dilemma,
    stag_hunt,
    symmetric_game,
    to_peer,
)
from lapg_theory.learning import ActorCritic, Naive, Sarsa

UNEVEN = MatrixGame(((3, -2), (5, 1)), ((2, 4), (-1, 0.5)))
RANDOM = np.random.default_rng(3)
LOGITS = tuple(RANDOM.normal(size=(2, 4, 5)))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_a_published_step():
    """R 1, T 1.2, S -.5, P 0, gamma .9, alpha .1, all 1/2: next P(C) = 1 / (1 + e^.035), with values as sums."""
    zeros, game = (np.zeros(5), np.zeros(5)), symmetric_game(1.2, 1, 0, -0.5)
    for rule in (ActorCritic(rate=0.1, normalize=False), ActorCritic(rate=0.1, beta=10), Sarsa(rate=0.1, beta=10)):
        for policy in rule.step(game, Discounted(0.9), zeros):
            np.testing.assert_allclose(sigmoid(policy), 1 / (1 + np.exp(0.035)), rtol=1e-12)


@pytest.mark.parametrize(("x", "ends"), [(5 / 7 - 1e-3, 0), (5 / 7 + 1e-3, 1)])
def test_separatrix_of_the_stag_hunt(x, ends):
    """One state is a policy that is the same in all of them."""
    game, rule = stag_hunt(0.8, 1, 0, -0.5), ActorCritic(rate=100.0)
    joint = (np.full(5, np.log(x / (1 - x))),) * 2
    for _ in range(100):
        joint = rule.step(game, Discounted(0.9), joint)
    np.testing.assert_allclose(sigmoid(joint[0]), ends, atol=1e-6)
    still = rule.step(game, Discounted(0.9), (np.full(5, np.log(2.5)),) * 2)
    np.testing.assert_allclose(still[0], np.log(2.5), atol=1e-12)


@pytest.mark.parametrize("normalize", [True, False])
def test_actor_critic_is_the_natural_gradient(normalize):
    """The policy gradient over the Fisher matrix of the (discounted) visits; and the update as the papers write it."""
    horizon, (p, q) = Discounted(0.8), map(sigmoid, LOGITS)
    found, _ = ActorCritic(normalize=normalize).direction(UNEVEN, horizon, LOGITS)
    gradient, _ = Naive(normalize=normalize).direction(UNEVEN, horizon, LOGITS)
    visits = np.concatenate([np.ones((4, 1)), 0.8 * 5 * occupancy(p, q, horizon)], -1)  # sums over steps
    np.testing.assert_allclose(found, gradient / (visits * p * (1 - p)), rtol=1e-10)
    Q = action_values(UNEVEN, p, q, horizon) * (0.2 if normalize else 1)
    weights = np.stack([p, 1 - p], -1) * np.exp(0.3 * Q)
    stepped, _ = ActorCritic(rate=0.3, normalize=normalize).step(UNEVEN, horizon, LOGITS)
    np.testing.assert_allclose(sigmoid(stepped), weights[..., 0] / weights.sum(-1), rtol=1e-12)


def test_sarsa_as_the_papers_write_it_and_where_it_rests():
    horizon, (p, q) = Discounted(0.8), map(sigmoid, LOGITS)
    pi = np.stack([p, 1 - p], -1)
    delta = 2.5 * 0.2 * action_values(UNEVEN, p, q, horizon) - np.log(pi)
    weights = pi * np.exp(0.3 * delta)
    stepped, _ = Sarsa(rate=0.3, beta=2.5).step(UNEVEN, horizon, LOGITS)
    np.testing.assert_allclose(sigmoid(stepped), weights[..., 0] / weights.sum(-1), rtol=1e-12)
    joint = LOGITS
    for _ in range(200):
        joint = Sarsa(rate=0.3, beta=2.5).step(UNEVEN, horizon, joint)
    p, q = map(sigmoid, joint)
    Q = np.exp(2.5 * 0.2 * action_values(UNEVEN, p, q, horizon))
    np.testing.assert_allclose(p, Q[..., 0] / Q.sum(-1), rtol=1e-9)


def test_pycrld_shares_the_first_players_view_and_has_no_start():
    policy = np.array([0.9, 0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(to_peer(policy, "pycrld", 0), [0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(to_peer(policy, "pycrld", 1), [0.1, 0.3, 0.2, 0.4])
    for player in (0, 1):
        back = from_peer(to_peer(policy, "pycrld", player), "pycrld", player, first=0.9)
        np.testing.assert_allclose(back, policy)
        for name in ("lola", "lola-dice", "axelrod"):
            np.testing.assert_allclose(from_peer(to_peer(policy, name, player), name, player), policy)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ActorCritic().step(prisoners_dilemma(), FiniteHorizon(3), LOGITS), r"give Discounted\(gamma\)"),
        (lambda: Sarsa(beta=-1), "beta must be a finite number >= 0, got -1"),
        (lambda: from_peer([0.5] * 4, "pycrld"), "give first: the vector has no start"),
        (lambda: from_peer(TFT, "axelrod", first=0.5), "leave first out"),
        (lambda: from_peer(TFT, "pycrld", first=0.5), "has 4 entries in its last axis"),
        (lambda: from_peer([0.5] * 4, "pycrld", first=1.5), "holds 1.5, which is no probability"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
