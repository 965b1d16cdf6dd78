"""Level L5, outcome: where sampled tabular agents end, against the phases and basins of the exact dynamics.

Two sweeps, each judged cell by cell:

* window: one agent starts near unconditional defection among naive learners only. In theory it comes to reward
  cooperation if the total naive learning time (rate times number of updates) lies inside a window, and stays outside it;
* pool: two agents of a mixed pool end in defection, in extortion of naive learners, or in cooperation with one another,
  depending on the share of naive learners and on where they start.

The prediction of a run is where exact gradient ascent leads from the same start at the same step size. A cell counts only
where theory is sure: where every prediction is the same at naive rates (window) or odds of a share (pool) that are MARGIN
times smaller or larger. Of the runs that count, more than half must end as predicted.
"""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit, logit

from lapg_rl.crossval import ascent
from lapg_rl.crossval.phases import MARGIN, PHASES, at_odds, phases, tallied
from lapg_rl.crossval.setting import Setting
from lapg_rl.crossval.simulation import HONEST, Simulation
from lapg_rl.crossval.tabular_runs import Sweep, train
from lapg_rl.crossval.verdict import Level, Majority
from lapg_theory.game import ALLD, DC, TFT, MatrixGame

#: How far from certainty the agents start.
TREMBLE = 0.05
#: P(cooperate | DC) from which on an agent has left defection; it starts at TREMBLE.
LEFT = 0.15
STAYS, LEAVES = "stays", "leaves"
#: Naive updates of the window's sweeps, and of the pool's, whose naive rate is ETA over the spread of the payoffs.
WINDOW_UPDATES, POOL_UPDATES, ETA = (2, 4), 4, 24.0
#: Steps of an inner episode: few do for the window; cooperation in a pool needs a future.
WINDOW_STEPS, POOL_STEPS = 5, 10
STARTS = ("random", "near defection", "near tit-for-tat")


@dataclasses.dataclass(frozen=True)
class Sizes:
    """What a budget buys.

    `runs` in a cell, `meta_batch` of an update, the naive learners' minibatches in the `window` and in the `pool`, rates as
    `factors` of the window's edges, `shares` of naive learners, and `seeds` of recurrent agents.
    """

    runs: int
    meta_batch: int
    window: int
    pool: int
    factors: tuple[float, ...]
    shares: tuple[float, ...]
    seeds: int


def sizes(budget: float) -> Sizes:
    """Below 1: what a CPU does in minutes; from 8 on: what wants an accelerator."""
    few, more = (0.25, 0.5, 2.0, 4.0), (0.25, 0.5, 0.7, 0.85, 1.2, 1.5, 2.0, 4.0)
    if budget >= 8:
        shares = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
        return Sizes(64, 32, 128, 32, more, shares, 8)
    if budget >= 1:
        return Sizes(32, 8, 32, 16, few, (0.0, 0.1, 0.2, 0.5, 0.7, 0.9, 1.0), 4)
    return Sizes(16, 8, 32, 16, few, (0.0, 0.2, 0.7, 1.0), 3)


@dataclasses.dataclass(frozen=True, eq=False)
class Cells:
    """A sweep whose runs come in equal cells, one after the other; `each` describes them."""

    sweep: Sweep
    each: tuple[dict[str, Any], ...]

    @property
    def runs(self) -> int:
        """Runs of one cell."""
        return len(self.sweep.start) // len(self.each)


def rates(game: MatrixGame, factors: Sequence[float], *, steps: int, naive_updates: int) -> tuple[Any, np.ndarray]:
    """(the predicted window, naive rates to try): `factors` around both edges; without a window, a decade-wide grid."""
    found = ascent.window(game, steps=steps, naive_updates=naive_updates)
    if found is None:
        spread = float(max(game.row_payoffs) - min(game.row_payoffs))
        return None, np.geomspace(1, 300, 2 * len(factors)) / spread
    low, high = found
    near = [*(low * f for f in factors), math.sqrt(low * high), *(high * f for f in factors)]
    return found, np.unique(near)


def window(setting: Setting, naive_updates: int) -> tuple[Cells, tuple[float, float] | None]:
    """The sweep over the naive rate at a number of naive updates, and the predicted window of rates."""
    bought = sizes(setting.budget)
    edges, etas = rates(setting.game, bought.factors, steps=WINDOW_STEPS, naive_updates=naive_updates)
    count = len(etas) * bought.runs
    start = np.full((count, 1, 5), logit(TREMBLE))
    sweep = Sweep(
        f"window-{naive_updates}", start, np.ones(count), np.repeat(etas, bought.runs), rate=10.0, steps=WINDOW_STEPS,
        naive_updates=naive_updates, batch=bought.window, meta_batch=bought.meta_batch, games=1, updates=200, every=25,
        seed=setting.seed,
    )  # fmt: skip
    return Cells(sweep, tuple({"eta": float(eta), "tau": float(eta * naive_updates)} for eta in etas)), edges


