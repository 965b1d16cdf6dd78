"""The page of the steps of in-context inference: rewards against each kind, and what agents do within an episode."""

from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from lapg_rl.config.tables import COPLAYERS
from lapg_rl.reports import figures, html
from lapg_rl.runs import files
from lapg_rl.study.in_context import STAGES, InContext, Met
from lapg_rl.study.intervals import told
from lapg_rl.study.markdown import table
from lapg_theory.game import look

TITLE = "In-context inference of co-players"
HEADS = ("stage", "against", "reward", "co-player's reward", "cooperates early", "late", "co-player early", "late")


def write(outcome: InContext, folder: Path) -> list[Path]:
    """Write `in-context.md`, `.html` and `.svg`; the files written."""
    written = [folder / f"in-context.{suffix}" for suffix in ("md", "html", "svg")]
    drawing = figures.draw(picture, outcome)
    for path, text in zip(written, (markdown(outcome), page(outcome, drawing), look.svg(drawing)), strict=True):
        files.replace(path, text)
    return written


def _says(outcome: InContext) -> str:
    seeds = f"{outcome.seeds} seeds, 95 % intervals over them" if outcome.seeds > 1 else "1 seed"
    return (
        f"Rewards per step, means over {seeds}; early and late: the share of cooperation in the first and the last fifth "
        "of an episode. An asterisk: not met in training."
    )


def _rows(outcome: InContext) -> list[list[str]]:
    return [[_stage(met), _opponent(met), *_figures(met)] for met in outcome.met]


def _stage(met: Met) -> str:
    return f"{met.stage}: {STAGES[met.stage].about}"


def _opponent(met: Met) -> str:
    return label(met) + "*" * (not met.trained)


def label(met: Met) -> str:
    """What a kind of co-player is called: by its row, or as the strategy that it is."""
    return COPLAYERS[met.opponent].label if met.opponent in COPLAYERS else met.opponent


def _figures(met: Met) -> list[str]:
    ends = []
    for field in ("cooperation", "other_cooperation"):
        mean = np.mean(met.curves[field], axis=0)
        fifth = max(len(mean) // 5, 1)
        ends += [f"{x.mean():.2f}" for x in (mean[:fifth], mean[-fifth:])]
    return [*(told(one.value, one.low, one.high) for one in (met.reward, met.other_reward)), *ends]


def markdown(outcome: InContext) -> str:
    """The page as Markdown."""
    return "\n".join([f"# {TITLE}", "", _says(outcome), "", *table(HEADS, _rows(outcome)), ""])


def page(outcome: InContext, drawing: Any) -> str:
    """The page as one HTML file that needs nothing else."""
    cells = [[escape(cell) for cell in row] for row in _rows(outcome)]
    body = [f"<p>{escape(_says(outcome))}</p>", html.table([escape(head) for head in HEADS], cells)]
    caption = "Within an episode: cooperation (dashed: the co-player's) and reward by step; bands: range over seeds."
    body.append(html.figure(drawing, caption))
    return html.page(TITLE, "".join(body))


def picture(outcome: InContext) -> Any:
    """Cooperation above, rewards below, by step of an episode; a column a stage, a colour a kind of co-player."""
    stages = list(dict.fromkeys(met.stage for met in outcome.met))
    opponents = list(dict.fromkeys(label(met) for met in outcome.met))
    colours = dict(zip(opponents, look.CYCLE, strict=False))
    figure, axes = look.panels(2, len(stages), 1 + 2.6 * len(stages), 5.6, sharex=True, sharey="row")
    for met in outcome.met:
        upper, lower = axes[:, stages.index(met.stage)]
        colour, steps = colours[label(met)], np.arange(len(met.curves["rewards"][0])) + 1
        figures.band(upper, steps, met.curves["cooperation"], colour, label(met))
        figures.band(upper, steps, met.curves["other_cooperation"], colour, None, look.DASHED)
        figures.band(lower, steps, met.curves["rewards"], colour, None)
        upper.set_title(met.stage)
        lower.set_xlabel("step")
    axes[0, 0].set(ylabel="frequency of cooperation", ylim=(-0.03, 1.03))
    axes[1, 0].set_ylabel("reward")
    handles = [upper.get_legend_handles_labels() for upper in axes[0]]
    named = {name: handle for pair in handles for handle, name in zip(*pair, strict=True)}
    figure.legend(named.values(), named.keys(), loc="outside upper center", ncols=len(named))
    return figure
