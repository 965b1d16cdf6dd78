"""Leagues: methods, on several seeds, in several games: cross-play, exploitability, cost, and who can be told from whom."""

import dataclasses
import math
import os
import shutil
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cattrs
import numpy as np

from lapg_rl import config
from lapg_rl.config import Config, tables
from lapg_rl.config.checks import check_folder_name
from lapg_rl.runs import files
from lapg_rl.runs.folder import RunFolder
from lapg_rl.runs.progress import say
from lapg_rl.study import entrants, intervals, records, standings
from lapg_rl.study.exploitation import exploit
from lapg_rl.study.intervals import Estimate
from lapg_rl.study.names import NAIVE, check_player, scripts
from lapg_rl.study.results import runs_in
from lapg_rl.study.standings import Circle, Group, Table
from lapg_rl.study.sweep import Planned, finish
from lapg_rl.study.tournament import CLASSICS, tournament
from lapg_theory.game import check_count
from lapg_theory.game.show import brief

#: Whom every 2x2 game and every group of a league is played with, and others with their scripts, whatever else it is.
ALWAYS = ("allc", "alld")


@dataclasses.dataclass(frozen=True)
class Plan:
    """A league, as its TOML file says.

    Attributes:
        games: by name a preset and changes `key=value`.
        methods: by name changes `key=value`, made after those of the game.
        name: of the league.
        seeds: runs of each method in each game.
        others: fixed strategies and `naive`, who play, too, each where it can; always-cooperate and always-defect do anyway.
        meta_batch: meta-episodes of each match.
        restarts: exploiters of the first agent of each run; 0: none.
        exploiter_updates: of each exploiter.
        agents: a folder or archive of copies that hold their agents (see `export`). Runs of the league that are among them, by
            their whole config, are not trained again. In a TOML file it is relative to the file.

    Example:
        >>> import lapg_rl as rl
        >>> rl.Plan({"ipd": ["ipd-aa-small"]}, {"aa": [], "loqa": ["estimator=loqa"]}).seeds
        3
    """

    games: dict[str, list[str]]
    methods: dict[str, list[str]]
    name: str = "league"
    seeds: int = 3
    others: list[str] = dataclasses.field(default_factory=lambda: list(CLASSICS))
    meta_batch: int = 64
    restarts: int = 3
    exploiter_updates: int = 200
    agents: str = ""

    def __post_init__(self):
        for field in ("seeds", "meta_batch", "exploiter_updates"):
            check_count(field, getattr(self, field))
        check_count("restarts", self.restarts, least=0)
        for name in (self.name, *self.games, *self.methods):
            check_folder_name("a name in a league", name)
        if not self.games or not self.methods:
            raise ValueError(
                "a league needs at least one of [games] and one of [methods]; docs/methods.md has an example"
            )


class Run(NamedTuple):
    """One run of a league: what it is of, and where it is."""

    game: str
    method: str
    planned: Planned


@dataclasses.dataclass(frozen=True)
class Method:
    """What became of a method in a game: means over its seeds.

    `reward`, `kept` and `gain` are those of `Exploited`, of each run's first agent. `cpu_s` is None where no run was timed.
    `alike` names the methods that it cannot be told from: the 95 % interval of the difference of their mean rewards holds 0.
    """

    name: str
    score: Estimate
    alike: list[str]
    reward: Estimate | None
    kept: Estimate | None
    gain: Estimate | None
    best_reply: Estimate | None
    cpu_s: float | None
    steps: int


@dataclasses.dataclass(frozen=True)
class Standing:
    """A game of a league: methods, the best first, all groups' rewards against each other, and each one's with its own kind."""

    game: str
    methods: list[Method]
    table: Table
    circles: list[Circle]


@dataclasses.dataclass(frozen=True)
class League:
    """The outcome."""

    plan: Plan
    games: list[Standing]

    __repr__ = brief


