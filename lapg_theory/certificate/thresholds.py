"""Where the shaping gradient at defection changes sign: along the learning rate, the discount, the learning time."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.interpolate import CubicHermiteSpline
from scipy.optimize import root_scalar


@dataclasses.dataclass(frozen=True)
class Interval:
    """Where a function of a positive number is positive, as far as a scan saw it.

    `edges`: (lower, upper), or None where it is positive nowhere; an edge outside the scan is 0 or infinity. `errors`:
    their quadrature standard errors. `scanned`: first and last number tried; `peak`, `peak_value`: where the function
    is largest and how large.
    """

    edges: tuple[float, float] | None
    errors: tuple[float, float] | None
    scanned: tuple[float, float]
    peak: float
    peak_value: float


@dataclasses.dataclass(frozen=True)
class Crossing:
    """When an integral first turns positive (None if it does not), the error bar, and the longest time tried."""

    time: float | None
    error: float | None
    searched: float


def standard_error(by_scrambling: Float[np.ndarray, " scramblings"]) -> float:
    """Standard error of the mean over independent scramblings; zero for a population given outright."""
    count = len(by_scrambling)
    return float(np.std(by_scrambling, ddof=1) / np.sqrt(count)) if count > 1 else 0.0


def positive_interval(
    function: Callable[[float], Float[np.ndarray, " scramblings"]],
    coarse: Callable[[np.ndarray], np.ndarray],
    grid: Float[np.ndarray, " grid"],
) -> Interval:
    """The interval, around the largest value on the `grid`, in which the mean of `function` is positive.

    `coarse` is a cheap stand-in for that mean, for many numbers at once: it finds the cells in which the sign changes
    and first guesses; signs and edges are those of `function`. Edges are sought on a logarithmic scale.
    """
    logs, values = np.log(grid), coarse(grid)
    best = int(np.argmax(values))

    @functools.cache
    def by_scrambling(log: float) -> np.ndarray:
        return function(np.exp(log))

    def mean(log: float) -> float:
        return float(by_scrambling(log).mean())

    peak = logs[best]
    if mean(peak) <= 0:  # a window narrower than a cell of the grid may hide beside its largest value
        cell = np.linspace(logs[max(best - 1, 0)], logs[min(best + 1, len(logs) - 1)], 65)
        peak = cell[int(np.argmax(coarse(np.exp(cell))))]
    report = (float(grid[0]), float(grid[-1])), float(np.exp(peak)), mean(peak)
    if mean(peak) <= 0:
        return Interval(None, None, *report)

    def edge(outward: list[int], limit: float) -> tuple[float, float]:
        outside = next((i for i in outward if values[i] <= 0 and mean(logs[i]) <= 0), None)
        if outside is None:
            return limit, 0.0
        cell = [outside, outside + (1 if logs[outside] < peak else -1)]
        guess = float(np.interp(0.0, [values[i] for i in cell], logs[cell]))
        log = _root(mean, guess, (logs[outside], peak))
        ends = coarse(np.exp([log - 0.01, log + 0.01]))
        error = standard_error(by_scrambling(log)) * 0.02 / abs(ends[1] - ends[0])
        return float(np.exp(log)), float(np.exp(log) * error)

    below = [i for i in range(len(logs)) if logs[i] < peak]
    above = [i for i in range(len(logs)) if logs[i] > peak]
    lower, upper = edge(below[::-1], 0.0), edge(above, np.inf)
    return Interval((lower[0], upper[0]), (lower[1], upper[1]), *report)


def first_positive(at: Callable[[float], float], grid: Float[np.ndarray, " grid"], xtol: float) -> float | None:
    """Where a function turns positive, before the first entry of the grid at which it is: 0 at the very first, None at none."""
    later = next((i for i, x in enumerate(grid) if at(x) > 0), None)
    if later is None:
        return None
    return 0.0 if later == 0 else float(root_scalar(at, bracket=(grid[later - 1], grid[later]), xtol=xtol).root)


def _root(mean: Callable[[float], float], guess: float, bracket: tuple[float, float]) -> float:
    """Where `mean` changes sign in the bracket, sought close to the guess first."""
    near = guess - 0.01, guess + 0.01
    inside = min(bracket) <= near[0] and near[1] <= max(bracket)
    chosen = near if inside and mean(near[0]) * mean(near[1]) < 0 else bracket
    return root_scalar(mean, bracket=chosen, xtol=1e-7).root


def first_crossing(face: Any, scramblings: int, first_step: float, longest: float) -> Crossing:
    """The learning time at which the integrated shaping gradient turns positive, in the limit of many small updates.

    theta' = naive gradient, u' = its derivative by p (u = dtheta/dp), integral' = dJ/dp, by Runge-Kutta of order four
    for a face with one component. Steps grow with the time, since learning slows down like 1 / time.
    """

    def flow(state: tuple) -> tuple:
        uphill, turn, now, learnt = face.velocity(*face.clip(*state[:2]))
        return uphill, turn, (now + learnt).reshape(scramblings, -1).mean(1)

    time, state = 0.0, (face.start, np.zeros((1, *face.start.shape)), np.zeros(scramblings))
    slope = flow(state)
    while time < longest:
        step = max(first_step, 0.08 * time)
        theta, u, integral = _runge_kutta(flow, state, slope, step)
        later = (*face.clip(theta, u), integral)
        later_slope = flow(later)
        if later[2].mean() > 0:
            return _crossing((time, time + step), (state[2], later[2]), (slope[2], later_slope[2]), longest)
        time, state, slope = time + step, later, later_slope
    return Crossing(None, None, longest)


def _runge_kutta(flow: Callable[[tuple], tuple], state: tuple, k1: tuple, step: float) -> tuple:
    def moved(slope: tuple, by: float) -> tuple:
        return tuple(x + by * dx for x, dx in zip(state, slope, strict=True))

    k2 = flow(moved(k1, step / 2))
    k3 = flow(moved(k2, step / 2))
    k4 = flow(moved(k3, step))
    return moved(tuple((a + 2 * b + 2 * c + d) / 6 for a, b, c, d in zip(k1, k2, k3, k4, strict=True)), step)


def _crossing(times: tuple[float, float], integrals: Any, slopes: Any, searched: float) -> Crossing:
    """Zero of the cubic through both ends of the step in which the mean changes sign; zero if it starts uphill."""
    means = [float(x.mean()) for x in (*integrals, *slopes)]
    if means[2] >= 0 == times[0]:
        return Crossing(0.0, 0.0, searched)
    curve = CubicHermiteSpline(times, means[:2], means[2:])
    start = times[0] or 1e-6 * times[1]  # the integral is zero at time zero
    time = root_scalar(curve, bracket=(start, times[1])).root
    share = (time - times[0]) / (times[1] - times[0])
    spread = standard_error((1 - share) * integrals[0] + share * integrals[1])
    return Crossing(float(time), float(spread / abs(curve(time, 1))), searched)
