"""`lapg sweep`: train a grid of settings, carry on where it stopped, and make one table."""

import argparse
import json
from pathlib import Path
from typing import Any

from lapg_rl.commands.train import shared_options, slurm_option, slurm_parameters
from lapg_rl.runs.progress import say

EPILOGUE = """examples:
  lapg sweep ipd-shaping-small estimator=lapg,mfos meta_batch=8,32 --seeds 3
  lapg sweep ipd-shaping estimator=lapg,mfos --seeds 5 \\
    --slurm timeout_min=600 slurm_partition=gpu gpus_per_node=1
  lapg sweep ipd-mixed "estimator=lapg,lapg,mfos,mfos;lapg,lapg,lapg,lapg"

The same command again carries on with what is not finished; with --table it
only makes the table. Every run is an ordinary run folder.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOGUE
    parser.add_argument("settings", nargs="*", metavar="PRESET key=a,b,c", help="a preset, then the values to try")
    parser.add_argument("--root", type=Path, metavar="DIR", help="directory of all runs (default runs/sweep-PRESET)")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="runs of each setting, on consecutive seeds")
    shared_options(parser)
    slurm_option(parser)
    parser.add_argument("--table", action="store_true", help="train nothing: the table of what is finished")
    parser.add_argument("--json", action="store_true", help="print the table as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Train what is not finished; then the table, also where runs failed. The status is the highest of the runs'."""
    from lapg_rl import config
    from lapg_rl.commands.training import check_trusted, named_config

    base = named_config(arguments)
    given = [setting for setting in arguments.settings if "=" in setting]
    for setting in given:
        config.full_key(setting.partition("=")[0])
    from lapg_rl.study import sweep

    root = arguments.root or Path("runs") / f"sweep-{base.name}"
    if root.exists() and not root.is_dir():
        raise ValueError(f"--root must be a folder, got {root}; name another")
    planned = sweep.plan(base, given, arguments.seeds, root)
    check_trusted((one.config for one in planned), arguments)
    left = [] if arguments.table else [one for one in planned if not one.finished]
    try:
        ends = _train(left, root, arguments)
    except KeyboardInterrupt:
        say("\nlapg: interrupted; the same command carries on")
        return 130
    rows = sweep.table(planned, ends)
    print(json.dumps(rows, indent=1) if arguments.json else sweep.as_text(rows))
    if root.exists():
        sweep.write(rows, root)
    return max((end.status for end in ends.values()), default=0)


def _train(runs: list[Any], root: Path, arguments: argparse.Namespace) -> dict[Path, Any]:
    from lapg_rl.commands.training import options, prepare
    from lapg_rl.runs import processes
    from lapg_rl.runs.folder import open_run

    parameters = slurm_parameters(arguments)
    prepare(arguments.jobs, arguments.threads, arguments.compilation_cache)
    from lapg_rl.runs.loggers import openers  # loads JAX

    openers(arguments.log)  # every refusal comes before the first run
    folders = [open_run(one.config, one.folder).path for one in runs]
    if not folders:
        return {}
    more = options(arguments.quiet, arguments.devices, [one.config for one in runs], arguments.log)
    if arguments.slurm:
        ends = processes.train_on_slurm(folders, root / "slurm", parameters, more)
    else:
        ends = processes.train_each(folders, arguments.jobs, more)
    return dict(zip(folders, ends, strict=True))
