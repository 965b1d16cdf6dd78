"""Fit the family of extortionate zero-determinant strategies to a memory-one policy.

With a = (R - P) / (P - S), c = (T - P) / (P - S), factor x >= 1 and scale 0 < f <= 1 / (1 + x c), the family is

    p_cc = 1 - f (x - 1) a,    p_cd = 1 - f (1 + x c),    p_dc = f (x + c),    p_dd = 0,

whose player holds the surplus over P of an endlessly repeated game at x times its co-player's (Press & Dyson 2012;
in this form Meulemans et al. 2025).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lapg_rl.study.records import ExtortionFit
from lapg_theory.game import MatrixGame


def fit_extortion(game: MatrixGame, signature: Sequence[float | None], agent: int = 0) -> ExtortionFit | None:
    """The member of the family nearest (least squares) to `signature`, five probabilities from s0 on.

    States without a probability (None: never visited) do not count; None where fewer than two of CC, CD, DC count. In
    (f, f x) the family is linear and its domain a triangle, so the optimum is the unconstrained one or on an edge.

    Raises:
        ValueError: for a game that is not symmetric.
    """
    T, R, P, S = game.trps
    a, c = (R - P) / (P - S), (T - P) / (P - S)
    design = np.array([[a, -a], [-1, -c], [c, 1], [0, 0]])
    offset = np.array([1.0, 1.0, 0.0, 0.0])
    seen = np.array([p is not None for p in signature[1:]])
    if seen[:3].sum() < 2:
        return None
    target = np.array([p if p is not None else 0.0 for p in signature[1:]]) - offset
    at = _nearest_in_triangle(design[seen], target[seen], np.array([[0, 0], [0, 1 / c], [1, 1] / np.array(1 + c)]))
    residual = np.sqrt(np.mean((design[seen] @ at - target[seen]) ** 2))
    f, fx = at
    factor = float(fx / f) if f > 1e-9 else None
    return ExtortionFit(agent, factor, float(f), float(residual), (design @ at + offset).tolist())


def _nearest_in_triangle(design: Any, target: Any, corners: Any) -> Any:
    """The point of the triangle that minimises |design @ point - target|."""
    inside = np.linalg.lstsq(design, target)[0]
    weights = np.linalg.solve(np.vstack([corners.T, np.ones(3)]), [*inside, 1])
    if np.all(weights >= 0):
        return inside
    candidates = []
    for start, end in zip(corners, np.roll(corners, 1, axis=0), strict=True):
        along = design @ (end - start)
        step = along @ (target - design @ start) / (along @ along) if along @ along > 0 else 0.0
        candidates.append(start + np.clip(step, 0, 1) * (end - start))
    return min(candidates, key=lambda point: np.sum((design @ point - target) ** 2))
