"""Sweeps: the cross product of settings as run folders under one directory, and one table of what came out."""

import csv
import io
import itertools
import math
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lapg_rl import config
from lapg_rl.config import Config
from lapg_rl.runs import files, steps
from lapg_rl.runs.folder import RunFolder
from lapg_rl.runs.preemption import EXIT, Preempted
from lapg_rl.runs.processes import Ended
from lapg_rl.study import intervals, records
from lapg_rl.study.results import LAST, collect

#: Runs of a sweep.
MOST = 10_000
#: Bytes of a folder's name before its seed; disks take 255 in all. What is longer is cut, and told apart by a checksum.
LONGEST = 240
#: What the table shows of every setting: means over the last updates, per step.
REWARDS = ("reward_vs_naive", "naive_reward", "reward_vs_meta")


class Planned(NamedTuple):
    """One run of a sweep: its place in the grid, its config and its folder."""

    setting: dict[str, str]
    config: Config
    folder: Path

    @property
    def finished(self) -> bool:
        """Whether the last update is saved, or agents are kept that have made it."""
        run = RunFolder(self.folder)
        return any(steps.folder(there, self.config.updates).exists() for there in (run.checkpoints, run.kept_agents))


def alternatives(assignment: str) -> tuple[str, list[str]]:
    """The key and the values of `key=a,b,c`; values that hold commas themselves are separated by semicolons: `key=a,b;c,d`.

    Schedules hold both, and are separated by bars: `schedule=30: p_naive=0.5|60: p_naive=0.5; 90: p_naive=0.25`.

    Raises:
        ValueError: for a text that is no assignment, or names a value twice.
    """
    key, equals, text = assignment.partition("=")
    if not equals or not key:
        raise ValueError(f"expected key=value,value,..., got {assignment!r}")
    apart = "|" if key == "schedule" else ";" if ";" in text else ","
    values = [value.strip() for value in text.split(apart)]
    values = values[:-1] if text.endswith(";") and apart == ";" else values
    if twice := [value for value in values if values.count(value) > 1]:
        raise ValueError(f"{key} takes the value {twice[0]} twice; name it once")
    return key, values


def plan(base: Config, assignments: Iterable[str], seeds: int, root: Path) -> list[Planned]:
    """The runs of a sweep, all values of the last key first, each on `seeds` consecutive seeds.

    Args:
        base: what is not swept.
        assignments: `key=a,b,c` each.
        seeds: runs of each setting.
        root: the directory of all.

    Raises:
        ValueError: for a setting that is not valid, naming it, or a key that is given twice.
    """
    if seeds < 1:
        raise ValueError(f"--seeds must be an integer >= 1, got {seeds}; 1 trains one run of each setting")
    axes: dict[str, list[str]] = {}
    for assignment in assignments:
        key, values = alternatives(assignment)
        if same := [other for other in axes if other != key and config.full_key(other) == config.full_key(key)]:
            raise ValueError(f"{same[0]} and {key} are one key; give all its values at once")
        if key in axes:
            raise ValueError(f"{key} is given twice; give all its values at once: {key}={','.join(axes[key] + values)}")
        axes[key] = values
    if (count := math.prod(map(len, axes.values())) * seeds) > MOST:
        raise ValueError(f"this sweep has {count} runs, and may have at most {MOST}; split it")
    swept = [key for key, values in axes.items() if len(values) > 1]
    runs = []
    for values in itertools.product(*axes.values()):
        chosen = dict(zip(axes, values, strict=True))
        setting = {key: chosen[key] for key in swept}
        try:
            cfg = config.override(base, [f"{key}={value}" for key, value in chosen.items()])
        except ValueError as error:
            raise ValueError(f"{_spell(setting)}: {error}" if setting else str(error)) from None
        for extra in range(seeds):
            one = config.override(cfg, [f"seed={cfg.seed + extra}"])
            runs.append(Planned(setting, one, root / _folder(setting, one.seed)))
    spelled: dict[Config, str] = {}
    for run in runs:
        spelling = _spell({key: value for key, value in run.setting.items() if config.full_key(key) != "seed"})
        if (before := spelled.setdefault(run.config, spelling)) != spelling:
            raise ValueError(f"{before} and {spelling} are one setting; name it once")
    folders = Counter(run.folder for run in runs)
    if twice := [folder for folder, count in folders.items() if count > 1]:
        raise ValueError(f"two runs would share the folder {twice[0]}; give seed=... or --seeds, not both")
    return runs


def _spell(setting: Mapping[str, str]) -> str:
    return " ".join(f"{key}={value}" for key, value in setting.items())


def _folder(setting: Mapping[str, str], seed: int) -> str:
    spelled = {key: _short(value) if key == "schedule" else value for key, value in setting.items()}
    parts = [f"{key}={value}" for key, value in spelled.items() if key != "seed"]
    name = "_".join(parts).replace(",", "+").replace("/", "-")
    if len(name.encode()) > LONGEST:
        name = f"{name.encode()[:200].decode(errors='ignore')}-{zlib.crc32(name.encode()):08x}"
    return "_".join([name] * bool(parts) + [f"seed{seed}"])


