"""Windows, times, shares, batch sizes and verdicts of the defection certificate."""

import math
import time

import numpy as np
import pytest
from shaping_reference import shaping_gradient

from lapg_theory import exact_returns, naive_course
from lapg_theory.certificate import defection_certificate, initial_learners
from lapg_theory.certificate.thresholds import positive_interval
from lapg_theory.certificate.verdicts import decide
from lapg_theory.game import (
    ALLD,
    Discounted,
    chicken,
    donation_game,
    matching_pennies,
    prisoners_dilemma,
    stag_hunt,
    symmetric_game,
)
from lapg_theory.shaping.climb import End

PD = prisoners_dilemma()


MADE = {}


def certify(game=PD, **given):
    """A certificate, which keeps what it has computed for the next test that asks."""
    key = repr((game, sorted((name, np.asarray(x).tolist()) for name, x in given.items())))
    if key not in MADE:
        MADE[key] = defection_certificate(game, **({"gamma": 0.95, "eta": 2.0, "updates": 20} | given))
    return MADE[key]


@pytest.mark.parametrize(
    ("gamma", "updates", "lower", "upper"),
    [
        (0.95, 1, 10.4, 22.4),
        (0.95, 2, 4.23, 38.1),
        (0.95, 5, 1.60, 51.0),
        (0.95, 20, 0.390, 66.8),
        (0.99, 1, 9.70, 20.9),
        (0.99, 3, 2.50, 38.5),
        (0.99, 10, 0.718, 46.4),
        (0.99, 20, 0.356, 53.6),
    ],
)
def test_window_for_normal_logits(gamma, updates, lower, upper):
    """Numbers computed by an independent prototype (five-dimensional quadrature, bisection), to its three digits."""
    found = certify(gamma=gamma, updates=updates)
    assert found.window == pytest.approx((lower, upper), rel=5e-3)
    assert all(error < 2e-3 * edge for error, edge in zip(found.rate_scan.errors, found.window, strict=True))


def test_component_changes_sign_at_the_window_by_automatic_differentiation():
    learners = initial_learners(1.0, nodes=128, scramblings=2, seed=9).reshape(-1, 5)
    lower, upper = certify(updates=3).window
    for rate, sign in ((0.95 * lower, -1), (1.05 * lower, 1), (0.95 * upper, 1), (1.05 * upper, -1)):
        assert np.sign(shaping_gradient(PD, 0.95, ALLD, learners, rate, 3).mean(0)[3]) == sign


def test_window_for_one_initial_policy_and_for_wider_spreads():
    coin = certify(init=[0.5] * 5)
    assert coin.window == pytest.approx((0.2721, 60.58), rel=1e-3)
    assert coin.rate_scan.errors == (0, 0)
    assert certify(init=0.0).window == pytest.approx(coin.window, rel=1e-9)
    assert certify(init=2.0).window[0] == pytest.approx(0.862, rel=0.01)


def test_window_scales_with_the_payoffs():
    few = {"nodes": 128}  # it holds for any learners
    window = np.array(certify(game=symmetric_game(20, 10, 0, -10), **few).window)
    np.testing.assert_allclose(10 * window, certify(**few).window, rtol=1e-6)
    shifted = certify(game=symmetric_game(7, 6, 5, 4), **few).window
    np.testing.assert_allclose(shifted, certify(**few).window, rtol=1e-6)


@pytest.mark.parametrize(
    "given",
    [
        {"game": symmetric_game(3, 2, 1, -5)},
        {"game": symmetric_game(1.5, 1, 0, -3)},
        {"init": 3.0},
        {"gamma": 0.0},
    ],
)
def test_no_window_comes_with_the_scan_that_says_so(given):
    found = certify(**given)
    assert found.window is None and found.tau_lower is None and found.errors["window"] is None
    low, high = found.rate_scan.scanned
    assert low < 0.01 and high > 1000 and low <= found.rate_scan.peak <= high
    assert found.rate_scan.peak_value <= 0
    if found.setting.gamma:
        learners = initial_learners(given.get("init", 1.0), nodes=64, scramblings=4, seed=3).reshape(-1, 5)
        gradient = shaping_gradient(found.setting.game, 0.95, ALLD, learners, found.rate_scan.peak, 20).mean(0)
        assert gradient[3] < 0


