"""Intervals against textbook formulas and against the law of what they cover."""

import numpy as np
import pytest
from scipy.stats import binomtest, ttest_ind

from lapg_rl.study.intervals import (
    bootstrap,
    estimate,
    holm,
    jackknife_errors,
    of_frequency,
    of_mean,
    of_metric,
    p_of_difference,
)


def test_three_values_by_hand():
    found = of_mean([1.0, 2.0, 6.0])
    error = np.sqrt(7.0) / np.sqrt(3)  # variance (4 + 1 + 9) / 2
    half = 4.302653 * error  # the printed 97.5 % quantile of Student's t with 2 degrees of freedom
    assert (found.value, found.error, found.low, found.high) == pytest.approx((3, error, 3 - half, 3 + half), rel=1e-6)
    assert found.count == 3
    assert of_mean([2.0]) == estimate(2.0, None, 1)
    assert of_mean([2.0]).low is None


@pytest.mark.parametrize(("hits", "trials"), [(7, 10), (1, 12), (29, 30)])
def test_a_frequency_has_the_interval_of_as_many_trials_as_its_runs_are_worth(hits, trials):
    """Four runs around hits / trials whose spread is that of so many trials, but for the widening by Student's t."""
    p = hits / trials
    worth = trials * (3.182446 / 1.959964) ** 2  # printed 97.5 % quantiles: 3 degrees of freedom, and the normal law's
    spread = (3 * p * (1 - p) / worth) ** 0.5  # of values p - s, p - s, p + s, p + s the error is s / sqrt(3)
    values = np.array([p - spread, p - spread, p + spread, p + spread])
    found, exact = of_frequency(values), binomtest(hits, trials).proportion_ci(method="exact")
    if values.max() <= 1 and values.min() >= 0:
        assert (found.low, found.high) == pytest.approx((exact.low, exact.high), rel=1e-5)
    assert found.value == pytest.approx(p) and found.error == of_mean(values).error


def test_the_chance_of_a_difference():
    one, other = [1.0, 2.0, 6.0, 3.5], [2.5, 9.0, 11.0]
    assert p_of_difference(one, other) == pytest.approx(ttest_ind(one, other, equal_var=False).pvalue, rel=1e-9)
    assert (p_of_difference([1.0, 1.0], [2.0, 2.0]), p_of_difference([1.0, 1.0], [1.0, 1.0])) == (0, 1)
    assert p_of_difference([1.0], other) is None


def test_holms_list_by_hand():
    assert holm([0.01, 0.04, None, 0.03, 0.005]) == [True, False, False, False, True]  # .03 > .05 / 2 ends it
    assert holm([0.02, 0.024]) == [True, True] and holm([0.026, 0.049]) == [False, False]
    assert holm([]) == []


def test_an_interval_of_a_frequency_stays_where_frequencies_are():
    for values in ([0.0, 0.95, 0.9, 0.86, 0.9], [0.0, 1.0], [0.0, 0.0, 0.01], [0.5, 0.500001]):
        found = of_metric("cooperation_vs_meta", values)
        assert 0 <= found.low <= found.value <= found.high <= 1
        assert of_metric("reward_vs_meta", values) == of_mean(values)
    narrow = of_frequency([0.4, 0.41, 0.39, 0.4])
    usual = of_mean([0.4, 0.41, 0.39, 0.4])
    assert (narrow.low, narrow.high) == pytest.approx((usual.low, usual.high), abs=5e-4)
    assert of_frequency([1.0, 1.0]) == of_mean([1.0, 1.0]) and of_frequency([0.3]) == of_mean([0.3])


def test_the_jackknife_of_means_is_the_usual_error():
    a, b = np.random.default_rng(0).normal(size=(2, 7))
    errors = jackknife_errors(
        lambda s: np.array([np.mean(s["a"]), np.mean(s["a"]) - np.mean(s["b"]), np.mean(s["c"])]),
        {"a": list(a), "b": list(b), "c": [3.0]},
    )
    variances = a.var(ddof=1) / 7, b.var(ddof=1) / 7
    assert errors == pytest.approx(np.sqrt([variances[0], sum(variances), 0]))


def test_what_one_unit_fewer_leaves_undefined_stays_so():
    errors = jackknife_errors(
        lambda s: np.array([np.mean(s["a"]), np.nan if len(s["a"]) < 2 else 1.0]), {"a": [1.0, 2]}
    )
    assert errors[0] == pytest.approx(0.5)
    assert np.isnan(errors[1])


def test_the_bootstrap_covers_a_mean_as_often_as_it_says():
    """200 samples of 50: the coverage of a percentile interval is about 0.94; outside 0.88 to 0.99 once in 5,000 keys."""
    samples = np.random.default_rng(1).normal(size=(200, 50))
    inside = [low < 0 < high for low, high in (bootstrap(np.mean, s, draws=400) for s in samples)]
    assert 0.88 < np.mean(inside) < 0.99
    assert bootstrap(np.mean, samples[0], draws=99) == bootstrap(np.mean, samples[0], draws=99)
    assert bootstrap(lambda s: None, samples[0]) is None
    assert bootstrap(np.mean, samples[0, :1]) is None
