"""The report of a cross-validation: one HTML page, a figure a level, and results.json."""

import importlib.metadata
import json
import math
import string
from collections.abc import Sequence
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

import lapg_rl
from lapg_rl.crossval import figures
from lapg_rl.crossval.figures import FIGURES
from lapg_rl.crossval.ladder import RUNGS
from lapg_rl.crossval.sabotage import EXPECTED, SABOTAGES
from lapg_rl.crossval.setting import Setting
from lapg_rl.crossval.verdict import POWER, Level
from lapg_rl.reports import html
from lapg_rl.reports.figures import draw
from lapg_theory.game import AnonymousGame, MatrixGame, look

COLOURS = {"confirmed": "#009E73", "refuted": "#D55E00", "underpowered": "#E69F00"}


def write(folder: Path, setting: Setting, levels: Sequence[Level], sabotage: str | None = None) -> list[Path]:
    """Write report.html, results.json and a figure for each level into `folder`; the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    drawings = {level.code: draw(FIGURES[level.code], level) for level in levels}
    texts = {
        "report.html": _page(setting, levels, drawings, sabotage),
        "results.json": dumps(setting, levels, sabotage),
    }
    texts |= {f"{code}.svg": look.svg(drawing) for code, drawing in drawings.items()}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def plain(setting: Setting) -> dict[str, Any]:
    """The setting as plain data."""
    game = setting.game
    payoffs = (
        list(map(str, game.trps))
        if isinstance(game, MatrixGame) and game.is_symmetric
        else [list(map(str, own)) for own in setting.payoffs]
    )
    noise = {} if game.noise is None else {"execution": game.noise.execution, "perception": game.noise.perception}
    if isinstance(game, AnonymousGame):
        payoffs = [list(map(str, own)) for own in (game.cooperator, game.defector)]
        noise = {"players": game.players} | noise
    names = ("gamma", "steps", "inner_episodes", "batch", "budget", "seed", "false_alarms")
    return {
        "payoffs": payoffs,
        **noise,
        "ego": [str(p) for p in setting.ego],
        "naive": [str(p) for p in setting.naive],
        "alpha": str(setting.rate),
        **{name: getattr(setting, name) for name in names},
    }


def dumps(setting: Setting, levels: Sequence[Level], sabotage: str | None = None) -> str:
    """Everything as JSON."""
    found = {
        level.code: {"verdict": level.verdict, "checks": level.rows(), "notes": level.notes, "data": level.data}
        for level in levels
    }
    return spelt_out({"setting": plain(setting), "sabotage": sabotage, "versions": versions(), "levels": found})


def write_calibration(folder: Path, setting: Setting, rows: Sequence[dict[str, Any]]) -> list[Path]:
    """Write calibration.json and calibration.svg into `folder`; the files written."""
    texts = {
        "calibration.json": dumps_calibration(setting, rows),
        "calibration.svg": look.svg(draw(figures.calibration, rows)),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def dumps_calibration(setting: Setting, rows: Sequence[dict[str, Any]]) -> str:
    """The measured false alarms as JSON."""
    return spelt_out({"setting": plain(setting), "versions": versions(), "levels": rows})


def versions() -> dict[str, str]:
    """Of what the numbers depend on."""
    others = ("jax", "jaxlib", "numpy", "scipy")
    return {"lapg": lapg_rl.__version__} | {name: importlib.metadata.version(name) for name in others}


def spelt_out(report: dict[str, Any]) -> str:
    """A report as JSON."""
    return json.dumps(_jsonable(report), indent=1) + "\n"


def _jsonable(value: Any) -> Any:
    """The same with NumPy numbers as Python's, and None for what JSON has no word for."""
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def spelt(row: dict[str, Any]) -> dict[str, str]:
    """A comparison in words: name, outcome, what it can see, verdict."""
    if row["kind"] == "exact":
        outcome = f"off by {row['statistic']:.2g}, allowed {row['threshold']:.2g}"
    elif row["kind"] == "majority":
        outcome = f"{row['statistic']} of {row['samples']} runs"
    else:
        outcome = (
            f"chi2({row['dof']}) = {row['statistic']:.1f}, threshold {row['threshold']:.1f}, p = {row['p_value']:.2g}"
        )
    share = "nothing" if row["detectable"] is None else f"{row['detectable']:.2g}"
    sees = row["effect"] if row["kind"] == "majority" else f"{row['effect']} (from {share} of that on)"
    verdict = row["verdict"]
    if verdict == "underpowered":
        needed = row.get("needed")
        verdict += ": no sample size would decide" if needed is None else f": needs n = {rounded(needed)}"
    return {"comparison": row["name"], "outcome": outcome, "would see": sees, "verdict": verdict}


def rounded(count: float) -> str:
    """A sample size, rounded up to two digits."""
    unit = 10 ** max(0, math.floor(math.log10(count)) - 1)
    return f"{math.ceil(count / unit) * unit:,}"


def text(level: Level) -> str:
    """The level for a terminal."""
    lines = [f"{level.code} {RUNGS[level.code].title}: {level.verdict}"]
    for row in map(spelt, level.rows()):
        lines.append(f"   {row['verdict']:13} {row['comparison']}: {row['outcome']}")
    return "\n".join(lines)


