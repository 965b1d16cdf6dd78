"""Zeros of the self-play field F(p, p) on a face of the cube of policies, and Karush-Kuhn-Tucker points near them.

Why central differences and least squares: the field averages over hundreds of courses of learning, each with its own kinks,
whose exact second derivatives would cost more than the ten fields of a difference; and where a state is never visited the block
is singular by nature, so that a plain solve would jump.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from lapg_theory.metagame.objective import Policies, Setting, Values, partial, pooled, shaping

Blocks = Float[np.ndarray, "n 5 5"]
Free = Bool[np.ndarray, "n 5"]

STEP = 1e-5  # of the central differences; their error is of order 1e-10
REACH = 0.25  # longest step in any coordinate


def field(setting: Setting, p: Policies) -> Policies:
    """The self-play field F(p, p)."""
    return pooled(setting, p, p)[1]


def project(p: Any, F: Any) -> np.ndarray:
    """The field F at p without the components that point out of the cube: what projected-gradient learning follows."""
    p, F = np.asarray(p), np.asarray(F)
    return np.where((p <= 0) & (F < 0) | (p >= 1) & (F > 0), 0.0, F)


def blocks(setting: Setting, p: Policies, which: Free) -> tuple[Blocks, Blocks]:
    """Derivatives of F(p, q) at q = p: A in the agent's own coordinates `which`, B in the other agents'."""
    share = np.broadcast_to(setting.share, len(p))[:, None, None]
    every = np.ones_like(which)
    own = _differences(lambda x, i: partial(setting.at(i), x, p[i])[1], p, every)
    other = _differences(lambda x, i: partial(setting.at(i), p[i], x)[1], p, every)
    course = _differences(lambda x, i: shaping(setting.at(i), x)[1], p, which & (share[:, 0] > 0))
    return share * course + (1 - share) * own, (1 - share) * other


def _differences(slopes: Callable, p: Policies, which: Free) -> Blocks:
    """Derivatives of slopes(p), [n, component, coordinate], in the coordinates `which` of p; zero in the others."""
    point, coordinate = np.nonzero(which)
    result = np.zeros((len(p), 5, 5))
    if len(point):
        shift = STEP * np.eye(5)[coordinate]
        ahead, behind = np.split(slopes(np.concatenate([p[point] + shift, p[point] - shift]), np.tile(point, 2)), 2)
        result[point, :, coordinate] = (ahead - behind) / (2 * STEP)
    return result


def _step(F: Policies, J: Blocks, free: Free, drag: Values) -> Policies:
    """(drag I - J)^-1 F in the free coordinates, at most REACH long; least squares where the block is singular.

    Without drag this is Newton's step; with it, an implicit Euler step of length 1 / drag along the field.
    """
    pairs = free[:, :, None] & free[:, None, :]
    block = np.where(pairs, drag[:, None, None] * np.eye(5) - J, 0)
    step = (np.linalg.pinv(block, rcond=1e-9) @ np.where(free, F, 0)[..., None])[..., 0]
    longest = np.abs(step).max(1, keepdims=True)
    return step * np.minimum(1, REACH / np.maximum(longest, 1e-300))


def on_faces(
    setting: Setting, p: Policies, free: Free, *, tolerance: float, iterations: int = 25
) -> tuple[Policies, Bool[np.ndarray, " n"]]:
    """Newton's method on each point's own face: the points, and whether each is a zero inside its face."""
    p, found, pinned, active = p.copy(), np.zeros(len(p), bool), np.zeros(len(p), int), np.arange(len(p))
    for _ in range(iterations):
        F = field(setting.at(active), p[active])
        done = np.abs(np.where(free[active], F, 0)).max(1) < tolerance
        found[active[done]] = True
        go = ~done & (pinned[active] < 3)  # three steps in succession out of the face: nothing to be found this way
        active, F = active[go], F[go]
        if not len(active):
            break
        A, B = blocks(setting.at(active), p[active], free[active])
        moved = p[active] + _step(F, A + B, free[active], np.zeros(len(active)))
        p[active] = np.clip(moved, 0, 1)
        pinned[active] = np.where((moved != p[active]).any(1), pinned[active] + 1, 0)
    return p, found & (~free | ((p > 1e-7) & (p < 1 - 1e-7))).all(1)


def settle(
    setting: Setting,
    p: Policies,
    *,
    tolerance: float,
    drag: float = 0.0,
    iterations: int = 60,
    held: Any = False,
) -> tuple[Policies, Free, Values]:
    """The Karush-Kuhn-Tucker points reached from p: points, free coordinates, residuals.

    A coordinate at 0 or 1 is held there while the field pushes outwards, and set free otherwise. The residual is the
    largest component of the projected field. Without `drag` this is Newton's method and goes to points of any kind;
    with it, it follows the flow dp/dt = F(p, p) in implicit steps that lengthen as the residual falls (pseudo-transient
    continuation) and goes to attractors. Coordinates `held` are never set free.

    Args:
        setting: the pool.
        p: where to start.
        tolerance: of the residual.
        drag: of the flow.
        iterations: at most.
        held: truth values, one for each coordinate.
    """
    p, active = p.copy(), np.arange(len(p))
    free, first, residual = np.ones_like(p, bool), np.full(len(p), np.nan), np.full(len(p), np.inf)
    for _ in range(iterations):
        x, F = p[active], field(setting.at(active), p[active])
        inwards = np.where(x <= 0, F, -F)
        free[active] = (((x > 0) & (x < 1)) | (inwards > tolerance)) & ~np.asarray(held)
        residual[active] = np.abs(np.where(free[active], F, 0)).max(1)
        first = np.where(np.isnan(first), residual, first)
        go = residual[active] >= tolerance
        active, F = active[go], F[go]
        if not len(active):
            break
        A, B = blocks(setting.at(active), p[active], free[active])
        damping = drag * residual[active] ** 2 / first[active]
        p[active] = np.clip(p[active] + _step(F, A + B, free[active], damping), 0, 1)
    return p, free, residual
