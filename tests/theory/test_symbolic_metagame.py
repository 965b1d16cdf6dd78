"""The closed forms behind the mixed-pool game, against a dense solve, against the numeric game, and as printed."""

import numpy as np
import pytest
import sympy as sp

from lapg_theory import MetaGame, exact_returns
from lapg_theory.game import Discounted, prisoners_dilemma
from lapg_theory.metagame.objective import partial
from lapg_theory.symbolic import metagame as derived
from lapg_theory.symbolic.thresholds import Statement

NUMBERS = {"T": 5.0, "R": 3.0, "P": 1.0, "S": 0.2, "gamma": 0.9, "p_CC": 0.8, "p_CD": 0.3, "p_DC": 0.45}
PD = {"T": 2, "R": 1, "P": 0, "S": -1}


def test_outcome_values_against_a_dense_solve():
    p, q = (np.array([0.8, 0.3, 0.45, 0]), np.array([0.8, 0.45, 0.3, 0]))
    M = np.stack([p * q, p * (1 - q), (1 - p) * q, (1 - p) * (1 - q)], axis=1)
    expected = np.linalg.solve(np.eye(4) - 0.9 * M, [3.0, 0.2, 5.0, 1.0])
    found = [Statement(str(k), "", value)(**NUMBERS) for k, value in enumerate(derived.outcome_values())]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_outcome_values_in_their_short_form():
    """Derived by hand for P = 0, with total = V_CD + V_DC; identical as rational functions."""
    g, x, y, z = derived.gamma, derived.p_cc, derived.p_cd, derived.p_dc
    T, R, S = derived.T, derived.R, derived.S
    V_CC, V_CD, V_DC, V_DD = (value.subs(derived.P, 0) for value in derived.outcome_values())
    m, keep = y + z - 2 * y * z, 1 - g * x**2
    total = ((S + T) + 2 * g * y * z * R / keep) / (1 - g * m - 2 * g**2 * y * z * x * (1 - x) / keep)
    gap = (S - T) / (1 - g * (y - z))
    assert V_DD == 0
    short = ((total + gap) / 2, (total - gap) / 2, (R + g * x * (1 - x) * total) / keep)
    for value, other in zip((V_CD, V_DC, V_CC), short, strict=True):
        assert sp.cancel(sp.together(value - other)) == 0


def test_hold_and_temptation_are_partial_gradients_of_the_numeric_game():
    game, horizon, step = prisoners_dilemma(5.0, 3.0, 1.0, 0.2), Discounted(0.9), 1e-6
    for statement, opening in ((derived.hold(), 1.0), (derived.temptation(), 0.0)):
        other = (opening, 0.8, 0.3, 0.45, 0.0)
        own = [(x, 0.8, 0.3, 0.45, 0.0) for x in (0.5 + step, 0.5 - step)]
        up, down = exact_returns(game, own, other, horizon)[0] / horizon.weight
        assert statement(**NUMBERS) == pytest.approx((up - down) / (2 * step), rel=1e-8)


def test_critical_share_and_basin_are_those_of_the_numeric_game():
    meta = MetaGame(prisoners_dilemma(), gamma=0.99, p_naive=0.9, eta=4.0, updates=5, nodes=32)
    found = meta.cooperation()
    policy = {name: found.policy[i] for name, i in (("p_CC", 1), ("p_CD", 2), ("p_DC", 3))}
    numbers = PD | {"gamma": 0.99, "G": found.shaping[0], "share": 0.9} | policy
    assert found.policy[4] == 0
    assert derived.p_critical()(**numbers) == pytest.approx(meta.p_critical(), rel=1e-12)
    assert derived.basin_boundary()(**numbers) == pytest.approx(meta.basin_boundary(), rel=1e-12)
    for opening in (0.9, 1.1):
        both = np.array([[opening * meta.basin_boundary(), *found.policy[1:]]])
        slope = 0.9 * found.shaping[0] + 0.1 * partial(meta.setting(), both, both)[1][0, 0]
        assert np.sign(slope) == np.sign(opening - 1)


def test_forgiveness_needed():
    """Without forgiving (p_CD = 0) the drive to open with C needs p_DC > -S / (gamma T) if P = 0: 1 / (2 gamma)."""
    found = derived.forgiveness_needed().expression
    assert sp.cancel(found.subs(derived.P, 0) + derived.S / (derived.gamma * derived.T)) == 0
    needed = derived.forgiveness_needed()(**PD, gamma=0.99)
    meta = MetaGame(prisoners_dilemma(), gamma=0.99, p_naive=0.0, nodes=1)
    slopes = [meta.field(p, p)[0] for p in ((0, 1, 0, needed + shift, 0) for shift in (-1e-4, 1e-4))]
    assert slopes[0] < 0 < slopes[1]
