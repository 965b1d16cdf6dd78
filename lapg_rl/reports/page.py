"""Put a report together and write it."""

import json
import string
import types
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path

from lapg_rl.reports import figures as drawings
from lapg_rl.reports import measures, sections
from lapg_rl.study.markdown import plain
from lapg_rl.study.results import Result, by_estimator, summary, summary_markdown
from lapg_theory.game import look

#: What runs in one report must share; they may differ in the learner, the seed and the budget.
SHARED = ("game", "model", "naive", "pool", "batch", "inner_episodes", "steps")


def write(
    results: Sequence[Result],
    path: Path,
    figures: Mapping[str, Path] = types.MappingProxyType({}),
    left: Sequence[str] = (),
) -> list[Path]:
    """Write the report to `path` (HTML) and the table of results beside it (JSON and Markdown); the files written.

    Args:
        results: of any runs; those of one game, company and size share a chapter.
        path: the HTML file.
        figures: JSON files of `lapg theory figures`, by name, for the table of findings.
        left: what is said of runs that are left out.

    Raises:
        ValueError: where there are no runs.
    """
    if not results:
        raise ValueError("no runs to report; name at least one run folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = {
        path: page(results, figures, left),
        path.with_suffix(".json"): json.dumps(summary(results), indent=1) + "\n",
        path.with_suffix(".md"): "\n".join([summary_markdown(results), *(f"* {plain(line)}\n" for line in left)]),
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
    groups = by_estimator(results)
    if results[0].config.game.dilemma is None:
        drawing = drawings.draw(measures.curves, groups)
    elif all("reward_vs_meta" in r.last for r in results):
        drawing = drawings.draw(drawings.pool_overview, groups)
    else:
        drawing = drawings.draw(drawings.overview, groups, sections.shared_prediction(results))
    if path.suffix == ".svg":
        path.write_text(look.svg(drawing), encoding="utf-8")
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


def comparable(results: Sequence[Result]) -> list[list[Result]]:
    """The runs that share game, company and sizes, together, in the order of their first."""
    chapters: list[list[Result]] = []
    for result in results:
        shared = lambda r: [getattr(r.config, name) for name in SHARED]  # noqa: E731
        same = next((c for c in chapters if shared(c[0]) == shared(result)), None)
        chapters.append([result]) if same is None else same.append(result)
    return chapters


def page(
    results: Sequence[Result], figures: Mapping[str, Path] = types.MappingProxyType({}), left: Sequence[str] = ()
) -> str:
    """The report as HTML: the findings, then a chapter for each set of comparable runs."""
    chapters = comparable(results)
    alone = len(chapters) == 1
    body = "\n".join(
        _chapter(chapter, "" if alone else f"<h1>{sections.title(chapter[0].config)}</h1>") for chapter in chapters
    )
    template = resources.files("lapg_rl.reports").joinpath("template.html").read_text("utf-8")
    return string.Template(template).substitute(
        title=sections.title(results[0].config) if alone else "Learning-aware agents",
        body="".join(f'<p class="note">{escape(line)}</p>' for line in left)
        + sections.findings(results, figures)
        + body,
    )


def _chapter(results: Sequence[Result], heading: str) -> str:
    groups, prediction = by_estimator(results), sections.shared_prediction(results)
    told = sections if results[0].config.game.dilemma else measures
    cards = "".join(told.card(name, group) for name, group in groups.items())
    return (
        f'{heading}<p class="lead">{told.lead(results[0].config)}</p><div class="cards">{cards}</div>'
        f'<p class="note">{told.READING}</p>' + "\n".join(section(groups, prediction) for section in told.SECTIONS)
    )
