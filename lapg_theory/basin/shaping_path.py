"""The path of pure shaping, and what self-play makes of the policies on it: the edge and the window.

Followed among naive learners only, an agent learns to extort. At every point of that path let g be the partial gradient
of self-play with a copy and G the shaping gradient, both in logits. A share s of naive learners mixed in from there on
moves state x by (1 - s) g_x + s G_x.

*Edge*: forgiveness p_CD is what cooperation needs and what shaping takes; it can grow only below
s_F = max over the path of g_CD / (g_CD + |G_CD|).

*Window*: for a while all five components of g are positive, so self-play builds cooperation; with a share mixed in the
opening grows only below g_s0 / (g_s0 + |G_s0|).
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from scipy.special import logit
from scipy.stats import t as student

from lapg_theory.basin.course import integrate
from lapg_theory.basin.exact_pool import Numbers, Pool, like_oneself, product, with_naive
from lapg_theory.basin.stages import Stage
from lapg_theory.exact.precision import float64
from lapg_theory.game import CD, S0


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean over independent scramblings of the initial learners; `half` is half of its 95% interval (t quantile)."""

    value: float
    half: float

    def __str__(self):
        return f"{self.value:.3f}" + (f" +- {self.half:.3f}" if np.isfinite(self.half) else "")


def estimate(values: Any, level: float = 0.95) -> Estimate:
    """Mean and half width of its interval; NaN for the width of a single value."""
    values = np.asarray(values, float)
    n = len(values)
    if n < 2:
        return Estimate(float(values.mean()), np.nan)
    return Estimate(float(values.mean()), float(student.ppf((1 + level) / 2, n - 1) * values.std(ddof=1) / np.sqrt(n)))


@functools.partial(jax.jit, static_argnames="updates")
def _fields(numbers: Numbers, theta: Any, *, updates: int) -> Any:
    def at(theta):
        naive = with_naive(numbers, theta, updates, visits=False)
        own = like_oneself(numbers, theta)
        return product(theta) * own.slope, product(theta) * naive.slope, own.value, naive.value

    return jax.lax.map(at, theta)


@dataclasses.dataclass(frozen=True)
class ShapingPath:
    """Pure shaping from given starts, and both gradients on the way, per step of the game, in logits.

    Attributes:
        steps: taken at each record.
        policies: cooperation probabilities, [record, run, state].
        own: g, the partial gradient of self-play with a copy, likewise.
        shaping: G, likewise.
        among: reward per step against a copy, [record, run].
        versus_naive: reward from naive learners, [record, run].
    """

    steps: Int[np.ndarray, " records"]
    policies: Float[np.ndarray, "records runs 5"]
    own: Float[np.ndarray, "records runs 5"]
    shaping: Float[np.ndarray, "records runs 5"]
    among: Float[np.ndarray, "records runs"]
    versus_naive: Float[np.ndarray, "records runs"]

    def bound(self, state: int) -> Float[np.ndarray, "records runs"]:
        """The share below which g and G together raise `state`: g / (g + |G|) where G < 0 < g; 1 and 0 elsewhere."""
        g, G = self.own[..., state], self.shaping[..., state]
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(g <= 0, np.where(G > 0, np.nan, 0.0), np.where(G >= 0, 1.0, g / (g - G)))

    @property
    def edge(self) -> Float[np.ndarray, " runs"]:
        """s_F of every run: the largest share below which forgiveness grows somewhere on the path, where G_CD < 0."""
        found = np.where(self.shaping[..., CD] < 0, self.bound(CD), 0.0)
        return found.max(0)

    @property
    def opening_bound(self) -> Float[np.ndarray, "records runs"]:
        """The share below which the opening grows, at every record."""
        return self.bound(S0)

    @property
    def inside(self) -> Any:
        """Whether self-play builds cooperation: all five components of g are positive, [record, run]."""
        return (self.own > 0).all(-1)

    def window(self) -> list[dict[str, Any] | None]:
        """For each run the longest stretch of records inside: `opens` and `closes`, each with what is seen there.

        That is `steps`, `versus_naive`, `among` and `policy`. A run that is never inside has None; one that is still
        inside at the end of the path closes at None.
        """
        return [self._stretch(run) for run in range(self.among.shape[1])]

    def _stretch(self, run: int) -> dict[str, Any] | None:
        inside = np.concatenate([[False], self.inside[:, run], [False]])
        opens, closes = np.flatnonzero(inside[1:] & ~inside[:-1]), np.flatnonzero(inside[:-1] & ~inside[1:])
        if not len(opens):
            return None
        k = int((closes - opens).argmax())
        seen = [self._at(int(i), run) if i < len(self.steps) else None for i in (opens[k], closes[k])]
        return dict(zip(("opens", "closes"), seen, strict=True))

    def _at(self, record: int, run: int) -> dict[str, Any]:
        return {
            "steps": int(self.steps[record]),
            "versus_naive": float(self.versus_naive[record, run]),
            "among": float(self.among[record, run]),
            "policy": self.policies[record, run],
        }


def shaping_path(
    pool: Pool, starts: Any, *, steps: Any = 1500, rate: float | int = 0.02, every: Any = 5
) -> ShapingPath:
    """Follow pure shaping by AdamW from initial logits [runs, 5]; the gradients on the way in float64.

    Args:
        pool: with learners [runs, n, 5] each run meets its own, which makes error bars over scramblings.
        starts: initial logits, one row for each run.
        steps: of AdamW.
        rate: its learning rate, in logits.
        every: steps between records.

    Raises:
        ValueError: as for `integrate`.
    """
    starts = np.asarray(starts, float)
    twice = np.repeat(starts[:, None], 2, axis=1) if starts.ndim == 2 else starts
    course = integrate(pool, [Stage(1.0, rate=rate)], twice, steps=steps, every=every)
    policies = course.policies[:, :, 0]
    theta = np.moveaxis(logit(np.clip(policies, 1e-300, 1 - 1e-16)), -1, 1)[..., None]
    with float64():
        found = _fields(pool.traced, jnp.asarray(theta), updates=pool.updates)
        own, shaping, among, naive = (np.asarray(x)[..., 0] for x in found)
    own, shaping = (np.moveaxis(x, 1, -1) for x in (own, shaping))
    return ShapingPath(course.steps, policies, own, shaping, among, naive)
