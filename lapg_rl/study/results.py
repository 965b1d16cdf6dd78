"""The results of runs, read from their folders alone: headline numbers, verdicts, summaries."""

import dataclasses
import functools
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lapg_rl import config
from lapg_rl.config import Config
from lapg_rl.config.tables import ESTIMATORS, HEADLINES
from lapg_rl.runs import files
from lapg_rl.runs.folder import RunFolder
from lapg_rl.study import archive, records
from lapg_rl.study.markdown import plain
from lapg_rl.study.records import Evaluation, Prediction
from lapg_theory.game.show import brief, table
from lapg_theory.game.words import words

#: Headline numbers are means over this many last updates.
LAST = 20


@dataclasses.dataclass(frozen=True)
class Result:
    """One run: its name, config, metrics (each an array over the updates), provenance and, if there, its records."""

    name: str
    config: Config
    metrics: dict[str, np.ndarray]
    provenance: list[dict[str, Any]]
    evaluation: Evaluation | None
    prediction: Prediction | None
    path: Path
    by_agent: dict[str, np.ndarray]  # [updates, agents]

    __repr__ = brief

    def _repr_html_(self) -> str:
        """What a notebook shows: how far it is, what it does, and its rewards as curves."""
        from lapg_rl.runs.notebook import curves

        rows = [
            ("updates", f"{self.updates} of {self.config.updates}"),
            ("among naive learners", self.verdict),
            ("among agents", self.pool_verdict),
            *((name.replace("_", " "), self.last[name]) for name in HEADLINES if name in self.last),
        ]
        shown = {short: self.metrics[name] for name, short in HEADLINES.items() if name in self.metrics}
        drawn = {
            short: [(int(n), float(x)) for n, x in zip(self.metrics["update"], values, strict=True) if x == x]
            for short, values in shown.items()
        }
        title = f"{self.name}: {self.config.method} seed {self.config.seed}"
        return table(("", ""), rows, title, self.unfinished) + curves(drawn, self.updates)

    @property
    def estimator(self) -> str:
        """The estimator of the run's agents, or the algorithm that has none."""
        return self.config.method

    @property
    def dtype(self) -> str:
        """The precision that it was trained in; older versions did not say, and had float32 unless told otherwise."""
        return next((row["dtype"] for row in reversed(self.provenance) if "dtype" in row), "float32")

    @property
    def opponents(self) -> set[str]:
        """Whom every agent met in the evaluation."""
        met = (
            [{m.opponent for m in self.evaluation.matches if m.agent == n} for n in range(self.config.pool.agents)]
            if self.evaluation
            else [set()]
        )
        return set.intersection(*met)

    @property
    def updates(self) -> int:
        """How many updates are done."""
        return int(self.metrics["update"][-1]) + 1

    @property
    def unfinished(self) -> str:
        """What is to be said of a run that is not done: how far it is, and what carries on; nothing where it is."""
        if self.updates >= self.config.updates:
            return ""
        how = f"carry on with `lapg train --resume {shlex.quote(str(self.path))}`"
        return f"{self.path} has {self.updates} of {self.config.updates} updates; {how}"

    def until(self, updates: int) -> "Result":
        """The run as if it had ended after so many updates; without an evaluation that was made later."""
        if self.config.updates <= updates:
            return self
        there = self.metrics["update"] < updates
        cut = lambda arrays: {name: values[there] for name, values in arrays.items()}  # noqa: E731
        cfg = dataclasses.replace(self.config, updates=updates)
        evaluation = self.evaluation if self.evaluation and self.evaluation.updates <= updates else None
        return dataclasses.replace(
            self, config=cfg, metrics=cut(self.metrics), by_agent=cut(self.by_agent), evaluation=evaluation
        )

    @functools.cached_property
    def last(self) -> dict[str, float]:
        """Every metric's mean over the last 20 updates (or as many as there are).

        Where a schedule changed whom the agents meet, over those of them in which it was measured; without it, if in none.
        """
        newest = {name: values[-LAST:] for name, values in self.metrics.items()}
        return {name: float(mean_of_measured(x)) for name, x in newest.items() if not np.isnan(x).all()}

    @property
    def earned(self) -> float:
        """The agents' reward per step over the last 20 updates, the mean over the kinds of co-players that they meet."""
        return float(np.mean([value for name, value in self.last.items() if name.startswith("reward_vs_")]))

    def last_of_agents(self, metric: str) -> np.ndarray:
        """A metric's mean over those of the last 20 updates in which it was measured, of each agent."""
        return mean_of_measured(self.by_agent[metric][-LAST:])

    @property
    def pool_verdict(self) -> str:
        """What the agents do among themselves, in the words of `lapg_theory.game.words`."""
        if "reward_vs_meta" not in self.last:
            return "met no agents"
        return verdict(self.config, self.last, "meta")

    @property
    def verdict(self) -> str:
        """What the agents do to naive learners, in the words of `lapg_theory.game.words`."""
        if "reward_vs_naive" not in self.last:
            return "met no naive learners"
        return verdict(self.config, self.last, "naive")


