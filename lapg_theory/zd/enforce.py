"""Zero-determinant strategies: memory-one policies that hold both players' payoffs on one line, whoever plays.

With v the discounted visit distribution over the outcomes CC, CD, DC, DD, own view, every memory-one policy p obeys
Akin's identity v . (gamma p + (1 - gamma) p0 - (1, 1, 0, 0)) = 0 against every co-player. A policy with

    gamma p + (1 - gamma) p0 = (1, 1, 0, 0) + phi [s (r1 - l) - (r2 - l)],     r1 own payoffs, r2 the other's,

therefore enforces pi_2 - l = s (pi_1 - l): slope s, baseline l. Extortion has l = P and chi = 1 / s >= 1, so that
pi_1 - P = chi (pi_2 - P); a generous policy has l = R, an equaliser s = 0. Payoffs are per step; gamma = 1 is the
undiscounted limit, where p0 drops out. In a noisy game all this holds of what is done; what is to be intended follows from
it, and has to be probabilities: fewer lines can be enforced, and none through P or R. (Press & Dyson 2012, PNAS 109; Akin
2016, Springer Proc. Math. Stat. 195; Hilbe, Traulsen & Sigmund 2015, Games Econ. Behav. 92; McAvoy & Hauert 2016, PNAS 113.)
"""

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
from jaxtyping import Float

from lapg_theory.game import MIRROR, MatrixGame, check_game
from lapg_theory.game.noise import Noise
from lapg_theory.game.units import on_one_scale

COOPERATED = np.array([1.0, 1.0, 0.0, 0.0])  # own action by outcome
ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True)
class Feasibility:
    """Whether a line can be enforced (also as truth value), with which `phi` (lower, upper), and from which gamma on.

    `gamma_min` is 1 where only the undiscounted limit will do, infinite where no policy does.
    """

    feasible: bool
    phi: tuple[float, float] | None
    gamma_min: float

    def __bool__(self) -> bool:
        return self.feasible


def payoffs_by_outcome(game: MatrixGame) -> tuple[np.ndarray, np.ndarray]:
    """The row player's and the column player's payoffs by outcome CC, CD, DC, DD of the row player's view."""
    check_game(game)
    theirs = [game.column_payoffs[state - 1] for state in MIRROR[1:]]
    return np.array(game.row_payoffs, dtype=float), np.array(theirs, dtype=float)


def check_gamma(gamma: float | int) -> None:
    """Refuse what is neither a discount in [0, 1) nor 1, the undiscounted limit."""
    if not 0 <= gamma <= 1:
        raise ValueError(f"gamma must lie in [0, 1), or be 1 for the undiscounted limit, got {gamma!r}")


def _unslipped(game: MatrixGame) -> tuple[np.ndarray, float, float]:
    """(B, e, k) by which e + k p = B done, the other way round than `Noise.acted`: to be intended after CC, CD, DC, DD."""
    if game.noise is None:
        return np.eye(4), 0.0, 1.0
    slip, glance = float(game.noise.execution), float(game.noise.perception)
    return Noise(0.0, glance).intended(np.eye(5)[1:])[:, 1:].T, slip, 1 - 2 * slip


def _tilt(game: MatrixGame, slope: Any, chi: Any, baseline: Any) -> tuple[float, np.ndarray, float]:
    """The slope, what phi x unit multiplies, by outcome: [s (r1 - l) - (r2 - l)] / unit; and the unit of the payoffs."""
    if (slope is None) == (chi is None) or chi == 0:
        raise ValueError(f"give either slope or chi = 1 / slope (not 0), got slope={slope}, chi={chi}")
    s = float(slope) if slope is not None else 1 / float(chi)
    if not (math.isfinite(s) and math.isfinite(baseline)):
        raise ValueError(
            f"slope, chi and baseline must be numbers, the baseline finite, got {slope}, {chi}, {baseline}"
        )
    check_game(game)
    scaled, (unit, base) = on_one_scale(game)
    (own, other), level = payoffs_by_outcome(scaled), float(baseline - base) / unit
    return s, s * (own - level) - (other - level), unit


