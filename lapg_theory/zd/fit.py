"""How near a given policy comes to enforcing a line, and to the extortion family of the learning-aware literature."""

import dataclasses
import itertools
import math
from typing import Any

import numpy as np

from lapg_theory.game import MatrixGame
from lapg_theory.game.strategies import check_policy
from lapg_theory.zd.enforce import COOPERATED, check_gamma, payoffs_by_outcome


@dataclasses.dataclass(frozen=True)
class Fit:
    """The line nearest to a policy, pi_2 - `baseline` = `slope` (pi_1 - `baseline`), with `phi` and `chi` = 1 / slope.

    `residual` is the Euclidean distance of gamma p + (1 - gamma) p0 from those that enforce a line; zero: p enforces
    this one. Where the slope is 1 the line does not cross pi_2 = pi_1, so `baseline` is infinite, or NaN (any will do)
    where it is that line.
    """

    phi: float
    slope: float
    baseline: float
    chi: float
    residual: float


@dataclasses.dataclass(frozen=True)
class ExtortionFit:
    """The nearest member (p_CC, p_CD, p_DC, p_DD) of the two-parameter extortion family; `loss`: squared distance."""

    chi: float
    phi: float
    policy: tuple[float, ...]
    loss: float


def _one(name: str, policy: Any) -> np.ndarray:
    """One policy, refused where it is none or several."""
    array = check_policy(name, policy)
    if array.ndim != 1:
        raise ValueError(f"{name} must be one policy of shape (5,), got shape {array.shape}; fit them one by one")
    return array


def fit(game: MatrixGame, p: Any, gamma: float | int) -> Fit:
    """The line that the policy p comes nearest to enforcing, by linear least squares.

    gamma p + (1 - gamma) p0 - (1, 1, 0, 0) = A r1 + B r2 + C: phi = -B, slope = -A / B, baseline = C / (phi (1 -
    slope)). For a donation game the residual is gamma / 2 |p_CC - p_CD - p_DC + p_DD|, whatever p0.

    Raises:
        ValueError: for no policy, gamma outside [0, 1], or a game whose payoffs lie on one line whatever is played.
    """
    check_gamma(gamma)
    policy = _one("p", p)
    own, other = payoffs_by_outcome(game)
    basis = np.stack([own, other, np.ones(4)], axis=1)
    if np.linalg.matrix_rank(basis) < 3:
        raise ValueError(f"the payoffs of {game.name} lie on one line whatever is played; there is none to enforce")
    target = gamma * policy[1:] + (1 - gamma) * policy[0] - COOPERATED
    A, B, C = found = np.linalg.lstsq(basis, target)[0]
    rounding = 1e-12 * (abs(A) + abs(B))
    if abs(A + B) <= rounding:  # slope 1
        B, C = -A, C if abs(C) > rounding * np.abs(basis).max() else 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = -A / B
        numbers = -B, slope, C / (-B * (1 - slope)), 1 / slope, np.linalg.norm(target - basis @ found)
    return Fit(*map(float, numbers))


def extortion_fit(game: MatrixGame, p: Any) -> ExtortionFit:
    """Least-squares fit of the two-parameter, undiscounted extortion family to p_CC, p_CD, p_DC, p_DD.

    p_CC = 1 - phi (chi - 1) a, p_CD = 1 - phi (1 + chi t), p_DC = phi (chi + t), p_DD = 0, with a = (R - P) / (P - S),
    t = (T - P) / (P - S), chi >= 1 and 0 <= phi <= 1 / (1 + chi t). Linear in phi and phi chi, so a convex problem on a
    triangle. (Press & Dyson 2012; used by Meulemans et al. 2025, arXiv 2410.18636.)

    Raises:
        ValueError: for no policy, or a game that is not symmetric with P > S.
    """
    T, R, P, S = (float(payoff) for payoff in game.trps)
    if not P > S:
        raise ValueError(f"the extortion family divides by P - S, which must be positive; got P = {P:g}, S = {S:g}")
    target = _one("p", p)[1:] - COOPERATED
    a, t = (R - P) / (P - S), (T - P) / (P - S)
    basis = np.array([[a, -a], [-1, -t], [t, 1], [0, 0]])  # columns: phi, phi chi
    corners = np.array([[0, 0], [1, 1], [0, (1 + t) / t]]) / (1 + t)
    free = np.linalg.lstsq(basis, target)[0]
    if 0 < free[0] <= free[1] and free[0] + t * free[1] <= 1:
        best = free
    else:
        edges = [_nearest(basis, target, *edge) for edge in itertools.combinations(corners, 2)]
        best = min(edges, key=lambda x: float(np.sum((basis @ x - target) ** 2)))
    phi, product = map(float, best)
    policy = basis @ best + COOPERATED
    loss = float(np.sum((policy - COOPERATED - target) ** 2))
    return ExtortionFit(product / phi if phi > 0 else math.inf, phi, tuple(map(float, policy)), loss)


def _nearest(basis: np.ndarray, target: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The best point on the segment from `start` to `end`."""
    along = basis @ (end - start)
    share = np.clip(along @ (target - basis @ start) / (along @ along), 0, 1)
    return start + share * (end - start)
