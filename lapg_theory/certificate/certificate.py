"""The defection certificate: is mutual defection stable once some co-players learn naively, and what would undo it."""

import dataclasses
import functools
import math
from typing import Any

import numpy as np
from jaxtyping import Float

from lapg_theory.certificate.closed_form import SPACES
from lapg_theory.certificate.learners import initial_learners
from lapg_theory.certificate.setting import Setting
from lapg_theory.certificate.thresholds import Crossing, Interval, first_crossing, positive_interval, standard_error
from lapg_theory.certificate.verdicts import LocalVerdict, NashVerdict, critical_share, local_verdict, nash_verdict
from lapg_theory.game import DC, MOST_UPDATES, STATES, Discounted, MatrixGame, check_count, check_game
from lapg_theory.game.numbers import is_positive
from lapg_theory.game.show import brief, table, text
from lapg_theory.shaping.weighting import Weighting, effective_p_naive

#: Learners of the cheap scans that find the cell of a threshold; the threshold itself uses all learners.
SCAN_LEARNERS = 256


@dataclasses.dataclass(frozen=True)
class Component:
    """One component of the shaping gradient at unconditional defection: `value` = `direct` + `via_learning`, per step.

    `direct` is what cooperating in that state does within the episode, `via_learning` what it does to later episodes by
    changing the learner; `error` is the quadrature standard error of `value`.
    """

    value: float
    direct: float
    via_learning: float
    error: float


