"""How near a given policy comes to enforcing a line, and to the extortion family of the learning-aware literature."""

import dataclasses
from typing import Any, cast

import numpy as np

from lapg_theory.exact.chain import done
from lapg_theory.game import MatrixGame, NearestExtortioner, check_game, nearest_extortioner
from lapg_theory.game.strategies import check_policy
from lapg_theory.game.units import on_one_scale
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
    slope)); under noise p is what is done. For a donation game the residual is gamma / 2 |p_CC - p_CD - p_DC + p_DD|,
    whatever p0.

    Raises:
        ValueError: for no policy, gamma outside [0, 1], or a game whose payoffs lie on one line whatever is played.
    """
    check_gamma(gamma)
    check_game(game)
    (policy,) = done(game, _one("p", p))
    scaled, scale = on_one_scale(game)
    own, other = payoffs_by_outcome(scaled)
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
        baseline = scale.level(C / (-B * (1 - slope)))
        numbers = -B / scale.unit, slope, baseline, 1 / slope, np.linalg.norm(target - basis @ found)
    return Fit(*map(float, numbers))


def extortion_fit(game: MatrixGame, p: Any) -> ExtortionFit:
    """Least-squares fit of the two-parameter, undiscounted extortion family to p_CC, p_CD, p_DC, p_DD.

    See `lapg_theory.game.extortion`, with chi the factor and phi the scale.

    Raises:
        ValueError: for no policy, or a game that is not symmetric with R >= P > S and T >= P.
    """
    check_game(game)
    found = cast(NearestExtortioner, nearest_extortioner(game, _one("p", p)))  # all states count
    return ExtortionFit(found.factor, found.scale, found.policy, found.loss)