def _extreme(
    game: MatrixGame, tilt: np.ndarray, variable: int, lost: tuple[float, float]
) -> tuple[float, float] | None:
    """Least and largest value of one of (phi, x, 1 - gamma) over all policies, x = (1 - gamma) p0; None where there are none.

    0 <= (1, 1, 0, 0) - x + phi tilt <= gamma and 0 <= x <= 1 - gamma, with 1 - gamma within the bounds `lost`. Under noise
    x is of what is done, and the bounds are those of gamma (e + k p) and (1 - gamma) (e + k p0) for what is intended. A linear
    program in three variables: its extremes are corners, the points where three of its planes meet that break none.
    """
    one, none, (turn, slip, keeps) = np.ones(4), np.zeros(4), _unslipped(game)
    tilt, reach = turn @ tilt, turn @ COOPERATED
    rows = np.stack([-tilt, one, none - slip], 1), np.stack([tilt, -one, slip + keeps * one], 1)
    first = [[0, 1, -slip - keeps]] + [[0, -1, slip]] * (slip > 0)
    rows = np.concatenate([*rows, first, np.eye(3), -np.eye(3)])
    bounds = [1e6, 1, lost[1], 1e6, 0, -lost[0]]
    limits = np.concatenate([reach - slip, slip + keeps - reach, [0] * len(first), bounds])
    size = np.linalg.norm(rows, axis=1)
    rows, limits = rows / size[:, None], limits / size
    three = np.array(list(itertools.combinations(range(len(rows)), 3)))
    three = three[np.abs(np.linalg.det(rows[three])) > 1e-12]
    corners = np.linalg.solve(rows[three], limits[three][..., None])[..., 0]
    allowed = corners[(corners @ rows.T <= limits + 1e-10).all(1), variable]
    return (float(allowed.min()), float(allowed.max())) if len(allowed) else None


def _phis(game: MatrixGame, tilt: np.ndarray, lost: float) -> tuple[float, float] | None:
    """The range of phi at 1 - gamma = `lost`; phi = 0 alone enforces nothing."""
    found = _extreme(game, tilt, 0, (lost, lost))
    return found if found is not None and max(map(abs, found)) > ROUNDING else None


def feasible(game: MatrixGame, gamma: float | int, *, baseline: Any, slope: Any = None, chi: Any = None) -> Feasibility:
    """Whether some memory-one policy enforces a line at this gamma, with the range of phi; arguments as for `enforce`.

    A linear program: the policy is linear in phi, (1 - gamma) p0 and gamma, and everything is bounded.

    Args:
        game: a 2x2 game.
        gamma: the discount factor, up to 1.
        baseline: l, the payoff at which both earn the same.
        slope: s of the line, or
        chi: its inverse.
    """
    check_gamma(gamma)
    _, tilt, unit = _tilt(game, slope, chi, baseline)
    most = _extreme(game, tilt, 2, (0.0, 1.0))
    lost = 0.0 if most is None else most[1]
    lowest = 1 - lost if lost > ROUNDING else 1.0 if _phis(game, tilt, 0.0) else math.inf
    phi = _phis(game, tilt, float(min(1 - gamma, lost))) if 1 - gamma <= lost + ROUNDING and lowest <= 1 else None
    return Feasibility(phi is not None, phi and (phi[0] / unit, phi[1] / unit), lowest)


def gamma_min(game: MatrixGame, *, chi: Any = None, slope: Any = None, baseline: Any = None) -> float:
    """The smallest discount at which a line can be enforced; baseline P (extortion) unless given.

    1 where only the undiscounted limit will do, infinite where no policy does. For T, R, P, S = 2, 1, 0, -1 and chi > 1
    it is (chi + 2) / (2 chi + 1).

    Args:
        game: a 2x2 game.
        chi: the factor, or
        slope: its inverse.
        baseline: l, by default P.
    """
    check_game(game)
    baseline = game.row_payoffs[3] if baseline is None else baseline
    return feasible(game, 1, baseline=baseline, slope=slope, chi=chi).gamma_min