@dataclasses.dataclass(frozen=True, eq=False)
class DefectionCertificate:
    """The statements about one `setting`; each is computed when it is first asked for, and kept."""

    setting: Setting

    __repr__ = brief

    def _shown(self) -> tuple[list[tuple[Any, ...]], str, str]:
        """Everything but `gamma_window` and `nash`, which take seconds, unless they are known; a title, and the setting."""
        s, window, errors = self.setting, self.window, self.errors
        edges = errors["window"] or (None, None)
        rows = [
            ("mutual defection is a stable fixed point of the pool", self.local.stable, None),
            ("from this share of naive learners on it is not", self.local.p_critical, None),
            ("window of naive learning rates: from", window and window[0], edges[0]),
            ("to", window and window[1], edges[1]),
            ("critical total learning time tau*", self.tau_star, errors["tau_star"]),
            ("critical batch size B* of biased estimators", self.batch_star, errors["batch_star"]),
        ]
        if "nash" in self.__dict__:
            rows.append(("defection is a best reply in the pool", self.nash.is_nash, None))
        about = (
            f"gamma {s.gamma:g}, eta {s.eta:g}, updates {s.updates}, effective share of naive learners {s.p_naive:g}"
        )
        return rows, f"Defection certificate: {s.game.name}", about

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return table(("", "", "±"), *self._shown())

    def __str__(self) -> str:
        rows, *around = self._shown()
        return text([(what, value, "" if error is None else f"± {error:.1g}") for what, value, error in rows], *around)

    @functools.cached_property
    def _parts(self) -> Float[np.ndarray, "2 states scramblings"]:
        """Direct and via-learning parts at the states that are visited: s0, DC, DD; under noise all five."""
        parts = self.setting.shaping(self.setting.learners.reshape(-1, 5), self.setting.eta)
        return parts.reshape(*parts.shape[:2], len(self.setting.learners), -1).mean(3)

    @functools.cached_property
    def components(self) -> dict[str, Component]:
        """The shaping gradient at unconditional defection in probability space, by state: s0, CC, CD, DC, DD.

        Of the mean over the inner episodes 0..updates of the agent's return per step. CC and CD are identically zero without
        noise.
        """
        found = dict.fromkeys(STATES, Component(0.0, 0.0, 0.0, 0.0))
        for state, direct, via in zip(self.setting.states, *self._parts, strict=True):
            mean = float(direct.mean()), float(via.mean())
            found[STATES[state]] = Component(sum(mean), *mean, standard_error(direct + via))
        return found

    @functools.cached_property
    def rate_scan(self) -> Interval:
        """`window` with its error bars and the scan behind it (which answers where there is no window)."""
        lowest = 0.01 / (self.setting.updates * self.setting.spread)
        grid = np.geomspace(lowest, 1e4 / self.setting.loss, 100)
        return positive_interval(self._dc, self._dc_coarse, grid)

    @property
    def window(self) -> tuple[float, float] | None:
        """(lower, upper) naive learning rate, on returns per step, between which the DC component is positive; or None.

        Inside it defection is unstable for every share of naive learners above zero. Under noise every state is seen also
        among agents, and each needs a share of its own: `p_critical` has them for this `eta`, `local.p_critical` the
        least. The window depends on all of the setting but `eta` and `p_naive`.
        """
        return self.rate_scan.edges

    @functools.cached_property
    def time_scan(self) -> Crossing:
        """`tau_star` with its error bar and the longest learning time tried."""
        policies = self.setting.learners.reshape(-1, 5)
        face = self.setting.face(policies, states=(DC,))
        unit = 1 / self.setting.spread
        return first_crossing(face, len(self.setting.learners), 0.05 * unit, 3000 * unit)

    @property
    def tau_star(self) -> float | None:
        """Critical total naive learning time, eta * updates for many small updates; None if there is none.

        Below it the DC component is negative: the learner has not learnt enough to be worth influencing. At a finite
        number of updates the lower edge of the window times that number is `tau_lower`.
        """
        return self.time_scan.time

    @property
    def tau_lower(self) -> float | None:
        """Critical total naive learning time at the given number of updates: lower edge of the window times updates."""
        return None if self.window is None else self.window[0] * self.setting.updates

    @functools.cached_property
    def discount_scan(self) -> Interval:
        """Where 1 - gamma makes the DC component positive at the setting's *raw* learning rate, eta (1 - gamma)."""
        raw = self.setting.eta * (1 - self.setting.gamma)

        def at(lost: float) -> np.ndarray:
            return self._dc(raw / lost, 1 - lost)

        def coarse(many: np.ndarray) -> np.ndarray:
            return np.array([self._dc_coarse(np.array([raw / lost]), 1 - lost)[0] for lost in many])

        return positive_interval(at, coarse, np.geomspace(1e-5, 0.99, 60))

    @property
    def gamma_window(self) -> tuple[float, float] | None:
        """(lower, upper) discount between which the DC component is positive at fixed raw learning rate and updates."""
        edges = self.discount_scan.edges
        return None if edges is None else (max(0.0, 1 - edges[1]), 1 - edges[0])

    @functools.cached_property
    def p_critical(self) -> dict[str, float | None]:
        """Effective share of naive learners above which each component of the mixed pool is positive, by state.

        None where no share suffices. Without noise DC is never visited in mutual defection, so its share is 0
        or none.
        """
        shares = map(critical_share, self._shaping, self.setting.against_itself())
        return dict.fromkeys(STATES) | {
            STATES[state]: share for state, share in zip(self.setting.states, shares, strict=True)
        }

    @functools.cached_property
    def batch_star(self) -> float | None:
        """Critical batch size B* = via / (-direct) of the DC component: biased estimators escape only below it.

        For an agent without memory across inner episodes the batch-unaware and the M-FOS estimator expect a multiple of
        direct + via / B. Below 1 (or negative) no batch size will do; infinite where no batch size is too large; None
        where DC is never visited (gamma = 0).
        """
        dc = self.components["DC"]
        if dc.direct == 0:
            return None
        return dc.via_learning / -dc.direct if dc.direct < 0 else math.inf

    @functools.cached_property
    def local(self) -> LocalVerdict:
        """Whether mutual defection is a stable fixed point of gradient ascent in the mixed pool."""
        return local_verdict(self.setting, self._shaping)

    @functools.cached_property
    def nash(self) -> NashVerdict:
        """Whether defection is a best reply to the mixed pool among memory-one policies, as far as a search found."""
        return nash_verdict(self.setting)

    @property
    def errors(self) -> dict[str, Any]:
        """Quadrature standard errors of the numbers that are expectations over naive learners."""
        direct, via = self._parts[:, self.setting.states.index(DC)]
        return {
            "window": self.rate_scan.errors,
            "tau_star": self.time_scan.error,
            "batch_star": standard_error(via / -direct) if direct.all() else None,
            "components": {state: part.error for state, part in self.components.items()},
        }

    @property
    def _shaping(self) -> np.ndarray:
        return self._parts.sum(0).mean(1)

    def _dc(self, rate: Any, gamma: float | None = None) -> np.ndarray:
        """DC component at a learning rate, by scrambling."""
        learners = self.setting.learners
        parts = self.setting.shaping(learners.reshape(-1, 5), rate, gamma=gamma, states=(DC,))
        return parts.sum(0).reshape(len(learners), -1).mean(1)

    def _dc_coarse(self, rates: np.ndarray, gamma: float | None = None) -> np.ndarray:
        """DC component at many learning rates, by few learners."""
        few = self.setting.learners[0][:SCAN_LEARNERS]
        policies = np.tile(few, (len(rates), 1))
        parts = self.setting.shaping(policies, np.repeat(rates, len(few)), gamma=gamma, states=(DC,))
        return parts.sum(0).reshape(len(rates), -1).mean(1)


