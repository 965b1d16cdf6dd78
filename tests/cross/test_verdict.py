"""Verdicts and statistics: against simulation, closed forms and scipy's own tests."""

import math

import numpy as np
import pytest
from scipy import stats

from lapg_rl.crossval import statistics
from lapg_rl.crossval.verdict import POWER, Exact, Level, Sampled


def sampled(statistic=3.0, noncentrality=50.0, dof=5, samples=1000):
    return Sampled("x", statistic, dof, noncentrality, samples, "an effect")


def test_verdicts():
    assert sampled().verdict(0.001) == "confirmed"
    assert sampled(statistic=30.0).verdict(0.001) == "refuted"
    assert sampled(statistic=30.0, noncentrality=0.1).verdict(0.001) == "refuted"
    assert sampled(noncentrality=10.0).verdict(0.001) == "underpowered"
    assert sampled(statistic=math.nan).verdict(0.001) == "refuted"
    assert sampled(statistic=math.inf).verdict(0.001) == "refuted"


def test_an_effect_of_zero_is_never_confirmed():
    row = sampled(noncentrality=0.0).row(0.001)
    assert (row["verdict"], row["needed"], row["detectable"]) == ("underpowered", None, None)


def test_power_is_what_it_says():
    """At the sample size that is asked for, simulated tests see the effect in POWER of the cases; |z| < 4."""
    check, alarm = sampled(noncentrality=10.0), 0.01
    wanted = 10.0 * check.needed(alarm) / check.samples
    draws = np.random.default_rng(0).normal(size=(20_000, 5))
    draws[:, 0] += math.sqrt(wanted)
    seen = ((draws**2).sum(1) > stats.chi2.isf(alarm, 5)).mean()
    assert abs(seen - POWER) < 4 * math.sqrt(POWER * (1 - POWER) / 20_000)


def test_exact_comparisons_need_a_tolerance_far_below_the_effect():
    assert Exact("x", 0.0, 0.0, 1.0, "e").verdict() == "confirmed"
    assert Exact("x", 1e-9, 1e-6, 1e-4, "e").verdict() == "confirmed"
    assert Exact("x", 1e-9, 1e-6, 1e-6, "e").verdict() == "underpowered"
    assert Exact("x", 1e-5, 1e-6, 1.0, "e").verdict() == "refuted"
    assert Exact("x", math.nan, 1e-6, 1.0, "e").verdict() == "refuted"


def test_the_comparisons_of_a_level_share_its_false_alarm_rate():
    exact = Exact("x", 0.0, 0.0, 1.0, "e")
    level = Level("L0", (sampled(), sampled(), sampled(), exact), {}, (), 0.05)
    assert 1 - (1 - level.each) ** 3 == pytest.approx(0.05)
    assert level.verdict == "confirmed"
    assert Level("L0", (exact, sampled(noncentrality=1.0)), {}, (), 0.05).verdict == "underpowered"
    assert Level("L0", (sampled(noncentrality=1.0), sampled(statistic=90.0)), {}, (), 0.05).verdict == "refuted"


def test_a_comparison_of_one_mean_is_the_z_test():
    """Student's t at 4,999 degrees of freedom differs from the normal law by 1% this far out."""
    x = np.random.default_rng(1).normal(2.0, 3.0, size=(5000, 1))
    check = statistics.compare_means("x", x, [2.1], [0.3], "0.3")
    assert check.p_value == pytest.approx(stats.ttest_1samp(x[:, 0], 2.1).pvalue, rel=0.02)
    assert check.noncentrality == pytest.approx(5000 * 0.3**2 / x.var(ddof=1), rel=1e-9)


def test_correlated_means_are_compared_with_their_covariance():
    """False alarms at 5% over 2,000 sets of strongly correlated samples: within 4 standard errors."""
    rng = np.random.default_rng(2)
    mix = np.array([[1.0, 0.9, 0.2], [0.0, 0.5, 0.3], [0.0, 0.0, 0.1]])
    p = [
        statistics.compare_means("x", rng.normal(size=(400, 3)) @ mix, [0] * 3, [1] * 3, "").p_value
        for _ in range(2000)
    ]
    assert abs(np.mean(np.array(p) < 0.05) - 0.05) < 4 * math.sqrt(0.05 * 0.95 / 2000)


