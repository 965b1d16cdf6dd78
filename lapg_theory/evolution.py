"""The evolutionary layer: types of agents that meet at random, and the replicator dynamics of their shares.

With A[i, j] what type i earns per step against type j, shares x follow x_i' = x_i [(A x)_i - x.A x] (Taylor & Jonker
1978, Mathematical Biosciences 40). `population` takes A from a mixed pool: learning-aware policies against each other
and against naive learners, averaged over their course of learning.
"""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import ndtri

from lapg_theory.ess import EssVerdict as EssVerdict
from lapg_theory.ess import is_ess as is_ess
from lapg_theory.exact.chain import from_logits, payoffs, stacked, traceable
from lapg_theory.exact.slopes import products
from lapg_theory.game import Discounted, check_count
from lapg_theory.game.strategies import check_policy
from lapg_theory.game.units import scale_of
from lapg_theory.metagame import MetaGame
from lapg_theory.metagame.objective import against_naive, partial
from lapg_theory.shaping.course import learner_slopes
from lapg_theory.shaping.sobol import sobol

#: How far a difference of payoffs may be from zero, as a part of their spread, and still be rounding.
ROUNDING = 1e-12
Shares = Float[np.ndarray, " n"]


@dataclasses.dataclass(frozen=True)
class RestPoint:
    """A mixture that the replicator dynamics leave where it is.

    Attributes:
        shares: of each type.
        payoff: what every type in it earns per step.
        modes: eigenvalues of the dynamics within the simplex; negative real parts: it is asymptotically stable.
        unit: of the payoffs, with which the modes are compared.
    """

    shares: Shares
    payoff: float
    modes: np.ndarray
    unit: float = 1.0

    @property
    def stable(self) -> bool:
        """Whether the mixture withstands every small change of shares, newcomers included."""
        return bool((self.modes.real < -ROUNDING * self.unit).all())

    @property
    def stability(self) -> str:
        """By the modes: "stable", all negative; "neutral", none positive, which leaves newcomers of a zero mode undecided."""
        if self.stable:
            return "stable"
        return "neutral" if (self.modes.real <= ROUNDING * self.unit).all() else "unstable"


@dataclasses.dataclass(frozen=True)
class Population:
    """Types of agents and what they earn against one another: `payoffs[i, j]` is what type i gets from type j.

    Raises:
        ValueError: unless `payoffs` is a square table of finite numbers with one row for each name.
    """

    names: tuple[str, ...]
    payoffs: Any

    def __post_init__(self):
        object.__setattr__(self, "payoffs", np.asarray(self.payoffs, dtype=float))
        if self.payoffs.shape != (len(self.names),) * 2 or not np.isfinite(self.payoffs).all():
            raise ValueError(
                f"payoffs must be {len(self.names)} x {len(self.names)} finite numbers for {self.names}, "
                f"got {self.payoffs}"
            )

    def velocity(self, x: Shares) -> Shares:
        """Replicator dynamics: x_i [(A x)_i - x.A x]."""
        earned = self.payoffs @ x
        return x * (earned - x @ earned)

    def run(self, x: Any, time: float | int, points: Any = 200) -> tuple[np.ndarray, Float[np.ndarray, "points n"]]:
        """Times and shares along the dynamics from shares x.

        Raises:
            ValueError: for shares that are negative or don't sum to one, a time that is not positive and finite, or where
                the integrator fails.
        """
        check_count("points", points, least=2)
        x, single = np.asarray(x, dtype=float), np.asarray(x).dtype == np.float32
        slack = 1e-6 if single else 1e-9
        if x.shape != (len(self.names),) or (x < -slack).any() or not abs(x.sum() - 1) <= slack:
            raise ValueError(f"shares must be {len(self.names)} numbers >= 0 that sum to 1, got {x}")
        if not 0 < time < np.inf:
            raise ValueError(f"time must be positive and finite, got {time}")
        if single or (x < 0).any():  # rounded away from the simplex
            x = np.clip(x, 0, None) / np.clip(x, 0, None).sum()
        from scipy.integrate import odeint  # its loop is compiled; that of solve_ivp takes more time than the steps

        t, gains = np.linspace(0, time, points), self.payoffs.dot

        def velocity(y: Shares, _: float) -> Shares:
            earned = gains(y)
            return y * (earned - y.dot(earned))

        course, info = odeint(velocity, x, t, rtol=1e-9, atol=1e-12, mxstep=1_000_000, full_output=True)
        if info["message"] != "Integration successful.":
            reached = info["tcur"].max(initial=0.0)
            raise ValueError(
                f"the integration stopped at t = {reached:.4g}: {info['message']} Try a shorter time or smaller payoffs."
            )
        return t, course

    def rest_points(self) -> tuple[RestPoint, ...]:
        """Every isolated mixture at rest, one for each set of types that can be in balance; stable ones first."""
        n, found, (unit, base) = len(self.names), [], scale_of(self.payoffs.ravel(), self.payoffs.min())
        payoffs = (self.payoffs - base) / unit  # which moves no rest point
        for size in range(1, n + 1):
            for types in map(list, itertools.combinations(range(n), size)):
                system = np.ones((size + 1, size + 1))
                system[:size, :size] = payoffs[np.ix_(types, types)]
                system[:, size] = [-1] * size + [0]
                if np.linalg.cond(system) > 1e12:
                    continue  # a line of rest points, or none
                *inside, level = np.linalg.solve(system, [0] * size + [1])
                if min(inside) > 0:
                    x = np.zeros(n)
                    x[types] = inside
                    found.append(RestPoint(x, float(base + unit * level), unit * _modes(payoffs, x, types), unit))
        return tuple(sorted(found, key=lambda point: not point.stable))

    def verdict(self, first: str, second: str) -> str:
        """How two types fare against each other: who dominates, coexistence, bistable, or neutral.

        Raises:
            ValueError: for a name that no type has.
        """
        for name in (first, second):
            if name not in self.names:
                raise ValueError(f"no type {name!r} among {', '.join(self.names)}")
        i, j = (self.names.index(name) for name in (first, second))
        pair = Population((first, second), self.payoffs[np.ix_([i, j], [i, j])])
        (a, b), (c, d) = pair.payoffs
        rounding = ROUNDING * max(np.ptp(pair.payoffs), np.finfo(float).eps * np.abs(pair.payoffs).max())
        rare, common = (x if abs(x) > rounding else 0.0 for x in (b - d, a - c))
        if (rare < 0 < common) or (common < 0 < rare):
            share = rare / (rare - common)
            kind = "coexistence" if rare > 0 else "bistable"
            return f"{kind}: balance at {share:.3g} {first}"
        if rare == common == 0:
            return "neutral"
        return f"{first if rare + common > 0 else second} dominates"


