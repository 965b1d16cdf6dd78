"""`lapg log`: the metrics of runs in TensorBoard, Weights & Biases or a logger of the user's, after the fact."""

import argparse
import json
from pathlib import Path

EPILOGUE = """examples:
  lapg log runs/* --to tensorboard; tensorboard --logdir runs
  WANDB_MODE=offline lapg log runs/mine --to wandb; wandb sync runs/mine/wandb
  lapg log runs/mine --to mine:printer

`lapg train --log NAME` does the same while a run trains. metrics.jsonl in the
run folder stays the truth: logging again writes anew what it says.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOGUE
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folders, or folders with runs inside")
    parser.add_argument(
        "--to", required=True, metavar="NAME,NAME", help="tensorboard, wandb, module:name (`lapg list loggers`)"
    )
    parser.add_argument("--json", action="store_true", help="print how many updates of which runs as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Log every run; refusals that concern no single run come first."""
    from lapg_rl.runs import files
    from lapg_rl.runs.loggers import log, openers
    from lapg_rl.study.results import runs_in

    if not (names := openers(arguments.to)):
        raise ValueError(f"--to must name a logger, got {arguments.to!r}; `lapg list loggers` shows them")
    for path in arguments.runs:
        if packed := files.archive_of(path):
            raise ValueError(f"{packed} is an archive, into which nothing is logged; unpack it")
    told = {str(folder): log(folder, arguments.to) for folder in runs_in(arguments.runs)}
    if arguments.json:
        print(json.dumps({"to": list(names), "updates": told}, indent=1))
    else:
        for folder, updates in told.items():
            print(f"{folder}: {updates} updates to {', '.join(names)}")
    return 0
