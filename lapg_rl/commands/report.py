"""`lapg report`: run folders in, one HTML file out."""

import argparse
import json
import sys
from pathlib import Path

from lapg_rl.runs.folder import RunFolder
from lapg_rl.study.results import runs_in


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    help_of_runs = "run folders, or folders with runs (and figures of `lapg theory`) inside"
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help=help_of_runs)
    parser.add_argument(
        "--out", type=Path, default=Path("report.html"), metavar="FILE.html", help="default report.html"
    )
    parser.add_argument("--findings", type=Path, metavar="FILE.md", help="also the table of findings, with links")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="also the overview figure: .svg, .png or .pdf")
    parser.add_argument("--export", type=Path, metavar="DIR", help="also small copies of the runs, without checkpoints")
    parser.add_argument(
        "--agents", action="store_true", help="copies of --export hold the trained agents, and can play"
    )
    parser.add_argument("--quiet", action="store_true", help="don't say what is being done")
    parser.add_argument("--json", action="store_true", help="print JSON: the files written and the table of results")
    parser.add_argument("--quick", action="store_true", help="use what the folders hold: no evaluation, no prediction")


def run(arguments: argparse.Namespace) -> int:
    """Complete the run folders, then write what was asked for."""
    if arguments.figure and arguments.figure.suffix not in (".svg", ".png", ".pdf"):
        raise ValueError(f"--figure must end in .svg, .png or .pdf, got {arguments.figure}")
    if arguments.agents and not arguments.export:
        raise ValueError("--agents is about the copies of --export; give --export DIR, too")
    for folder in runs_in(arguments.runs):
        if not (folder / "config.toml").is_file():
            RunFolder(folder).config()  # refuses it before JAX is imported
    from lapg_rl.reports.make import report

    written = report(
        arguments.runs,
        arguments.out,
        quick=arguments.quick,
        figure=arguments.figure,
        table=arguments.findings,
        copies=arguments.export,
        agents=arguments.agents,
        say=lambda text: None if arguments.quiet else print(text, file=sys.stderr),
    )
    if arguments.json:
        results = json.loads(arguments.out.with_suffix(".json").read_text(encoding="utf-8"))
        print(json.dumps({"written": [str(path) for path in written], "results": results}, indent=1))
    else:
        print(*(f"wrote {path}" for path in written), sep="\n")
    return 0