def mean_of_measured(values: np.ndarray) -> Any:
    """The mean over the first axis of what is not NaN; NaN where nothing is."""
    there = ~np.isnan(values)
    if there.all():
        return values.mean(axis=0)
    return np.where(there, values, 0).sum(axis=0) / np.where(there.any(axis=0), there.sum(axis=0), math.nan)


def verdict(cfg: Config, last: Mapping[str, float], kind: str) -> str:
    """What an agent does to a kind of co-player, from its last metrics; "-" in games that are no prisoner's dilemma."""
    if (game := cfg.game.dilemma) is None:
        return "-"
    own, often = last[f"reward_vs_{kind}"], last[f"cooperation_vs_{kind}"]
    left = own if kind == "meta" else last[f"{kind}_reward"]  # agents among themselves are both sides
    return words(game, left, own=own, cooperation=often).item()


class NotBegun(ValueError):  # noqa: N818 (nothing went wrong)
    """A run folder without metrics."""


def begun(folders: Iterable[Path]) -> tuple[list[Result], list[str]]:
    """The results of the runs that have metrics, and a line on each of the others. Raises ValueError where none has any."""
    results, left = [], []
    for folder in folders:
        try:
            results.append(collect(folder))
        except NotBegun as error:
            left.append(str(error))
    if left and not results:
        raise NotBegun(left[0])
    return results, left


def collect(folder: str | Path) -> Result:
    """Read a run folder. Raises ValueError where it holds no run or no metrics yet.

    Example:
        >>> import lapg_rl as rl
        >>> result = rl.collect(run)
        >>> result.updates, result.metrics["reward_vs_naive"].shape
        (2, (2,))
    """
    run = RunFolder(folder)
    cfg, rows = run.config(), run.metrics()
    if not rows:
        raise NotBegun(
            f"{run.path} has no metrics yet; train it with `lapg train --resume {shlex.quote(str(run.path))}`"
        )
    by_agent = _columns(run, rows, cfg)
    metrics = {name: values if name == "update" else values.mean(axis=1) for name, values in by_agent.items()}
    load = functools.partial(records.load, folder=run.path)
    name = run.path.resolve().name
    return Result(
        name, cfg, metrics, _provenance(run), load(Evaluation), load(Prediction), run.path, by_agent
    )  # fmt: skip


def runs_in(paths: Iterable[Path]) -> list[Path]:
    """Run folders: the paths themselves, or where a path is a folder without a run, all runs inside, sorted.

    An archive `runs.zip` (see `archive`) is such a folder too, and so is one inside of a folder; `runs.zip/NAME` are runs
    in it. Paths that aren't there may hold wildcards. Other files, which a shell's `*` finds beside runs, are left out.

    Raises:
        ValueError: where a run is named twice, an archive is damaged, or there are other files only.
    """
    paths, found = [each for path in paths for each in _matching(path)], []
    folders = [path for path in paths if files.archive_of(path) or not path.is_file()]
    if paths and not folders:
        raise ValueError(f"{paths[0]} is a file, and no run; name the folder of a run, or one with runs inside")
    for path in folders:
        found += ([] if (path / "config.toml").exists() else _inside(path)) or [path]
    resolved = [path.resolve() for path in found]
    if twice := [path for path in resolved if resolved.count(path) > 1]:
        raise ValueError(f"{twice[0]} is named twice; name it once")
    return found


def _matching(path: Path) -> list[Path]:
    """What a path with wildcards finds, sorted, without what is hidden; itself where it is there or finds nothing."""
    if path.exists() or files.archive_of(path):
        return [path]
    found = Path(path.anchor).glob(path.relative_to(path.anchor).as_posix())
    return sorted(p for p in found if not p.name.startswith(".")) or [path]


def opened(path: str | Path) -> Path:
    """The run folder that a path names, unpacked where it lies in an archive; what is written there is lost at the end.

    Raises:
        ValueError: where the archive is damaged, or has no such run, or several.
    """
    if not files.archive_of(Path(path)):
        return Path(path)
    found = runs_in([Path(path)])
    if len(found) > 1:
        raise ValueError(f"{path} holds {len(found)} runs; name one of them, as in {path}/{found[0].name}")
    return found[0]


def _inside(path: Path) -> list[Path]:
    packed = files.archive_of(path)
    if packed and packed != path:
        inside = archive.unpacked(packed)
        if found := sorted(inside.glob(path.relative_to(packed).as_posix())):
            return found
        raise ValueError(
            f"{packed} holds no run {path.name}; it holds {', '.join(sorted(p.name for p in inside.iterdir()))}"
        )
    if packed:
        path = archive.unpacked(path)
    packed = [run for file in sorted(path.glob(f"**/{archive.NAME}")) for run in _inside(file)]
    runs = sorted(config_file.parent for config_file in path.glob("**/config.toml"))
    return [
        run for run in runs if not any(other in run.parents for other in runs)
    ] + packed  # none of a run's exploiters


