"""One HTML file about a set of runs, a function of their folders alone: it opens offline and needs nothing beside it."""

import html
import io
import json
import re
import string
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from lapg_rl import config, plots
from lapg_rl.plots import COLOURS, NAMES
from lapg_rl.records import Prediction
from lapg_rl.results import LAST, Result, by_estimator, summary, summary_markdown
from lapg_theory.game import NAMED

#: What runs in one report must share; they may differ in the learner, the seed and the budget.
SHARED = ("game", "model", "naive", "pool", "batch", "inner_episodes", "steps")


def write(results: Sequence[Result], path: Path) -> list[Path]:
    """Write the report to `path` (HTML) and the table of results beside it (JSON and Markdown); the files written.

    Raises:
        ValueError: where the runs are of different games, co-players or sizes.
    """
    check_comparable(results)
    path.parent.mkdir(parents=True, exist_ok=True)
    files = {
        path: page(results),
        path.with_suffix(".json"): json.dumps(summary(results), indent=1) + "\n",
        path.with_suffix(".md"): summary_markdown(results),
    }
    for file, text in files.items():
        file.write_text(text, encoding="utf-8")
    return list(files)


def write_figure(results: Sequence[Result], path: Path) -> None:
    """Write the one overview figure, in the format that the suffix names."""
    check_comparable(results)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure = plots.draw(plots.overview_figure, by_estimator(results), _prediction(results))
    if path.suffix == ".svg":
        path.write_text(_svg(figure), encoding="utf-8")
    else:
        figure.savefig(path, dpi=160)


def check_comparable(results: Sequence[Result]) -> None:
    """Raise ValueError, naming two runs and the first difference, unless all are of the same game, sizes and co-players."""
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
    groups, prediction = by_estimator(results), _prediction(results)
    cfg = results[0].config
    template = string.Template(resources.files("lapg_rl").joinpath("report_template.html").read_text("utf-8"))
    sections = [
        _training(groups, prediction),
        _course(groups, prediction),
        _signature(groups, prediction),
        _extortion(groups, prediction),
        _strategies(groups),
        _theory(groups, prediction),
        _runs(results),
    ]
    return template.substitute(
        title="Learning-aware agents against naive learners",
        lead=(
            f"Iterated prisoner's dilemma (T, R, P, S) = ({cfg.game.T:g}, {cfg.game.R:g}, {cfg.game.P:g}, "
            f"{cfg.game.S:g}), {cfg.steps} steps an inner episode. A naive co-player learns after each of "
            f"{cfg.inner_episodes} inner episodes, from {cfg.batch} games played in parallel; the agent, a "
            f"{cfg.model.kind} sequence model, plays all of them and is trained on what it earns over the whole course."
        ),
        cards="".join(_card(name, group) for name, group in groups.items()),
        reading=(
            f"Means over the last {LAST} updates and over seeds, rewards per step. With shares of the surplus of mutual "
            "cooperation over mutual defection, an agent <em>extorts</em> if it takes at least 0.75 and leaves at most "
            "0.35, <em>cooperates</em> if both players take at least 0.75, and <em>defects</em> if it cooperates in less "
            "than 10 % of the steps."
        ),
        body="\n".join(section for section in sections if section),
    )


def _prediction(results: Sequence[Result]) -> Prediction | None:
    return next((r.prediction for r in results if r.prediction), None)


def _card(name: str, results: Sequence[Result]) -> str:
    verdicts = [r.verdict for r in results]
    most = max(verdicts, key=verdicts.count)
    count = "" if len(results) == 1 else f" <small>({verdicts.count(most)} of {len(results)} runs)</small>"
    means = {
        label: np.mean([r.last[metric] for r in results])
        for label, metric in (
            ("agent", "reward_vs_naive"),
            ("naive co-player", "naive_reward"),
            ("cooperation", "cooperation_vs_naive"),
        )
        if all(metric in r.last for r in results)
    }
    rows = "".join(f"<dt>{label}</dt><dd>{value:.2f}</dd>" for label, value in means.items())
    return (
        f'<div class="card" style="--colour: {COLOURS[name]}"><div class="name">{NAMES[name]}</div>'
        f'<div class="verdict">{most}{count}</div><dl>{rows}</dl></div>'
    )


