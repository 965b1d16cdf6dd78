"""Standard errors and 95 % intervals of means over independent units: meta-episodes, or runs on different seeds."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

LEVEL = 0.95
#: Parts of the names of metrics that are frequencies.
FREQUENCIES = ("cooperation", "zaps", "cleaning", "_coins", "action_")


def short(value: Any) -> float:
    """Six significant digits: what a mean of single-precision samples is worth at best."""
    return float(f"{float(value):.6g}")


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A figure, its standard error and 95 % interval over `count` units; None where there are too few to tell."""

    value: float
    error: float | None
    low: float | None
    high: float | None
    count: int


def told(value: float, low: float | None, high: float | None) -> str:
    """A figure with its sign, and its interval if it has one, for people."""
    return f"{value:+.3f}" + ("" if low is None else f" [{low:+.3f}, {high:+.3f}]")


def student(degrees: Any) -> float:
    """The quantile of Student's t that LEVEL takes on either side."""
    from scipy import stats  # takes a second to import; what is mistyped is refused before

    return float(stats.t.ppf(0.5 + LEVEL / 2, degrees))


def estimate(value: float, error: float | None, count: int) -> Estimate:
    """The interval by Student's t with count - 1 degrees of freedom; none where the error is not known."""
    if error is None or count < 2 or not math.isfinite(error):
        return Estimate(float(value), None, None, None, count)
    half = student(count - 1) * error
    return Estimate(float(value), float(error), float(value - half), float(value + half), count)


def of_mean(values: Any) -> Estimate:
    """The mean of independent values."""
    values = np.asarray(values, float)
    error = values.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else None
    return estimate(values.mean(), error, len(values))


def of_frequency(values: Any) -> Estimate:
    """The mean of independent frequencies; its interval stays in [0, 1].

    That of Clopper and Pearson (1934) for as many trials n as would have the same standard error, n = m (1 - m) / error^2,
    fewer by the squared ratio of the normal quantile to Student's with count - 1 degrees of freedom (Korn and Graubard 1998).
    Where all values are alike, or one of them is no frequency, as `of_mean`.
    """
    values, plain = np.asarray(values, float), of_mean(values)
    if not plain.error or values.min() < 0 or values.max() > 1:
        return plain
    from scipy import stats

    ratio = stats.norm.ppf(0.5 + LEVEL / 2) / student(plain.count - 1)
    trials = plain.value * (1 - plain.value) / plain.error**2 * ratio**2
    hits, misses = trials * plain.value, trials * (1 - plain.value)
    low, high = stats.beta.ppf(0.5 - LEVEL / 2, hits, misses + 1), stats.beta.ppf(0.5 + LEVEL / 2, hits + 1, misses)
    return dataclasses.replace(plain, low=float(low), high=float(high))


def of_metric(name: str, values: Any) -> Estimate:
    """The mean of a metric over runs: as of a frequency where it counts how often something is done, else as of any mean."""
    return of_frequency(values) if any(word in name for word in FREQUENCIES) else of_mean(values)


def of_difference(values: Any, others: Any) -> Estimate:
    """Mean of `values` minus mean of `others`, independent samples of unequal variance (Welch 1947).

    `count` is the size of the smaller sample; there is no interval where that is one.
    """
    difference, error, degrees, count = _welch(values, others)
    if error is None:
        return Estimate(difference, None, None, None, count)
    half = student(degrees) * error if error else 0.0
    return Estimate(difference, error, difference - half, difference + half, count)


def _welch(values: Any, others: Any) -> tuple[float, float | None, float, int]:
    """The difference of means, its standard error and degrees of freedom, and the size of the smaller sample."""
    samples = [np.asarray(x, float) for x in (values, others)]
    difference, count = float(samples[0].mean() - samples[1].mean()), min(map(len, samples))
    if count < 2:
        return difference, None, math.nan, count
    variances = [x.var(ddof=1) / len(x) for x in samples]
    error = math.sqrt(sum(variances))
    parts = sum(v**2 / (len(x) - 1) for v, x in zip(variances, samples, strict=True))
    return difference, error, error**4 / parts if error else math.inf, count


def p_of_difference(values: Any, others: Any) -> float | None:
    """How likely by chance a difference is so large where there is none (Welch 1947); None where that isn't known."""
    difference, error, degrees, _ = _welch(values, others)
    if error is None:
        return None
    from scipy import stats

    return float(2 * stats.t.sf(abs(difference) / error, degrees)) if error else float(difference == 0)


def holm(chances: Sequence[float | None]) -> list[bool]:
    """Which of several differences hold with all of them looked at: at most one in twenty such lists holds a false one.

    The k-th smallest of n chances is held against 1/20 divided by n + 1 - k, until one fails (Holm 1979).
    """
    known = sorted((p, n) for n, p in enumerate(chances) if p is not None)
    held = itertools.takewhile(lambda one: one[1][0] <= (1 - LEVEL) / (len(known) - one[0]), enumerate(known))
    firm = {n for _, (_, n) in held}
    return [n in firm for n in range(len(chances))]


def jackknife_errors(statistic: Callable[[dict[str, list[Any]]], Any], units: dict[str, list[Any]]) -> np.ndarray:
    """Standard errors of an array-valued statistic of several independent samples, by leaving out one unit at a time.

    The variance is the sum over samples of (n - 1) / n * sum_i (x_i - mean x)^2, with x_i the statistic without unit i.
    Samples of one unit add nothing: they count as given. Entries that one unit fewer leaves undefined (nan) stay nan.

    Args:
        statistic: takes the samples, by name, and returns an array.
        units: the samples.
    """
    variance = np.zeros(np.shape(statistic(units)))
    for name, sample in units.items():
        n = len(sample)
        if n > 1:
            without = np.array([statistic(units | {name: sample[:i] + sample[i + 1 :]}) for i in range(n)])
            variance = variance + (n - 1) / n * ((without - without.mean(0)) ** 2).sum(0)
    return np.sqrt(np.asarray(variance))


def bootstrap(statistic: Callable[[np.ndarray], float | None], points: np.ndarray, draws: int = 1000) -> Any:
    """The 95 % percentile interval (low, high) of a statistic of `points` (axis 0: units); None where it is undefined.

    The draws are the same at every call, so the interval is a function of the points.
    """
    rng = np.random.default_rng(0)
    found = [statistic(points[rng.integers(0, len(points), len(points))]) for _ in range(draws)]
    kept = [value for value in found if value is not None]
    if len(points) < 2 or len(kept) < draws:
        return None
    low, high = np.quantile(kept, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    return float(low), float(high)
