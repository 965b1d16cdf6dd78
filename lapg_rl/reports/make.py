"""Reports from run folders: complete what the folders hold, then write. The one place outside of crossval that asks theory."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from lapg_rl.config.checks import several
from lapg_rl.reports import findings, page
from lapg_rl.runs.loop import RunFolder
from lapg_rl.study import records
from lapg_rl.study.copies import export
from lapg_rl.study.evaluation import evaluate
from lapg_rl.study.records import Evaluation, Prediction
from lapg_rl.study.results import Result, begun, collect, runs_in

Say = Callable[[str], Any]


def _silent(text: str) -> None:
    del text


def report(
    paths: str | Path | Iterable[str | Path],
    out: str | Path = "report.html",
    *,
    quick: bool = False,
    figure: str | Path | None = None,
    table: str | Path | None = None,
    copies: str | Path | None = None,
    agents: bool = False,
    say: Say = _silent,
) -> list[Path]:
    """Turn run folders into one HTML page, with a table of results beside it (JSON and Markdown); the files written.

    Args:
        paths: a run folder or several, or folders with runs (and figures of `lapg theory`) inside.
        out: the HTML file.
        quick: use what the folders hold: no evaluation, no prediction is made.
        figure: write the overview figure there, too: .svg, .png or .pdf.
        table: write the table of findings there, too, as Markdown with links.
        copies: a folder for small copies of the runs, without checkpoints.
        agents: copies hold the trained agents and can play, see `export`.
        say: told what is being done.

    Raises:
        ValueError: where there are no runs, or no sound ones; it names the folder.

    Example:
        >>> import lapg_rl as rl
        >>> [path.name for path in rl.report([run], folder / "report.html", quick=True)]
        ['report.html', 'report.json', 'report.md']
    """
    given = [Path(path) for path in several(paths)]
    folders = runs_in(given)
    results, figures = gather(folders, complete=not quick, say=say), figure_files(given)
    there = {result.path for result in results}
    left = [f"{folder} has no metrics yet, and is left out." for folder in folders if folder not in there]
    written = page.write(results, Path(out), figures, left)
    if figure:
        page.write_figure(results, Path(figure))
        written.append(Path(figure))
    if table:
        Path(table).parent.mkdir(parents=True, exist_ok=True)
        text = findings.markdown(findings.rows(results, figures), Path(table))
        Path(table).write_text(text, encoding="utf-8")
        written.append(Path(table))
    if copies:
        export([result.path for result in results], Path(copies), agents=agents)
        written.append(Path(copies))
    return written


def figure_files(paths: Sequence[Path]) -> dict[str, Path]:
    """The numbers of the figures that findings look at, wherever they lie inside `paths`."""
    found = {name: sorted(file for path in paths for file in path.glob(f"**/{name}.json")) for name in findings.FIGURES}
    return {name: files[0] for name, files in found.items() if files}


def gather(folders: Iterable[Path], complete: bool = True, say: Say = _silent) -> list[Result]:
    """The results of runs; with `complete`, evaluations and predictions that are missing or out of date are made first.

    Runs that have no metrics yet are left out. Raises ValueError where none has any.
    """
    results, left = begun(folders)
    for line in left:
        say(f"left out: {line}")
    for n, result in enumerate(results):
        folder = result.path
        if complete:
            if result.evaluation is None or result.evaluation.updates < result.updates:
                say(f"evaluating {folder} ...")
                evaluate_run(folder)
            game = result.config.game
            predictable = game.dilemma and not (
                game.stop or game.noisy or result.config.pool.naive_from
            )  # theory's learners are new
            if result.prediction is None and result.config.inner_episodes > 1 and predictable:
                predict_run(folder, say)
            results[n] = collect(folder)
    return results


def evaluate_run(folder: Path, meta_batch: int = 128, seed: int = 0) -> Evaluation:
    """Evaluate a run, and keep that in its folder."""
    evaluation = evaluate(folder, meta_batch=meta_batch, seed=seed)
    records.save(evaluation, folder)
    return evaluation


def predict_run(folder: Path, say: Say = _silent) -> Prediction:
    """What the theory says about a run, from its folder if it is there, else derived and kept there."""
    from lapg_rl.crossval.prediction import predict

    prediction = records.load(Prediction, folder)
    if prediction is None:
        say(f"deriving what to expect of {folder} ...")
        prediction = predict(RunFolder(folder).trusted_config())
        records.save(prediction, folder)
    return prediction