def _training(groups: Any, prediction: Any) -> str:
    return "<h2>Training</h2>" + _figure(
        plots.training_figure, groups, prediction,
        "Rewards per step at each update, in the meta-episodes that the agents learn from; mean and range over seeds. "
        "Grey: what the exact theory says that a fixed memory-one policy can earn from such learners, and what a "
        "defector earns; the bands span the calibrated learning rates.",
    )  # fmt: skip


def _course(groups: Any, prediction: Any) -> str:
    if not any(r.evaluation for group in groups.values() for r in group):
        return '<p class="note">No run is evaluated yet: <code>lapg evaluate RUN</code>.</p>'
    return "<h2>Within a meta-episode</h2>" + _figure(
        plots.course_figure, groups, prediction,
        "The trained agents meet fresh naive learners. Solid: the agent; dashed: the naive learner, whose policy changes "
        "from one inner episode to the next. Grey: the theory's course, for LAPG that of the best memory-one policy, for "
        "the others that of a defector.",
    )  # fmt: skip


def _signature(groups: Any, prediction: Any) -> str:
    if not any(r.evaluation for group in groups.values() for r in group):
        return ""
    return "<h2>What the agents learnt to do</h2>" + _figure(
        plots.signature_figure, groups, prediction,
        "How often an agent cooperates with naive learners in the first step of an inner episode, and after each joint "
        "action (its own first); whiskers: range over seeds. Diamonds: the theory's best memory-one policy.",
    )  # fmt: skip


def _extortion(groups: Any, prediction: Any) -> str:
    rows = []
    for name, results in groups.items():
        for r in results:
            if r.evaluation:
                for fit, line in zip(r.evaluation.extortion, r.evaluation.lines, strict=False):
                    rows.append([_dot(name) + html.escape(r.name), *_fit_cells(fit), _number(line.slope)])
    if prediction:
        for fit, told in zip(prediction.extortion, prediction.best, strict=False):
            rows.append([f"theory, naive rate {told.rate:.2f}", *_fit_cells(fit), _number(told.slope)])
    if not rows:
        return ""
    text = (
        "<h2>Extortion</h2><p>An extortionate zero-determinant strategy keeps its surplus at a fixed multiple, the "
        "extortion factor, of its co-player's. The factor is fitted to the agent's signature; the distance says how near "
        "to that family the agent is. The slope needs no such family: it is that of the agent's reward against its "
        "co-player's, over random memory-one co-players.</p>"
    )
    heads = ["", "factor", "scale", "distance", "slope"]
    figure = ""
    if any(r.evaluation for group in groups.values() for r in group):
        figure = _figure(
            plots.payoff_lines_figure, groups, prediction,
            "One point a random memory-one co-player. On the grey diagonal both earn the same; an extorter's points lie "
            "above it on a rising line, so that the co-player can only gain by giving the agent more. A defector's fall.",
        )  # fmt: skip
    return text + _table(heads, rows) + figure


def _fit_cells(fit: Any) -> list[str]:
    return ["unbounded" if fit.factor is None else _number(fit.factor), _number(fit.scale), _number(fit.residual)]


def _strategies(groups: Any) -> str:
    columns = {
        name: [r.evaluation for r in results if r.evaluation]
        for name, results in groups.items()
        if any(r.evaluation for r in results)
    }
    if not columns:
        return ""
    rows = []
    for strategy in NAMED:
        cells = []
        for evaluations in columns.values():
            met = [m for e in evaluations for m in e.matches if m.opponent == strategy]
            cells += [_number(np.mean([getattr(m, side).reward for m in met])) for side in ("own", "other")]
        rows.append([strategy, *cells])
    heads = ["", *(h for name in columns for h in (f"{_dot(name)}{NAMES[name]}", "co-player"))]
    return (
        "<h2>Against fixed strategies</h2><p>Rewards per step against memory-one strategies that do not learn; the "
        "agents never met them in training.</p>" + _table(heads, rows)
    )


