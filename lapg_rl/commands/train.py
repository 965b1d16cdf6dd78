"""`lapg train`: start runs from a preset or a file, or carry on with one."""

import argparse
import dataclasses
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lapg_rl import config
from lapg_rl.config import Config

EPILOGUE = """examples:
  lapg train --list
  lapg train ipd-shaping-small
  lapg train ipd-shaping-small estimator=mfos updates=100 --seeds 3
  lapg train --resume runs/ipd-shaping-small-lapg-seed0
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOGUE
    parser.add_argument("settings", nargs="*", metavar="PRESET key=value", help="a preset, then what to change in it")
    parser.add_argument("--config", type=Path, metavar="FILE", help="start from this TOML file, not from a preset")
    parser.add_argument("--run", type=Path, metavar="DIR", help="run folder (default runs/PRESET-ESTIMATOR-seedSEED)")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="train N runs, on consecutive seeds")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="train up to N runs side by side (default 1)")
    parser.add_argument("--together", action="store_true", help="train the seeds in one program, which fills a GPU")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="processor threads of each run (default 1)")
    parser.add_argument("--resume", type=Path, metavar="DIR", help="carry on with the run in this folder")
    parser.add_argument("--quiet", action="store_true", help="no progress line")
    parser.add_argument("--list", action="store_true", help="list the presets and stop")


def run(arguments: argparse.Namespace) -> int:
    """Train; an interrupted run says how to carry on."""
    if arguments.list:
        print("\n".join(f"{name:20} {_describe(preset)}" for name, preset in config.PRESETS.items()))
        return 0
    runs = _resumed(arguments.resume, arguments) if arguments.resume else _fresh(arguments)
    if arguments.together and arguments.jobs > 1:
        raise ValueError(f"--together is one program, got --jobs {arguments.jobs} as well; give one of the two")
    return train_all(runs, arguments.quiet, arguments.jobs, arguments.threads, arguments.together)


def train_all(
    runs: Sequence[tuple[Config, Path]], quiet: bool = False, jobs: int = 1, threads: int = 1, together: bool = False
) -> int:
    """Train each config in its folder, `jobs` at a time: 0, 130 after an interrupt, or what a failed run exited with."""
    if jobs < 1:
        raise ValueError(f"--jobs must be an integer >= 1, got {jobs}; 1 trains one run after the other")
    if threads < 1:
        raise ValueError(f"--threads must be an integer >= 1, got {threads}; 1 gives the most updates a processor")
    os.environ.setdefault("NPROC", str(threads))  # XLA reads it when it starts
    if min(jobs, len(runs)) > 1:
        return _side_by_side(runs, quiet, jobs)
    from lapg_rl.run import train_together  # takes seconds to import; every mistake in the arguments is found before

    for group in [list(runs)] if together else [[one] for one in runs]:
        cfg, folder = group[0]
        try:
            train_together(group, label=label(cfg), quiet=quiet)
        except KeyboardInterrupt:
            how = "the same command" if len(group) > 1 else f"`lapg train --resume {folder}`"
            print(f"\nlapg: interrupted; carry on with {how}", file=sys.stderr)
            return 130
        for cfg, folder in group if not quiet else ():
            print(f"finished {folder} ({cfg.updates} updates)", flush=True)
    return 0


def _side_by_side(runs: Sequence[tuple[Config, Path]], quiet: bool, jobs: int) -> int:
    """One process a run; their progress lines are passed on as they come."""
    from lapg_rl.run import open_run

    for cfg, folder in runs:  # every refusal comes before the first run
        open_run(cfg, folder)
    share = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}

    def one(run: tuple[Config, Path]) -> int:
        command = [sys.executable, "-m", "lapg_rl.cli", "train", "--resume", str(run[1])] + ["--quiet"] * quiet
        with subprocess.Popen(command, env=os.environ | share, stderr=subprocess.PIPE, text=True) as process:
            for line in process.stderr or ():
                print(line, end="", file=sys.stderr, flush=True)
        return process.returncode if process.returncode >= 0 else 128 - process.returncode  # killed: as a shell says it

    with ThreadPoolExecutor(jobs) as pool:
        try:
            return max(pool.map(one, runs))
        except KeyboardInterrupt:  # every process got it too, and says how to carry on
            return 130


def label(cfg: Config) -> str:
    """A short name of a run: preset, estimator, seed."""
    return f"{cfg.name} {cfg.method} seed {cfg.seed}"


def default_folder(cfg: Config, root: Path = Path("runs")) -> Path:
    """The folder that a run gets unless told otherwise."""
    return root / f"{cfg.name}-{cfg.method.replace(',', '+')}-seed{cfg.seed}"


def consecutive_seeds(cfg: Config, count: int) -> list[Config]:
    """`cfg` with its seed and the count - 1 seeds after it."""
    if count < 1:
        raise ValueError(f"--seeds must be an integer >= 1, got {count}; 1 trains one run")
    return [dataclasses.replace(cfg, seed=cfg.seed + extra) for extra in range(count)]


def _describe(cfg: Config) -> str:
    return (
        f"{cfg.updates} updates, meta-batch {cfg.meta_batch}, {cfg.batch} trajectories x {cfg.inner_episodes} inner "
        f"episodes x {cfg.steps} steps, {cfg.model.kind}, {cfg.method}, naive share {cfg.pool.p_naive:g}"
    )


def _fresh(arguments: argparse.Namespace) -> list[tuple[Config, Path]]:
    names = [setting for setting in arguments.settings if "=" not in setting]
    if len(names) + (arguments.config is not None) != 1:
        raise ValueError(
            f"expected one preset or --config FILE, got {' '.join(names) or 'none'}"
            f"{' and --config' if arguments.config else ''}; `lapg train --list` shows the presets"
        )
    base = config.load(arguments.config) if arguments.config else config.preset(names[0])
    cfg = config.override(base, [setting for setting in arguments.settings if "=" in setting])
    configs = consecutive_seeds(cfg, arguments.seeds)
    if arguments.run is None:
        return [(c, default_folder(c)) for c in configs]
    return [(c, arguments.run if len(configs) == 1 else arguments.run / f"seed{c.seed}") for c in configs]


def _resumed(folder: Path, arguments: argparse.Namespace) -> list[tuple[Config, Path]]:
    from lapg_rl.run import RunFolder

    if arguments.settings or arguments.config or arguments.run or arguments.seeds != 1:
        raise ValueError(
            f"--resume takes everything from {folder}; give no preset, settings, --config, --run or --seeds"
        )
    return [(RunFolder(folder).config(), folder)]
