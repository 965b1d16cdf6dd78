"""The family of extortionate zero-determinant strategies: build a member of it, or find the one nearest to a policy.

With a = (R - P) / (P - S), c = (T - P) / (P - S), factor x >= 1 and scale f > 0, a member cooperates after CC, CD, DC, DD with
probability

    1 - f (x - 1) a,    1 - f (1 + x c),    f (x + c),    0,

and holds its surplus over P of an endlessly repeated game at x times its co-player's. All four are probabilities for f up to
1 / max((x - 1) a, 1 + x c, x + c). (Press & Dyson 2012, PNAS 109; in this form Meulemans et al. 2025, arXiv 2410.18636.)
"""

import dataclasses
import itertools
import math
import re
from typing import Any

import numpy as np

from lapg_theory.game.matrix_game import MatrixGame
from lapg_theory.game.noise import refuse_noise
from lapg_theory.game.numbers import check_number
from lapg_theory.game.strategies import strategy, written_policy

#: The name of an extortioner with its factor.
EXTORTIONER = re.compile(r"zd-extort-(\d+(?:\.\d+)?)")
#: Root mean square distance per state up to which the nearest extortioner says something of a policy. LAPG agents that
#: extort naive learners lie at .05 to .17 (docs/results/ipd-shaping), those that defect at .35.
NEAR = 0.2
_COOPERATED = np.array([1.0, 1.0, 0.0, 0.0])  # own action by outcome


def _ratios(game: MatrixGame) -> tuple[float, float]:
    """The two ratios of the game, a and c."""
    T, R, P, S = (float(payoff) for payoff in game.trps)
    if not (P > S and R >= P and T >= P):
        raise ValueError(
            f"the extortion family divides by P - S and needs R >= P > S and T >= P; {game.name} has (T, R, P, S) = "
            f"({T:g}, {R:g}, {P:g}, {S:g}); `lapg_theory.zd.extortionate` takes any game"
        )
    return (R - P) / (P - S), (T - P) / (P - S)


def extortioner(game: MatrixGame, factor: Any, scale: Any = None) -> tuple[float, ...]:
    """The zero-determinant strategy that holds its surplus over P at `factor` times its co-player's; it starts with D.

    Exact in endlessly repeated play without discount; see the module for the formula and its source.

    Args:
        game: a symmetric game with R >= P > S and T >= P.
        factor: x >= 1; 1 is tit-for-tat.
        scale: f > 0, at most 1 / max((x - 1) a, 1 + x c, x + c); by default half of that.

    Returns:
        The policy: probabilities of cooperating in s0, CC, CD, DC, DD.

    Raises:
        ValueError: for a factor or scale that is no number or outside its range, or another game.
    """
    x = float(check_number("factor", factor))
    if not 1 <= x < math.inf:
        raise ValueError(f"factor must be at least 1 and finite, got {factor}; 1 is tit-for-tat")
    refuse_noise(game, "this family holds the factor", "lapg_theory.zd.enforce takes noisy games and baselines above P")
    a, c = _ratios(game)
    most = min(1 / (1 + x * c), 1 / (x + c), math.inf if (x - 1) * a == 0 else 1 / ((x - 1) * a))
    f = most / 2 if scale is None else float(check_number("scale", scale))
    if not 0 < f <= most:
        raise ValueError(f"scale must lie in (0, {most:.6g}] at factor {x:g}, got {f}")
    return (0.0, 1 - f * (x - 1) * a, 1 - f * (1 + x * c), f * (x + c), 0.0)


@dataclasses.dataclass(frozen=True)
class NearestExtortioner:
    """The member of the family nearest to a policy.

    Attributes:
        factor: x; infinite where the scale is zero (an equaliser).
        scale: f.
        policy: its probabilities of cooperating after CC, CD, DC, DD.
        loss: squared distance, summed over the states that count.
        states: how many states count.
    """

    factor: float
    scale: float
    policy: tuple[float, ...]
    loss: float
    states: int

    @property
    def distance(self) -> float:
        """Root mean square distance per state."""
        return math.sqrt(self.loss / self.states)


