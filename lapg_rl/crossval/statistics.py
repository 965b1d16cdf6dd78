"""From samples to chi-square statistics with the right covariance, and what a given deviation would add to them."""

from typing import Any

import numpy as np
from scipy import stats

from lapg_rl.crossval.verdict import Sampled

#: Directions in which samples vary less than this, relative to the one in which they vary most, are taken as constant.
RANK_TOLERANCE = 1e-10


#: Rounding of what is sampled in single precision, relative to its size.
ROUNDING = 1e-6


def quadratic(vector: np.ndarray, covariance: np.ndarray, size: float = 0.0) -> tuple[float, int]:
    """(x^T C^-1 x, rank of C) in the directions that C covers; infinite where x leaves them.

    A component of a gradient that is exactly zero (a state never visited) has no variance: it must be met exactly, or to
    the rounding of numbers of the given size (the two returns of a game of constant sum add up to that sum).
    """
    values, directions = np.linalg.eigh(covariance)
    kept = values > RANK_TOLERANCE * max(values[-1], 0.0)
    x = directions.T @ vector
    if np.any(np.abs(x[~kept]) > ROUNDING * (1e-30 + size + np.abs(vector).max() + np.sqrt(max(values[-1], 0.0)))):
        return np.inf, int(kept.sum())
    return float(np.sum(x[kept] ** 2 / values[kept])), int(kept.sum())


def compare_means(name: str, samples: Any, expected: Any, deviation: Any, effect: str) -> Sampled:
    """Do independent samples [n, d] have the mean `expected` [d]?

    The effect is a mean that is off by `deviation`: one vector [d], or several [i, d], of which the one that is hardest
    to see counts. From T^2 = n d^T S^-1 d with the sample covariance S (Hotelling 1931), a likelihood ratio,
    (n - 1 - rank / 2) log(1 + T^2 / (n - 1)) is chi-square up to terms of order 1/n^2 for normal samples (Bartlett 1938).
    """
    samples = np.asarray(samples, float)
    count = len(samples)
    covariance = np.cov(samples, rowvar=False).reshape(samples.shape[1], -1) / count
    away, size = samples.mean(0) - np.asarray(expected, float), float(np.abs(samples).max())
    squared, rank = quadratic(away, covariance, size)
    statistic = (count - 1 - rank / 2) * float(np.log1p(squared / (count - 1)))
    shift = min(quadratic(vector, covariance)[0] for vector in np.atleast_2d(np.asarray(deviation, float)))
    return Sampled(name, statistic, max(rank, 1), shift, count, effect)


def joined(name: str, parts: list[Sampled], effect: str) -> Sampled:
    """Independent comparisons as one: statistics and degrees of freedom add up; the effect is seen in all at once."""
    return Sampled(
        name,
        sum(part.statistic for part in parts),
        sum(part.dof for part in parts),
        sum(part.noncentrality for part in parts),
        sum(part.samples for part in parts),
        effect,
    )


def fit_linear(design: Any, means: Any, covariances: Any) -> tuple[np.ndarray, float]:
    """Fit d_i = sum_r X_ir c_r to measured vectors d_i [i, k] with covariances [i, k, k]: (c [r, k], chi-square left)."""
    design, means = np.asarray(design, float), np.asarray(means, float)
    precisions = np.linalg.inv(np.asarray(covariances, float))
    terms, width = design.shape[1], means.shape[1]
    information = np.einsum("ir,is,ikl->rksl", design, design, precisions).reshape(terms * width, -1)
    c = np.linalg.solve(information, np.einsum("ir,ikl,il->rk", design, precisions, means).ravel()).reshape(
        terms, width
    )
    left = means - design @ c
    return c, float(np.einsum("ik,ikl,il->", left, precisions, left))


def fitted_slope(x: Any, y: Any, errors: Any) -> tuple[float, float]:
    """Slope of log y against log x by least squares, and its standard error from those of y.

    No weights: estimated errors grow with y, so weights would favour what came out low.
    """
    centred = np.log(np.asarray(x, float)) - np.mean(np.log(x))
    lever = centred / np.sum(centred**2)
    relative = np.asarray(errors, float) / np.asarray(y, float)
    return float(lever @ np.log(y)), float(np.linalg.norm(lever * relative))


def compare_slope(name: str, slope: float, error: float, expected: float, other: float, samples: int) -> Sampled:
    """Is a measured exponent the expected one? The effect is the exponent `other`."""
    effect = f"an exponent of {other:g} instead of {expected:g}"
    return Sampled(name, ((slope - expected) / error) ** 2, 1, ((other - expected) / error) ** 2, samples, effect)


def binomial_interval(hits: int, trials: int, coverage: float = 0.95) -> tuple[float, float]:
    """The exact (Clopper-Pearson) interval for the chance of a hit."""
    tail = (1 - coverage) / 2
    low = stats.beta.ppf(tail, hits, trials - hits + 1) if hits else 0.0
    high = stats.beta.ppf(1 - tail, hits + 1, trials - hits) if hits < trials else 1.0
    return float(low), float(high)
