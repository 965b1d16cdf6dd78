"""Zero-determinant strategies: what they enforce, when they exist, and how fits recover them."""

import itertools
import math

import numpy as np
import pytest
import sympy as sp

from lapg_theory import exact_returns, zd
from lapg_theory.game import (
    ALLD,
    TFT,
    Discounted,
    FiniteHorizon,
    MatrixGame,
    battle_of_the_sexes,
    chicken,
    donation_game,
    extortioner,
    matching_pennies,
    prisoners_dilemma,
)
from lapg_theory.symbolic import zd as derived

PD, AXELROD = prisoners_dilemma(), prisoners_dilemma(5, 3, 1, 0)
RANDOM = np.random.default_rng(11).uniform(size=(30, 5))


def per_step(game, p, gamma):
    horizon = Discounted(gamma)
    return np.stack(exact_returns(game, p, RANDOM, horizon)) / horizon.weight


@pytest.mark.parametrize("gamma", [0.9, 0.99])
@pytest.mark.parametrize(
    ("game", "line"),
    [
        (PD, {"baseline": 0, "chi": 3}),
        (PD, {"baseline": 1, "chi": 2}),
        (PD, {"baseline": 0.4, "slope": 0}),
        (PD, {"baseline": 0.5, "slope": -0.2}),
        (AXELROD, {"baseline": 1, "chi": 4, "phi": 0.12}),
        (AXELROD, {"baseline": 2, "slope": 0.3, "p0": 0.6}),
        (MatrixGame(((2, 0), (3, 1)), ((3, 5), (0, 1))), {"baseline": 1, "slope": 0.4}),
    ],
)
def test_the_line_is_enforced_against_everyone(game, line, gamma):
    p = zd.enforce(game, gamma, **line)
    slope = line.get("slope", 1 / line.get("chi", 1))
    own, other = per_step(game, p, gamma)
    np.testing.assert_allclose(other - line["baseline"], slope * (own - line["baseline"]), atol=1e-10)
    assert np.ptp(own) > 0.1
    found = zd.fit(game, p, gamma)
    assert (found.slope, found.residual) == (pytest.approx(slope, abs=1e-9), pytest.approx(0, abs=1e-12))
    assert found.baseline == pytest.approx(line["baseline"], abs=1e-9)
    if "phi" in line:
        assert found.phi == pytest.approx(line["phi"])


def test_enforced_for_long_without_discount():
    """gamma = 1: the line holds for the average over a long game, up to the reciprocal of its length."""
    p = zd.extortionate(PD, 1, 3)
    steps = 20_000
    own, other = (x / steps for x in exact_returns(PD, p, RANDOM[:5], FiniteHorizon(steps)))
    np.testing.assert_allclose(own, 3 * other, atol=1e-3)


def test_published_vectors():
    """Extort-2 and ZD-GTFT-2 of Stewart & Plotkin 2012, PNAS 109."""
    extort = zd.extortionate(AXELROD, 1, 2, phi=1 / 9)
    np.testing.assert_allclose(extort[1:], [8 / 9, 1 / 2, 1 / 3, 0], atol=1e-15)
    np.testing.assert_allclose(zd.generous(AXELROD, 1, 2, phi=1 / 4), [1, 1, 1 / 8, 1, 1 / 4], atol=1e-15)
    extort3 = zd.fit(AXELROD, (0, 11 / 13, 1 / 2, 7 / 26, 0), 1)
    assert (extort3.chi, extort3.baseline, extort3.residual) == pytest.approx((3, 1, 0))
    np.testing.assert_allclose(zd.extortionate(AXELROD, 1, 3, extort3.phi)[1:], [11 / 13, 1 / 2, 7 / 26, 0], atol=1e-14)


def test_a_line_of_slope_one_has_no_baseline():
    """Undiscounted tit-for-tat earns what the other does, whatever that is.

    With p_DC = 1/2 instead, T + S = R = 1 and P = 0, the normal equations give A + B = 0 and C = (p_CD - 1 + p_DC) / 4.
    """
    equal = zd.fit(PD, TFT, 1)
    assert (equal.slope, equal.chi, equal.residual) == (1, 1, pytest.approx(0, abs=1e-12))
    assert np.isnan(equal.baseline)
    apart = zd.fit(PD, (1, 1, 0, 0.5, 0), 1)
    assert (apart.slope, apart.baseline) == (1, -np.inf)
    assert zd.fit(PD, TFT, 0.9).baseline == pytest.approx(1)


