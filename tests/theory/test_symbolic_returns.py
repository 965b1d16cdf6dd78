"""Closed forms in SymPy against the numeric routes, and against hand calculation."""

import numpy as np
import pytest
import sympy as sp

from lapg_theory import action_values, exact_returns, occupancy
from lapg_theory.exact.gradients import returns_and_gradients
from lapg_theory.game import Discounted, MatrixGame, prisoners_dilemma
from lapg_theory.symbolic import symbolic_action_values, symbolic_gradient, symbolic_returns, zero_determinant
from lapg_theory.symbolic.returns import STRATEGIES
from lapg_theory.symbolic.symbols import gamma, p0

GAME = prisoners_dilemma(5, 3, 1, 0)
UNEVEN = MatrixGame(((3, -2), (5, 1)), ((2, 4), (-1, sp.Rational(1, 2))))
PAIRS = [("reactive", "reactive"), ("alld", "general"), ("tft", "reactive"), ("wsls", "tft"), ("grim", "allc")]


def numbers_for(*policies):
    """Values for every symbol of the policies, and the policies as numbers; gamma 0.9."""
    symbols = sorted(sp.Tuple(*sum(policies, ())).free_symbols, key=str)
    values = dict(zip(symbols, np.random.default_rng(8).uniform(0.1, 0.9, len(symbols)), strict=True))
    return {**values, gamma: 0.9}, [[float(sp.sympify(x).subs(values)) for x in policy] for policy in policies]


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_closed_forms_equal_the_numeric_routes(pair):
    policies = [STRATEGIES[name](letter) for name, letter in zip(pair, "pq", strict=True)]
    values, (p, q) = numbers_for(*policies)
    found = symbolic_returns(*pair, UNEVEN)
    expected = np.array(exact_returns(UNEVEN, p, q, Discounted(0.9))) * (1 - 0.9)
    np.testing.assert_allclose(found.function(*(values[s] for s in found.arguments)), expected, rtol=1e-12)
    shares = [float(share.subs(values)) for share in found.occupancy]
    np.testing.assert_allclose(shares, occupancy(p, q, Discounted(0.9)), rtol=1e-12, atol=1e-15)
    Q = np.array(symbolic_action_values(*pair, UNEVEN).subs(values).tolist(), float)
    np.testing.assert_allclose(Q, action_values(UNEVEN, p, q, Discounted(0.9)), rtol=1e-12)
    slope = [float(component.subs(values)) for component in symbolic_gradient(*pair, UNEVEN)]
    numeric = returns_and_gradients(UNEVEN, p, q, Discounted(0.9)).row_by_p
    np.testing.assert_allclose(slope, numeric * (1 - 0.9), rtol=1e-11, atol=1e-14)


def test_the_gradient_is_the_derivative_of_the_return():
    first, *_ = symbolic_gradient("reactive", "tft")
    found = symbolic_returns("reactive", "tft")
    assert sp.simplify(sp.diff(found.row, p0) - first) == 0


def test_two_general_policies_in_symbols():
    policies = [STRATEGIES["general"](letter) for letter in "pq"]
    values, (p, q) = numbers_for(*policies)
    found = symbolic_returns(game=GAME)
    assert len(found.arguments) == 11
    expected = np.array(exact_returns(GAME, p, q, Discounted(0.9))) * (1 - 0.9)
    np.testing.assert_allclose(found.function(*(values[s] for s in found.arguments)), expected, rtol=1e-11)


def test_gradient_at_mutual_tit_for_tat_in_symbols():
    g, (T, R, S) = gamma, sp.symbols("T R S", real=True)
    hand = (R * (1 + g) - T - g * S) / (1 + g)
    at = symbolic_gradient("tft", "tft")
    assert sp.simplify(at[0] - hand) == 0
    assert sp.simplify(at[1] - hand * g / (1 - g)) == 0
    assert at[2:] == (0, 0, 0)


def test_gradient_at_mutual_defection_in_symbols():
    g, (P, S) = gamma, sp.symbols("P S", real=True)
    at = symbolic_gradient("alld", "alld")
    assert [sp.simplify(a - b) for a, b in zip(at, ((1 - g) * (S - P), 0, 0, 0, g * (S - P)), strict=True)] == [0] * 5


def test_a_zero_determinant_strategy_enforces_its_line_against_everyone():
    slope, baseline, phi = sp.Rational(1, 2), 1, sp.Rational(1, 10)
    policy = zero_determinant(slope, baseline, phi, 0, GAME)
    found = symbolic_returns(policy, "reactive", GAME)
    assert sp.simplify(found.column - baseline - slope * (found.row - baseline)) == 0


def test_unknown_names_and_wrong_lengths_are_refused():
    with pytest.raises(ValueError, match=r"unknown strategy 'nice'; known: general"):
        symbolic_returns("nice", "tft")
    with pytest.raises(ValueError, match=r"five entries .* got 4"):
        symbolic_returns((0, 0, 0, 0), "tft")