def test_a_window_narrower_than_a_cell_of_the_scan_is_found():
    grid = np.geomspace(0.01, 100, 20)

    def bump(x):
        return 0.02 - np.abs(np.log(np.asarray(x) / 3))

    assert (bump(grid) < 0).all()
    found = positive_interval(lambda x: bump([x, x]), bump, grid)
    assert found.edges == pytest.approx((3 * math.exp(-0.02), 3 * math.exp(0.02)), rel=1e-6)
    assert positive_interval(lambda x: bump([x]) - 0.03, lambda x: bump(x) - 0.03, grid).edges is None


def test_edges_outside_the_scan_are_zero_and_infinity():
    found = positive_interval(lambda x: np.ones(2), np.ones_like, np.geomspace(1, 10, 5))
    assert found.edges == (0, math.inf) and found.errors == (0, 0)


@pytest.mark.parametrize(("gamma", "time"), [(0.95, 7.74), (0.99, 7.08)])
def test_critical_time_is_the_limit_of_many_small_updates(gamma, time):
    found = certify(gamma=gamma)
    assert found.tau_star == pytest.approx(time, abs=0.01)
    assert found.time_scan.error < 0.005
    # Euler steps converge like 1 / updates: extrapolate 10 and 20
    coarse, fine = (certify(gamma=gamma, updates=m).tau_lower for m in (10, 20))
    assert found.tau_star == pytest.approx(2 * fine - coarse, rel=1e-3)


def test_critical_time_may_not_exist():
    found = certify(game=symmetric_game(3, 2, 1, -5))
    assert found.tau_star is None and found.time_scan.searched > 100


def test_critical_gamma_is_where_the_window_of_learning_rates_passes():
    """At gamma* the fixed raw rate, in units of returns per step, is an edge of the window at gamma*."""
    low, high = certify(eta=0.02, normalize_returns=False).gamma_window
    assert low == pytest.approx(0.949, abs=5e-4)
    for gamma, edge in ((low, 0), (high, 1)):
        assert 0.02 / (1 - gamma) == pytest.approx(certify(gamma=gamma).window[edge], rel=1e-4)
    assert certify(game=symmetric_game(3, 2, 1, -5), eta=0.02, normalize_returns=False).gamma_window is None


def test_raw_learning_rates_are_the_normalised_ones_divided():
    raw, normalised = certify(eta=0.1, normalize_returns=False), certify(eta=0.1 / 0.05)
    assert raw.components["DC"].value == pytest.approx(normalised.components["DC"].value, rel=1e-12)


def test_critical_shares_of_the_two_components_that_have_one():
    found = certify(game=donation_game(3, 1), eta=10.0)
    assert found.p_critical["s0"] == pytest.approx(0.682, abs=2e-3)
    assert found.p_critical["DD"] == pytest.approx(0.925, abs=2e-3)
    assert found.p_critical["DC"] == 0 and found.p_critical["CC"] is None
    assert all(certify().p_critical[state] is None for state in ("s0", "DD"))


def test_summed_inner_episodes_weigh_the_learners_more():
    found = certify(p_naive=0.05, weighting="sum")
    assert found.setting.p_naive == pytest.approx(0.525, abs=5e-4)
    assert found.local.gradient == certify(p_naive=found.setting.p_naive).local.gradient