@pytest.mark.parametrize("chi", [1.2, 2, 7.5])
def test_least_discount_of_the_donation_game(chi):
    expected = (chi + 2) / (2 * chi + 1)
    assert zd.gamma_min(PD, chi=chi) == pytest.approx(expected, abs=1e-9)
    assert zd.gamma_min(PD, chi=chi, baseline=1) == pytest.approx(expected, abs=1e-9)
    assert zd.feasible(PD, expected + 1e-6, baseline=0, chi=chi)
    assert not zd.feasible(PD, expected - 1e-6, baseline=0, chi=chi)


def test_least_discount_in_symbols():
    from lapg_theory.symbolic.symbols import chi

    pd = {derived.T: 2, derived.R: 1, derived.P: 0, derived.S: -1, derived.slope: 1 / chi}
    for kind in ("extortionate", "generous"):
        for bound in derived.least_discount(kind).args:
            assert sp.simplify(bound.subs(pd) - (chi + 2) / (2 * chi + 1)) == 0


@pytest.mark.parametrize("payoffs", [(5, 3, 1, 0), (3, 2, 1, -5), (4, 3.9, 0, -0.1), (2, 0.2, 0, -3)])
@pytest.mark.parametrize("slope", [0, 0.4])
def test_least_discount_by_linear_program_and_in_symbols(payoffs, slope):
    game = prisoners_dilemma(*payoffs)
    numbers = dict(zip((derived.T, derived.R, derived.P, derived.S), payoffs, strict=True)) | {derived.slope: slope}
    for kind, baseline in (("extortionate", payoffs[2]), ("generous", payoffs[1])):
        expected = float(derived.least_discount(kind).subs(numbers))
        assert zd.gamma_min(game, slope=slope, baseline=baseline) == pytest.approx(expected, abs=1e-8)


def test_the_whole_range_of_phi_is_feasible_and_nothing_outside():
    low, high = zd.feasible(AXELROD, 0.95, baseline=1, chi=2).phi
    for phi in (low, high):
        zd.enforce(AXELROD, 0.95, baseline=1, chi=2, phi=phi)
    for phi in (low - 1e-6, high + 1e-6, 0.0):
        with pytest.raises(ValueError, match=r"it must lie in \["):
            zd.enforce(AXELROD, 0.95, baseline=1, chi=2, phi=phi)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"gamma": 0.7, "chi": 3, "baseline": 0},
            r"slope 0.333333 .* at gamma = 0.7: it needs gamma >= 0.714286",
        ),
        ({"gamma": 0.9, "chi": 1, "baseline": 0.5}, "only the undiscounted limit, gamma = 1, will do"),
        ({"gamma": 0.9, "slope": 2, "baseline": 0}, "no gamma will do; choose a baseline between P and R"),
        ({"gamma": 0.9, "slope": 0.5, "baseline": 4}, "no gamma will do"),
        ({"gamma": 0.9, "chi": 3, "baseline": 0, "p0": 0.5}, r"p0 = 0.5 .* must lie in \[0, 0\]"),
        ({"gamma": 1.2, "chi": 3, "baseline": 0}, r"gamma must lie in \[0, 1\)"),
        ({"gamma": 0.9, "baseline": 0}, "either slope or chi"),
        ({"gamma": 0.9, "baseline": 0, "chi": 0}, "not 0"),
        ({"gamma": 0.9, "baseline": 0, "chi": 2, "slope": 0.5}, "either slope or chi"),
    ],
)
def test_infeasible_requests_are_refused_with_the_bound(given, message):
    with pytest.raises(ValueError, match=message):
        zd.enforce(PD, given.pop("gamma"), **given)
    assert zd.gamma_min(PD, slope=2) == math.inf and zd.gamma_min(PD, chi=1) == 1


def test_the_undiscounted_limit_admits_tit_for_tat():
    p = zd.enforce(PD, 1, baseline=0.5, chi=1, phi=1 / 3)
    np.testing.assert_allclose(p[1:], TFT[1:], atol=1e-15)


