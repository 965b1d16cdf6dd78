"""The payoffs that a fixed policy leaves to be had: a cloud over many co-players, and its corners."""

import dataclasses
import itertools
from typing import Any

import numpy as np

from lapg_theory.exact.chain import dot, from_probabilities, payoffs, traceable, visit_distribution
from lapg_theory.game import MOST_NODES, Horizon, MatrixGame, check_count
from lapg_theory.game.strategies import check_policy


@dataclasses.dataclass(frozen=True)
class PayoffPolygon:
    """Payoffs per step (own, other's): `points` [32 + n, 2] by co-player; `hull` [k, 2], their corners in order."""

    points: np.ndarray
    hull: np.ndarray


def payoff_polygon(game: MatrixGame, p: Any, horizon: Horizon, n: int = 1000, seed: int = 0) -> PayoffPolygon:
    """Payoffs of the policy p against all 32 deterministic memory-one co-players, and n random ones.

    In a discounted game the hull is that of *all* co-players, of any memory: against p a co-player faces a Markov
    decision process, whose visit distributions are mixtures of those of its deterministic stationary policies. A policy
    that enforces a line has a hull of two points.

    Args:
        game: a 2x2 game.
        p: the policy, five probabilities.
        horizon: `Discounted` or `FiniteHorizon`.
        n: how many random co-players.
        seed: of their draws.

    Raises:
        ValueError: for no policy, or an n that is no integer >= 1.
    """
    check_count("n", n, most=MOST_NODES)
    pure = np.array(list(itertools.product([0.0, 1.0], repeat=5)))
    others = np.concatenate([pure, np.random.default_rng(seed).uniform(size=(n, 5))])
    row, column = from_probabilities(check_policy("p", p)), from_probabilities(others.T).mirrored()
    seen = visit_distribution(row, column, traceable(horizon, game))
    points = np.stack([dot(seen, payoffs(game, player)) for player in (0, 1)], axis=1)
    _, spread, axes = np.linalg.svd(points - points.mean(0), full_matrices=False)
    if spread[1] <= 1e-9 * spread[0]:
        along = points @ axes[0]
        return PayoffPolygon(points, points[[along.argmin(), along.argmax()]])
    from scipy.spatial import ConvexHull

    return PayoffPolygon(points, points[ConvexHull(points).vertices])
