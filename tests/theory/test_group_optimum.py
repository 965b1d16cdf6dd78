"""What one agent can earn from a group of naive learners, by second routes: whole courses, and the game of two."""

import numpy as np
import pytest

from lapg_theory.game import FiniteHorizon, group_strategy, prisoners_dilemma, public_goods
from lapg_theory.shaping.general import general_course
from lapg_theory.shaping.group import group_curves, group_optimum

SETTING = {"eta": 6.0, "episodes": 4}
HORIZON = FiniteHorizon(3)


def test_curves_are_those_of_a_course_of_learning():
    game, policy = public_goods(3, 2.0), np.array([0.9, 0.8, 0.6, 0.1, 0.5, 0.3, 0.05])
    starts = np.random.default_rng(0).normal(size=(2, 2, 7))
    own, theirs = group_curves(game, policy, HORIZON, starts=starts, **SETTING)
    seats = [np.tile(policy, (2, 1)), starts[:, 0], starts[:, 1]]
    returns, _ = general_course(game, seats, HORIZON, naive=[1, 2], eta=6.0, updates=3)
    returns = np.asarray(returns).mean(-1) / 3
    np.testing.assert_allclose(own, returns[:, 0], atol=1e-12)
    np.testing.assert_allclose(theirs, returns[:, 1:].mean(1), atol=1e-12)


def test_a_policy_for_each_episode_is_played_in_its_turn():
    game, learners = public_goods(3, 2.0), np.zeros((1, 2, 7))
    first, last = np.full(7, 0.5), np.array(group_strategy("alld", 3))
    own, _ = group_curves(game, [first] * 3 + [last], HORIZON, starts=learners, **SETTING)
    same, _ = group_curves(game, first, HORIZON, starts=learners, **SETTING)
    np.testing.assert_allclose(own[:3], same[:3], atol=1e-12)
    assert own[3] > same[3]


def test_the_best_policy_of_a_group_of_two_is_that_of_the_dilemma():
    """By the search for 2x2 games; the gain over defecting is large, and knowing the inner episode adds to it."""
    from lapg_theory.shaping.optimum import train_shaper

    pair = public_goods(2, 4 / 3, 3.0)
    found = group_optimum(pair, HORIZON, starts=4, **SETTING)
    told = train_shaper(prisoners_dilemma(), HORIZON, eta=6.0, updates=3, learners=np.zeros((1, 5)))
    assert found.reward == pytest.approx(float(told.value), abs=1e-6)
    np.testing.assert_allclose(found.learners_curve, told.naive_curve, atol=1e-4)
    assert group_optimum(pair, HORIZON, starts=1, by_episode=True, **SETTING).reward >= found.reward - 1e-9
    assert found.curve.mean() == pytest.approx(found.reward, abs=1e-9)