def named_policy(game: MatrixGame, name: str) -> tuple[float, ...]:
    """The policy that a name stands for: one of `NAMED`, `zd-extort-X`, the extortioner of factor X in this game, or a text.

    A text is five probabilities with commas between them, or for a deterministic policy five letters: "CCDDC".

    Raises:
        ValueError: for an unknown name, with near matches, no such probabilities, or a game without such an extortioner.

    Example:
        >>> import lapg_theory as lt
        >>> lt.game.named_policy(lt.prisoners_dilemma(), "1,1,0,0.4,0") == (1.0, 1.0, 0.0, 0.4, 0.0)
        True
    """
    if written := written_policy(name):
        return written
    found = EXTORTIONER.fullmatch(name)
    return tuple(map(float, extortioner(game, float(found[1])))) if found else strategy(name)


def nearest_extortioner(game: MatrixGame, policy: Any) -> NearestExtortioner | None:
    """The member of the family nearest to `policy` by least squares over p_CC, p_CD, p_DC, p_DD.

    States without a probability (None or NaN: never visited) don't count; None where fewer than two of CC, CD, DC do, so
    that nothing tells f from f x. In (f, f x) the family is linear and its domain, all that are probabilities, a convex
    polygon; so the optimum is the unconstrained one or lies on an edge.

    Args:
        game: a symmetric game with R >= P > S and T >= P.
        policy: five probabilities s0, CC, CD, DC, DD; the first is not looked at.

    Raises:
        ValueError: for another game, another shape, or an entry outside [0, 1].
    """
    a, c = _ratios(game)
    given = np.asarray(policy, dtype=float)
    if given.shape != (5,) or not np.all(np.isnan(given) | ((given >= 0) & (given <= 1))):
        raise ValueError(
            f"policy needs five probabilities (s0, CC, CD, DC, DD) or None where not known, got {policy!r}"
        )
    known = ~np.isnan(given[1:])
    if known[:3].sum() < 2:
        return None
    basis = np.array([[a, -a], [-1, -c], [c, 1], [0, 0]])  # columns: f, f x
    best = _nearest(basis[known], (given[1:] - _COOPERATED)[known], a, c)
    member = basis @ best + _COOPERATED
    loss = float(np.sum((member - _COOPERATED - (given[1:] - _COOPERATED))[known] ** 2))
    f, product = map(float, best)
    factor = product / f if f > 0 else math.inf
    return NearestExtortioner(factor, f, tuple(map(float, member)), loss, int(known.sum()))


def _corners(a: float, c: float) -> np.ndarray:
    """Corners of the domain in (f, f x): f >= 0, x >= 1 and probabilities after CC, CD, DC."""
    corners = np.array([[0, 0], [1, 1], [0, (1 + c) / max(c, 1)]]) / (1 + c)
    if a <= max(c, 1):
        return corners
    share = max(c, 1) / a  # of the way from [1, 1] / (1 + c) to the last corner, where p_CC is used up
    return np.array([corners[0], corners[1], corners[1] + share * (corners[2] - corners[1]), [0, 1 / a]])


def _nearest(basis: np.ndarray, target: np.ndarray, a: float, c: float) -> np.ndarray:
    """The point of the domain that minimises |basis @ point - target|."""
    free = np.linalg.lstsq(basis, target)[0]
    used = max(free[0] + c * free[1], c * free[0] + free[1], a * (free[1] - free[0]))
    if 0 < free[0] <= free[1] and used <= 1:
        return free
    edges = [_on_segment(basis, target, *edge) for edge in itertools.combinations(_corners(a, c), 2)]
    return min(edges, key=lambda x: float(np.sum((basis @ x - target) ** 2)))


def _on_segment(basis: np.ndarray, target: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The best point on the segment from `start` to `end`."""
    along = basis @ (end - start)
    share = np.clip(along @ (target - basis @ start) / (along @ along), 0, 1) if along.any() else 0.0
    return start + share * (end - start)
