"""Put a report together and write it."""

import json
import string
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from lapg_rl.report import figures, html, sections
from lapg_rl.results import Result, by_estimator, summary, summary_markdown

#: What runs in one report must share; they may differ in the learner, the seed and the budget.
SHARED = ("game", "model", "naive", "pool", "batch", "inner_episodes", "steps")


def write(results: Sequence[Result], path: Path) -> list[Path]:
    """Write the report to `path` (HTML) and the table of results beside it (JSON and Markdown); the files written.

    Raises:
        ValueError: where there are no runs, or runs of different games, co-players or sizes.
    """
    check_comparable(results)
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = {
        path: page(results),
        path.with_suffix(".json"): json.dumps(summary(results), indent=1) + "\n",
        path.with_suffix(".md"): summary_markdown(results),
    }
    for file, text in texts.items():
        file.write_text(text, encoding="utf-8")
    return list(texts)


def write_figure(results: Sequence[Result], path: Path) -> None:
    """Write the one overview figure, in the format that the suffix names (.svg, .png, .pdf).

    Raises:
        ValueError: as `write`, or for a suffix that is no format.
    """
    check_comparable(results)
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing = figures.draw(figures.overview, by_estimator(results), sections.shared_prediction(results))
    if path.suffix == ".svg":
        path.write_text(html.svg(drawing), encoding="utf-8")
    else:
        drawing.savefig(path, dpi=160)


def check_comparable(results: Sequence[Result]) -> None:
    """Raise ValueError unless there are runs and all share game, co-players and sizes; it names the first difference."""
    if not results:
        raise ValueError("no runs to report; name at least one run folder")
    first = results[0]
    for other in results[1:]:
        for name in SHARED:
            ours, theirs = getattr(first.config, name), getattr(other.config, name)
            if ours != theirs:
                raise ValueError(
                    f"{first.name} and {other.name} differ in {name} ({ours} and {theirs}), so their rewards do not "
                    "compare; report them apart"
                )


def page(results: Sequence[Result]) -> str:
    """The report as HTML."""
    groups, prediction = by_estimator(results), sections.shared_prediction(results)
    template = resources.files("lapg_rl.report").joinpath("template.html").read_text("utf-8")
    return string.Template(template).substitute(
        title="Learning-aware agents against naive learners",
        lead=sections.lead(results[0].config),
        cards="".join(sections.card(name, group) for name, group in groups.items()),
        reading=sections.READING,
        body="\n".join(section(groups, prediction) for section in sections.SECTIONS),
    )
