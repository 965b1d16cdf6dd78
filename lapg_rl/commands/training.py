"""What `lapg train`, `lapg sweep` and `lapg demo` have in common: which runs they make, and training them."""

import argparse
import dataclasses
import os
import re
import shlex
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from lapg_rl import config
from lapg_rl.commands import process
from lapg_rl.config import Config
from lapg_rl.config.checks import check_run
from lapg_rl.machine.cache import keep_compiled
from lapg_rl.runs import preemption, processes, trust
from lapg_rl.runs.progress import say, tell

#: Runs of one command.
MOST_SEEDS = 10_000


def train_all(
    runs: Sequence[tuple[Config, Path]],
    quiet: bool = False,
    jobs: int = 1,
    threads: int = 1,
    together: bool = False,
    compilation_cache: Path | None = None,
    devices: int | str | None = None,
    log: str = "",
) -> int:
    """Train each config in its folder, `jobs` at a time.

    Returns 0, 130 after an interrupt, 75 after SIGTERM with everything saved, or what a failed run exited with.
    """
    prepare(jobs, threads, compilation_cache)
    with preemption.listen():  # before the seconds that imports and compilers take
        if min(jobs, len(runs)) > 1:
            return _side_by_side(runs, quiet, jobs, devices, log)
        return _here([list(runs)] if together else [[one] for one in runs], quiet, devices, log)


def prepare(jobs: int, threads: int, compilation_cache: Path | None) -> None:
    """Check and set what all runs of a command have in common, before JAX starts. Raises ValueError for a count below 1."""
    if jobs < 1:
        raise ValueError(f"--jobs must be an integer >= 1, got {jobs}; 1 trains one run after the other")
    if threads < 1:
        raise ValueError(f"--threads must be an integer >= 1, got {threads}; 1 gives the most updates a processor")
    os.environ.setdefault("NPROC", str(threads))  # XLA reads it when it starts
    if compilation_cache is not None:
        keep_compiled(compilation_cache)


def _here(groups: Sequence[list[tuple[Config, Path]]], quiet: bool, count: Any, log: str) -> int:
    from lapg_rl.machine.devices import (
        writes,  # takes seconds to import; every mistake in the arguments is found before
    )
    from lapg_rl.runs.loop import train_together

    for group in groups:
        cfg, folder = group[0]
        try:
            train_together(group, label=label(cfg), quiet=quiet, count=count, log=log)
        except KeyboardInterrupt:
            one = len(groups) == len(group) == 1
            how = f"`lapg train --resume {shlex.quote(str(folder))}`" if one else "the same command"
            say(f"\nlapg: interrupted; carry on with {how}")
            return 130
        except preemption.Preempted as stop:
            say(f"\nlapg: {stop}")
            return preemption.EXIT
        for cfg, folder in group if writes() and not quiet else ():
            tell(f"finished {folder} ({cfg.updates} updates)")
    return 0


def as_one_of_several(train_them: Callable[[], int], where: tuple[Any, Any, Any], folder: str) -> int:
    """Train as one process of several, found by coordinator, their number and this one's: if one ends, all do."""
    from lapg_rl.machine import aborts

    aborts.hold_back(folder)  # before JAX starts threads
    from lapg_rl.machine import devices, lifeline

    devices.join(*where)
    status = 1
    try:
        with lifeline.held(where[0] and where[0].rpartition(":")[0], folder):
            status = train_them()
            if status not in (0, preemption.EXIT):
                raise SystemExit(status)  # the others must not wait for this one
    except BaseException as error:
        if not isinstance(error, SystemExit) and process.told(error)[0] is None:
            time.sleep(2)  # it may come of a process that is lost, of which the lifeline is about to tell
        process.leave_at_exit(status if isinstance(error, SystemExit) else process.told(error)[0] or 1)
        raise
    return status


def _side_by_side(runs: Sequence[tuple[Config, Path]], quiet: bool, jobs: int, count: Any, log: str) -> int:
    from lapg_rl.runs.folder import open_run
    from lapg_rl.runs.loggers import openers

    openers(log)  # every refusal comes before the first run
    for cfg, folder in runs:
        open_run(cfg, folder)
    try:
        more = options(quiet, count, [cfg for cfg, _ in runs], log)
        ends = processes.train_each([folder for _, folder in runs], jobs, more)
        return max(end.status for end in ends)
    except KeyboardInterrupt:  # every process says how to carry on
        return 130