@pytest.mark.parametrize(("share", "sign"), [(0.66, -1), (0.70, 1)])
def test_start_component_of_the_pool_changes_sign_at_its_share(share, sign):
    game = donation_game(3, 1)
    learners = initial_learners(1.0, nodes=128, scramblings=2, seed=8).reshape(-1, 5)
    shaping = shaping_gradient(game, 0.95, ALLD, learners, 10.0, 20).mean(0)
    horizon, step = Discounted(0.95), 1e-6
    nearby = exact_returns(game, [[step, 0, 0, 0, 0], ALLD], ALLD, horizon)[0] / horizon.weight
    mixed = share * shaping[0] + (1 - share) * (nearby[0] - nearby[1]) / step
    assert np.sign(mixed) == sign
    found = certify(game=game, eta=10.0, p_naive=share)
    assert found.local.gradient["s0"] == pytest.approx(mixed, abs=2e-4)


def test_critical_batch_size():
    found = certify()
    assert found.batch_star == pytest.approx(3.638, abs=0.01)
    assert found.errors["batch_star"] < 0.01
    assert all(certify(eta=eta, updates=m).batch_star < 5.6 for eta in (0.5, 3, 15) for m in (1, 5, 50))
    assert certify(gamma=0.0).batch_star is None
    assert certify(eta=0.39).batch_star == pytest.approx(1, abs=0.01)  # the lower edge: via learning = -direct


def test_components_at_forty_updates_turn_positive_in_other_states_too():
    """Sums over the 41 inner episodes: s0 +.0095 (gamma .95), +.0056 (.99), DD +.945 (.999), eta 10."""
    for gamma, state, total in ((0.95, "s0", 0.0095), (0.99, "s0", 0.0056), (0.999, "DD", 0.945)):
        found = certify(gamma=gamma, eta=10.0, updates=40).components[state]
        assert 41 * found.value == pytest.approx(total, rel=0.03)
        assert found.value == pytest.approx(found.direct + found.via_learning, abs=1e-15)


def test_local_verdict_follows_the_window_and_the_face_goes_first():
    inside, edge, below, above = (certify(eta=eta, nodes=256) for eta in (2.0, 0.35, 0.2, 100.0))
    assert not inside.local and inside.local.p_critical == 0
    assert below.local and below.local.face_stable and below.local.p_critical is None
    assert edge.local and not edge.local.face_stable and above.local and not above.local.face_stable
    p_cc, p_cd, state, value = edge.local.face_worst
    assert (p_cc, state) == (1, "DC")
    learners = edge.setting.everywhere.reshape(-1, 5)
    full = shaping_gradient(PD, 0.95, (0, p_cc, p_cd, 0, 0), learners, 0.35, 20).mean(0)
    assert full[3] == pytest.approx(value, rel=1e-9)


def pool_return(found, p):
    """Return per step of the fixed policy p in the pool, from the course of every learner, episode by episode."""
    setting = found.setting
    horizon = Discounted(setting.gamma)
    q = setting.everywhere.reshape(-1, 5)
    logits, *_ = naive_course(setting.game, horizon, p, np.log(q / (1 - q)), setting.eta, setting.updates)
    against_learners = exact_returns(setting.game, p, 1 / (1 + np.exp(-logits)), horizon)[0].mean()
    against_defectors = exact_returns(setting.game, p, ALLD, horizon)[0]
    return (setting.p_naive * against_learners + (1 - setting.p_naive) * against_defectors) / horizon.weight


@pytest.mark.parametrize("share", [1.0, 0.3])
def test_just_below_the_window_defection_is_locally_stable_but_not_nash(share):
    found = certify(eta=0.35, p_naive=share, nodes=256)
    assert found.local and not found.nash
    gain = pool_return(found, found.nash.deviation) - pool_return(found, ALLD)
    assert gain == pytest.approx(found.nash.gain, rel=1e-6) and gain > 3 * found.nash.error
    p0, p_cc, _, p_dc, p_dd = found.nash.deviation
    assert p0 == p_dd == 0 and p_cc > 0.9 and 0.02 < p_dc < 0.1  # costs nothing against defectors


