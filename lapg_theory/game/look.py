"""How figures look on both sides: colours that colour-blind readers tell apart, one style, panels; no figure is made here."""

from collections.abc import Callable
from typing import Any

#: Okabe & Ito 2008.
BLUE, ORANGE, GREEN, PINK, SKY, AMBER = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"
CYCLE = (BLUE, ORANGE, GREEN, PINK, AMBER, SKY)
INK, SOFT = "#1f2328", "#8b949e"
DASHED = (0, (4, 2))

STYLE: dict[str, Any] = {
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


def drawn(function: Callable[..., Any], *arguments: Any, style: dict[str, Any] = STYLE) -> Any:
    """`function(*arguments)` (a figure) in a style, by default the project's, on a canvas that needs no display."""
    import matplotlib

    matplotlib.use("Agg")
    with matplotlib.rc_context(style):
        return function(*arguments)


def panels(rows: int, columns: int, width: float, height: float, **options: Any) -> tuple[Any, Any]:
    """A figure and its axes, [rows, columns]."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        rows, columns, figsize=(width, height), squeeze=False, layout="constrained", **options
    )
    pyplot.close(figure)
    return figure, axes
