"""Level L7, basin: to which end schedules lead a mixed pool, against exact dynamics with the noise of sampled learning.

Pairs of sampled tabular agents with random starts go through stages of another share of naive learners and another entropy
bonus. The prediction of a run is where exact gradient ascent (`lapg_theory.basin.integrate`) leads from the same start through
the same stages at the same step size when noise is added to it, COPIES times: a chance of ending in cooperation. The size of
the noise is measured on sampled gradients at policies of the exact paths, before any run. Judged is the number of runs of each
schedule that cooperate, by the exact distribution of a sum of such chances.

Two schedules are each other's reverse and lead to opposite ends: agents that learn among each other with a bonus cooperate, and
still do so when naive learners alone follow; shapers who meet each other too late extort. So a simulation that goes through
schedules backwards must be noticed.

With run folders (`--run`) agents with a memory, trained under schedules of their own, stand beside it: see `l7_sequence`.
"""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats
from scipy.special import logit

from lapg_rl.crossval.levels.l5_outcome import ETA, POOL_STEPS, POOL_UPDATES, Cells, labelled
from lapg_rl.crossval.phases import PHASES, phases, tallied
from lapg_rl.crossval.setting import Setting
from lapg_rl.crossval.simulation import Simulation
from lapg_rl.crossval.tabular_runs import Sweep, sampled_spread, train
from lapg_rl.crossval.verdict import Level, Sampled
from lapg_theory import float64
from lapg_theory.basin import Pool, Stage, integrate
from lapg_theory.basin.exact_pool import among_agents, product, with_naive
from lapg_theory.game import FiniteHorizon, MatrixGame

#: Updates of a run, step size of the agents, entropy bonus in units of the spread of payoffs.
UPDATES, RATE, BONUS = 400, 5.0, 0.1 / 3
#: Noisy copies of a run.
COPIES = 24
#: name -> (updates, share, whether there is a bonus) of each stage.
SCHEDULES: Mapping[str, tuple[tuple[int, float, bool], ...]] = {
    "constant .25": ((UPDATES, 0.25, False),),
    "constant .75": ((UPDATES, 0.75, False),),
    "bonus at .25": ((UPDATES, 0.25, True),),
    "bonus at .75": ((UPDATES, 0.75, True),),
    "each other with a bonus, then naive learners": ((200, 0.25, True), (200, 1.0, False)),
    "naive learners, then each other with a bonus": ((200, 1.0, False), (200, 0.25, True)),
    "recipe": ((50, 1.0, False), (150, 0.25, True), (200, 0.25, False)),
    "recipe without bonus": ((50, 1.0, False), (350, 0.25, False)),
}


def runs_of(budget: float) -> int:
    """Runs of each schedule that a budget buys."""
    return 64 if budget >= 8 else 32 if budget >= 1 else 16


def cells(setting: Setting, schedules: Mapping[str, Any] = SCHEDULES, runs: int | None = None) -> Cells:
    """The runs of all schedules, each from the same random starts, as one sweep."""
    runs, spread = runs or runs_of(setting.budget), float(np.ptp(setting.game.row_payoffs))
    starts = np.random.default_rng(setting.seed).standard_normal((runs, 2, 5))
    share = [np.repeat([s for _, s, _ in stages], [n for n, _, _ in stages]) for stages in schedules.values()]
    bonus = [np.repeat([b for *_, b in stages], [n for n, *_ in stages]) for stages in schedules.values()]
    sweep = Sweep(
        "schedules", np.tile(starts, (len(schedules), 1, 1)), np.repeat(np.transpose(share), runs, 1),
        np.full(len(schedules) * runs, ETA / spread), rate=RATE, steps=POOL_STEPS, naive_updates=POOL_UPDATES, batch=16,
        meta_batch=8, games=1024, updates=UPDATES, every=25, seed=setting.seed + 2,
        entropy=BONUS * spread * np.repeat(np.transpose(bonus), runs, 1),
    )  # fmt: skip
    return Cells(sweep, tuple({"schedule": name} for name in schedules))


def pool_of(found: Cells, game: MatrixGame) -> Pool:
    """The exact pool beside the sampled one."""
    sweep = found.sweep
    return Pool(game, FiniteHorizon(sweep.steps), sweep.eta[0], sweep.naive_updates, np.zeros((1, 5)))