def calibration_text(row: dict[str, Any]) -> str:
    """A level's false alarms for a terminal."""
    if row["interval"] is None:
        outcome = "hold, so there are no false alarms" if row["calibrated"] else "fail, for every key"
        return f"{row['level']}: its comparisons are exact; they {outcome}"
    low, high = row["interval"]
    inside = "inside" if low <= row["stated"] <= high else "outside"
    lines = [
        f"{row['level']}: {'calibrated' if row['calibrated'] else 'MISCALIBRATED'}; {row['alarms']} alarms in {row['keys']} "
        f"keys, {row['alarms'] / row['keys']:.3g} (95%: {low:.3g} to {high:.3g}); the stated {row['stated']:g} lies {inside}"
    ]
    lines += [f"   p-values uniform? p = {p:.2g}  {name}" for name, p in row["uniformity"].items()]
    return "\n".join(lines)


def _card(level: Level) -> str:
    return (
        f'<div class="card" style="--colour: {COLOURS[level.verdict]}"><div class="name">{level.code} '
        f'{RUNGS[level.code].title}</div><div class="verdict">{level.verdict}</div></div>'
    )


def _section(level: Level, drawing: Any) -> str:
    rung, rows = RUNGS[level.code], level.rows()
    spoken = [spelt(row) for row in rows]
    cells = [
        [*(escape(s[key]) for key in ("comparison", "outcome", "would see")),
         f"{row['samples']:,}" if "samples" in row else "-", html.dot(COLOURS[row["verdict"]]) + escape(s["verdict"])]
        for row, s in zip(rows, spoken, strict=True)
    ]  # fmt: skip
    notes = "".join(f"<p>{escape(note)}</p>" for note in level.notes)
    heads = ["comparison", "outcome", "deviation that it would see", "samples", "verdict"]
    return (
        f"<h2>{level.code} {rung.title}</h2><p>{rung.question}</p>"
        + html.table(heads, cells)
        + notes
        + html.figure(drawing, "")
    )


def _payoffs(setting: Setting, told: list[Any]) -> str:
    noise = "" if setting.game.noise is None else f", with {setting.game.noise}"
    if isinstance(setting.game, AnonymousGame):
        own, other = (", ".join(f"{float(x):g}" for x in row) for row in told)
        return (
            f"{setting.players_count} players{noise}; with 0, 1, ... cooperating co-players C pays {own} and D {other}. A "
            "co-player like the one that is spoken of sits in every other seat"
        )
    if setting.actions > 2:
        row, column = ("; ".join(", ".join(line) for line in np.reshape(own, (setting.actions, -1))) for own in told)
        return (
            f"{setting.game.name}, {setting.actions} actions{noise}; own action down, the other's across: the agent earns "
            f"{row}, the co-player {column}"
        )
    return _payoffs_of_two(told) + noise


def _payoffs_of_two(told: list[Any]) -> str:
    if isinstance(told[0], str):
        return f"(T, R, P, S) = ({', '.join(told)})"
    row, column = (", ".join(own) for own in told)
    return f"Payoffs in CC, CD, DC, DD, own view: of the agent {row}, of the co-player {column}"


def _lead(setting: Setting, sabotage: str | None) -> str:
    data = plain(setting)
    players = (
        f"an agent that cooperates after {', '.join(setting.states)} with probability {', '.join(data['ego'])}, a co-player "
        f"that begins with {', '.join(data['naive'])} and learns"
        if setting.actions == 2
        else "policies of both players as in results.json; the co-player learns"
    )
    said = (
        f"{_payoffs(setting, data['payoffs'])}; inner episodes of {setting.steps} steps, {setting.inner_episodes} "
        f"of them in a meta-episode, {setting.batch} games in a minibatch; {players} at rate {data['alpha']}. Budget "
        f"{setting.budget:g}, seed {setting.seed}."
    )
    if sabotage:
        reds = ", ".join(sorted(EXPECTED[sabotage]))
        said += f" <strong>Negative control: {SABOTAGES[sabotage][0]}. {reds} must notice, the other levels must not.</strong>"
    return said


def _page(setting: Setting, levels: Sequence[Level], drawings: dict[str, Any], sabotage: str | None) -> str:
    template = resources.files("lapg_rl.reports").joinpath("template.html").read_text("utf-8")
    reading = (
        "Each level compares what the theory derives with what the training code samples. Refuted: a comparison exceeds its "
        f"threshold; a level does so by chance with probability {setting.false_alarms:g}. Confirmed: it does not, and "
        f"would have with probability {POWER:g} for the deviation named. Underpowered: it does not, but would have had "
        "little chance to; the sample size that would decide is given."
    )
    body = (
        f'<p class="lead">{_lead(setting, sabotage)}</p><div class="cards">{"".join(map(_card, levels))}</div>'
        f'<p class="note">{reading}</p>' + "\n".join(_section(level, drawings[level.code]) for level in levels)
    )
    return string.Template(template).substitute(title="Theory against simulation", body=body)
