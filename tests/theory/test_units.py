"""Nothing depends on the unit of payoffs or on a constant added to them: odd payoffs times 1e-9, 1, 1e9, and shifted."""

import itertools

import numpy as np
import pytest
import sympy as sp

from lapg_theory import MetaGame, defection_certificate, shaping_return, train_shaper, zd
from lapg_theory.evolution import Population
from lapg_theory.game import ALLD, TFT, Discounted, prisoners_dilemma, symmetric_game
from lapg_theory.game.units import normalised, on_one_scale
from lapg_theory.learning import sobol_logits
from lapg_theory.metagame.labels import labels
from lapg_theory.metagame.response import t_quantile

ODD = (2.3, 1.1, 0.1, -0.7)
UNITS = [(1e-9, 0), (1e9, 0), (1.7e-7, 3), (1, -7.3)]


def game(unit=1.0, shift=0.0):
    return prisoners_dilemma(*(unit * (payoff + shift) for payoff in ODD))


@pytest.mark.parametrize(("unit", "shift"), UNITS)
def test_payoffs_come_back_from_their_own_units(unit, shift):
    given = game(unit, shift)
    scaled, row, column = normalised(given)
    assert row == column and 2 <= np.ptp(scaled.row_payoffs) < 4 and scaled.row_payoffs[3] == 0
    np.testing.assert_allclose(row.level(np.array(scaled.row_payoffs)), given.row_payoffs, rtol=1e-12)
    assert np.log2(row.unit) == round(np.log2(row.unit))
    assert normalised(prisoners_dilemma())[0] == prisoners_dilemma() == on_one_scale(prisoners_dilemma())[0]
    with pytest.raises(ValueError, match="no numbers"):
        normalised(symmetric_game(*sp.symbols("T R P S")))


@pytest.mark.parametrize(("unit", "shift"), [(1, 0), (1e6, 0), (1e6, 1), (1e-9, 5), (1e9, 1000)])
def test_rest_points_of_hawks_and_doves(unit, shift):
    """One stable mixture, one half, and two unstable corners, for the payoffs 0 3 / 1 2."""
    types = Population(("h", "d"), unit * (np.array([[0, 3], [1, 2]]) + shift))
    points = types.rest_points()
    assert [point.stable for point in points] == [True, False, False]
    np.testing.assert_allclose([point.shares for point in points], [[0.5, 0.5], [1, 0], [0, 1]], atol=1e-9)
    np.testing.assert_allclose([p.payoff / unit - shift for p in points], [1.5, 0, 2], atol=1e-6)
    np.testing.assert_allclose(points[0].modes / unit, [-0.5], rtol=1e-6)
    assert types.verdict("h", "d") == "coexistence: balance at 0.5 h"


def test_equal_but_for_rounding_is_neutral():
    third = 1 / 3
    assert Population(("a", "b"), [[3 * 0.1, third], [0.3, third * (1 + 2e-16)]]).verdict("a", "b") == "neutral"


def test_single_precision_shares_are_shares():
    types = Population(("h", "d"), [[0, 3], [1, 2]])
    shares = np.array([0.1, 0.9], np.float32)
    times, path = types.run(shares, 5.0, points=3)
    np.testing.assert_allclose(path, types.run([0.1, 0.9], 5.0, points=3)[1], atol=1e-6)
    assert path[0].sum() == pytest.approx(1, abs=1e-15) and len(times) == 3
    with pytest.raises(ValueError, match="sum to 1"):
        types.run([0.1, 0.9001], 5.0)


def pool(unit=1.0, shift=0.0, **changes):
    return MetaGame(
        game(unit, shift), **{"gamma": 0.97, "p_naive": 0.6, "eta": 2 / unit, "updates": 3, "nodes": 16} | changes
    )


@pytest.fixture(scope="module")
def plain():
    return pool().fixed_points(starts=1, nash=False), pool()


@pytest.mark.parametrize(("unit", "shift"), UNITS)
def test_cooperation_and_its_edge_know_no_units(plain, unit, shift):
    _, at_one = plain
    meta = pool(unit, shift)
    assert meta.p_critical() == pytest.approx(at_one.p_critical(), rel=1e-6)
    assert meta.basin_boundary() == pytest.approx(at_one.basin_boundary(), rel=1e-6)
    assert meta.boundary_pull() / unit == pytest.approx(at_one.boundary_pull(), rel=1e-5)


@pytest.mark.parametrize(
    ("unit", "shift"), [pytest.param(*pair, marks=[] if pair == (1.7e-7, 3) else pytest.mark.slow) for pair in UNITS]
)
def test_the_atlas_knows_no_units(plain, unit, shift):
    expected, _ = plain
    found = pool(unit, shift).fixed_points(starts=1, nash=False)
    assert {(p.label, p.stability) for p in found} == {(p.label, p.stability) for p in expected}
    for point in expected:
        nearest = min(found, key=lambda p: np.abs(p.policy - point.policy).max())
        np.testing.assert_allclose(nearest.policy, point.policy, atol=1e-6)
        assert nearest.self_play / unit - shift == pytest.approx(point.self_play, abs=1e-6)
        assert nearest.stability == point.stability