@pytest.mark.parametrize("gamma", [0.8, 1])
def test_residual_of_donation_games(gamma):
    for p in RANDOM[:6]:
        expected = gamma / 2 * abs(p[1] - p[2] - p[3] + p[4])
        assert zd.fit(donation_game(3, 1), p, gamma).residual == pytest.approx(expected, abs=1e-14)
    p, g = derived.p, derived.gamma
    assert sp.expand(derived.donation_residual() - g / 2 * (p[0] - p[1] - p[2] + p[3])) == 0


def test_akin_identity():
    A, B = derived.akin_identity()
    assert (A - derived.gamma * derived.p + derived.COOPERATED).expand() == sp.zeros(4, 1)
    assert sp.expand(B + (1 - derived.gamma) * derived.p0) == 0
    numbers = [sp.Rational(1, k) for k in (2, 3, 4, 5, 6, 7, 8, 9)]
    values = dict(zip([*derived.p, *derived.q], numbers, strict=True)) | {
        derived.p0: sp.Rational(2, 3),
        derived.q0: sp.Rational(1, 3),
        derived.gamma: sp.Rational(9, 10),
    }
    M = derived.transitions().subs(values)
    start = sp.Matrix([[sp.Rational(2, 9), sp.Rational(4, 9), sp.Rational(1, 9), sp.Rational(2, 9)]])
    v = sp.Rational(1, 10) * start * (sp.eye(4) - sp.Rational(9, 10) * M).inv()
    assert (v * A.subs(values))[0] == B.subs(values) and sum(v) == 1


def test_enforcing_policy_in_symbols_is_the_numeric_one():
    numbers = {"T": 5, "R": 3, "P": 1, "S": 0, "gamma": 0.95, "s": 0.5, "l": 1, "phi": 0.12, "p_0": 0}
    symbols = {str(x): x for x in derived.enforcing_policy().free_symbols}
    values = [float(x) for x in derived.enforcing_policy().subs({symbols[k]: v for k, v in numbers.items()})]
    np.testing.assert_allclose(zd.enforce(AXELROD, 0.95, baseline=1, slope=0.5, phi=0.12)[1:], values, atol=1e-12)


@pytest.mark.parametrize("game", [PD, prisoners_dilemma(5, 3, 1, 0)])
def test_extortion_fit_recovers_members_and_agrees_with_a_grid(game):
    T, R, P, S = (float(x) for x in game.trps)
    a, t = (R - P) / (P - S), (T - P) / (P - S)

    def member(chi, phi):
        return 1 - phi * (chi - 1) * a, 1 - phi * (1 + chi * t), phi * (chi + t), 0.0

    found = zd.extortion_fit(game, [0.3, *member(3.0, 0.05)])
    assert (found.chi, found.phi) == (pytest.approx(3), pytest.approx(0.05))
    assert found.loss == pytest.approx(0, abs=1e-20)
    chi, share = np.meshgrid(np.geomspace(1, 500, 300), np.linspace(0, 1, 101))
    grid = np.stack(np.broadcast_arrays(*member(chi, share / (1 + chi * t))), axis=-1)
    for p in RANDOM[:8]:
        found = zd.extortion_fit(game, p)
        assert found.loss == pytest.approx(np.sum((np.array(found.policy) - p[1:]) ** 2))
        nearest = np.min(np.sum((grid - p[1:]) ** 2, axis=-1))
        assert found.loss <= nearest + 1e-9 and found.loss == pytest.approx(nearest, rel=0.02)


@pytest.mark.parametrize(
    ("policy", "residual", "loss", "chi"),
    [
        ((0, 0.969, 0, 0.298, 0), 0.331, 0.150, 3.9),
        ((0, 0.930, 0, 0.395, 0), 0.264, 0.096, 3.3),
        ((0, 0.857, 0, 0.450, 0), 0.203, 0.055, 3.7),
        ((0, 0.707, 0.103, 0.435, 0), 0.084, 0.009, 8.4),
    ],
)
def test_learned_policies_are_near_the_extortion_family_but_not_near_a_line(policy, residual, loss, chi):
    """Optimal policies against naive learners at rates 1, 2, 5, 50 and discount .99, from an independent prototype."""
    assert zd.fit(PD, policy, 0.99).residual == pytest.approx(residual, abs=2e-3)
    found = zd.extortion_fit(PD, policy)
    assert found.loss == pytest.approx(loss, abs=1e-3) and found.chi == pytest.approx(chi, abs=0.05)
    uniform = np.random.default_rng(2).uniform(size=(100, 5))
    assert loss < np.quantile([zd.extortion_fit(PD, p).loss for p in uniform], 0.2)