def _theory(groups: Any, prediction: Prediction | None) -> str:
    if prediction is None:
        return ""
    rows = [
        [f"{told.rate:.2f}", kind, " ".join(f"{p:.2f}" for p in told.policy), _number(told.reward), _number(told.naive_reward)]
        for kind, many in (("best memory-one policy", prediction.best), ("always defect", prediction.defection))
        for told in many
    ]  # fmt: skip
    for kind, met in (("best", prediction.simulated_best), ("always defect", prediction.simulated_defection)):
        policy = " ".join(f"{p:.2f}" for p in met.policy)
        rows.append(["simulated", kind, policy, _number(met.reward), _number(met.naive_reward)])
    escape = prediction.escape
    return (
        "<h2>What the theory says</h2><p>The theory plays the same game exactly, with naive learners that climb the "
        "gradient of their own return. Their learning rate is the one number it needs; it is measured on naive learners "
        "that meet two fixed strategies, before any agent is trained.</p>"
        + _figure(
            plots.calibration_figure, groups, prediction,
            "Reward per step of naive learners against a defector and against tit-for-tat: simulated (dots), and the exact "
            "learner at the calibrated rate.",
        )
        + "<p>The best memory-one policy at the low, middle and high rate and what it earns; below, what the same "
        "policies earn from the simulated naive learners. (A sequence agent may do better: it can count steps.)</p>"
        + _table(["naive rate", "policy", "cooperation after s0, CC, CD, DC, DD", "agent", "naive"], rows)
        + f"<p>Why the other estimators stay with defection: at unconditional defection, cooperating a little after DC "
        f"changes the return per step at the rate {escape.direct:+.3f} directly and {escape.via_learning:+.3f} through "
        f"what the co-player learns. LAPG sees the sum. Batch-unaware and M-FOS credits, against a learner that averages "
        f"over B games, see only 1/B of the second part, so they can leave defection only for {_below(escape)}; here B is "
        f"{next(iter(groups.values()))[0].config.batch}.</p>"
    )  # fmt: skip


def _below(escape: Any) -> str:
    return "no B" if escape.critical_batch is None else f"B below {escape.critical_batch:.1f}"


def _runs(results: Sequence[Result]) -> str:
    heads = [name.replace("_", " ") for name in summary(results)[0]]
    rows = [[_cell(value) for value in row.values()] for row in summary(results)]
    return (
        "<h2>Runs</h2>" + _table(heads, rows) + "<details><summary>Configuration</summary>" + _configuration(results)
        + "</details><details><summary>Provenance</summary>" + _provenance(results) + "</details>"
    )  # fmt: skip


def _configuration(results: Sequence[Result]) -> str:
    flat = [_flatten(config.to_dict(r.config)) for r in results]
    rows = []
    for key in flat[0]:
        values = list(dict.fromkeys(str(f[key]) for f in flat))
        rows.append([f"<code>{key}</code>", html.escape(", ".join(values))])
    return _table(["key", "value (several where the runs differ)"], rows)


def _flatten(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in data.items():
        flat.update(_flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value})
    return flat


def _provenance(results: Sequence[Result]) -> str:
    rows = []
    for r in results:
        starts = [p for p in r.provenance if "started" in p]
        seconds = [p["finished_after_s"] for p in r.provenance if "finished_after_s" in p]
        for start in starts:
            versions = ", ".join(f"{name} {version}" for name, version in start["versions"].items())
            rows.append(
                [html.escape(str(x)) for x in (
                    r.name, start["started"], f"{start['commit']}", ", ".join(start["devices"]), start["platform"],
                    f"Python {start['python']}, {versions}", f"{seconds[-1]:.0f} s" if seconds and start is starts[-1] else "-",
                )]
            )  # fmt: skip
    return _table(["run", "started", "commit", "device", "platform", "versions", "duration"], rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    numeric = [all(re.fullmatch(r"[-+−]?[\d.]+( s)?|-|unbounded", row[n]) for row in rows) for n in range(len(heads))]
    mark = [' class="n"' if n else "" for n in numeric]
    head = "".join(f"<th{m}>{h}</th>" for m, h in zip(mark, heads, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{m}>{c}</td>" for m, c in zip(mark, row, strict=True)) + "</tr>" for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _cell(value: Any) -> str:
    return _number(value) if isinstance(value, float) or value is None else html.escape(str(value))


def _dot(name: str) -> str:
    return f'<span class="dot" style="--colour: {COLOURS[name]}"></span>'


def _figure(draw: Callable[..., Any], groups: Any, prediction: Any, caption: str) -> str:
    svg = _svg(plots.draw(draw, groups, prediction))
    return f"<figure>{svg[svg.index('<svg') :]}<figcaption>{caption}</figcaption></figure>"


def _svg(figure: Any) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return re.sub(r' id="[A-Za-z0-9.]+_\d+"', "", buffer.getvalue())  # names of parts that nothing refers to