def pool(setting: Setting) -> Cells:
    """The sweep over the share of naive learners, from three kinds of start."""
    bought = sizes(setting.budget)
    spread = float(max(setting.game.row_payoffs) - min(setting.game.row_payoffs))
    draw = np.random.default_rng(setting.seed)
    starts, shares, each = [], [], []
    for kind in STARTS:
        for share in bought.shares:
            near = {STARTS[1]: ALLD, STARTS[2]: TFT}.get(kind)
            if near is None:
                starts.append(draw.standard_normal((bought.runs, 2, 5)))
            else:
                point = logit(np.clip(np.array(near, float), TREMBLE, 1 - TREMBLE))
                starts.append(np.broadcast_to(point, (bought.runs, 2, 5)))
            shares.append(np.full(bought.runs, share))
            each.append({"share": share, "start": kind})
    start = np.concatenate(starts)
    sweep = Sweep(
        "pool", start, np.concatenate(shares), np.full(len(start), ETA / spread), rate=5.0, steps=POOL_STEPS,
        naive_updates=POOL_UPDATES, batch=bought.pool, meta_batch=bought.meta_batch, games=bought.pool * bought.meta_batch,
        updates=400, every=25, seed=setting.seed + 1,
    )  # fmt: skip
    return Cells(sweep, tuple(each))


def window_labels(policies: np.ndarray, *_: Any) -> np.ndarray:
    """Whether the agent of each run has left defection, from its policy [runs, 1, 5]."""
    return np.where(policies[:, 0, DC] >= LEFT, LEAVES, STAYS)


def labelled(cells: Cells, game: MatrixGame, theta: np.ndarray, eta: Any) -> np.ndarray:
    """The outcome of each run, from log-odds [runs, players, 5]."""
    policies = expit(theta)
    if policies.shape[1] == 1:
        return window_labels(policies)
    sweep = cells.sweep
    return phases(policies, game, eta, steps=sweep.steps, naive_updates=sweep.naive_updates)