def _columns(run: RunFolder, rows: list[Any], cfg: Config) -> dict[str, np.ndarray]:
    """Metrics as arrays: the updates, and for every other name `[updates, agents]`."""
    refuse = f"{run.metrics_file} is no metrics file of this run: "
    remedy = "; restore it, or train in another folder"
    agents = cfg.pool.agents
    staged = bool(cfg.schedule)  # whom the agents meet changes then, and what is measured with it
    for number, row in enumerate(rows, start=1):
        if (row.keys() != rows[0].keys() and not staged) or not isinstance(row.get("update"), int):
            raise ValueError(f"{refuse}line {number} has no update, or other names than line 1{remedy}")
        for name, values in row.items():
            numbers = isinstance(values, list) and all(isinstance(v, int | float) for v in values)
            if name != "update" and not (numbers and len(values) == agents):
                raise ValueError(f"{refuse}{name} in line {number} is not {agents} numbers, one an agent{remedy}")
        if number > 1 and row["update"] <= rows[number - 2]["update"]:
            raise ValueError(f"{refuse}the updates of lines {number - 1} and {number} do not rise{remedy}")
    names = dict.fromkeys(name for row in rows for name in row)
    absent = [math.nan] * agents
    return {
        name: np.array([row.get(name, absent) for row in rows], int if name == "update" else float) for name in names
    }


def _provenance(run: RunFolder) -> list[dict[str, Any]]:
    shape = {"started": str, "commit": str, "platform": str, "python": str, "devices": list, "versions": dict}
    rows = run.provenance()
    for row in rows:
        kinds = shape if "started" in row else {}
        wrong = [name for name, kind in kinds.items() if not isinstance(row.get(name), kind)]
        if wrong or not isinstance(row.get("finished_after_s", 0.0), int | float):
            raise ValueError(f"{run.provenance_file} is no provenance of a run ({row!r}); restore it or delete it")
    return rows


#: Keys that have no bearing on what was trained, besides the seed.
HOUSEKEEPING = ("name", "seed", "checkpoint_every", "keep_checkpoints", "keep_every")


def training_settings(cfg: Config) -> dict[str, Any]:
    """What a run trains with, but for its seed: flat keys and values."""
    return {key: value for key, value in config.flat(cfg).items() if key not in HOUSEKEEPING}


def kindred(one: Config, other: Config) -> bool:
    """Whether two runs differ in their seed only (and in names and checkpoints)."""
    return training_settings(one) == training_settings(other)


def by_setting(results: Iterable[Result]) -> list[list[Result]]:
    """Runs that differ in their seed only, together; groups in the order in which their first runs come."""
    groups: list[list[Result]] = []
    for result in results:
        same = next((g for g in groups if kindred(g[0].config, result.config) and g[0].dtype == result.dtype), None)
        groups.append([result]) if same is None else same.append(result)
    return groups


def by_estimator(results: Iterable[Result]) -> dict[str, list[Result]]:
    """Results grouped by estimator, each group in the order of the seeds."""
    groups: dict[str, list[Result]] = {}
    for result in sorted(results, key=lambda r: r.config.seed):
        groups.setdefault(result.estimator, []).append(result)
    return {name: groups[name] for name in (*ESTIMATORS, *groups) if name in groups}


#: Columns of a table of results that speak of a prisoner's dilemma of two.
OF_A_DILEMMA = ("verdict", "agents", "extortion_factor")


def summary(results: Sequence[Result]) -> list[dict[str, Any]]:
    """One dictionary a run: what a table of results needs; no columns that have no meaning in any of the games."""
    left_out = [] if any(r.config.game.dilemma for r in results) else [*OF_A_DILEMMA]
    left_out += [] if any("cooperation_vs_naive" in r.last for r in results) else ["agent_cooperation"]
    rows = []
    for r in results:
        fit = next((f for f in r.evaluation.extortion if f.agent == 0), None) if r.evaluation else None
        rows.append(
            {
                "run": r.name,
                "estimator": r.estimator,
                "seed": r.config.seed,
                "updates": r.updates,
                "agent_reward": _rounded(r.last.get("reward_vs_naive")),
                "naive_reward": _rounded(r.last.get("naive_reward")),
                "agent_cooperation": _rounded(r.last.get("cooperation_vs_naive")),
                "verdict": r.verdict,
                "among_agents": _rounded(r.last.get("reward_vs_meta")),
                "agents": r.pool_verdict,
                "extortion_factor": _rounded(fit.factor if fit and fit.near else None),
            }
        )
    return [{name: row[name] for name in row if name not in left_out} for row in rows]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def summary_markdown(results: Sequence[Result]) -> str:
    """The summary as a Markdown table."""
    rows = summary(results)
    cell = lambda v: "-" if v is None else f"{v:.3f}" if isinstance(v, float) else plain(str(v))  # noqa: E731
    lines = [f"Means over the last {LAST} updates; rewards per step, against naive learners.", ""]
    lines += ["| " + " | ".join(name.replace("_", " ") for name in rows[0]) + " |", "|---" * len(rows[0]) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(map(cell, row.values())) + " |" for row in rows)]) + "\n"
