"""Symbolic components and thresholds against the numeric certificate, exact returns and known special cases."""

import numpy as np
import pytest
import sympy as sp
from shaping_reference import shaping_gradient

from lapg_theory.certificate import defection_certificate
from lapg_theory.game import ALLD, donation_game, symmetric_game
from lapg_theory.symbolic import thresholds as derived

NUMBERS = {"T": 5.0, "R": 3.0, "P": 1.0, "S": 0.2, "gamma": 0.9}
LEARNER = dict(zip(("q_0", "q_CC", "q_CD", "q_DC", "q_DD"), (0.3, 0.8, 0.6, 0.25, 0.1), strict=True))
GAME = symmetric_game(5.0, 3.0, 1.0, 0.2)


@pytest.mark.parametrize("state", derived.STATES)
@pytest.mark.parametrize("payoffs", [derived.AGENT, derived.LEARNER])
def test_the_short_form_is_the_derived_one(state, payoffs):
    difference = derived.component(state, payoffs) - derived.closed_component(state, payoffs)
    assert sp.simplify(difference) == 0


def test_components_on_the_face_against_automatic_differentiation():
    p = (0, 0.7, 0.4, 0, 0)
    exact = shaping_gradient(GAME, 0.9, p, np.array([list(LEARNER.values())]), 1.0, 0)[0]
    for index, state in zip((0, 3, 4), derived.STATES, strict=True):
        twin = derived.Statement(state, "", derived.component(state, face=True))
        assert 0.1 * twin(**NUMBERS, **LEARNER, p_CC=0.7, p_CD=0.4) == pytest.approx(exact[index], rel=1e-12)


def test_linearised_threshold_of_the_donation_game():
    b, c, g = derived.b, derived.c, derived.gamma
    expected = 32 * c / ((b**2 + c**2) * (3 * g**2 - 4 * g + 2) + b * c * g**2)
    found = derived.linearised_time("logit").expression.subs(derived.DONATION)
    assert sp.simplify(found - expected) == 0
    assert sp.limit(found.subs({b: 2, c: 1}), g, 1) == sp.Rational(32, 7)
    ratio = derived.linearised_time("logit").expression / derived.linearised_time("probability").expression
    assert sp.simplify(ratio) == 16


@pytest.mark.parametrize("space", ["logit", "probability"])
def test_linearised_threshold_is_where_small_rates_change_the_sign_of_the_first_order(space):
    """Second-order Richardson: d/d eta of the DC component at eta = 0, M = 1, by the numeric certificate."""
    step = 1e-4

    def dc(eta):
        found = defection_certificate(GAME, gamma=0.9, eta=eta, updates=1, init=[0.5] * 5, space=space)
        return found.components["DC"].value

    still, one, two = dc(1e-12), dc(step), dc(2 * step)
    slope = (4 * one - two - 3 * still) / (2 * step)
    assert derived.linearised_time(space)(**NUMBERS) == pytest.approx(-still / slope, rel=1e-5)


def test_single_update_window_is_that_of_the_certificate():
    _, lower, upper = derived.single_update()
    numbers = {"T": 2.0, "R": 1.0, "P": 0.0, "S": -1.0}
    for gamma, raw in ((0.9, 0.03619), (0.95, 0.016467), (0.99, 0.0030445)):
        assert (1 - gamma) * lower(**numbers, gamma=gamma) == pytest.approx(raw, rel=2e-4)
    found = defection_certificate(GAME, gamma=0.9, eta=1.0, updates=1, init=[0.5] * 5, space="probability")
    assert found.window[0] == pytest.approx(lower(**NUMBERS), rel=1e-6)
    assert upper(**NUMBERS) < 0  # no upper edge for these payoffs but by clipping
    assert upper(**numbers, gamma=0.9) == pytest.approx(8.2206, abs=1e-4)


@pytest.mark.parametrize("eta", [0.05, 0.4, 1.0])
def test_single_update_component_against_automatic_differentiation(eta):
    exact = shaping_gradient(GAME, 0.9, ALLD, np.full((1, 5), 0.5), eta, 1, "probability")[0, 3]
    assert derived.single_update()[0](**NUMBERS, eta=eta) == pytest.approx(exact, rel=1e-12)


def test_single_update_edges_of_the_donation_game():
    b, c, g, eta = derived.b, derived.c, derived.gamma, derived.eta
    kappa = 3 * g**2 - 4 * g + 2
    load = (b**2 + c**2) * kappa + b * c * g**2
    component = derived.single_update()[0].expression.subs(derived.DONATION)
    quadratic = b * c**2 * g**2 * kappa * eta**2 - 2 * load * eta + 4 * c
    assert sp.simplify(component + g * quadratic / 8) == 0


def test_critical_shares_and_batch_size_are_those_of_the_certificate():
    found = defection_certificate(donation_game(3, 1), gamma=0.95, eta=10.0, updates=20)
    for state in ("s0", "DD"):
        share = derived.critical_share(state)(P=0, S=-1, gamma=0.95, G=found.components[state].value)
        assert share == pytest.approx(found.p_critical[state], rel=1e-12)
    part = found.components["DC"]
    assert derived.critical_batch()(direct=part.direct, via=part.via_learning) == pytest.approx(found.batch_star)


def test_a_missing_number_is_named():
    with pytest.raises(ValueError, match="needs a number for G, S"):
        derived.critical_share("s0")(P=0, gamma=0.9)
    with pytest.raises(ValueError, match='space must be "logit" or "probability", got'):
        derived.linearised_time("simplex")
