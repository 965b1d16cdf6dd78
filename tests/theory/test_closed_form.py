"""The closed-form shaping gradient at defection against automatic differentiation through the plainest chain."""

import numpy as np
import pytest
from shaping_reference import shaping_gradient

from lapg_theory.certificate.closed_form import VISITED, DefectionFace, learn
from lapg_theory.game import MatrixGame, prisoners_dilemma, symmetric_game

ASYMMETRIC = MatrixGame(((3, -2), (5, 1)), ((2, 4), (-1, 0.5)))


@pytest.mark.parametrize("space", ["logit", "probability"])
@pytest.mark.parametrize(
    ("game", "gamma", "eta", "updates", "p_cc", "p_cd"),
    [
        (prisoners_dilemma(), 0.95, 2.0, 20, 0.0, 0.0),
        (prisoners_dilemma(5, 3, 1, 0), 0.99, 0.7, 1, 0.0, 0.0),
        (symmetric_game(3, 4, 1, 0.5), 0.6, 30.0, 3, 0.8, 0.0),
        (symmetric_game(T=1, R=2, P=3, S=4), 0.9, 0.3, 2, 0.35, 1.0),
        (ASYMMETRIC, 0.93, 0.4, 5, 1.0, 0.6),
    ],
)
def test_components_equal_automatic_differentiation(game, gamma, eta, updates, p_cc, p_cd, space):
    q = np.random.default_rng(3).uniform(0.1, 0.9, (3, 5))
    parts = learn(DefectionFace(game, gamma, q, p_cc=p_cc, p_cd=p_cd, space=space), eta, updates)
    full = shaping_gradient(game, gamma, (0, p_cc, p_cd, 0, 0), q, eta, updates, space)
    np.testing.assert_allclose(parts.sum(0).T, full[:, list(VISITED)], rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(full[:, [1, 2]], 0)  # CC and CD


def test_direct_part_is_the_gradient_against_learners_that_stand_still():
    q = np.random.default_rng(5).uniform(0.1, 0.9, (4, 5))
    direct, via = learn(DefectionFace(ASYMMETRIC, 0.9, q), 0.0, 3)
    still = learn(DefectionFace(ASYMMETRIC, 0.9, q), 5.0, 0)[0]
    np.testing.assert_allclose(direct, still, rtol=1e-14)
    assert (via == 0).all()


def test_frozen_states_enter_linearly_at_defection():
    """So their mean is all that matters, and the expectation is over three numbers, not five."""
    q = np.random.default_rng(6).uniform(0.1, 0.9, (1, 5)).repeat(5, 0)
    q[:4, [1, 3]] = [(0, 0), (0, 1), (1, 0), (1, 1)]
    q[4, [1, 3]] = 0.5
    total = learn(DefectionFace(prisoners_dilemma(), 0.95, q), 2.0, 6).sum(0)
    np.testing.assert_allclose(total[:, :4].mean(1), total[:, 4], rtol=1e-12)


def test_one_component_alone_equals_that_of_all():
    q = np.random.default_rng(7).uniform(0.1, 0.9, (6, 5))
    rates = np.linspace(0.1, 9, 6)
    alone = learn(DefectionFace(prisoners_dilemma(), 0.95, q, states=(3,)), rates, 4)
    together = learn(DefectionFace(prisoners_dilemma(), 0.95, q), rates, 4)
    np.testing.assert_allclose(alone[:, 0], together[:, 1], rtol=1e-13)


def test_a_learner_at_the_edge_of_probability_space_stays_and_stops_being_moved():
    """From q_CD near 0 one large step leaves [0, 1]: clipped there, its derivative by p is zero."""
    q = np.array([[0.5, 0.5, 0.01, 0.5, 0.6]])
    total = learn(DefectionFace(prisoners_dilemma(), 0.9, q, space="probability"), 3.0, 2).sum(0)[:, 0]
    full = shaping_gradient(prisoners_dilemma(), 0.9, np.zeros(5), q, 3.0, 2, "probability")
    np.testing.assert_allclose(total, full[0, list(VISITED)], rtol=1e-12)
