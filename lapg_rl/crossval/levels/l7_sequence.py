"""Level L7 with agents that have a memory: runs that were trained under schedules, against the exact pool under the same.

The exact pool is of memory-one agents at the naive rate that is calibrated for the config, from random starts, by AdamW. An
agent with a memory need not follow it, whether it does is the question. A setting counts where SURE of the exact runs end
alike, also at MARGIN times smaller and larger odds of every share. It learns at a rate of its own, whatever the run does.
"""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lapg_rl.config import Config, schedule
from lapg_rl.config.schedule import parse, stage_configs, summed
from lapg_rl.crossval.levels.l5_sequence import SURE, outcome_of
from lapg_rl.crossval.phases import MARGIN, PHASES, at_odds, tallied
from lapg_rl.crossval.prediction import predict
from lapg_rl.crossval.setting import Setting
from lapg_rl.crossval.simulation import HONEST, Simulation
from lapg_rl.crossval.verdict import Level, Majority
from lapg_rl.study.results import Result, by_setting, collect, runs_in
from lapg_theory.basin import Pool, Stage, integrate, random_starts
from lapg_theory.basin.stages import MEASURES
from lapg_theory.game import FiniteHorizon

#: Random starts of the exact pool, its steps of AdamW, and how many of them an update of networks amounts to: pure shaping
#: takes 80 to 100 steps until naive learners yield .6, networks of `ipd-mixed-small` take 25 to 45 updates.
STARTS, STEPS, STEPS_AN_UPDATE = 16, 1200, 2.7
#: Metrics that a stage may wait for -> what ends the stage before it in theory.
METRICS = {"reward_vs_naive": "naive", "reward_vs_meta": "among"}


def stages_of(cfg: Config) -> list[Stage]:
    """What the agents of a run go through, as the exact pool does.

    Raises:
        ValueError: for company other than naive learners and agents, agents or naive learners of another run, and for
            ramps and other metrics, none of which the exact pool knows.
    """
    if parent := cfg.pool.agents_from or cfg.pool.naive_from:
        raise ValueError(f"{cfg.name} began from {parent}; the exact pool starts anew, so name a run that did, too")
    made, copies = [], ()
    for now, later in zip(stage_configs(cfg), [*parse(cfg.schedule), None], strict=True):
        if set(now.shares) - {"naive", "meta"}:
            raise ValueError(
                f"{cfg.name} meets {', '.join(now.shares)}; the exact pool has naive learners and agents only"
            )
        bonus = now.learner.entropy_coef / now.learner.reward_scale
        made.append(Stage(now.pool.p_naive, entropy=bonus, copies=copies))
        if later is not None:
            copies = tuple(summed(later.copied, MEASURES))
            _check(later, copies, cfg.schedule)
            update = round(STEPS_AN_UPDATE * later.number)
            end = {METRICS[later.metric]: later.number} if later.metric else {"until": update}
            made[-1] = dataclasses.replace(made[-1], **end)
    return made


def _check(stage: schedule.Stage, copies: Sequence[str], text: str) -> None:
    waits = not stage.metric or (stage.above and stage.metric in METRICS)
    known = len(set(copies) & set(MEASURES)) == len(copies) and not stage.copied.startswith("min")
    if stage.ramps or not waits or not known:
        raise ValueError(
            f"the exact pool knows no ramps, stages that wait for {' or '.join(METRICS)} >= a number only, and copies of the "
            f"agent with the most of {', '.join(MEASURES)}, or a sum of them; the schedule is {text}"
        )


def told(cfg: Config, rate: float) -> list[tuple[str, ...]]:
    """Words for the ends of the exact pool, at the shares and at MARGIN times smaller and larger odds of them."""
    pool = Pool(cfg.game.build(), FiniteHorizon(cfg.steps), rate, cfg.inner_episodes - 1, np.zeros((1, 5)))
    starts, found = random_starts(STARTS, max(cfg.pool.agents, 2)), []
    for odds in (1.0, 1 / MARGIN, MARGIN):
        stages = []
        for stage in stages_of(cfg):
            share = float(np.asarray(stage.share))
            stages.append(dataclasses.replace(stage, share=at_odds(share, odds)))
        ends = integrate(pool, stages, starts, steps=STEPS, every=STEPS).labels
        found.append(tuple("cooperate" if end == "alternate" else end for end in ends))  # as `outcome_of` has it
    return found


def level(setting: Setting, simulation: Simulation, paths: Sequence[Path]) -> Level:
    """Judge each setting of the runs that are named.

    Raises:
        ValueError: for runs that are not finished, or whose schedule the exact pool does not know, and with a sabotage,
            which cannot reach them.
    """
    if simulation is not HONEST:
        raise ValueError("the runs that are named are trained already, so nothing can be sabotaged; leave out --run")
    results = [collect(folder) for folder in runs_in(paths)]
    if left := [result.name for result in results if result.unfinished]:
        raise ValueError(f"not finished, so nothing can be said of their ends: {', '.join(left)}")
    found, made = [], []
    for runs in by_setting(results):
        cell, sure = _cell(runs)
        found.append(cell)
        if sure:
            made.append(Majority(f"{cell['schedule']}: {cell['told']}", cell["agree"], cell["runs"]))
    notes = (
        f"Predictions are of memory-one agents from {STARTS} random starts, at the calibrated naive rate. A setting counts "
        f"where {SURE:.0%} of them end alike, also at {MARGIN} times smaller and larger odds: {len(made)} of {len(found)} "
        "settings. "
        "The end of a run is that of its last 20 updates.",
    )
    return Level("L7", tuple(made), {"schedules": found, "environment_steps": 0}, notes, setting.false_alarms)


def _cell(runs: Sequence[Result]) -> tuple[dict[str, Any], bool]:
    """A setting's predicted and seen ends, and whether theory is sure of them."""
    cfg = runs[0].config
    theory = predict(cfg)
    counts = [Counter(part) for part in told(cfg, theory.best[1].rate)]
    seen = [outcome_of(run, theory.simulated_defection.reward) for run in runs]
    name, count = counts[0].most_common(1)[0][0], len(runs)
    outcomes = tallied(seen, {phase: counts[0][phase] * count / STARTS for phase in PHASES})
    label = f"{cfg.name}, share {cfg.pool.p_naive:g}" + (f"; {cfg.schedule}" if cfg.schedule else "")
    sure = min(part[name] for part in counts) >= SURE * STARTS
    agree = seen.count(name)
    cell = {
        "schedule": label,
        "runs": count,
        "outcomes": outcomes,
        "judged": count if sure else 0,
        "agree": agree,
        "told": name,
    }
    return cell, sure
