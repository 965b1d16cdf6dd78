"""Verdicts: what a comparison of a prediction with a simulation allows one to say, and how much more it would take.

A *sampled* comparison is a chi-square statistic. It is **refuted** if the statistic is above its threshold; the
thresholds of one level together raise a false alarm with the stated rate. If not, it is **confirmed** only if the test
was able to see a named deviation (its *effect*) with probability POWER, else **underpowered**: silence says nothing, and
`needed` samples would decide. An *exact* comparison is a deviation with a tolerance far below its effect.
"""

import dataclasses
import math
from typing import Any, Literal

from scipy import optimize, stats

#: The probability with which a test must see its effect for its silence to count.
POWER = 0.9
Verdict = Literal["confirmed", "refuted", "underpowered"]


@dataclasses.dataclass(frozen=True)
class Sampled:
    """A statistic that is chi-square with `dof` degrees of freedom if the prediction holds.

    `noncentrality` is what the effect would add to it at the present sample size; it grows in proportion to `samples`.
    """

    name: str
    statistic: float
    dof: int
    noncentrality: float
    samples: int
    effect: str

    @property
    def p_value(self) -> float:
        """Chance of a statistic at least as large if the prediction holds."""
        return float(stats.chi2.sf(self.statistic, self.dof))

    def _wanted(self, alarm: float) -> float:
        """The noncentrality that is seen with probability POWER."""
        threshold = stats.chi2.isf(alarm, self.dof)
        return float(optimize.brentq(lambda x: stats.ncx2.sf(threshold, self.dof, x) - POWER, 1e-9, 1e4))  # type: ignore

    def detectable(self, alarm: float) -> float:
        """The smallest multiple of the effect that is seen with probability POWER."""
        return math.sqrt(self._wanted(alarm) / self.noncentrality) if self.noncentrality > 0 else math.inf

    def needed(self, alarm: float) -> float:
        """Samples at which the effect is seen with probability POWER; infinite for an effect that is zero."""
        return self.samples * self.detectable(alarm) ** 2

    def verdict(self, alarm: float) -> Verdict:
        """The verdict at a false-alarm rate of `alarm` for this comparison."""
        if not self.p_value >= alarm:
            return "refuted"
        return "confirmed" if self.detectable(alarm) <= 1 else "underpowered"

    def row(self, alarm: float) -> dict[str, Any]:
        """Everything a report says of it; infinities become None."""
        return {
            "name": self.name,
            "kind": "sampled",
            "statistic": self.statistic,
            "dof": self.dof,
            "p_value": self.p_value,
            "threshold": float(stats.chi2.isf(alarm, self.dof)),
            "samples": self.samples,
            "effect": self.effect,
            "detectable": _finite(self.detectable(alarm)),
            "needed": _finite(self.needed(alarm)),
            "verdict": self.verdict(alarm),
        }


@dataclasses.dataclass(frozen=True)
class Exact:
    """Two numbers (or vectors) that should be equal up to rounding: their largest deviation, and what is allowed.

    `size` is the size of the effect that the comparison must be able to see; it must be ten times the tolerance.
    """

    name: str
    deviation: float
    tolerance: float
    size: float
    effect: str

    def verdict(self, alarm: float = 0.0) -> Verdict:
        """The verdict; there is no chance in it, so `alarm` plays no part."""
        del alarm
        if not self.deviation <= self.tolerance:
            return "refuted"
        return "confirmed" if self.size >= 10 * self.tolerance else "underpowered"

    def row(self, alarm: float = 0.0) -> dict[str, Any]:
        """Everything a report says of it."""
        return {
            "name": self.name,
            "kind": "exact",
            "statistic": self.deviation,
            "threshold": self.tolerance,
            "effect": self.effect,
            "detectable": _finite(self.tolerance / self.size) if self.size else None,
            "verdict": self.verdict(alarm),
        }


@dataclasses.dataclass(frozen=True)
class Majority:
    """How many of `trials` independent runs ended as predicted, against the half of them.

    Refuted if so few would be too unlikely if every run ended so with probability 1/2; confirmed if so many would be.
    Both at the false-alarm rate of the comparison, by the exact binomial distribution.
    """

    name: str
    hits: int
    trials: int
    effect: str = "runs that end elsewhere half of the time"

    def verdict(self, alarm: float) -> Verdict:
        """The verdict at a false-alarm rate of `alarm` for this comparison."""
        if stats.binom.cdf(self.hits, self.trials, 0.5) < alarm:
            return "refuted"
        return "confirmed" if stats.binom.sf(self.hits - 1, self.trials, 0.5) < alarm else "underpowered"

    def needed(self, alarm: float) -> float:
        """Runs at which the share that was seen would be told from 1/2 with probability POWER (normal approximation).

        A share of 1 or 0 is taken as one run short of it; a share of 1/2 needs infinitely many.
        """
        short = 0.5 / self.trials
        share = min(max(self.hits / self.trials, short), 1 - short)
        spread = stats.norm.isf(alarm) / 2 + stats.norm.isf(1 - POWER) * math.sqrt(share * (1 - share))
        return float((spread / (share - 0.5)) ** 2) if share != 0.5 else math.inf

    def row(self, alarm: float) -> dict[str, Any]:
        """Everything a report says of it."""
        least = int(stats.binom.isf(alarm, self.trials, 0.5)) + 1
        return {
            "name": self.name,
            "kind": "majority",
            "statistic": self.hits,
            "threshold": self.trials - least,
            "samples": self.trials,
            "effect": self.effect,
            "detectable": 1.0 if least <= self.trials else None,
            "needed": _finite(self.needed(alarm)),
            "verdict": self.verdict(alarm),
        }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


@dataclasses.dataclass(frozen=True)
class Level:
    """The outcome of one level: its comparisons, and what its figure and its text need.

    `alarm` is the rate at which it raises a false alarm if everything it compares agrees.
    """

    code: str
    checks: tuple[Sampled | Exact | Majority, ...]
    data: dict[str, Any]
    notes: tuple[str, ...]
    alarm: float

    @property
    def each(self) -> float:
        """The false-alarm rate of each comparison with chance in it: independent, so that 1 - (1 - each)^n = alarm."""
        count = sum(not isinstance(check, Exact) for check in self.checks)
        return -math.expm1(math.log1p(-self.alarm) / count) if count else self.alarm

    @property
    def verdict(self) -> Verdict:
        """Refuted if anything is, else underpowered if anything is, else confirmed."""
        found = {check.verdict(self.each) for check in self.checks}
        return next(v for v in ("refuted", "underpowered", "confirmed") if v in found)

    def rows(self) -> list[dict[str, Any]]:
        """The comparisons as plain data."""
        return [check.row(self.each) for check in self.checks]
