"""Naive courses in any game against the 2x2 course derived by hand, finite differences, and symmetry."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lapg_theory import float64, general_returns, naive_course
from lapg_theory.game import (
    Discounted,
    FiniteHorizon,
    NormalFormGame,
    graded_dilemma,
    group_strategy,
    prisoners_dilemma,
    public_goods,
    rock_paper_scissors,
)
from lapg_theory.shaping.general import general_course
from lapg_theory.shaping.returns import shaping_value_and_gradient

PD, RANDOM = prisoners_dilemma(), np.random.default_rng(6)


def softmax(x):
    return np.exp(x) / np.exp(x).sum(-1, keepdims=True)


@pytest.mark.parametrize("horizon", [Discounted(0.9), FiniteHorizon(5)], ids=str)
@pytest.mark.parametrize("normalize", [True, False])
def test_two_by_two_equals_the_course_derived_by_hand(horizon, normalize):
    p, q0 = RANDOM.uniform(size=(4, 5)), RANDOM.normal(size=(4, 5))
    logits, row, column = naive_course(PD, horizon, p, q0, 0.7, 6, normalize)
    returns, last = general_course(PD, [p, q0], horizon, naive=[1], eta=0.7, updates=6, normalize=normalize)
    np.testing.assert_allclose(returns[:, 0].T, row, rtol=1e-9)
    np.testing.assert_allclose(returns[:, 1].T, column, rtol=1e-9)
    np.testing.assert_allclose(last[0], logits[:, -1], rtol=1e-9)


def test_the_shaping_gradient_equals_the_adjoint_pass():
    p, q0 = RANDOM.uniform(0.1, 0.9, size=5), RANDOM.normal(size=5)
    value, gradient = shaping_value_and_gradient(PD, Discounted(0.9), p, q0, 0.7, 5)

    def mean(p):
        return general_course(PD, [p, q0], Discounted(0.9), naive=[1], eta=0.7, updates=5)[0][:, 0].mean()

    with float64():
        found = jax.value_and_grad(mean)(jnp.array(p))
    np.testing.assert_allclose(found[0], value, rtol=1e-10)
    np.testing.assert_allclose(found[1], gradient, rtol=1e-8)


def test_a_step_of_three_learners_by_finite_differences():
    """Two naive ones with different numbers of actions, each by its own return; the third stays."""
    game, horizon = NormalFormGame(RANDOM.normal(size=(3, 2, 3, 2))), Discounted(0.8)
    a, b, fixed = RANDOM.normal(size=(13, 2)), RANDOM.normal(size=(13, 3)), RANDOM.uniform(size=13)
    _, last = general_course(game, [a, b, fixed], horizon, naive=[0, 1], eta=0.3, updates=1, normalize=False)

    def returns(a, b):
        return general_returns(game, [softmax(a), softmax(b), np.stack([fixed, 1 - fixed], -1)], horizon)

    for moved, x, seat in zip(last, (a, b), (0, 1), strict=True):
        for row, k in ((0, 0), (4, 1), (12, 0)):
            step = np.zeros_like(x)
            step[row, k] = 1e-5
            up, down = (returns(*((a + s, b) if seat == 0 else (a, b + s)))[seat] for s in (step, -step))
            assert moved[row, k] - x[row, k] == pytest.approx(0.3 * (up - down) / 2e-5, rel=1e-6)


def test_even_play_of_rock_paper_scissors_rests_and_graded_cooperation_dies():
    zeros = np.zeros((10, 3))
    _, last = general_course(rock_paper_scissors(), [zeros] * 2, Discounted(0.9), naive=[0, 1], eta=5.0, updates=3)
    np.testing.assert_allclose(last, 0, atol=1e-12)
    returns, last = general_course(graded_dilemma(), [zeros] * 2, Discounted(0.9), naive=[0, 1], eta=5.0, updates=30)
    opening = softmax(last[0][0])
    assert opening[2] > opening[1] > opening[0]
    assert returns[0, 0] == pytest.approx(5)
    assert returns[-1, 0] < 1


def test_naive_members_of_a_group_learn_to_defect_and_equals_stay_equal():
    game, alld = public_goods(3, 2), group_strategy("alld", 3)
    starts = [np.zeros(7), np.zeros(7)]
    returns, last = general_course(game, [alld, *starts], Discounted(0.9), naive=[1, 2], eta=3.0, updates=20)
    np.testing.assert_allclose(last[0], last[1], rtol=1e-12)
    assert (last[0][[0, -1]] < 0).all()
    np.testing.assert_allclose(returns[:, 1], returns[:, 2], rtol=1e-10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"naive": [2]}, "different seats among 0, ..., 1, got"),
        ({"naive": [1, 1]}, "different seats"),
        ({"eta": -1.0}, "eta must be a finite learning rate >= 0, got -1"),
        ({"eta": float("nan")}, "eta must be a finite"),
        ({"updates": -1}, "updates must be an integer >= 0"),
    ],
)
def test_refusals(change, message):
    with pytest.raises(ValueError, match=message):
        general_course(PD, [np.zeros(5)] * 2, Discounted(0.9), **{"naive": [1], "eta": 1.0, "updates": 2} | change)