def enforce(
    game: MatrixGame,
    gamma: float | int,
    *,
    baseline: Any,
    slope: Any = None,
    chi: Any = None,
    phi: Any = None,
    p0: Any = None,
) -> Float[np.ndarray, "5"]:
    """The policy that enforces pi_2 - baseline = slope (pi_1 - baseline) per step against every co-player.

    gamma p = (1, 1, 0, 0) - (1 - gamma) p0 + phi [slope (r1 - baseline) - (r2 - baseline)]; p0 comes first.

    Args:
        game: any 2x2 game; the policy is the row player's.
        gamma: discount in [0, 1), or 1 for the undiscounted limit.
        baseline: the payoff l at which the line meets pi_1 = pi_2.
        slope: s; or instead of it chi.
        chi: 1 / s, by which the row player's gain over the baseline exceeds the other's.
        phi: how strongly the policy reacts; by default the middle of what is feasible.
        p0: the first move; by default the middle of what is feasible (gamma = 1: 1 for a generous line, else 0).

    Raises:
        ValueError: where no policy enforces the line at this gamma, phi or p0; the message says what would.
    """
    s, tilt, unit = _tilt(game, slope, chi, baseline)
    found = feasible(game, gamma, baseline=baseline, slope=s)
    line = f"the line of slope {s:g} through baseline {float(baseline):g}"
    if found.phi is None:
        remedy = f"it needs gamma >= {found.gamma_min:.6g}; raise gamma or choose another slope"
        if found.gamma_min >= 1:
            remedy = "only the undiscounted limit, gamma = 1, will do; choose another slope"
        if found.gamma_min > 1:
            remedy = "no gamma will do; choose a baseline between P and R and a slope in [0, 1]"
        raise ValueError(f"{line} cannot be enforced at gamma = {gamma:g}: {remedy}")
    low, high = found.phi
    phi = (low + high) / 2 if phi is None else float(phi)
    if not math.isfinite(phi):
        raise ValueError(f"phi must be finite, got {phi}")
    turn, slip, keeps = _unslipped(game)
    lost, reach = 1 - gamma, turn @ (phi * unit * tilt + COOPERATED) - gamma * slip
    first, last = max(lost * slip, (reach - gamma * keeps).max()), min(lost * (slip + keeps), reach.min())
    if first > last + ROUNDING or phi == 0:
        raise ValueError(f"phi = {phi:g} cannot enforce {line}: it must lie in [{low:.6g}, {high:.6g}] and not be 0")
    start = (first + last) / 2 if p0 is None else lost * (slip + keeps * p0)
    if not first - ROUNDING <= start <= last + ROUNDING:
        least, most = ((x / lost - slip) / keeps for x in (first, last))
        raise ValueError(f"p0 = {p0:g} cannot enforce {line}: it must lie in [{least:.6g}, {most:.6g}]")
    if p0 is None:
        p0 = (start / lost - slip) / keeps if lost else float(abs(tilt[0]) < ROUNDING)
    later = (reach - start) / (gamma * keeps) if gamma else np.zeros(4)
    return np.clip(np.append(p0, later), 0.0, 1.0)


def _check_factor(game: MatrixGame, chi: Any) -> None:
    check_game(game)
    if not chi >= 1:
        raise ValueError(f"chi must be at least 1 (infinite: an equaliser), got {chi}; enforce takes any slope")


def extortionate(game: MatrixGame, gamma: float | int, chi: Any, phi: Any = None) -> Float[np.ndarray, "5"]:
    """The policy that earns chi >= 1 times what the other earns above mutual defection: pi_1 - P = chi (pi_2 - P).

    Args:
        game: a symmetric 2x2 game.
        gamma: the discount factor, up to 1.
        chi: the factor, at least 1.
        phi: the scale; by default the middle of its range.
    """
    _check_factor(game, chi)
    return enforce(game, gamma, baseline=game.row_payoffs[3], chi=chi, phi=phi)


def generous(game: MatrixGame, gamma: float | int, chi: Any, phi: Any = None) -> Float[np.ndarray, "5"]:
    """The policy that loses chi >= 1 times what the other loses below mutual cooperation: R - pi_1 = chi (R - pi_2).

    Args:
        game: a symmetric 2x2 game.
        gamma: the discount factor, up to 1.
        chi: the factor, at least 1.
        phi: the scale; by default the middle of its range.
    """
    _check_factor(game, chi)
    return enforce(game, gamma, baseline=game.row_payoffs[0], chi=chi, phi=phi)


def equaliser(
    game: MatrixGame, gamma: float | int, payoff: Any, phi: Any = None, p0: Any = None
) -> Float[np.ndarray, "5"]:
    """The policy against which the other earns `payoff` per step whatever it does.

    Args:
        game: a 2x2 game.
        gamma: the discount factor, up to 1.
        payoff: what the other is to earn per step.
        phi: the scale; by default the middle of its range.
        p0: the opening's probability; by default what allows most.
    """
    return enforce(game, gamma, baseline=payoff, slope=0, phi=phi, p0=p0)
