"""How figures look on both sides: colours that colour-blind readers tell apart, one style, panels; no figure is made here."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lapg_theory.game.numbers import check_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Axes
else:  # whoever draws nothing imports no matplotlib
    Axes = Any

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


def svg(figure: Any) -> str:
    """A figure as SVG, the same text for the same figure."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "lapg"}):  # text stays text, names the same
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return re.sub(r' id="[A-Za-z0-9.]+_\d+"', "", buffer.getvalue())  # names of parts that nothing refers to


#: Inches; what is wider was meant in millimetres.
WIDEST = 60


def save(ax: Any, path: str | Path, width: Any = None) -> Path:
    """Write the figure that axes belong to, in the format of the suffix (.pdf, .svg, .png); the same picture, the same bytes.

    Args:
        ax: axes, or a figure.
        path: the file.
        width: of the figure in inches, say that of a column of text; the height goes with it.

    Raises:
        ValueError: for another suffix, or a width that is no number of inches from 0 to 60.

    Example:
        >>> import lapg_theory as lt
        >>> ax = lt.plot.payoffs(lt.prisoners_dilemma(), "tft", lt.Discounted(0.9), n=10)
        >>> lt.plot.save(ax, folder / "payoffs.pdf", width=3.3).name
        'payoffs.pdf'
    """
    path = Path(path)
    if path.suffix not in (".pdf", ".svg", ".png"):
        raise ValueError(f"a picture is written as .pdf, .svg or .png, got {path.name!r}")
    figure = ax.get_figure() if hasattr(ax, "get_figure") else ax
    if width is not None:
        if not 0 < check_number("width", width) <= WIDEST:
            raise ValueError(f"width must be > 0 and <= {WIDEST} inches, got {width}; a column of text has about 3.3")
        before, height = figure.get_size_inches()
        figure.set_size_inches(width, height * width / before)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".svg":
        path.write_text(svg(figure), encoding="utf-8")
    else:
        undated = {"CreationDate": None} if path.suffix == ".pdf" else {}
        figure.savefig(path, dpi=300, metadata=undated)
    return path


def single(axes: Axes | None = None) -> Axes:
    """These axes, or new ones of a figure of their own."""
    return panels(1, 1, 4.8, 3.6)[1][0][0] if axes is None else axes


def panels(rows: int, columns: int, width: float, height: float, **options: Any) -> tuple[Any, Any]:
    """A figure and its axes, [rows, columns]."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        rows, columns, figsize=(width, height), squeeze=False, layout="constrained", **options
    )
    pyplot.close(figure)
    return figure, axes
