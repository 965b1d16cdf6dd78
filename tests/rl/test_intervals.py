"""Intervals against textbook formulas and against the law of what they cover."""

import numpy as np
import pytest

from lapg_rl.study.intervals import bootstrap, estimate, jackknife_errors, of_mean


def test_three_values_by_hand():
    found = of_mean([1.0, 2.0, 6.0])
    error = np.sqrt(7.0) / np.sqrt(3)  # variance (4 + 1 + 9) / 2
    half = 4.302653 * error  # the printed 97.5 % quantile of Student's t with 2 degrees of freedom
    assert (found.value, found.error, found.low, found.high) == pytest.approx((3, error, 3 - half, 3 + half), rel=1e-6)
    assert found.count == 3
    assert of_mean([2.0]) == estimate(2.0, None, 1)
    assert of_mean([2.0]).low is None


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