def read(path: str | Path) -> Plan:
    """The league of a TOML file. Raises ValueError for what is no league."""
    try:
        data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        plan = cattrs.Converter(forbid_extra_keys=True).structure(data, Plan)
    except cattrs.BaseValidationError as error:
        raise ValueError(
            f"{path} is no league ({'; '.join(_reasons(error))}); docs/methods.md has an example"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is no TOML file: {error}") from None
    if not plan.agents:
        return plan
    return dataclasses.replace(plan, agents=os.path.relpath(Path(path).parent / plan.agents))


def _reasons(error: BaseException) -> list[str]:
    """What the leaves of a conversion error say; a key that is missing is a KeyError of its name."""
    if isinstance(error, BaseExceptionGroup):
        return [reason for one in error.exceptions for reason in _reasons(one)]
    return [f"it lacks {error}" if isinstance(error, KeyError) else str(error)]


def runs_of(plan: Plan, root: Path) -> list[Run]:
    """Every run of a league. Raises ValueError for a setting that is not valid, naming its game and method."""
    found = []
    for game, words in plan.games.items():
        if not words:
            raise ValueError(f"the game {game} of the league names no preset; write {game} = [PRESET, key=value, ...]")
        base, *changes = words
        for method, more in plan.methods.items():
            try:
                cfg = config.override(config.override(config.preset(base), changes), more)
            except ValueError as error:
                raise ValueError(f"{game}, {method}: {error}") from None
            for seed in range(plan.seeds):
                one = config.override(cfg, [f"seed={cfg.seed + seed}"])
                found.append(Run(game, method, Planned({}, one, root / game / method / f"seed{one.seed}")))
    return found


def league(
    plan: Plan,
    root: str | Path,
    *,
    jobs: int = 1,
    quiet: bool = False,
    options: Sequence[str] = (),
    slurm: Mapping[str, Any] | None = None,
) -> League:
    """Train what is not finished, exploit, and play; the same call carries on where it stopped.

    Args:
        plan: the league; see `read`.
        root: the folder of all its runs.
        jobs: processes that train side by side; 1 trains here, one run after the other.
        quiet: no progress.
        options: more options of `lapg train`, for processes.
        slurm: train as a Slurm array, by these parameters of submitit; exploiters and matches are run here.

    Raises:
        ValueError: for settings that don't fit, and names that no game of the league knows.

    Example:
        >>> import lapg_rl as rl
        >>> small = ["ipd-aa-small", "updates=1", "meta_batch=2", "batch=2", "steps=3"]
        >>> plan = rl.Plan({"ipd": small}, {"aa": []}, seeds=1, restarts=0, others=[], meta_batch=2)
        >>> [method.name for method in rl.league(plan, folder / "league", quiet=True).games[0].methods]
        ['aa']
    """
    root = Path(root)
    runs = runs_of(plan, root)
    for name in plan.others:
        if not any(_can_play(name, run.planned.config) for run in runs):
            _check(name, runs[0].planned.config)  # which says what there is
    for game in plan.games:
        _check_meetings(plan, game, [run for run in runs if run.game == game])
    if plan.agents:
        taken = _take(runs, Path(plan.agents))
        if not quiet:
            say(f"lapg league: {taken} of {len(runs)} runs are taken from {plan.agents}")
    array = None if slurm is None else (root / "slurm", slurm)
    finish((run.planned for run in runs), jobs=jobs, quiet=quiet, options=options, slurm=array)
    outcome = League(
        plan, [_standing(plan, game, [run for run in runs if run.game == game], quiet) for game in plan.games]
    )
    records.write(outcome, root / "league.json")
    return outcome


def _take(runs: Sequence[Run], kept: Path) -> int:
    """Copy into their folders what is kept of runs that aren't there yet; gives how many are from there.

    Raises:
        ValueError: where nothing is kept of any run of the league.
    """
    copies = {RunFolder(copy).check_trained(): copy for copy in runs_in([kept])}
    found = [run.planned for run in runs if run.planned.config in copies]
    if not found:
        raise ValueError(f"{kept} holds no run of this league: each differs in some key; leave `agents` out")
    for one in found:
        if not one.folder.exists():
            partial = one.folder.with_suffix(".tmp")  # so that what a crash leaves is no run
            files.drop(partial)
            shutil.copytree(copies[one.config], partial)
            partial.replace(one.folder)
    return len(found)


def _check_meetings(plan: Plan, game: str, runs: Sequence[Run]) -> None:
    """Refuse methods of a game that can't play each other, or not the same naive learners where these play, too."""
    first, *rest = ((run.method, run.planned.config) for run in runs[:: plan.seeds])
    others = _others(plan, first[1])
    if taken := [method for method in plan.methods if method in others]:
        raise ValueError(f"{game}: {taken[0]} plays in the league besides its methods; give the method another name")
    for learners in (False, NAIVE in others):
        try:
            entrants.check_compatible(first, rest, learners)
        except ValueError as error:
            remedy = f"; leave {NAIVE} out of the league's others, or give all the same learners" if learners else ""
            raise ValueError(f"{game}: {error}{remedy}") from None


def _standing(plan: Plan, game: str, runs: Sequence[Run], quiet: bool) -> Standing:
    folders = [run.planned.folder for run in runs]
    players = tournament(folders, _others(plan, runs[0].planned.config), meta_batch=plan.meta_batch).players
    groups = _groups(runs, entrants.labels(folders), players.names)
    means, often = (np.array(x, float) for x in (players.rewards, players.cooperation))
    table = standings.group_table(groups, means, often, players.players)
    ours = groups[: len(plan.methods)]
    scores, alike = _scores(groups, means)
    methods = []
    for n, group in enumerate(ours):
        same = [ours[m].name for m in range(len(ours)) if m != n and alike[n][m]]
        mine = [run.planned for run in runs if run.method == group.name]
        cpu, steps = _cost(mine)
        methods.append(Method(group.name, scores[n], same, **_exploited(plan, mine, quiet), cpu_s=cpu, steps=steps))
    methods.sort(key=lambda method: -method.score.value)
    return Standing(game, methods, table, [standings.circle(group, means) for group in ours if len(group.runs) > 1])


def _others(plan: Plan, cfg: Config) -> list[str]:
    """Who plays a game of the league besides its methods: those of `plan.others` that can."""
    able = [name for name in plan.others if _can_play(name, cfg)]
    return list(dict.fromkeys([*(ALWAYS if cfg.game.matrix or cfg.game.group else scripts(cfg)), *able]))


def _can_play(name: str, cfg: Config) -> bool:
    try:
        _check(name, cfg)
    except ValueError:
        return False
    return True


def _check(name: str, cfg: Config) -> None:
    check_player(name, cfg)
    if name != NAIVE:
        entrants.named(name, cfg)  # which an action or a strategy of another game is not


def _groups(runs: Sequence[Run], labels: Sequence[str], names: Sequence[str]) -> list[Group]:
    """A group for each method, of the players of its runs, then one for every other player."""
    members: dict[str, list[list[int]]] = {}
    taken = set()
    for run, label in zip(runs, labels, strict=True):
        count = run.planned.config.pool.agents
        mine = [names.index(label if count == 1 else f"{label}/{n}") for n in range(count)]
        members.setdefault(run.method, []).append(mine)
        taken |= {*mine}
    alone = [Group(name, [[n]]) for n, name in enumerate(names) if n not in taken]
    return [Group(name, found) for name, found in members.items()] + alone


def _scores(groups: Sequence[Group], means: np.ndarray) -> tuple[list[Estimate], np.ndarray]:
    """Each group's mean reward against all others, and which differences are within their 95 % intervals over seeds."""
    statistic = standings.group_means(groups, means)
    runs: dict[str, list[Any]] = {group.name: group.runs for group in groups}
    mean = lambda kept: statistic(kept)[:, -1]  # noqa: E731
    apart = lambda kept: mean(kept)[:, None] - mean(kept)  # noqa: E731
    seeds = min((len(group.runs) for group in groups if len(group.runs) > 1), default=1)
    errors = intervals.jackknife_errors(mean, runs)
    scores = [
        intervals.estimate(x, error if seeds > 1 else None, seeds) for x, error in zip(mean(runs), errors, strict=True)
    ]
    half = intervals.student(seeds - 1) * intervals.jackknife_errors(apart, runs) if seeds > 1 else math.inf
    return scores, np.abs(apart(runs)) <= half


def _exploited(plan: Plan, mine: Sequence[Planned], quiet: bool) -> dict[str, Estimate | None]:
    names = ("reward", "kept", "gain", "best_reply")
    if not plan.restarts:
        return dict.fromkeys(names)
    sizes = {"restarts": plan.restarts, "updates": plan.exploiter_updates, "meta_batch": plan.meta_batch}
    found = [exploit(one.folder, agents=[0], quiet=quiet, **sizes).agents[0] for one in mine]
    values = {name: [getattr(one, name) for one in found] for name in names}
    return {name: None if None in x else intervals.of_mean(x) for name, x in values.items()}


def _cost(mine: Sequence[Planned]) -> tuple[float | None, int]:
    """CPU-seconds of a run, over its sessions that ended, and environment steps."""
    spent = [[row["cpu_s"] for row in RunFolder(one.folder).provenance() if "cpu_s" in row] for one in mine]
    cpu = float(np.mean([sum(x) for x in spent])) if all(spent) else None
    return cpu, environment_steps(mine[0].config)


def environment_steps(cfg: Config) -> int:
    """Steps of the game that all agents of a run play in all its updates."""
    often = tables.row(cfg.learner.algorithm, tables.ALGORITHMS).plays
    plays = cfg.updates * cfg.pool.agents * (getattr(cfg.learner, often) if often else 1)
    return plays * math.prod((cfg.meta_batch, cfg.batch, cfg.inner_episodes, cfg.steps))
