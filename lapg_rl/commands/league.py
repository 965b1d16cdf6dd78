"""`lapg league`: methods, seeds and games of one file; everyone against everyone, exploited, counted, ranked."""

import argparse
from pathlib import Path

from lapg_rl.commands.train import slurm_option, slurm_parameters

EPILOGUE = """CONFIG.toml:
  name = "ipd"
  seeds = 3
  [games]
  ipd = ["ipd-aa-small", "updates=300"]      # a preset, then key=value
  [methods]
  aa = []                                # key=value, after those of the game
  loqa = ["estimator=loqa"]
  independent = ["estimator=inner_episode"]

Also: others = ["tft", "naive"] (allc and alld play in any case), meta_batch,
restarts (exploiters of each run's first agent; 0: none), exploiter_updates,
agents = "FILE.zip" (copies of runs by `lapg report RUNS --export FILE.zip
--agents`, which aren't trained again).
On a cluster:
  lapg league CONFIG.toml --slurm timeout_min=600 slurm_partition=gpu
The same command carries on with what is not finished.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOGUE
    parser.add_argument(
        "config", type=Path, metavar="CONFIG.toml", help="the league; or a league.json, whose page is printed anew"
    )
    parser.add_argument("--root", type=Path, metavar="DIR", help="directory of all runs (default runs/league-NAME)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="runs that train side by side (default 1)")
    slurm_option(parser)
    parser.add_argument("--quiet", action="store_true", help="no progress lines")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the page")


def run(arguments: argparse.Namespace) -> int:
    """Train, exploit, play; write the page and print it."""
    from lapg_rl.commands.training import options, prepare

    prepare(arguments.jobs, 1, None)
    from lapg_rl.reports import league as pages
    from lapg_rl.runs import trust
    from lapg_rl.study import records
    from lapg_rl.study.league import League, league, read, runs_of

    if arguments.config.suffix == ".json":
        outcome = records.read(League, arguments.config)
        if arguments.json:
            print(arguments.config.read_text(encoding="utf-8"), end="")
        else:
            print(pages.markdown(outcome))
        return 0

    plan = read(arguments.config)
    root = arguments.root or Path("runs") / f"league-{plan.name}"
    for one in runs_of(plan, root):
        trust.check(one.planned.config, arguments.config)
    how = {"jobs": arguments.jobs, "quiet": arguments.quiet, "slurm": slurm_parameters(arguments) or None}
    outcome = league(plan, root, options=options(arguments.quiet, None), **how)
    written = pages.write(outcome, root)
    if arguments.json:
        print((root / "league.json").read_text(encoding="utf-8"), end="")
    else:
        print("\n".join([pages.markdown(outcome), *(f"wrote {path}" for path in written)]))
    return 0
