"""How the figures look: one style, colours that colour-blind readers tell apart, panels, bands, captions."""

from collections.abc import Callable
from typing import Any

import numpy as np

#: Okabe & Ito 2008.
BLUE, ORANGE, GREEN, PINK, SKY, AMBER = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"
CYCLE = (BLUE, ORANGE, GREEN, PINK, AMBER, SKY)
INK, SOFT = "#1f2328", "#8b949e"
DASHED = (0, (4, 2))

STYLE = {
    "font.size": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e9ed",
    "grid.linewidth": 0.8,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "lines.linewidth": 2,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.facecolor": "white",
    "svg.fonttype": "none",  # text stays text: small files, searchable
    "svg.hashsalt": "lapg",
}

REWARD = "reward per step"


def drawn(function: Callable[..., Any], *arguments: Any) -> Any:
    """`function(*arguments)` (a figure) in the project's style, on a canvas that needs no display."""
    import matplotlib

    matplotlib.use("Agg")
    with matplotlib.rc_context(STYLE):
        return function(*arguments)


def panels(rows: int, columns: int, width: float, height: float, **options: Any) -> tuple[Any, Any]:
    """A figure and its axes, [rows, columns]."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        rows, columns, figsize=(width, height), squeeze=False, layout="constrained", **options
    )
    pyplot.close(figure)
    return figure, axes


def caption(figure: Any, title: str, text: str) -> None:
    """What the figure shows, above it, and the settings, in small print under it."""
    figure.suptitle(title, fontsize=12.5, weight="bold", x=0.01, ha="left")
    figure.supxlabel(text, fontsize=8.5, color="#56606b", x=0.01, ha="left")


def band(axes: Any, x: Any, curves: Any, colour: str, label: str | None = None, style: Any = "-") -> None:
    """Median over the last axis of `curves`, [x, seed], and the range between its quartiles."""
    low, middle, high = np.quantile(curves, (0.25, 0.5, 0.75), axis=1)
    axes.plot(x, middle, color=colour, label=label, linestyle=style)
    axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)


def policy_dots(axes: Any, policies: Any, colour: str, label: str | None, shift: float = 0.0) -> None:
    """Every seed's five probabilities, [seed, 5], as dots beside one another."""
    across = shift + 0.16 * (np.linspace(0, 1, len(policies)) - 0.5)
    for state in range(5):
        axes.plot(
            state + across, policies[:, state], "o", ms=2.6, mew=0, color=colour, label=label if state == 0 else None
        )
    policy_axis(axes)


def policy_axis(axes: Any) -> None:
    """The five states across, probabilities of cooperating up."""
    axes.set(ylim=(-0.04, 1.04), xlim=(-0.5, 4.5), ylabel="probability of cooperating")
    axes.set_xticks(range(5), ["start", "CC", "CD", "DC", "DD"])
    axes.set_xlabel("after (own action, other's)")
    axes.grid(axis="x", visible=False)


def legend_below(axes: Any, columns: int = 2, drop: float = 0.18) -> None:
    """The legend under the axes, where it hides nothing, by a share `drop` of their height."""
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -drop), ncols=columns, handlelength=1.6, columnspacing=1.2)
