"""Cooperation by in-context inference of the co-player, without meta-episodes or learning-aware gradients, in four steps.

(1) A best responder to random memory-one strategies finds out within an episode whom it faces. (2) Fresh agents that learn
against it, frozen, extort it. (3) Two such extorters that learn against each other come to cooperate. (4) A pool of random
memory-one strategies and other learners does all at once; without the strategies, or where agents are told whom they face,
they defect. Source: Weis et al. 2026, arXiv 2602.16301.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from lapg_rl import config
from lapg_rl.config.checks import check_draws, unknown
from lapg_rl.runs import parents
from lapg_rl.runs.folder import RunFolder
from lapg_rl.study import intervals, records
from lapg_rl.study.adaptation import Adaptation, adaptation, check_counted
from lapg_rl.study.intervals import Estimate
from lapg_rl.study.sweep import Planned, finish
from lapg_theory.game import check_count
from lapg_theory.game.show import brief

PRESET = "ipd-in-context-small"
#: Strategies that every stage's agents are also played against: who may be exploited, who may not, and who reciprocates.
YARDSTICKS = ("allc", "alld", "tft")


class Stage(NamedTuple):
    """One step: what it is, what it changes in the preset, and the stage that it begins from."""

    about: str
    changes: tuple[str, ...]
    parent: str = ""


#: In the order in which they are reported; `{parent}` stands for the folder of the parent's run on the same seed.
STAGES: Mapping[str, Stage] = {
    "responder": Stage(
        "learns against random memory-one strategies", ("pool.agents=1", "pool.p_memory_one=1", "meta_batch=512")
    ),
    "extorter": Stage(
        "fresh agents learn against the frozen responder",
        ("pool.p_memory_one=0", "pool.p_frozen=1", "pool.frozen={parent}:0"),
        "responder",
    ),
    "pair": Stage(  # who are trained already: slower, and without the exploration that a start needs
        "two extorters learn against each other",
        (
            "pool.p_memory_one=0",
            "pool.agents_from={parent}",
            "schedule=",
            "learner.entropy_coef=0.01",
            "learner.learning_rate=0.001",
        ),
        "extorter",
    ),
    "mixed": Stage("half random memory-one strategies, half each other", ()),
    "agents-only": Stage("each other alone", ("pool.p_memory_one=0",)),
    "told": Stage("as mixed, but told whom they face", ("pool.reveal=true",)),
}


class Run(NamedTuple):
    """One run: its stage, its config and its folder."""

    stage: str
    planned: Planned


@dataclasses.dataclass(frozen=True)
class Met:
    """The agents of a stage against one kind of co-player: means over seeds, of what `Adaptation` says of each.

    `curves` has, by name, the values of `cooperation`, `other_cooperation` and `rewards` in each step, one list a seed.
    """

    stage: str
    opponent: str
    trained: bool
    reward: Estimate
    other_reward: Estimate
    curves: dict[str, list[list[float]]]

    __repr__ = brief


@dataclasses.dataclass(frozen=True)
class InContext:
    """What became of the steps."""

    preset: str
    seeds: int
    meta_batch: int
    met: list[Met]

    __repr__ = brief


def runs_of(
    changes: Iterable[str] = (), root: str | Path = "runs/in-context", *, seeds: int = 1, stages: Sequence[str] = ()
) -> list[Run]:
    """The runs of the steps, parents before children.

    Args:
        changes: `key=value` for all stages, `STAGE:key=value` for one; the pool is what the stages are about.
        root: the folder of all runs, ROOT/STAGE/seedN.
        seeds: runs of each stage, on consecutive seeds.
        stages: which; all, if none is named. A stage brings its parents.

    Raises:
        ValueError: for an unknown stage, a key of the pool, or a setting that is not valid, naming its stage.
    """
    check_count("seeds", seeds)
    shared: list[str] = []
    own: dict[str, list[str]] = {name: [] for name in STAGES}
    for change in changes:
        head, colon, rest = change.partition("=")[0].partition(":")
        if colon and head not in STAGES:
            raise ValueError(unknown(f"stage {head} in {change}", head, list(STAGES)))
        key = config.full_key((rest if colon else head).strip())
        if key.startswith("pool."):
            raise ValueError(
                f"{key} is what the stages are about, got {change}; train such a pool by `lapg train {PRESET}`"
            )
        (own[head] if colon else shared).append(change.partition(":")[2] if colon else change)
    wanted = _with_parents(stages)
    found = []
    for name in wanted:
        stage = STAGES[name]
        parent = f"{Path(root) / stage.parent}/seed{{seed}}"
        steps = [[change.replace("{parent}", parent) for change in stage.changes], shared, own[name]]
        cfg = dataclasses.replace(config.preset(PRESET), name=f"in-context-{name}")
        try:
            for step in steps:
                cfg = config.override(cfg, step)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        check_counted(cfg, name)
        for extra in range(seeds):
            one = dataclasses.replace(cfg, seed=cfg.seed + extra)
            found.append(Run(name, Planned({}, one, Path(root) / name / f"seed{one.seed}")))
    return found


def _with_parents(stages: Sequence[str]) -> list[str]:
    """The stages and those that they begin from, in the order of the table."""
    for name in stages:
        if name not in STAGES:
            raise ValueError(unknown(f"stage {name}", name, list(STAGES)))
    wanted = {*(stages or STAGES)}
    for _ in STAGES:
        wanted |= {STAGES[name].parent for name in wanted} - {""}
    return [name for name in STAGES if name in wanted]


def in_context(
    changes: Iterable[str] = (),
    root: str | Path = "runs/in-context",
    *,
    seeds: int = 1,
    stages: Sequence[str] = (),
    meta_batch: int = 256,
    seed: int = 0,
    jobs: int = 1,
    quiet: bool = False,
    options: Sequence[str] = (),
) -> InContext:
    """Train what is not finished, play, and tell what the agents do from step to step of an episode.

    Args:
        changes: see `runs_of`.
        root: the folder of all runs; what came out is in its in-context.json.
        seeds: runs of each stage.
        stages: which; all, if none is named.
        meta_batch: episodes of each agent against each kind of co-player that tell what it does.
        seed: another one plays other such episodes.
        jobs: processes that train side by side; 1 trains here, one run after the other.
        quiet: no progress.
        options: more options of `lapg train`, for processes.

    Raises:
        ValueError: see `runs_of`; also for a folder that is of another run, or whose parent has trained on since it began.

    Example:
        >>> import lapg_rl as rl
        >>> small = ["updates=1", "meta_batch=4", "steps=3", "model.kind=tabular", "learner.minibatches=1"]
        >>> found = rl.in_context(small, folder / "steps", stages=["responder"], meta_batch=4, quiet=True)
        >>> [met.opponent for met in found.met]
        ['memory_one', 'allc', 'alld', 'tft']
    """
    check_count("meta_batch", meta_batch)
    check_draws("seed", seed)
    root = Path(root)
    runs = runs_of(changes, root, seeds=seeds, stages=stages)
    names = list(dict.fromkeys(run.stage for run in runs))
    done: set[str] = {""}
    while ready := [name for name in names if name not in done and STAGES[name].parent in done]:
        now = [run.planned for run in runs if run.stage in ready]
        for one in now:
            parents.check_unchanged(RunFolder(one.folder))
        finish(now, jobs=jobs, quiet=quiet, options=options)
        done |= {*ready}
    outcome = InContext(
        PRESET, seeds, meta_batch, [met for name in names for met in _met(name, runs, meta_batch, seed)]
    )
    records.write(outcome, root / "in-context.json")
    return outcome


def _met(name: str, runs: Sequence[Run], meta_batch: int, seed: int) -> list[Met]:
    mine = [run.planned for run in runs if run.stage == name]
    kinds = list(mine[0].config.shares)
    opponents = list(dict.fromkeys([*kinds, "memory_one", *YARDSTICKS]))
    played = [adaptation(one.folder, opponents, meta_batch=meta_batch, seed=seed) for one in mine]
    return [_over_seeds(name, opponent in kinds, each) for opponent, *each in zip(opponents, *played, strict=True)]


def _over_seeds(stage: str, trained: bool, each: Sequence[Adaptation]) -> Met:
    rewards = [intervals.of_mean([getattr(one, field) for one in each]) for field in ("reward", "other_reward")]
    curves = {field: [getattr(one, field) for one in each] for field in ("cooperation", "other_cooperation", "rewards")}
    return Met(stage, each[0].opponent, trained, *rewards, curves=curves)