def _short(schedule: str) -> str:
    """A schedule as part of a folder's name: signs that mean something elsewhere are left out, and what is long is cut."""
    name = re.sub(r"[^\w.=+@-]+", "-", schedule)
    return name if len(name) <= 80 else f"{name[:70]}-{zlib.crc32(schedule.encode()):08x}"


def finish(
    runs: Iterable[Planned],
    *,
    jobs: int = 1,
    quiet: bool = False,
    options: Sequence[str] = (),
    slurm: tuple[Path, Mapping[str, Any]] | None = None,
) -> None:
    """Train what is not finished; the same call carries on where it stopped.

    Args:
        runs: the runs; progress names them by their folder's parent and the seed.
        jobs: processes that train side by side; 1 trains here, one run after the other.
        quiet: no progress.
        options: more options of `lapg train`, for processes.
        slurm: train as a Slurm array instead: a folder for its logs, and submitit's parameters.

    Raises:
        ValueError: for a folder that is of another run, before any is trained, and where processes fail.
        Preempted: where they were asked to stop, and saved what they had.
    """
    from lapg_rl.runs import processes
    from lapg_rl.runs.folder import open_run
    from lapg_rl.runs.loop import train  # loads JAX

    left = [run for run in runs if not run.finished]
    folders = [open_run(one.config, one.folder).path for one in left]  # every refusal comes before the first run
    if (slurm or jobs > 1) and folders:
        ends = (
            processes.train_on_slurm(folders, *slurm, options)
            if slurm
            else processes.train_each(folders, jobs, options)
        )
        failed = [(folder, end) for folder, end in zip(folders, ends, strict=True) if end.status]
        if failed and all(end.status == EXIT for _, end in failed):
            raise Preempted(folder := failed[0][0], RunFolder(folder).done())
        if failed:
            folder, end = failed[0]
            raise ValueError(f"{len(failed)} runs did not finish ({folder}: {end.said}); the same command carries on")
    else:
        for one in left:
            train(one.config, one.folder, label=f"{one.folder.parent.name} seed {one.config.seed}", quiet=quiet)


def table(runs: Sequence[Planned], ends: Mapping[Path, Ended]) -> list[dict[str, Any]]:
    """One dictionary a setting: how many runs are finished, what was wrong with others, and rewards over the finished ones.

    A reward is the mean over the last 20 updates, over agents and over runs; with several runs `_low` and `_high` are the
    95 % interval of that mean by Student's t.

    Args:
        runs: the sweep.
        ends: how the processes of the runs that were trained just now ended.
    """
    rows = []
    for setting, group in itertools.groupby(runs, key=lambda run: run.setting):
        members = list(group)
        done = [collect(run.folder) for run in members if run.finished]
        failed = [
            f"{run.folder.name}: {ends[run.folder].said or f'exit status {ends[run.folder].status}'}"
            for run in members
            if not run.finished and ends.get(run.folder, Ended(0)).status not in (0, 75, 130)
        ]
        row: dict[str, Any] = {**setting, "runs": len(members), "finished": len(done), "failed": failed}
        for name in REWARDS:
            values = [result.last[name] for result in done if name in result.last]
            if values:
                mean = intervals.of_mean(values)
                figures = {name: mean.value, f"{name}_low": mean.low, f"{name}_high": mean.high}
                row |= {key: None if value is None else intervals.short(value) for key, value in figures.items()}
        rows.append(row)
    return rows


def _columns(rows: Sequence[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row if name != "failed"))


def as_text(rows: Sequence[dict[str, Any]]) -> str:
    """The table for reading, and below it one line for each failed run."""
    names = [name for name in _columns(rows) if not name.endswith(("_low", "_high"))]

    def cell(row: dict[str, Any], name: str) -> str:
        value = row.get(name)
        if name not in REWARDS or value is None:
            return "-" if value is None else str(value)
        low, high = row[f"{name}_low"], row[f"{name}_high"]
        return intervals.told(value, low, high)

    cells = [names] + [[cell(row, name) for name in names] for row in rows]
    widths = [max(len(line[n]) for line in cells) for n in range(len(names))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    failures = [f"failed: {failure}" for row in rows for failure in row["failed"]]
    return "\n".join(
        [f"rewards per step, means over the last {LAST} updates, or all if there are fewer", *lines, *failures]
    )


def write(rows: Sequence[dict[str, Any]], root: Path) -> None:
    """Write the table as `sweep.json` and `sweep.csv` into the sweep's directory."""
    names = [*_columns(rows), "failed"]
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row | {"failed": "; ".join(row["failed"])} for row in rows)
    files.replace(root / "sweep.csv", text.getvalue())
    files.replace(root / "sweep.json", records.compact(list(rows)) + "\n")
