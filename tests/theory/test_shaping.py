"""The shaping return and its gradient against a plain loop, and what a learning-aware agent makes of naive learners."""

import numpy as np
import pytest

from lapg_theory import naive_course, shaping_return, shaping_value_and_gradient, train_shaper
from lapg_theory.game import ALLD, DC, Discounted, FiniteHorizon, prisoners_dilemma

GAME = prisoners_dilemma()
RANDOM = np.random.default_rng(1)
P, THETA = RANDOM.uniform(size=5), RANDOM.normal(size=5)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def reference_returns(p, theta, horizon):
    """(J_row, J_col) by a plain 4x4 solve or a plain loop over steps."""
    q = sigmoid(theta)[[0, 1, 3, 2, 4]]
    both = np.stack([p * q, p * (1 - q), (1 - p) * q, (1 - p) * (1 - q)], axis=1)
    if isinstance(horizon, Discounted):
        visits = np.linalg.solve(np.eye(4) - horizon.gamma * both[1:].T, both[0])
    else:
        state, visits = both[0], np.zeros(4)
        for _ in range(horizon.steps):
            visits, state = visits + state, state @ both[1:]
    return visits @ [1, -1, 2, 0], visits @ [1, 2, -1, 0]


def reference_course(p, theta, eta, updates, horizon):
    """The learner's logits and both returns before each update and at the end, its gradient by finite differences."""
    course = []
    for update in range(updates + 1):
        course.append((theta, *reference_returns(p, theta, horizon)))
        if update < updates:
            steps = 1e-6 * np.eye(5)
            slope = [
                reference_returns(p, theta + s, horizon)[1] - reference_returns(p, theta - s, horizon)[1] for s in steps
            ]
            theta = theta + eta / horizon.weight * np.array(slope) / 2e-6
    return course


@pytest.mark.parametrize("horizon", [Discounted(0.9), FiniteHorizon(10)], ids=str)
def test_the_course_of_learning_equals_a_plain_loop(horizon):
    expected = reference_course(P, THETA, 2.0, 4, horizon)
    logits, own, other = naive_course(GAME, horizon, P, THETA, 2.0, 4)
    np.testing.assert_allclose(logits, [row[0] for row in expected], atol=1e-7)
    np.testing.assert_allclose(own, [row[1] for row in expected], rtol=1e-7)
    np.testing.assert_allclose(other, [row[2] for row in expected], rtol=1e-7)


@pytest.mark.parametrize("horizon", [Discounted(0.9), FiniteHorizon(10)], ids=str)
@pytest.mark.parametrize("weighting", ["mean", "sum"])
def test_shaping_return_and_gradient_differentiate_through_every_update(horizon, weighting):
    value, gradient = shaping_value_and_gradient(GAME, horizon, P, THETA, 2.0, 4, weighting=weighting)
    own = [row[1] for row in reference_course(P, THETA, 2.0, 4, horizon)]
    assert float(value) == pytest.approx(np.mean(own) if weighting == "mean" else np.sum(own), rel=1e-7)

    def shaped(p):
        return float(shaping_return(GAME, horizon, p, THETA, 2.0, 4, weighting=weighting))

    steps = 1e-6 * np.eye(5)
    np.testing.assert_allclose(gradient, [(shaped(P + s) - shaped(P - s)) / 2e-6 for s in steps], rtol=1e-6, atol=1e-6)


def test_raw_and_normalised_returns_differ_by_the_weight_of_the_horizon():
    horizon = Discounted(0.95)
    one = shaping_return(GAME, horizon, P, THETA, 2.0, 3, normalize=True)
    other = shaping_return(GAME, horizon, P, THETA, 2.0 * (1 - 0.95), 3, normalize=False)
    assert float(one) == pytest.approx(float(other), rel=1e-12)


def test_an_agent_aware_of_learning_extorts_naive_learners():
    """Meulemans et al. (2025), first analytic finding, from unconditional defection and from elsewhere."""
    shaper = train_shaper(GAME, Discounted(0.95), eta=2.0, updates=20, learners=RANDOM.normal(size=(64, 5)))
    np.testing.assert_allclose(shaper.by_start, shaper.value, atol=1e-3)  # every start ends equally well
    assert shaper.residual < 1e-4
    assert shaper.policy[0] < 0.01
    assert shaper.policy[4] < 0.01
    assert shaper.value > 2 * shaper.naive_value > 0
    defection = shaping_return(GAME, Discounted(0.95), ALLD, RANDOM.normal(size=(64, 5)), 2.0, 20).mean() * 0.05
    assert shaper.value > 1.5 * float(defection)
    assert shaper.naive_curve[-1] > shaper.naive_curve[0] - 1
    assert 0.2 < shaper.policy[DC] < 0.6  # it rewards cooperation half-heartedly: that is the extortion
