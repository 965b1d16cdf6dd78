"""Pairs of agents that learn in a pool by AdamW in logit space, many pairs at once; and the basins they reveal."""

import dataclasses
from collections import Counter
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import expit, logit

from lapg_theory.game import check_count
from lapg_theory.game.numbers import is_rate
from lapg_theory.game.show import brief
from lapg_theory.metagame.labels import LABELS, labels
from lapg_theory.metagame.objective import Setting, pooled

Pairs = Float[np.ndarray, "n players 5"]


def check_rate(rate: float | int) -> None:
    """Refuse what is no learning rate of the agents."""
    if not is_rate(rate):
        raise ValueError(f"rate must be a finite learning rate >= 0, got {rate}")


def learn(setting: Setting, theta: Pairs, steps: int, rate: float | int, decay: float = 1e-4) -> Pairs:
    """The logits of pairs of agents after `steps` simultaneous AdamW ascents of U(own, other).

    One player instead of two, [n, 1, 5], stands for a pair that starts alike and so stays alike.
    Betas 0.9 and 0.999, epsilon 1e-8, decoupled weight decay `decay` (Loshchilov & Hutter 2019, arXiv 1711.05101).
    Entries of the setting that are arrays have one value for each pair.
    """
    both = setting.at(np.repeat(np.arange(len(theta)), theta.shape[1]))
    theta, first, second = theta.copy(), np.zeros_like(theta), np.zeros_like(theta)
    for t in range(1, steps + 1):
        p = expit(theta)
        slope = pooled(both, p.reshape(-1, 5), p[:, ::-1].reshape(-1, 5))[1].reshape(theta.shape) * p * expit(-theta)
        first = 0.9 * first + 0.1 * slope
        second = 0.999 * second + 0.001 * slope**2
        ascent = first / (1 - 0.9**t) / (np.sqrt(second / (1 - 0.999**t)) + 1e-8)
        theta += rate * (ascent - decay * theta)
    return theta


def random_pairs(n: int, seed: int, spread: float = 1.0) -> Pairs:
    """`n` pairs of independent N(0, spread^2) logit vectors."""
    return spread * np.random.default_rng(seed).standard_normal((n, 2, 5))


def interval(count: Any, n: int, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Jeffreys interval for a share of which `count` of `n` were seen."""
    from scipy.stats import beta  # a second of import

    tail = (1 - level) / 2
    low, high = (beta.ppf(q, np.asarray(count) + 0.5, n - np.asarray(count) + 0.5) for q in (tail, 1 - tail))
    return np.where(np.asarray(count) == 0, 0.0, low), np.where(np.asarray(count) == n, 1.0, high)


@dataclasses.dataclass(frozen=True)
class Basins:
    """Where many pairs of learning agents ended.

    Attributes:
        labels: the behaviour each pair ended with.
        policies: their final cooperation probabilities, [pair, player, state].
        residuals: how fast each pair still moves: the largest component of the field in logits, p (1 - p) F, [pair].
    """

    labels: tuple[str, ...]
    policies: Float[np.ndarray, "n 2 5"]
    residuals: Float[np.ndarray, " n"]

    __repr__ = brief

    @property
    def shares(self) -> dict[str, tuple[float, float, float]]:
        """For each behaviour its share of the pairs with a 95% Jeffreys interval: (share, low, high)."""
        counts, n = Counter(self.labels), len(self.labels)
        bounds = {name: interval(counts[name], n) for name in LABELS}
        return {name: (counts[name] / n, float(low), float(high)) for name, (low, high) in bounds.items()}


def basins(setting: Setting, starts: Any, steps: Any, rate: float | int) -> Basins:
    """Let pairs of policies learn and say where they end; `starts` are probabilities [n, 2, 5] strictly inside (0, 1).

    Raises:
        ValueError: for another shape, or for starts on the boundary, which logit learning never leaves.
    """
    check_count("steps", steps, least=0)
    check_rate(rate)
    p = np.asarray(starts, dtype=float)
    if p.ndim != 3 or p.shape[1:] != (2, 5) or not ((p > 0) & (p < 1)).all():
        raise ValueError(
            f"starts must be pairs of policies [n, 2, 5], every probability strictly between 0 and 1 (at 0 or 1 it "
            f"never moves in logit space), got shape {p.shape}, from {p.min(initial=1)} to {p.max(initial=0)}"
        )
    setting, scale = setting.own_units  # AdamW's epsilon has the unit of a slope
    p = expit(learn(setting, logit(p), steps, rate))
    F = pooled(setting, p.reshape(-1, 5), p[:, ::-1].reshape(-1, 5))[1].reshape(p.shape)
    return Basins(tuple(labels(setting, p[:, 0], p[:, 1])), p, scale.unit * np.abs(p * (1 - p) * F).max((1, 2)))