def noise_of(
    found: Cells, game: MatrixGame, schedules: Mapping[str, Any] = SCHEDULES, starts: int = 2, slopes: int = 32
) -> tuple[float, float]:
    """Noise of a sampled slope (see `integrate`), in games with naive learners and among agents: medians over policies.

    The policies are those of the exact paths of a few starts, a quarter and three quarters through each schedule.
    """
    sweep, pool = found.sweep, pool_of(found, game)
    theta = []
    for stages in schedules.values():
        plan = _stages(stages, float(np.max(sweep.entropy)), sweep.rate)
        kind = {"steps": sweep.updates, "every": sweep.updates // 4, "optimiser": "ascent"}
        theta.append(logit(integrate(pool, plan, sweep.start[:starts], **kind).policies[[1, 3]]))
    pairs = np.clip(np.concatenate(theta).reshape(-1, 2, 5), -8, 8)
    spread = sampled_spread(sweep, game, pairs, slopes)
    seen = decisions_of(pool, pairs)
    naive, among = (float(np.median(part / np.sqrt(visits))) for part, visits in zip(spread, seen, strict=True))
    return naive, among


def decisions_of(pool: Pool, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Visits x p (1 - p) of the first agent of each pair [n, 2, 5], with naive learners and with the other: [n, 5] each."""
    theta = np.moveaxis(pairs, -1, 0).astype(float)
    with float64():
        parts = with_naive(pool.traced, theta, pool.updates), among_agents(pool.traced, theta)
        chance = np.asarray(product(theta))
        naive, among = (np.moveaxis(np.asarray(part.visits) * chance, 0, -1)[:, 0] for part in parts)
    return naive, among


def predicted(
    found: Cells, game: MatrixGame, noise: tuple[float, float] | None, schedules: Mapping[str, Any] = SCHEDULES
) -> np.ndarray:
    """The share of the noisy exact copies of each run that end in each of PHASES, [runs, phases]; None: one without noise."""
    sweep, runs, pool = found.sweep, found.runs, pool_of(found, game)
    copies = 1 if noise is None else COPIES
    starts, eta = np.tile(sweep.start[:runs], (copies, 1, 1)), np.tile(sweep.eta[:runs], copies)
    sizes = {"steps": sweep.steps, "naive_updates": sweep.naive_updates}
    chances = []
    for stages in schedules.values():
        plan = _stages(stages, float(np.max(sweep.entropy)), sweep.rate)
        kind = {"steps": sweep.updates, "every": sweep.updates, "optimiser": "ascent", "noise": noise}
        ends = phases(integrate(pool, plan, starts, **kind).policies[-1], game, eta, **sizes).reshape(copies, runs)
        chances.append(np.transpose([(ends == phase).mean(0) for phase in PHASES]))
    return np.concatenate(chances)


def _stages(stages: Sequence[tuple[int, float, bool]], bonus: float, rate: float) -> list[Stage]:
    return [Stage(share, steps=updates, entropy=bonus * on, rate=rate) for updates, share, on in stages]


def compared(name: str, seen: int, chances: np.ndarray) -> Sampled:
    """How many of the runs with these chances of it, each told by COPIES copies, were seen to cooperate.

    The p-value is exact (two-sided, of a sum of independent runs), and told as that of a chi-square statistic.
    """
    p = (chances * COPIES + 0.5) / (COPIES + 1)  # no run is certain
    sums = functools.reduce(np.convolve, [[1 - x, x] for x in p], np.ones(1))
    tail = 2 * min(sums[: seen + 1].sum(), sums[seen:].sum())
    spread = (p * (1 - p)).sum() * (1 + 1 / COPIES)
    statistic, runs = float(stats.chi2.isf(min(tail, 1.0), 1)), len(p)
    effect = "a third of the runs end otherwise"
    return Sampled(f"schedule, {name}: cooperate", statistic, 1, float((runs / 3) ** 2 / spread), runs, effect)


def level(
    setting: Setting, simulation: Simulation, folder: Path, *, runs: Sequence[Path] = (), agents: str = "tabular",
    quiet: bool = False,
) -> Level:  # fmt: skip
    """Train (or carry on) under every schedule, and judge schedule by schedule; or look at the runs that are named.

    Raises:
        ValueError: for a folder that holds other sweeps, other agents than tabular ones, and as `l7_sequence.level` does.
    """
    if runs:
        from lapg_rl.crossval.levels import l7_sequence

        return l7_sequence.level(setting, simulation, runs)
    if agents != "tabular":
        raise ValueError(
            f"L7 trains tabular agents, not {agents}; train some under a schedule, and name them with --run"
        )
    found = cells(setting)
    noise = noise_of(found, setting.game)
    chances = predicted(found, setting.game, noise)
    path = train(found.sweep, setting.game, folder / "L7", simulation, quiet=quiet)
    sampled = labelled(found, setting.game, path[-1], found.sweep.eta)
    shape = (len(found.each), found.runs)
    ends, chances = sampled.reshape(shape), chances.reshape(*shape, len(PHASES))
    expected = [dict(zip(PHASES, part.sum(0).tolist(), strict=True)) for part in chances]
    schedules: list[dict[str, Any]] = [
        {**each, "runs": found.runs, "outcomes": tallied(seen, told)}
        for each, seen, told in zip(found.each, ends, expected, strict=True)
    ]
    together = PHASES.index("cooperate")
    made = [
        compared(cell["schedule"], cell["outcomes"]["cooperate"]["seen"], part[:, together])
        for cell, part in zip(schedules, chances, strict=True)
    ]
    steps = found.sweep.environment_steps
    notes = (
        f"Noise of sampled slopes, measured before: {noise[0]:.2g} in games with naive learners, {noise[1]:.2g} among agents. "
        f"Predicted numbers are those expected of {COPIES} noisy exact copies of each run; without noise, of "
        f"{len(schedules)} schedules of {found.runs} runs, {_spelt(found, setting.game)}. {steps / 1e9:.2f} billion joint "
        "actions were played.",
    )
    data = {"schedules": schedules, "noise": noise, "environment_steps": steps}
    return Level("L7", tuple(made), data, notes, setting.false_alarms)


def _spelt(found: Cells, game: MatrixGame) -> str:
    """How many runs of each schedule the dynamics without noise lead to cooperation."""
    sure = predicted(found, game, None)[:, PHASES.index("cooperate")].reshape(len(found.each), -1).sum(1)
    return f"{', '.join(f'{n:g}' for n in sure)} would cooperate"
