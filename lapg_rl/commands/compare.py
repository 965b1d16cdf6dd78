"""`lapg compare`: settings side by side, with intervals over seeds."""

import argparse
import dataclasses
from pathlib import Path

EPILOGUE = """examples:
  lapg compare runs/cleanup-mixed-small-*
  lapg compare runs/sweep-ipd-mixed-small --metrics reward_vs_meta
  lapg compare runs/long runs/short-* --upto 60

Means over agents and the last 20 updates, 95 % intervals over seeds (Student's
t; for frequencies Clopper and Pearson's for as many trials as the seeds are
worth); below them the differences to the reference with theirs (Welch's t),
starred where 0 is outside. No interval is corrected for the number of
comparisons; two stars say that a difference holds with all in the table looked
at (Holm's correction). Unfinished runs are named and left out.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOGUE
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folders, or folders with runs inside")
    parser.add_argument("--metrics", metavar="NAME,NAME", help="which (default all but those of the optimiser)")
    parser.add_argument("--upto", type=int, metavar="N", help="leave out what came after N updates")
    parser.add_argument(
        "--reference", metavar="SETTING", help="differences are to this one (default lapg, else the first)"
    )
    parser.add_argument("--json", action="store_true", help="JSON instead of a Markdown table")


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    from lapg_rl.study import records
    from lapg_rl.study.comparison import compare

    names = [name.strip() for name in (arguments.metrics or "").split(",") if name.strip()]
    found = compare(arguments.runs, names, upto=arguments.upto, reference=arguments.reference)
    if arguments.json:
        labels = [setting.label for setting in found.settings]
        rows = [dataclasses.asdict(row) for row in found.rows]
        print(records.compact({"settings": labels, "rows": rows, "left_out": found.left_out}))
    else:
        print(found)
    return 0