def _modes(payoffs: Float[np.ndarray, "n n"], x: Shares, types: list[int]) -> np.ndarray:
    """Growth rates of newcomers, and eigenvalues of the dynamics among the types present."""
    earned = payoffs @ x
    absent = [i for i in range(len(x)) if i not in types]
    inner = payoffs[np.ix_(types, types)]
    among = x[types][:, None] * (inner - x[types] @ (inner + inner.T))
    basis = np.linalg.svd(np.ones((1, len(types))))[2][1:].T  # directions that keep the sum of shares
    return np.concatenate([earned[absent] - x @ earned, np.linalg.eigvals(basis.T @ among @ basis)])


def naive_among_themselves(meta: MetaGame) -> float:
    """What a naive learner earns per step from another that learns at the same time, over their courses of learning."""
    points = sobol(meta.nodes, 10, np.random.default_rng(meta.seed))
    first, second = np.split(meta.spread * ndtri(points).T, 2)
    rewards, horizon, earned = (
        (payoffs(meta.game), payoffs(meta.game, 1)),
        traceable(Discounted(meta.gamma), meta.game),
        [],
    )
    for _ in range(meta.updates + 1):
        row = from_logits(first)
        own, other = learner_slopes(row, second, rewards, horizon)
        earned.append((own.value + other.value).mean() / 2)
        first = first + meta.rate * stacked(products(*row)) * own.row
        second = second + meta.rate * other.column
    return float(np.mean(earned))


def population(meta: MetaGame, aware: Mapping[str, Any]) -> Population:
    """Types: the learning-aware policies `aware` (name to five probabilities), and "naive" last.

    Raises:
        ValueError: for no policy, one that is none, or one named "naive".

    Example:
        >>> import lapg_theory as lt
        >>> pool = lt.MetaGame(lt.prisoners_dilemma(), gamma=0.99, p_naive=0.5, eta=1.0, updates=20, nodes=32)
        >>> lt.population(pool, {"K": (1, 1, 0, 0.293, 0)}).names
        ('K', 'naive')
    """
    if not aware:
        raise ValueError("population needs at least one learning-aware policy, by name")
    if "naive" in aware:
        raise ValueError('the name "naive" is taken: it stands for the naive learners')
    p = np.array([check_policy(name, policy) for name, policy in aware.items()])
    n, setting = len(p), meta.setting()._replace(compiled=False)
    payoffs = np.empty((n + 1, n + 1))
    payoffs[:n, :n] = partial(setting, np.repeat(p, n, 0), np.tile(p, (n, 1)))[0].reshape(n, n)
    payoffs[:n, n], payoffs[n, :n] = against_naive(setting, p)
    payoffs[n, n] = naive_among_themselves(meta)
    return Population((*aware, "naive"), payoffs)