def test_far_below_the_window_defection_is_nash():
    found = certify(eta=0.1, nodes=256)
    assert found.nash and found.nash.gain <= 1e-6
    for p in np.random.default_rng(0).uniform(0, 0.2, (20, 5)):
        assert pool_return(found, p) < pool_return(found, ALLD)


def test_near_its_threshold_the_nash_verdict_is_undecided():
    """With few learners the slope in DC at (0, 1, 0, 0, 0) may as well be positive; with many it is, and is found so."""
    few = certify(eta=0.28, nodes=16).nash
    assert few.is_nash is None and not few
    state, slope, error = few.doubt
    assert state == "DC" and abs(slope) < 2 * error
    many = certify(eta=0.28, nodes=256).nash
    assert many.is_nash is False and many.gain > 2 * many.error and many.doubt is None


def test_verdicts_by_gain_and_error():
    def end(gain, error, doubt=None):
        return End(np.full(5, gain), gain, ""), gain, error, doubt

    slope = ("DC", 0.1, 0.2)
    for ends, verdict, gain, doubt in (
        ([end(0.0, 0.0), end(-0.1, 0.04)], True, 0.0, None),
        ([end(0.0, 0.0), end(-0.1, 0.06)], None, -0.1, None),
        ([end(0.3, 0.2), end(0.2, 0.05)], False, 0.2, None),
        ([end(0.3, 0.2), end(0.0, 0.0)], None, 0.3, None),
        ([end(0.0, 0.0, slope)], None, 0.0, slope),
        ([end(-0.1, 0.01, slope), end(0.0, 0.0)], True, 0.0, None),
    ):
        found = decide(ends, 1e-6)
        assert (found.is_nash, found.gain, found.deviation[0], found.doubt) == (verdict, gain, gain, doubt)


def test_probability_space_learners():
    found = certify(space="probability", init=[0.5] * 5, updates=1, gamma=0.9)
    assert found.window[0] == pytest.approx(0.3619, abs=1e-3)
    with pytest.raises(ValueError, match="logit"):
        _ = found.nash


def test_stag_hunt_has_a_certificate():
    assert certify(game=stag_hunt()).window is not None


def test_the_window_takes_less_than_two_seconds_of_processor_time():
    start = time.process_time()
    assert certify(seed=123).window
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"gamma": 1.0}, r"gamma must lie in \[0, 1\), got 1.0"),
        ({"updates": 2.5}, "updates must be an integer >= 1, got 2.5"),
        ({"updates": 0}, "updates must be an integer >= 1"),
        ({"eta": 0.0}, "eta must be a positive, finite learning rate, got 0.0"),
        ({"eta": math.nan}, "eta must be a positive"),
        ({"p_naive": 1.2}, r"p_naive must lie in \[0, 1\], got 1.2"),
        ({"space": "simplex"}, "space must be one of logit, probability, got 'simplex'"),
        ({"init": -1.0}, "standard deviation >= 0"),
        ({"init": [0.5, 2, 0, 0, 0]}, "init holds 2.0"),
        ({"init": np.full((2, 2, 5), 0.5)}, r"population \[n, 5\], got shape \(2, 2, 5\)"),
        ({"nodes": 1000}, "power of two"),
        ({"game": chicken()}, "is no dilemma"),
        ({"game": matching_pennies()}, "is no dilemma"),
    ],
)
def test_refusals(given, message):
    with pytest.raises(ValueError, match=message):
        certify(**given)


def test_printed_it_shows_its_table():
    """The lower edge is the one of `test_window_for_normal_logits`."""
    lines = str(certify()).splitlines()
    assert lines[0] == f"Defection certificate: {PD.name}" and lines[-1].startswith("gamma 0.95, eta 2, updates 20")
    shown = {line[:38].strip(): line.split() for line in lines[1:-1]}
    low = shown["window of naive learning rates: from"]
    assert float(low[6]) == pytest.approx(0.390, rel=5e-3) and low[7] == "±"