def test_constant_components_must_be_met_exactly():
    x = np.concatenate([np.random.default_rng(3).normal(size=(1000, 2)), np.full((1000, 1), 0.25)], axis=1)
    good = statistics.compare_means("x", x, [0, 0, 0.25], [1, 1, 0], "")
    assert (good.dof, good.verdict(1e-6)) == (2, "confirmed")
    assert statistics.compare_means("x", x, [0, 0, 0.26], [1, 1, 0], "").verdict(1e-6) == "refuted"


def test_a_constant_sum_must_be_met_to_single_precision():
    """Both returns of a game of constant sum, payoffs that single precision rounds: the sum is 0.6 up to 2e-8."""
    x = np.array([[-0.1, 0.7], [0.7, -0.1]], np.float32)[np.random.default_rng(5).integers(2, size=100_000)]
    assert statistics.compare_means("x", x, [0.3, 0.3], 0.02 * np.eye(2), "").verdict(1e-6) == "confirmed"
    assert statistics.compare_means("x", x, [0.3, 0.301], 0.02 * np.eye(2), "").verdict(1e-6) == "refuted"


def test_false_alarms_of_few_samples_too():
    """64 samples in 5 dimensions: 1% of 3,000 sets within 4 standard errors, where plain chi-square gives 2.4%."""
    draws = np.random.default_rng(7).normal(size=(3000, 64, 5))
    p = [statistics.compare_means("x", draw, [0] * 5, [1] * 5, "").p_value for draw in draws]
    assert abs(np.mean(np.array(p) < 0.01) - 0.01) < 4 * math.sqrt(0.01 * 0.99 / 3000)


def test_the_effect_that_is_hardest_to_see_counts():
    x = np.random.default_rng(4).normal(size=(1000, 2)) * [1.0, 10.0]
    both = statistics.compare_means("x", x, [0, 0], [[1, 0], [0, 1]], "")
    assert both.noncentrality == pytest.approx(1000 / 100, rel=0.1)


def test_linear_fit_equals_least_squares_of_the_whitened_problem():
    rng = np.random.default_rng(5)
    design, means = rng.normal(size=(4, 2)), rng.normal(size=(4, 3))
    roots = rng.normal(size=(4, 3, 3))
    c, left = statistics.fit_linear(design, means, roots @ np.swapaxes(roots, 1, 2))
    rows = [np.linalg.solve(roots[i], np.kron(design[i], np.eye(3))) for i in range(4)]
    found, residual, *_ = np.linalg.lstsq(
        np.concatenate(rows), np.concatenate([np.linalg.solve(roots[i], means[i]) for i in range(4)]), rcond=None
    )
    np.testing.assert_allclose(c.ravel(), found, rtol=1e-6)
    assert left == pytest.approx(residual[0], rel=1e-6)


def test_slope_of_a_power_law_and_its_error():
    x = np.array([1.0, 2.0, 4.0, 8.0])
    slope, _ = statistics.fitted_slope(x, 3 * x**-1.5, x**-1.5)
    assert slope == pytest.approx(-1.5)
    draws = 1 + 0.01 * np.random.default_rng(6).normal(size=(4000, 4))
    slopes = [statistics.fitted_slope(x, x**2 * d, 0.01 * x**2)[0] for d in draws]
    assert np.std(slopes) == pytest.approx(statistics.fitted_slope(x, x**2, 0.01 * x**2)[1], rel=0.05)


def test_binomial_interval_holds_the_tails_that_it_should():
    low, high = statistics.binomial_interval(12, 200)
    assert stats.binom.sf(11, 200, low) == pytest.approx(0.025)
    assert stats.binom.cdf(12, 200, high) == pytest.approx(0.025)
    assert statistics.binomial_interval(0, 10)[0] == 0 and statistics.binomial_interval(10, 10)[1] == 1
