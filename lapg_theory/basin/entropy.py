"""What an entropy bonus does to the ends of a pool: logit equilibria, and the folds where E and K cease to exist.

With T = entropy coefficient / reward scale, agents that all play one policy rest where, in every state s,

    logit p_s = A_s / T,   A_s = [share G_s + (1 - share) g_s] / mu_s,

g and G being the slopes in probabilities of self-play and of shaping, and mu_s the share of decisions made in s: A_s is
the mean advantage of C over D for each visit, p a logit (quantal response) equilibrium (McKelvey & Palfrey 1995, Games
Econ. Behav. 10). Optimiser, learning rates and sharing of parameters move no rest point. Followed from T = 0 on, the
branch of E or of K turns back at a fold, above which that end is gone, or goes on to p = 1/2.
"""

import dataclasses
import functools
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.special import expit, logit

from lapg_theory.basin.exact_pool import Numbers, Pool, like_oneself, with_naive
from lapg_theory.basin.shaping_path import Estimate, estimate
from lapg_theory.exact.precision import float64

#: Policies near the two ends, from which their branches are found.
NEAR = {"extort": (1e-6, 0.95, 1e-3, 0.35, 1e-6), "cooperate": (0.98, 0.98, 0.02, 0.35, 0.02)}
DIFFERENCE = 1e-5
#: Where a branch is begun, the first of these T from which it can be followed. Below the last one chances underflow.
STARTS = (0.03, 0.02, 0.015, 0.01)
Branch = Literal["extort", "cooperate"]


@functools.partial(jax.jit, static_argnames="updates")
def _advantages(numbers: Numbers, theta: Any, share: Any, *, updates: int) -> tuple[Any, Any]:
    own, naive = like_oneself(numbers, theta), with_naive(numbers, theta, updates)
    slope = share * naive.slope + (1 - share) * own.slope
    return slope / (share * naive.visits + (1 - share) * own.visits), own.value


class NoEndError(ValueError):
    """Raised where no rest point near an end is found, from which its branch could be followed."""