def test_words_and_best_replies_know_no_units():
    policies = np.array([TFT, ALLD, (0, 0.9, 0, 0.3, 0)], float)
    assert len({tuple(labels(pool(*by).setting(), policies, policies)) for by in [(1, 0), *UNITS]}) == 1
    replies = [pool(*by, nodes=8).best_response(ALLD, starts=1) for by in [(1, 0), (1e-9, 0), (1e9, 2)]]
    for (unit, shift), reply in zip([(1, 0), (1e-9, 0), (1e9, 2)], replies, strict=True):
        np.testing.assert_allclose(reply.policy, replies[0].policy, atol=1e-5)
        for name in ("gain", "error", "margin", "tolerance"):
            assert getattr(reply, name) / unit == pytest.approx(getattr(replies[0], name), rel=1e-4)
        assert reply.value / unit - shift == pytest.approx(replies[0].value, rel=1e-6)
        assert reply.nash == replies[0].nash


def test_the_search_for_the_best_shaper_moves_in_every_unit():
    learners, starts = np.zeros((1, 5)), [(0.5,) * 5]
    found = {}
    for unit, shift in [(1, 0), *UNITS]:
        best = train_shaper(
            game(unit, shift), Discounted(0.9), eta=2 / unit, updates=3, learners=learners, starts=starts
        )
        found[unit, shift] = [best.value / unit - shift, best.naive_value / unit - shift, *best.curve / unit - shift]
        assert np.abs(best.policy - 0.5).max() > 0.4 and best.residual <= 1e-6 * unit
    for numbers in found.values():
        np.testing.assert_allclose(numbers, found[1, 0], rtol=1e-5, atol=1e-5)


def test_the_error_of_a_shaper_is_that_of_its_own_learners():
    """The value is the mean over one set of learners, so its error is the spread of such means, not of a mean over four."""
    horizon = Discounted(0.9)
    best = train_shaper(game(), horizon, eta=2.0, updates=2, starts=[(0, 1, 0, 0.3, 0)])
    means = [
        shaping_return(game(), horizon, best.policy, sobol_logits(512, seed), 2.0, 2).mean() / horizon.weight
        for seed in range(4)
    ]
    assert best.value == pytest.approx(means[0], rel=1e-9)
    assert best.error == pytest.approx(np.std(means, ddof=1), rel=1e-6)


@pytest.mark.parametrize(("unit", "shift"), UNITS)
def test_lines_of_payoffs_know_no_units(unit, shift):
    given, plain = game(unit, shift), game()
    assert (
        zd.gamma_min(given, chi=3) == pytest.approx(zd.gamma_min(plain, chi=3), rel=1e-6)
        and zd.gamma_min(plain, chi=3) < 1
    )
    ours, theirs = zd.extortionate(given, 0.95, 3), zd.extortionate(plain, 0.95, 3)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    phi = zd.feasible(given, 0.95, chi=3, baseline=given.row_payoffs[3]).phi
    np.testing.assert_allclose(np.multiply(phi, unit), zd.feasible(plain, 0.95, chi=3, baseline=0.1).phi, rtol=1e-6)
    fit = zd.fit(given, ours, 0.95)
    assert (fit.slope, fit.baseline / unit - shift, fit.residual) == pytest.approx((1 / 3, 0.1, 0), abs=1e-6)
    assert fit.phi * unit == pytest.approx(zd.fit(plain, theirs, 0.95).phi, rel=1e-6)


@pytest.mark.slow
def test_the_certificate_knows_no_units():
    found, verdicts = {}, set()
    for unit, shift in [(1, 0), *UNITS]:
        by = defection_certificate(game(unit, shift), gamma=0.9, eta=2 / unit, updates=3, nodes=32, scramblings=4)
        parts = [by.components[state].value / unit for state in ("s0", "DC", "DD")]
        edges = np.multiply(by.window, unit)
        found[unit, shift] = [*parts, *edges, by.nash.gain / unit, by.nash.error / unit, by.nash.value / unit - shift]
        verdicts.add(by.nash.is_nash)
    assert len(verdicts) == 1
    for numbers in found.values():
        np.testing.assert_allclose(numbers, found[1, 0], rtol=1e-4, atol=1e-5)


def test_quantiles_of_student():
    """Tables of Student's t: 95% two-sided, 1, 4, 7, 30 degrees of freedom."""
    found = [t_quantile(n) for n in (2, 5, 8, 31)]
    np.testing.assert_allclose(found, [12.706, 2.776, 2.365, 2.042], atol=6e-4)
    assert t_quantile(1) == 0
    draws = np.random.default_rng(0).standard_normal((20_000, 5))
    reach = draws.mean(1) / (draws.std(1, ddof=1) / np.sqrt(5))
    covered = [(np.abs(reach) < q).mean() for q in (2, t_quantile(5))]
    np.testing.assert_allclose(covered, [0.884, 0.95], atol=0.01)  # five standard deviations


def test_the_edge_repels_where_the_field_after_cd_says_so():
    """F_CD at the boundary by central differences of what a policy earns; positive there, so K's edge is left."""
    meta = pool(eta=2.0)
    x = meta.basin_boundary()
    point = np.append(x, meta.cooperation().policy[1:])
    low, high = (point + np.eye(5)[2] * step for step in (0.0, 1e-5))
    slope = (meta.value(high, point) - meta.value(low, point)) / 1e-5
    assert 0 < x < 1 and meta.boundary_pull() == pytest.approx(float(slope), rel=1e-3, abs=1e-6)
    assert np.isnan(pool(p_naive=1.0).boundary_pull())


def test_both_ways_to_say_the_unit_of_a_rate():
    """Payoffs times k at a rate over k: the same learners, so the same policy; here against each other, all pairs."""
    for (unit, _), (other, _) in itertools.pairwise([(1, 0), *UNITS]):
        a, b = (pool(u).field(TFT, ALLD) / u for u in (unit, other))
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