def options(quiet: bool, count: Any, configs: Sequence[Config] = (), log: str = "") -> list[str]:
    """Options that a run in a process of its own gets, too; what this process may load, that one may."""
    names = sorted({name for cfg in configs for name in cfg.addresses})
    return (
        ["--quiet"] * quiet
        + ([] if count is None else ["--devices", str(count)])
        + (["--log", log] if log else [])
        + [part for name in names for part in ("--trust", name)]
    )


def label(cfg: Config) -> str:
    """A short name of a run: preset, estimator, seed."""
    return f"{cfg.name} {cfg.method} seed {cfg.seed}"


def default_folder(cfg: Config, root: Path = Path("runs")) -> Path:
    """The folder that a run gets unless told otherwise."""
    older = root / f"{cfg.name}-{cfg.method.replace(',', '+')}-seed{cfg.seed}"
    return older if older.exists() else older.with_name(older.name.replace(":", "."))


def consecutive_seeds(cfg: Config, count: int) -> list[Config]:
    """`cfg` with its seed and the count - 1 seeds after it."""
    if count < 1:
        raise ValueError(f"--seeds must be an integer >= 1, got {count}; 1 trains one run")
    if count > MOST_SEEDS:
        raise ValueError(
            f"--seeds must be an integer <= {MOST_SEEDS}, got {count}; train them in parts, from other seeds on"
        )
    return [dataclasses.replace(cfg, seed=cfg.seed + extra) for extra in range(count)]


def named_config(arguments: argparse.Namespace) -> Config:
    """The config of the preset or the file that a command line names, before the changes to it."""
    names = [setting for setting in arguments.settings if "=" not in setting]
    if len(names) + (arguments.config is not None) != 1:
        raise ValueError(
            f"expected one preset or --config FILE, got {' '.join(names) or 'none'}"
            f"{' and --config' if arguments.config else ''}; `lapg list presets` shows the presets"
        )
    if arguments.config and str(arguments.config) in config.PRESETS and not arguments.config.exists():
        raise ValueError(f"--config takes a file, but {arguments.config} is a preset; name it without --config")
    return config.load(arguments.config) if arguments.config else config.preset(names[0])


def check_trusted(configs: Iterable[Config], arguments: argparse.Namespace) -> None:
    """Refuse to load what a config file names by address, unless the command line names it as well, or it was allowed."""
    if not arguments.config:
        return
    named = set(re.findall(r"[\w.]+:\w+", " ".join(arguments.settings)))
    for cfg in configs:
        trust.allow(*named.intersection(cfg.addresses))
        trust.check(cfg, arguments.config)


def fresh(arguments: argparse.Namespace) -> list[tuple[Config, Path]]:
    """The runs that a command line starts, and their folders."""
    named = {"agents_from": ("--from", arguments.agents_from), "naive_from": ("--naive-from", arguments.naive_from)}
    parents = []
    for name, (option, text) in named.items():
        if text is not None:
            check_run(option, text)
            parents.append(f"pool.{name}={text}")
    cfg = config.override(named_config(arguments), [*filter(lambda s: "=" in s, arguments.settings), *parents])
    check_trusted([cfg], arguments)
    configs = consecutive_seeds(cfg, arguments.seeds)
    if arguments.run is None:
        return [(c, default_folder(c)) for c in configs]
    return [(c, arguments.run if len(configs) == 1 else arguments.run / f"seed{c.seed}") for c in configs]


def resumed(folder: Path, arguments: argparse.Namespace) -> list[tuple[Config, Path]]:
    """The run in a folder, with which a command line carries on."""
    from lapg_rl.runs.folder import RunFolder

    others = [setting for setting in arguments.settings if not setting.startswith("updates=")]
    more = (arguments.config, arguments.run, arguments.agents_from, arguments.naive_from)
    if others or any(more) or arguments.seeds != 1:
        raise ValueError(
            f"--resume takes everything but updates=N from {folder}; give no preset, other settings, --config, --run, --seeds, "
            "--from or --naive-from. With other settings it is another run: lapg train --config RUN/config.toml ... --from RUN"
        )
    there = RunFolder(folder).trusted_config()
    return [(config.override(there, arguments.settings), folder)]
