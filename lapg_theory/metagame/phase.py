"""Phase diagrams: what becomes of a pool, over its share of naive learners and one more parameter.

`attractor_map` says exactly which of defection, extortion and cooperation are fixed points in each cell;
`phase_diagram` lets random pairs of agents learn in each cell and counts where they end, with error bars.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import expit, logit

from lapg_theory.game import check_count
from lapg_theory.game.noise import refuse_noise
from lapg_theory.game.show import brief, table
from lapg_theory.game.strategies import check_policy
from lapg_theory.metagame.ascent import check_rate, interval, learn, random_pairs
from lapg_theory.metagame.cooperation import HELD, at
from lapg_theory.metagame.labels import LABELS, labels
from lapg_theory.metagame.objective import Setting, partial, shaping
from lapg_theory.metagame.pool import MetaGame
from lapg_theory.metagame.response import ascents
from lapg_theory.shaping.climb import highest
from lapg_theory.shaping.initialisations import sobol_logits
from lapg_theory.shaping.weighting import effective_p_naive

#: Near where extortion is usually best against naive learners: a start for that maximisation.
EXTORT = np.array([0.02, 0.97, 0.02, 0.3, 0.02])


def vary(meta: MetaGame, over: str, value: float | int) -> MetaGame:
    """The pool with another learning rate, total naive learning time (tau = rate on returns per step x updates), gamma.

    Raises:
        ValueError: for another `over`, or tau without updates.
    """
    if over == "tau":
        if meta.updates == 0:
            raise ValueError("tau is eta times updates; with updates = 0 it is 0, so vary something else")
        return dataclasses.replace(meta, eta=value / meta.updates, normalize=True)
    if over not in ("eta", "gamma"):
        raise ValueError(f'over must be "eta", "tau" or "gamma", got {over!r}')
    return dataclasses.replace(meta, eta=value) if over == "eta" else dataclasses.replace(meta, gamma=value)


def _shares(p_naive: Any, meta: MetaGame) -> np.ndarray:
    return np.array([effective_p_naive(p, meta.updates, meta.weighting) for p in p_naive], dtype=float)


@dataclasses.dataclass(frozen=True)
class AttractorMap:
    """Which fixed points exist, exactly to quadrature, [value of `over`, p_naive].

    Attributes:
        defect: unconditional defection is one (no component of the field points into the cube).
        extort: the policy that is best against naive learners alone defects with its own kind and is one.
        cooperate: the cooperative one, K, is one.
        boundary: opening p_s0 at which the basin of K begins on its edge; NaN where K is none.
    """

    over: str
    values: np.ndarray
    p_naive: np.ndarray
    defect: np.ndarray
    extort: np.ndarray
    cooperate: np.ndarray
    boundary: np.ndarray

    __repr__ = brief

    def _repr_html_(self) -> str:
        """What a notebook shows: the letters of the attractors in each cell."""
        heads = [f"{self.over} \\ p_naive", *(f"{p:g}" for p in self.p_naive)]
        rows = [[f"{value:.4g}", *row] for value, row in zip(self.values, self.names, strict=True)]
        return table(heads, rows, "Fixed points", "D defection, E extortion, C cooperation; blank: none of them")

    @property
    def names(self) -> np.ndarray:
        """The set of attractors in each cell, as letters of D, E and C."""
        names = np.where(self.defect, "D", "").astype(object)
        return names + np.where(self.extort, "E", "") + np.where(self.cooperate, "C", "")


def _is_fixed(setting: Setting, policy: np.ndarray, shares: np.ndarray, slack: float = 1e-7) -> np.ndarray:
    """For each share: whether `policy`, best against naive learners where it is inside, is a fixed point."""
    pull, hold = shaping(setting, policy[None])[1][0], partial(setting, policy[None], policy[None])[1][0]
    F = shares[:, None] * pull + (1 - shares[:, None]) * hold
    inside = (policy > 0) & (policy < 1)
    inwards = np.where(inside, np.abs(hold), np.where(policy <= 0, F, -F))
    return (inwards <= slack).all(1)


def attractor_map(meta: MetaGame, *, p_naive: Any, over: str, values: Any) -> AttractorMap:
    """Which of defection, extortion and cooperation are fixed points, over p_naive and one more parameter.

    What naive learners pull at does not depend on their share, so each value of `over` takes two maximisations, started
    from those of the value before, whatever the number of shares. Other arguments and errors as for `phase_diagram`.

    Args:
        meta: the pool; its share and the parameter `over` are replaced.
        p_naive: the shares of naive learners.
        over: which other parameter varies: "tau", "eta" or "gamma".
        values: its values.

    Example:
        >>> import lapg_theory as lt
        >>> pool = lt.MetaGame(lt.prisoners_dilemma(), gamma=0.99, p_naive=0.25, eta=1.0, updates=4, nodes=8)
        >>> found = lt.attractor_map(pool, p_naive=[0.25, 0.75], over="tau", values=[4.0, 20.0])
        >>> found.defect.shape
        (2, 2)
    """
    refuse_noise(
        meta.game, "attractors are told by three policies", "let pairs learn with phase_diagram, or take fixed_points"
    )
    rows, previous = [], [EXTORT]
    kind = np.array([1, 1, 0, 0.3, 0])
    for value in values:
        pool = vary(meta, over, value)
        setting, shares = pool.setting()._replace(share=1.0).own_units[0], _shares(p_naive, pool)
        best = highest(ascents(setting, EXTORT, np.array([EXTORT, *previous]))).policy
        kind, previous = ascents(setting, kind, kind[None], HELD)[0].policy, [best]
        K = at(setting, kind)
        extorts = labels(setting, best[None], best[None])[0] == "extort"
        cooperates = _is_fixed(setting, kind, shares)
        edge = np.where(cooperates, [K.basin_boundary(share) for share in shares], np.nan)
        defects = _is_fixed(setting, np.zeros(5), shares)
        rows.append((defects, extorts & _is_fixed(setting, best, shares), cooperates, edge))
    columns = (np.array(column) for column in zip(*rows, strict=True))
    return AttractorMap(over, np.array(values), np.array(p_naive), *columns)


@dataclasses.dataclass(frozen=True)
class PhaseDiagram:
    """Where random pairs of learning agents ended: `labels` is [value of `over`, p_naive, scrambling, pair]."""

    over: str
    values: np.ndarray
    p_naive: np.ndarray
    labels: np.ndarray

    __repr__ = brief

    def share(self, *names: str) -> np.ndarray:
        """Share of pairs that ended with one of these behaviours, [value, p_naive]."""
        return np.isin(self.labels, names).mean((2, 3))

    def sampling(self, *names: str) -> tuple[np.ndarray, np.ndarray]:
        """95% Jeffreys interval of `share` for the draw of the pairs, which all scramblings have in common."""
        pairs = self.labels.shape[3]
        return interval(self.share(*names) * pairs, pairs)

    def quadrature(self, *names: str) -> np.ndarray:
        """Standard error of `share` for the choice of initial learners, from the spread between scramblings."""
        each = np.isin(self.labels, names).mean(3)
        count = each.shape[2]
        return each.std(2, ddof=1) / np.sqrt(count) if count > 1 else np.full(each.shape[:2], np.nan)

    @property
    def majority(self) -> np.ndarray:
        """The most frequent behaviour in each cell."""
        counts = np.stack([self.share(name) for name in LABELS])
        return np.array(LABELS, dtype=object)[counts.argmax(0)]


def _alike(start: Any) -> np.ndarray:
    """The logits of one player that stands for two, [1, 1, 5]."""
    policy = check_policy("start", start)
    if policy.shape != (5,) or not ((policy > 0) & (policy < 1)).all():
        raise ValueError(
            f"start must be five probabilities strictly between 0 and 1 (logits never leave 0 and 1), got {start}"
        )
    return logit(policy).reshape(1, 1, 5)


def phase_diagram(
    meta: MetaGame,
    *,
    p_naive: Any,
    over: str,
    values: Any,
    runs: Any = 8,
    start: Any = None,
    steps: Any = 1500,
    rate: float | int = 0.02,
    nodes: Any = 64,
    scramblings: Any = 1,
    seed: int = 0,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> PhaseDiagram:
    """Let `runs` random pairs, N(0, 1) in logits, learn by AdamW in every cell, and see where they end.

    Every cell starts from the same pairs. The work is runs x scramblings x cells x 2 x steps x nodes x (updates + 1)
    naive updates.

    Args:
        meta: the pool; its `p_naive` and the parameter `over` are replaced.
        p_naive: shares of naive learners, in the pool's own weighting.
        over: what the other axis is: "eta", "tau" (eta x updates, on returns per step) or "gamma".
        values: its values.
        runs: pairs of agents in each cell.
        start: five probabilities strictly inside (0, 1) from which both agents of a single pair start, instead of `runs`
            random pairs; it costs half of one random pair.
        steps: of AdamW.
        rate: its learning rate, in logits.
        nodes: initial naive learners, a power of two.
        scramblings: sets of initial learners; with more than one, `PhaseDiagram.quadrature` has an error bar.
        seed: of the pairs, and with it of the scramblings.
        report: called with (parts done, parts in all).

    Raises:
        ValueError: for a share, value or start out of range, or a count that is no integer >= 1.

    Example:
        >>> import lapg_theory as lt
        >>> pool = lt.MetaGame(lt.prisoners_dilemma(), gamma=0.99, p_naive=0.25, eta=1.0, updates=4, nodes=4)
        >>> found = lt.phase_diagram(pool, p_naive=[0.0], over="tau", values=[4.0], runs=2, steps=20, rate=0.1, nodes=4)
        >>> found.labels.shape  # values, shares, scramblings, pairs
        (1, 1, 1, 2)
    """
    for name, count in (("runs", runs), ("steps", steps), ("scramblings", scramblings)):
        check_count(name, count)
    check_rate(rate)
    pairs = random_pairs(runs, seed) if start is None else _alike(start)
    runs = len(pairs)
    found = np.empty((len(values), len(p_naive), scramblings, runs), dtype=object)
    for k in range(scramblings):
        learners = sobol_logits(nodes, seed + k, meta.spread)
        for i, value in enumerate(values):
            pool = vary(meta, over, value)
            setting = pool.setting(1)._replace(
                share=np.repeat(_shares(p_naive, pool), runs), learners=learners, dtype=np.float32
            )
            setting = setting.own_units[0]  # AdamW's epsilon has the unit of a slope
            end = expit(learn(setting, np.tile(pairs, (len(p_naive), 1, 1)), steps, rate))
            names = labels(setting._replace(dtype=np.float64), end[:, 0], end[:, -1])
            found[i, :, k] = np.reshape(names, (len(p_naive), runs))
            report(k * len(values) + i + 1, scramblings * len(values))
    return PhaseDiagram(over, np.array(values), np.array(p_naive), found)
