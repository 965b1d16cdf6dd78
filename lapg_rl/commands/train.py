"""`lapg train`: start runs from a preset or a file, or carry on with one."""

import argparse
import functools
import json
from pathlib import Path
from typing import Any

EPILOGUE = """examples:
  lapg train --list
  lapg train ipd-shaping-small
  lapg train ipd-shaping-small estimator=mfos updates=100 --seeds 3
  lapg train ipd-mixed-small --from runs/mine:0       start from a trained agent
  lapg train --resume runs/mine                       go on where it stopped
  lapg train --resume runs/mine updates=500           longer than it was to be
  lapg train --config runs/mine/config.toml seed=7    the same on another seed

`lapg list` has the presets, `lapg config PRESET` every key with its meaning.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOGUE
    parser.add_argument("settings", nargs="*", metavar="PRESET key=value", help="a preset, then what to change in it")
    parser.add_argument("--run", type=Path, metavar="DIR", help="run folder (default runs/PRESET-ESTIMATOR-seedSEED)")
    parser.add_argument(
        "--from",
        dest="agents_from",
        metavar="RUN[:agent]",
        help="agents start as the trained ones of this run, or one of it: RUN:0, 'RUN:max(reward_vs_naive)'",
    )
    parser.add_argument(
        "--naive-from",
        metavar="RUN[:agent]",
        help="naive learners start as the trained agents of this run, or one of it",
    )
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="train N runs, on consecutive seeds")
    parser.add_argument("--together", action="store_true", help="train the seeds in one program, which fills a GPU")
    shared_options(parser)
    parser.add_argument(
        "--distributed", action="store_true", help="this is one of several processes that train one run"
    )
    parser.add_argument(
        "--coordinator", metavar="HOST:PORT", help="with --distributed: where the first process listens"
    )
    parser.add_argument("--processes", type=int, metavar="N", help="with --distributed: how many there are")
    parser.add_argument("--process", type=int, metavar="I", help="with --distributed: which this is, from 0")
    parser.add_argument("--resume", type=Path, metavar="DIR", help="carry on with the run in this folder")
    parser.add_argument("--list", action="store_true", help="list the presets and stop")


def slurm_option(parser: argparse.ArgumentParser) -> None:
    """What commands that train many runs take for Slurm."""
    parser.add_argument(
        "--slurm",
        nargs="+",
        metavar="key=value",
        help="train as a Slurm array: submitit's parameters, last on the line",
    )


def slurm_parameters(arguments: argparse.Namespace) -> dict[str, Any]:
    """Those parameters, numbers as numbers. Raises ValueError for one without a value."""
    found = {}
    for text in arguments.slurm or ():
        key, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"--slurm takes key=value, got {text!r}")
        try:
            found[key] = json.loads(value)
        except json.JSONDecodeError:
            found[key] = value
    return found


def shared_options(parser: argparse.ArgumentParser) -> None:
    """Declare what `lapg train` and `lapg sweep` have in common."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="start from this TOML file, not from a preset")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="train up to N runs side by side (default 1)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="processor threads of each run (default 1)")
    parser.add_argument(
        "--devices", type=device_count, metavar="N", help="train a run on N devices or all (default: one CPU, all GPUs)"
    )
    parser.add_argument(
        "--compilation-cache",
        type=Path,
        metavar="DIR",
        help="compiled programs are kept here, not in the user's cache; off: nowhere",
    )
    parser.add_argument(
        "--log",
        default="",
        metavar="NAME,NAME",
        help="metrics go there too, as they come: tensorboard, wandb, module:name; `lapg log` does it later",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress lines")


def device_count(text: str) -> int | str:
    """The value of --devices: a number, or all."""
    return text if text == "all" else int(text)


def run(arguments: argparse.Namespace) -> int:
    """Train; an interrupted run says how to carry on."""
    if arguments.list:
        from lapg_rl.commands import list as listing

        return listing.show(["presets"], as_json=False)
    from lapg_rl.commands.training import (  # takes a second to import, and help needs none
        as_one_of_several,
        fresh,
        resumed,
        train_all,
    )

    runs = resumed(arguments.resume, arguments) if arguments.resume else fresh(arguments)
    if arguments.together and arguments.jobs > 1:
        raise ValueError(f"--together is one program, got --jobs {arguments.jobs} as well; give one of the two")
    where = (arguments.coordinator, arguments.processes, arguments.process)
    if arguments.distributed and arguments.jobs > 1:
        raise ValueError(f"--distributed trains one run at a time, got --jobs {arguments.jobs} as well; leave it out")
    if not arguments.distributed and where != (None, None, None):
        raise ValueError("--coordinator, --processes and --process say how to be --distributed; give that, too")
    names = ("quiet", "jobs", "threads", "together", "compilation_cache", "devices", "log")
    train_them = functools.partial(train_all, runs, **{name: getattr(arguments, name) for name in names})
    return as_one_of_several(train_them, where, str(runs[0][1])) if arguments.distributed else train_them()
