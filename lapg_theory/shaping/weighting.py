"""How inner episodes count: their mean or their sum, and what share of naive learners that makes."""

from typing import Any, Literal

from lapg_theory.game.numbers import check_share

Weighting = Literal["mean", "sum"]


def episodes(weighting: str, updates: int) -> int:
    """How many inner episodes count: all in a sum, one in a mean."""
    if weighting not in ("mean", "sum"):
        raise ValueError(f'weighting must be "mean" or "sum" (over the inner episodes), got {weighting!r}')
    return updates + 1 if weighting == "sum" else 1


def effective_p_naive(p_naive: Any, updates: Any, weighting: str) -> Any:
    """The share of naive learners that counts: p for "mean"; for "sum" p (M + 1) / (p (M + 1) + 1 - p), M = `updates`.

    A sum over the M + 1 inner episodes gives the games against naive learners M + 1 times the weight of one game
    against a learning-aware agent; up to a common factor that is the mean with this larger share.

    Raises:
        ValueError: for a share outside [0, 1] or an unknown weighting.
    """
    p_naive = check_share("p_naive", p_naive)
    count = episodes(weighting, updates)
    return p_naive * count / (p_naive * count + 1 - p_naive)