def defection_certificate(
    game: MatrixGame,
    *,
    gamma: float | int,
    eta: float | int,
    updates: Any,
    init: Any = 1.0,
    p_naive: float | int = 1.0,
    weighting: Weighting = "mean",
    normalize_returns: bool = True,
    space: str = "logit",
    nodes: int = 1024,
    scramblings: int = 8,
    seed: int = 0,
) -> DefectionCertificate:
    """Certify whether mutual unconditional defection survives learning-aware agents among naive learners.

    An agent plays, for good, a memory-one policy p; its co-player starts somewhere and ascends its own return `updates`
    times. The agent ascends the mean return over those updates + 1 inner episodes against a share `p_naive` of such
    learners, and its partial gradient against its like for the rest. Everything is exact but for the expectation over
    the learners' starts, which comes with an error bar. (Meulemans et al. 2025, arXiv 2410.18636, appendix C, claims
    instability always.)

    Args:
        game: with P > S, T > P and R > P for both players, so that mutual defection is an equilibrium and a bad one.
            Row payoffs are the agent's, column payoffs the learner's.
        gamma: discount factor in [0, 1).
        eta: the naive learning rate.
        updates: naive updates M >= 1.
        init: where the learners start: the standard deviation of normal logits, one policy [5], or a population [n, 5].
        p_naive: share of naive learners; the default 1 asks whether any share at all would do.
        weighting: "mean" or "sum" over a naive learner's inner episodes; a sum makes the effective share larger.
        normalize_returns: `eta` acts on returns per step; False: on discounted sums.
        space: coordinates in which the learner follows its gradient, "logit" or "probability" (clipped to [0, 1]).
        nodes: learners in one Sobol sequence that stands for normal logits, a power of two.
        scramblings: independent scramblings of that sequence; their spread is the error bar.
        seed: of the scramblings.

    Returns:
        A certificate with `components`, `window`, `tau_star`, `batch_star`, `gamma_window`, `p_critical`, `local`,
        `nash`, `errors`. Rates in it are always on returns per step.

    Raises:
        ValueError: for any argument outside its range, and for a game in which defection is no such equilibrium.

    Example:
        >>> import lapg_theory as lt
        >>> found = lt.defection_certificate(lt.prisoners_dilemma(), gamma=0.95, eta=1.0, updates=20, nodes=64)
        >>> low, high = found.window
        >>> low < 1.0 < high  # at this rate defection is left
        True
    """
    check_game(game)
    horizon = Discounted(gamma)
    check_count("updates", updates, most=MOST_UPDATES)
    if not is_positive(eta):
        raise ValueError(f"eta must be a positive, finite learning rate, got {eta!r}")
    share = effective_p_naive(p_naive, updates, weighting)
    if space not in SPACES:
        raise ValueError(f"space must be one of {', '.join(SPACES)}, got {space!r}")
    for player, payoffs in (("row", game.row_payoffs), ("column", game.column_payoffs)):
        R, S, T, P = (float(payoff) for payoff in payoffs)
        if not (P > S and T > P and R > P):
            raise ValueError(
                f"the {player} player's (T, R, P, S) = ({T:g}, {R:g}, {P:g}, {S:g}) is no dilemma: it needs P > S, "
                "T > P and R > P (prisoner's dilemma or stag hunt). Elsewhere naive learners may leave mutual defection by "
                "themselves; MetaGame.fixed_points and .basins (`lapg theory metagame`, `basins`) say what becomes of it."
            )
    learners = initial_learners(
        init, nodes=nodes, scramblings=scramblings, seed=seed, every_state=game.noise is not None
    )
    everywhere, refined = (
        initial_learners(init, nodes=many, scramblings=scramblings, seed=seed, every_state=True)
        for many in (max(nodes // 16, 1), max(nodes // 2, 1))
    )
    rate = eta if normalize_returns else eta * horizon.weight
    numbers = float(gamma), float(rate), int(updates), float(share)
    return DefectionCertificate(Setting(game, *numbers, space, learners, everywhere, refined))