def predicted(cells: Cells, game: MatrixGame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(outcome, whether theory is sure of it, exact log-odds at the end [runs, players, 5]) of each run."""
    sweep = cells.sweep
    odds = np.array([1.0, 1 / MARGIN, MARGIN])[:, None]
    alone = sweep.start.shape[1] == 1
    eta = sweep.eta * (odds if alone else np.ones_like(odds))
    share = np.broadcast_to(sweep.share, eta.shape)
    if not alone:
        share = at_odds(share, odds)
    runs, back = _distinct(np.tile(sweep.start, (3, 1, 1)), share.ravel(), eta.ravel())
    path = ascent.ascend(
        game, *runs, rate=sweep.rate, steps=sweep.steps, naive_updates=sweep.naive_updates, updates=sweep.updates,
        every=sweep.updates,
    )  # fmt: skip
    end = path[-1]
    outcome = labelled(cells, game, end, runs[2])[back].reshape(3, -1)
    return outcome[0], (outcome == outcome[0]).all(0), end[back].reshape(3, *sweep.start.shape)[0]


def _distinct(start: np.ndarray, share: np.ndarray, eta: np.ndarray) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """The runs that differ, and for each run which of them it is."""
    rows = np.concatenate([start.reshape(len(start), -1), share[:, None], eta[:, None]], axis=1)
    _, first, back = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    return (start[first], share[first], eta[first]), back.ravel()


def judge(cells: Cells, sampled: np.ndarray, expected: np.ndarray, sure: np.ndarray) -> list[dict[str, Any]]:
    """For each cell: how often each outcome was seen and predicted, and how often both agree where theory is sure."""
    found = []
    for n, cell in enumerate(cells.each):
        here = slice(n * cells.runs, (n + 1) * cells.runs)
        seen, told, counts = sampled[here], expected[here], sure[here]
        names = (STAYS, LEAVES) if cells.sweep.start.shape[1] == 1 else PHASES
        shown = tallied(seen, {name: int((told == name).sum()) for name in names})
        found.append({
            **cell, "runs": len(seen), "outcomes": shown, "judged": int(counts.sum()),
            "agree": int((seen == told)[counts].sum()), "told": max(names, key=lambda name, told=told: (told == name).sum()),
        })  # fmt: skip
    return found


def checks(name: str, found: Sequence[dict[str, Any]]) -> list[Majority]:
    """A comparison for each cell in which theory is sure of most runs."""
    made = []
    for cell in found:
        if 2 * cell["judged"] <= cell["runs"]:
            continue
        where = f"tau = {cell['tau']:.3g}" if "tau" in cell else f"share {cell['share']:g}, {cell['start']}"
        made.append(Majority(f"{name}, {where}: {cell['told']}", cell["agree"], cell["judged"]))
    return made


def level(
    setting: Setting, simulation: Simulation, folder: Path, *, runs: Sequence[Path] = (), agents: str = "tabular",
    quiet: bool = False,
) -> Level:  # fmt: skip
    """Train (or carry on), compare every run's end with its prediction, and judge cell by cell.

    Raises:
        ValueError: for a folder that holds other sweeps, and for a sabotage of agents that are not tabular.
    """
    del runs  # of level L6
    if agents != "tabular":
        from lapg_rl.crossval.levels import l5_sequence

        if simulation is not HONEST:
            raise ValueError(f"a sabotage reaches tabular agents only, not --agents {agents}; leave one of them out")
        return l5_sequence.level(setting, agents, sizes(setting.budget).seeds, folder / "L5", quiet=quiet)
    place, comparisons, data = folder / "L5", [], {"windows": [], "pool": [], "environment_steps": 0}
    notes = []
    for updates in WINDOW_UPDATES:
        cells, edges = window(setting, updates)
        found = _carried_out(cells, setting, simulation, place, quiet)
        comparisons += checks(f"window, {updates} naive updates", found)
        data["windows"].append({"updates": updates, "edges": edges, "cells": found})
        data["environment_steps"] += cells.sweep.environment_steps
        notes.append(_bracket(updates, edges, found))
    cells = pool(setting)
    data["pool"] = _carried_out(cells, setting, simulation, place, quiet)
    comparisons += checks("pool", data["pool"])
    data["environment_steps"] += cells.sweep.environment_steps
    left_out = sum(c["runs"] - c["judged"] for w in data["windows"] for c in w["cells"]) + sum(
        c["runs"] - c["judged"] for c in data["pool"]
    )
    notes.append(
        f"A run is left out where its prediction changes if the naive rate (window) or the odds of the share (pool) change "
        f"by a factor of {MARGIN}: {left_out} runs. A cell counts where most of its runs do. Each of the {len(comparisons)} "
        f"cells that count is refuted or confirmed at a rate that makes {setting.false_alarms:g} for all of them. "
        f"{data['environment_steps'] / 1e9:.2f} billion joint actions were played."
    )
    return Level("L5", tuple(comparisons), data, tuple(notes), setting.false_alarms)


def _carried_out(
    cells: Cells, setting: Setting, simulation: Simulation, place: Path, quiet: bool
) -> list[dict[str, Any]]:
    game = setting.game
    expected, sure, exact_end = predicted(cells, game)
    path = train(cells.sweep, game, place, simulation, quiet=quiet)
    sampled = labelled(cells, game, path[-1], cells.sweep.eta)
    found = judge(cells, sampled, expected, sure)
    for n, cell in enumerate(found):
        here = slice(n * cells.runs, (n + 1) * cells.runs)
        cell["mean_end"] = expit(path[-1, here]).mean((0, 1)).tolist()
        cell["exact_end"] = expit(exact_end[here]).mean((0, 1)).tolist()
    return found


def _bracket(updates: int, edges: tuple[float, float] | None, found: Sequence[dict[str, Any]]) -> str:
    """Where the majority of runs changes, in total learning time, beside the predicted edges."""
    leaves = [2 * cell["outcomes"][LEAVES]["seen"] > cell["runs"] for cell in found]
    turns = [
        f"between {a['tau']:.3g} and {b['tau']:.3g}"
        for a, b, one, other in zip(found[:-1], found[1:], leaves[:-1], leaves[1:], strict=True)
        if one != other
    ]
    told = "no window" if edges is None else f"{edges[0] * updates:.3g} and {edges[1] * updates:.3g}"
    return (
        f"{updates} naive updates: predicted edges of the total naive learning time {told}; the majority of the sampled "
        f"runs changes sides {' and '.join(turns) or 'nowhere'}."
    )
