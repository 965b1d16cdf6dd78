"""Shaping with any number of actions against the 2x2 adjoint pass and differences; even play in rock-paper-scissors by hand."""

import numpy as np
import pytest

import lapg_theory as lt
from lapg_theory.game import graded_dilemma, prisoners_dilemma, public_goods, rock_paper_scissors
from lapg_theory.shaping.actions import naive_rest_point, shaping_by_action
from lapg_theory.shaping.general import general_course

RANDOM = np.random.default_rng(8)
HORIZON = lt.Discounted(0.9)


def test_two_actions_are_the_adjoint_pass():
    p, theta = RANDOM.uniform(size=5), RANDOM.normal(size=(3, 5))
    value, slope = shaping_by_action(
        prisoners_dilemma(), np.stack([p, 1 - p], 1), HORIZON, learners=np.stack([theta, 0 * theta], 2), eta=0.7, updates=3
    )  # fmt: skip
    # a logit of the softmax moves with its slope, log-odds with both of them: half the steps at twice the rate
    expected, gradient = lt.shaping_value_and_gradient(prisoners_dilemma(), HORIZON, p, theta, 1.4, 3)
    assert value == pytest.approx(expected.mean(), rel=1e-10)
    np.testing.assert_allclose(slope[:, 0] - slope[:, 1], gradient.mean(0), rtol=1e-8)


def test_three_actions_by_differences():
    game, setting = graded_dilemma(), {"eta": 2.0, "updates": 2}
    policy, theta = RANDOM.dirichlet(np.ones(3), size=10), RANDOM.normal(size=(10, 3))
    _, slope = shaping_by_action(game, policy, HORIZON, learners=theta, **setting)
    for state, to in ((0, 1), (3, 0), (8, 1)):
        way = np.zeros((10, 3))
        way[state, [to, 2]] = 1e-5, -1e-5
        ends = [general_course(game, [policy + s * way, theta], HORIZON, naive=[1], **setting)[0] for s in (1, -1)]
        difference = (ends[0][:, 0].mean() - ends[1][:, 0].mean()) / 2e-5
        assert slope[state, to] - slope[state, 2] == pytest.approx(difference, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("win", [1.0, 2.0])
def test_even_play_in_rock_paper_scissors(win):
    """Nobody's deviation matters but to who deviates at the same moment: modes +- weight / 9 x eigenvalues of the payoffs."""
    found = naive_rest_point(rock_paper_scissors(win=win), [np.zeros((10, 3))] * 2, HORIZON)
    assert found.residual < 1e-12
    root = np.exp(2j * np.pi / 3)
    waves = [win * w**2 - w for w in (root, root.conjugate())]
    weights = [0.1, *[0.1] * 9]  # the opening 1 - gamma, every state gamma / 9
    expected = [sign * weight / 9 * wave for sign in (1, -1) for weight in weights for wave in waves]
    order = [np.sort_complex(np.round(modes, 9)) for modes in (found.modes, expected)]
    np.testing.assert_allclose(*order, atol=1e-8)
    assert found.modes.real.max() == pytest.approx(0.1 * abs(win - 1) / 18, abs=1e-9)


def test_three_players_are_refused():
    with pytest.raises(ValueError, match="must have 2 players, got 3"):
        shaping_by_action(
            public_goods(3, 2), np.full((9, 2), 0.5), HORIZON, learners=np.zeros((9, 2)), eta=1.0, updates=1
        )