class _System:
    """The equations T theta = A(theta) of one pool and share, for all runs at once; theta is [runs, 5]."""

    def __init__(self, pool: Pool, share: float):
        self.numbers, self.updates, self.share = pool.traced, pool.updates, float(share)
        self.runs = self.numbers.learners.shape[1]

    def advantages(self, theta: np.ndarray) -> np.ndarray:
        """A at several points of every run, [runs, points, 5]."""
        found, self.among = _advantages(
            self.numbers, jnp.asarray(np.moveaxis(theta, -1, 0)), self.share, updates=self.updates
        )
        return np.moveaxis(np.asarray(found), 0, -1)

    def linear(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A [runs, 5] and its Jacobian [runs, 5, 5] by central differences."""
        h = DIFFERENCE * (1 + np.abs(theta))
        shift = h[:, None] * np.eye(5)
        points = np.concatenate([theta[:, None], theta[:, None] + shift, theta[:, None] - shift], 1)
        found = self.advantages(points)
        return found[:, 0], np.swapaxes((found[:, 1:6] - found[:, 6:]) / (2 * h)[..., None], 1, 2)

    def among_at(self, theta: np.ndarray) -> np.ndarray:
        """What agents earn among each other at theta, [runs]."""
        self.advantages(theta[:, None])
        return np.asarray(self.among)[:, 0]

    def settle(self, theta: np.ndarray, temperatures: np.ndarray) -> np.ndarray:
        """The equilibrium near theta at T, one a run, by damped iteration of theta = A / T and then Newton's method."""
        T = temperatures[:, None]
        for _ in range(80):
            room = 1 + 0.5 * np.maximum(np.abs(theta) - 20, 0)
            theta = theta + np.clip(0.3 * (self.advantages(theta[:, None])[:, 0] / T - theta), -room, room)
        for _ in range(20):
            A, J = self.linear(theta)
            move = np.linalg.solve(T[..., None] * np.eye(5) - J, (A - T * theta)[..., None])[..., 0]
            room = 1 + 0.1 * np.abs(theta)
            theta = theta + np.clip(move, -room, room)
            if np.abs(move).max() < 1e-9 * (1 + np.abs(theta).max()):
                break
        return theta


def _tangent(J: np.ndarray, theta: np.ndarray, T: np.ndarray, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit tangents [runs, 6] of the branches in (theta / scale, log T), scale = 1 + |theta|, on in a direction.

    `before` is that direction in (theta, log T); the cosine of the angle between both comes with them.
    """
    scale = 1 + np.abs(theta)
    rows = np.concatenate([(T[:, None, None] * np.eye(5) - J) * scale[:, None], (T[:, None] * theta)[..., None]], -1)
    found = np.linalg.svd(rows)[2][:, -1]
    before = before / np.concatenate([scale, np.ones((len(scale), 1))], -1)
    cosine = (found * before).sum(-1) / np.linalg.norm(before, axis=-1)
    return found * np.sign(cosine)[:, None], np.abs(cosine)


@dataclasses.dataclass(frozen=True)
class Branching:
    """The branch of logit equilibria of one end, followed in T from near 0, for each set of learners (run).

    Attributes:
        temperatures: T along the branch, [point, run].
        policies: [point, run, state].
        among: reward per step among agents who play them, [point, run].
        folds: T at which the branch of each run turns back; inf where it doesn't up to the largest T; NaN where it
            was lost on the way.
    """

    temperatures: Float[np.ndarray, "points runs"]
    policies: Float[np.ndarray, "points runs 5"]
    among: Float[np.ndarray, "points runs"]
    folds: Float[np.ndarray, " runs"]

    @property
    def fold(self) -> Estimate:
        """The mean fold with half of its interval over the runs; NaN if one was lost, infinite if one has none."""
        return estimate(self.folds) if np.isfinite(self.folds).all() else Estimate(float(np.max(self.folds)), np.nan)


def follow(
    pool: Pool,
    share: float | int,
    end: Branch,
    *,
    start: float | int | None = None,
    stop: float | int = 1.0,
    stride: float | int = 0.15,
    points: Any = 200,
) -> Branching:
    """Follow the logit equilibria of an end in T, by pseudo-arclength continuation in (logits, log T).

    Args:
        pool: with learners [runs, n, 5] every run has its own, which makes an error bar.
        share: effective share of naive learners, in [0, 1].
        end: "extort" or "cooperate".
        start: T to start from, where the end must exist; by default each run begins at the first of `STARTS` where it can.
        stop: T at which to stop looking for a fold.
        stride: length of a step.
        points: the most steps.

    Raises:
        ValueError: for a share outside [0, 1], another end, T that is not positive, or, a `NoEndError`, where what
            settles from near the end is another rest point.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share must lie in [0, 1], got {share}")
    if end not in NEAR:
        raise ValueError(f"end must be one of {', '.join(NEAR)}, got {end!r}")
    starts = np.array([T for T in STARTS if stop > T] if start is None else [start])
    if not len(starts) or not 0 < starts[-1] < stop:
        raise ValueError(
            f"T must rise from above 0, got start {STARTS[-1] if start is None else start} and stop {stop}"
        )
    with float64():
        system = _System(pool, share)
        near, middle = np.tile(logit(NEAR[end]), (system.runs, 1)), sum(pool.game.trps[1:3]) / 2
        found, at = None, np.zeros(system.runs, int)  # every run begins where it can
        while True:
            theta = system.settle(near, starts[at])
            right = np.isfinite(theta).all(-1) & ((system.among_at(theta) > middle) == (end == "cooperate"))
            last = at + 1 == len(starts)
            if right.all():
                found = _continued(system, theta, starts[at], stop, stride, points)
                again = np.isnan(found.folds) & ~last
            else:
                again = ~right
            if not again.any() or (again & last).any():
                break
            at = at + again
    if found is None:
        tried = ", ".join(f"{T:g}" for T in starts)
        raise NoEndError(f"no rest point near the end {end!r} was found from T = {tried} on; start lower")
    return found


@dataclasses.dataclass
class _Walk:
    """Where every run of a continuation is: u = log T, the tangent that led there, the stride to try next."""

    theta: np.ndarray
    u: np.ndarray
    tangent: np.ndarray
    stride: np.ndarray
    length: np.ndarray

    def step(self, system: _System, most: float, active: np.ndarray) -> np.ndarray:
        """One step of the active runs; those that fail stay where they are and halve their stride. Returns who moved."""
        scale = 1 + np.abs(self.theta)
        theta, u, settled = _corrected(system, self.theta, self.u, self.tangent, scale, self.stride)
        went = np.concatenate([(theta - self.theta) / scale, (u - self.u)[:, None]], -1)
        near = np.linalg.norm(went, axis=-1) < 1.5 * self.stride
        held = self.tangent * np.concatenate([scale, np.ones((len(scale), 1))], -1)
        tangent, turn = _tangent(system.linear(theta)[1], theta, np.exp(u), held)
        moved = active & settled & near & (turn > 0.5)
        self.length = self.length + np.where(moved, np.linalg.norm(went, axis=-1), 0)
        self.theta, self.tangent = (
            np.where(moved[:, None], new, old) for new, old in ((theta, self.theta), (tangent, self.tangent))
        )
        self.u = np.where(moved, u, self.u)
        self.stride = np.where(moved, np.minimum(1.3 * self.stride, most), np.where(active, 0.5, 1) * self.stride)
        return moved


def _continued(system: _System, theta: np.ndarray, T: np.ndarray, stop: float, stride: float, points: int) -> Branching:
    runs = system.runs
    tangent, _ = _tangent(system.linear(theta)[1], theta, T, np.tile(np.eye(6)[5], (runs, 1)))
    walk = _Walk(theta, np.log(T), tangent, np.full(runs, stride / 4), np.zeros(runs))
    path, turned, active = (
        [(walk.u, theta, system.among_at(theta), walk.length)],
        np.full(runs, np.inf),
        np.ones(runs, bool),
    )
    for _ in range(points):
        moved = walk.step(system, stride, active)
        path.append((walk.u, walk.theta, system.among_at(walk.theta), walk.length))
        for run in np.flatnonzero(moved & (walk.tangent[:, 5] < 0) & (walk.length > 0)):
            turned[run] = _peak([(length[run], u[run]) for u, _, _, length in path])
        active = np.isinf(turned) & (walk.u < np.log(stop)) & (walk.stride > 1e-4)
        if not active.any():
            break
    u, thetas, among, _ = (np.array(part) for part in zip(*path, strict=True))
    lost = np.isinf(turned) & (walk.u < np.log(stop))
    return Branching(np.exp(u), expit(thetas), among, np.where(lost, np.nan, np.exp(turned)))


def _corrected(
    system: _System, theta: np.ndarray, u: np.ndarray, tangent: np.ndarray, scale: np.ndarray, stride: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The points of the branches in the planes that lie `stride` ahead along the tangents, and who settled there."""
    y = np.concatenate([theta / scale, u[:, None]], -1)
    ahead = y + stride[:, None] * tangent
    now, move = ahead, np.full_like(ahead, np.inf)
    for _ in range(8):
        theta, T = now[:, :5] * scale, np.exp(now[:, 5])
        A, J = system.linear(theta)
        top = np.concatenate([(T[:, None, None] * np.eye(5) - J) * scale[:, None], (T[:, None] * theta)[..., None]], -1)
        matrix = np.concatenate([top, tangent[:, None]], 1)
        off = np.concatenate([T[:, None] * theta - A, ((now - ahead) * tangent).sum(-1, keepdims=True)], -1)
        move = np.linalg.solve(matrix, -off[..., None])[..., 0]
        now = now + np.clip(move, -stride[:, None], stride[:, None])
        if np.abs(move).max() < 1e-8:
            break
    return now[:, :5] * scale, now[:, 5], np.abs(move).max(-1) < 1e-6


def _peak(points: list[tuple[float, float]]) -> float:
    """Largest value, near the end, of the cubic through the last four different points (length, value)."""
    s, u = np.array(sorted(set(points))[-4:]).T
    if len(s) < 3:
        return float(u.max())
    at = np.linspace(s[-3], s[-1], 401)
    others = [np.delete(s, i) for i in range(len(s))]
    basis = [np.prod([(at - x) / (s[i] - x) for x in each], axis=0) for i, each in enumerate(others)]
    return float((u @ np.array(basis)).max())


def folds(pool: Pool, share: float | int, **search: Any) -> dict[str, Branching]:
    """The branches of both ends; between their folds T_E and T_K cooperation is the only attractor.

    `search`: as for `follow`.
    """
    return {end: follow(pool, share, end, **search) for end in ("extort", "cooperate")}
