"""Progress in a notebook: a bar, the rewards so far as curves, and after an interrupt how to go on, beneath the cell."""

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from html import escape
from typing import Any

from lapg_rl.runs.progress import FIRST, Progress
from lapg_theory.game.look import CYCLE, SOFT

WIDTH, HEIGHT = 520, 130
#: Points of a curve; longer ones are means over neighbours.
POINTS = 200
#: Seconds from one drawing to the next: training has better to do.
EVERY = 0.3


def in_notebook() -> bool:
    """Whether this process shows what it says in a notebook: it is a kernel of Jupyter's."""
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    return bool(shell) and getattr(shell, "kernel", None) is not None


def thinned(points: list[tuple[int, float]]) -> list[tuple[float, float]]:
    """At most `POINTS` points: means over as many neighbours as it takes."""
    every = -(-len(points) // POINTS)
    parts = [points[n : n + every] for n in range(0, len(points), every)]
    return [(sum(x for x, _ in part) / len(part), sum(y for _, y in part) / len(part)) for part in parts]


def curves(series: Mapping[str, list[tuple[int, float]]], total: int) -> str:
    """Lines over the updates as SVG, with the range of the values at the side and a legend; empty where there is no line."""
    shown = {name: thinned(points) for name, points in series.items() if len(points) > 1}
    if not shown:
        return ""
    values = [y for points in shown.values() for _, y in points]
    low, high = min(values), max(values)
    high = high if high > low else low + 1e-9
    left, top, wide, tall = 46, 8, WIDTH - 52, HEIGHT - 34

    def place(x: float, y: float) -> str:
        return f"{left + wide * x / max(total, 1):.1f},{top + tall * (high - y) / (high - low):.1f}"

    parts = [f'<path d="M{left} {top}V{top + tall}H{left + wide}" fill="none" stroke="{SOFT}"/>']
    for text, y in ((high, top + 4), (low, top + tall + 4)):
        parts.append(f'<text x="{left - 4}" y="{y}" text-anchor="end" font-size="11">{text:.2f}</text>')
    parts.append(f'<text x="{left + wide}" y="{HEIGHT - 8}" text-anchor="end" font-size="11">update {total}</text>')
    for n, (name, points) in enumerate(shown.items()):
        colour = CYCLE[n % len(CYCLE)]
        line = " ".join(place(x, y) for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        parts.append(f'<text x="{left + 90 * n}" y="{HEIGHT - 8}" fill="{colour}" font-size="12">{escape(name)}</text>')
    return f'<svg width="{WIDTH}" height="{HEIGHT}" fill="currentColor" role="img">{"".join(parts)}</svg>'


class Notebook(Progress):
    """Reports work beneath a cell of a notebook, and draws what came out so far."""

    def begin(self, start: int, total: int, before: Callable[[], Iterable[Mapping[str, float]]] = tuple) -> None:
        """Count from here; `before` gives the values of the steps up to `start`, for the curves."""
        super().begin(start, total, before)
        self.series: dict[str, list[tuple[int, float]]] = {}
        self.said, self.drawn, self.handle = "", -EVERY, None
        if not self.quiet and start:
            for done, values in enumerate(before(), start=1):
                self._note(done, values)

    def first_step(self) -> None:
        """Say that it is under way, for it may compile."""
        if not self.quiet:
            self.said = f"{self.start}/{self.total}  {FIRST}"
            self._draw(self.start)

    def show(self, done: int, values: Mapping[str, float] | None = None) -> None:
        """Report that `done` of `total` is finished, with what came out of it."""
        now = time.monotonic()
        self.first = self.first or (now, done)
        self._note(done, values or {})
        if self.quiet or (done < self.total and now - self.drawn < EVERY):
            return
        self.drawn = now
        self.said = "  ".join(
            filter(None, (f"{done}/{self.total}", self._times(now, done)[0], self.note(values or {})))
        )
        self._draw(done)

    def stopped(self, text: str) -> None:
        """Say what is to be said of an interrupted run."""
        if not self.quiet:
            self.said = text
            self._draw(max((points[-1][0] for points in self.series.values()), default=self.start))

    def done(self) -> None:
        """There is no line to end."""

    def _note(self, done: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.series.setdefault(name, []).append((done, value))

    def _draw(self, done: int) -> None:
        page = HTML(
            f'<div class="lapg-progress"><b>{escape(self.label)}</b> <progress value="{done}" max="{self.total}" '
            f'style="width: 14em; vertical-align: middle"></progress> {escape(self.said)}<br>'
            f"{curves(self.series, self.total)}</div>"
        )
        if self.handle is None:
            self.handle = _display(page)
        else:
            self.handle.update(page)


class HTML:
    """A piece of HTML as notebooks ask for it."""

    def __init__(self, text: str):
        self._text = text

    def _repr_html_(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "<progress>"


def _display(page: HTML) -> Any:
    from IPython.display import display

    return display(page, display_id=True)
