"""`lapg report`: run folders in, one HTML file out."""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lapg_rl.reports import findings
from lapg_rl.study import records
from lapg_rl.study.records import Evaluation, Prediction
from lapg_rl.study.results import Result, collect, export, runs_in


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    help_of_runs = "run folders, or folders with runs (and figures of `lapg theory`) inside"
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help=help_of_runs)
    parser.add_argument(
        "--out", type=Path, default=Path("report.html"), metavar="FILE.html", help="default reports.html"
    )
    parser.add_argument("--findings", type=Path, metavar="FILE.md", help="also the table of findings, with links")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="also the overview figure: .svg, .png or .pdf")
    parser.add_argument("--export", type=Path, metavar="DIR", help="also small copies of the runs, without checkpoints")
    parser.add_argument("--quick", action="store_true", help="use what the folders hold: no evaluation, no prediction")


def run(arguments: argparse.Namespace) -> int:
    """Complete the run folders, then write what was asked for."""
    folders, figures = runs_in(arguments.runs), figure_files(arguments.runs)
    results = gather(folders, complete=not arguments.quick)
    write(results, arguments.out, arguments.figure, figures)
    if arguments.findings:
        arguments.findings.parent.mkdir(parents=True, exist_ok=True)
        page = findings.markdown(findings.rows(results, figures), arguments.findings)
        arguments.findings.write_text(page, encoding="utf-8")
        print(f"wrote {arguments.findings}")
    if arguments.export:
        export(folders, arguments.export)
        print(f"wrote {arguments.export}")
    return 0


def figure_files(paths: Iterable[Path]) -> dict[str, Path]:
    """The numbers of the figures that findings look at, wherever they lie inside `paths`."""
    found = {name: sorted(file for path in paths for file in path.glob(f"**/{name}.json")) for name in findings.FIGURES}
    return {name: files[0] for name, files in found.items() if files}


def write(
    results: Sequence[Result], out: Path, figure: Path | None = None, figures: Mapping[str, Path] | None = None
) -> None:
    """Write the report and, if asked for, the overview figure, and say so."""
    from lapg_rl import reports

    written = reports.write(results, out, figures or {})
    if figure:
        reports.write_figure(results, figure)
        written.append(figure)
    print(*(f"wrote {path}" for path in written), sep="\n")


def gather(folders: Iterable[Path], complete: bool = True) -> list[Result]:
    """The results of runs; with `complete`, evaluations and predictions that are missing or out of date are made first."""
    results = []
    for folder in folders:
        result = collect(folder)
        if complete:
            if result.evaluation is None or result.evaluation.updates < result.updates:
                _evaluate(folder)
            if result.prediction is None and result.config.inner_episodes > 1 and result.config.game.kind == "ipd":
                predict_run(folder)
            result = collect(folder)
        results.append(result)
    return results


def predict_run(folder: Path) -> Prediction:
    """What the theory says about a run, from its folder if it is there, else derived and kept there."""
    from lapg_rl.crossval.prediction import predict
    from lapg_rl.runs.loop import RunFolder

    prediction = records.load(Prediction, folder)
    if prediction is None:
        print(f"deriving what to expect of {folder} ...", file=sys.stderr)
        prediction = predict(RunFolder(folder).config())
        records.save(prediction, folder)
    return prediction


def _evaluate(folder: Path) -> Evaluation:
    from lapg_rl.commands.evaluate import evaluate_run

    print(f"evaluating {folder} ...", file=sys.stderr)
    return evaluate_run(folder)