def test_payoff_polygon_of_an_enforcing_policy_is_a_segment():
    shape = zd.payoff_polygon(PD, zd.extortionate(PD, 0.9, 3), Discounted(0.9), n=50)
    assert shape.hull.shape == (2, 2) and shape.points.shape == (82, 2)
    np.testing.assert_allclose(shape.hull[:, 0], 3 * shape.hull[:, 1], atol=1e-12)
    np.testing.assert_allclose(zd.payoff_polygon(PD, ALLD, Discounted(0.9)).hull, [[0, 0], [2, -1]], atol=1e-12)


def test_payoff_polygon_holds_every_co_player_even_with_longer_memory():
    """A co-player with a clock (cooperate for k steps, then defect) is no memory-one policy; the hull holds it."""
    p, gamma = (0.6, 0.9, 0.3, 0.5, 0.2), 0.8
    hull = zd.payoff_polygon(PD, p, Discounted(gamma), n=20).hull
    for k in range(1, 8):
        own = other = 0.0
        state = {None: 1.0}
        for step in range(200):
            b = 0 if step < k else 1
            new = {}
            for outcome, mass in state.items():
                c = p[0] if outcome is None else p[1 + 2 * outcome[0] + outcome[1]]
                for a, chance in ((0, c), (1, 1 - c)):
                    new[(a, b)] = new.get((a, b), 0) + mass * chance
            weight = (1 - gamma) * gamma**step
            own += weight * sum(m * PD.row[a][b] for (a, b), m in new.items())
            other += weight * sum(m * PD.column[a][b] for (a, b), m in new.items())
            state = new
        ring = np.vstack([hull, hull[:1]])
        turns = [np.cross(np.append(e - s, 0), [own - s[0], other - s[1], 0])[2] for s, e in itertools.pairwise(ring)]
        assert min(turns) > -1e-9


def test_fits_refuse_what_cannot_be_fitted():
    with pytest.raises(ValueError, match="lie on one line whatever is played"):
        zd.fit(matching_pennies(), TFT, 0.9)
    with pytest.raises(ValueError, match="P - S"):
        zd.extortion_fit(chicken(), TFT)
    with pytest.raises(ValueError, match="not symmetric"):
        zd.extortion_fit(battle_of_the_sexes(), TFT)
    with pytest.raises(ValueError, match="five probabilities"):
        zd.fit(PD, (1, 1, 0), 0.9)
    with pytest.raises(ValueError, match="n must be an integer >= 1"):
        zd.payoff_polygon(PD, TFT, Discounted(0.9), n=0)


def test_the_middle_extortioner_is_press_and_dysons():
    """The two policies that Press & Dyson (2012) print for T, R, P, S = 5, 3, 1, 0: factor 3, and factor 1 (tit-for-tat)."""
    game = prisoners_dilemma(5, 3, 1, 0)
    assert extortioner(game, 3) == pytest.approx((0, 11 / 13, 1 / 2, 7 / 26, 0))
    assert extortioner(game, 1, 1 / 5) == (0, 1, 0, 1, 0)
    for bad in ({"factor": 0.9}, {"factor": 3, "scale": 0.08}, {"factor": 3, "scale": 0}):
        with pytest.raises(ValueError, match="must"):
            extortioner(game, **bad)


@pytest.mark.parametrize("payoffs", [(2, 1, 0, -1), (5, 3, 1, 0), (4, 3, 2, 0)])
def test_extortioners_enforce_their_factor(payoffs):
    game = prisoners_dilemma(*payoffs)
    found = zd.fit(game, extortioner(game, 2.5), 1)
    assert (found.chi, found.baseline, found.residual) == pytest.approx((2.5, payoffs[2], 0), abs=1e-9)
