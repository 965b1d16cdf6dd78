"""Cross-play as pictures: who earns how much from whom."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lapg_rl.config import Config
from lapg_rl.reports.figures import INK, label, panels
from lapg_rl.reports.html import number
from lapg_rl.study.intervals import estimate
from lapg_rl.study.results import Result
from lapg_rl.study.standings import Table, marks
from lapg_rl.study.standings import met as between


def heat_map(table: Table, game: Mapping[str, float]) -> Any:
    """The row player's reward per step by row and column: blue more, red less than what is white.

    White is what mutual defection yields in a prisoner's dilemma, else the middle of the payoffs; `game` are its
    `standings.marks`.
    """
    count, longest = len(table.names), max(map(len, table.names))
    side = 0.66 * count
    figure, ((axes,),) = panels(1, 1, side + 0.085 * longest + 1.6, side * 0.72 + 0.06 * longest + 0.9)
    image = cells(axes, table, table.names, game)
    axes.set(title="Reward per step of the row player", xlabel=between(table))
    axes.set_xticks(range(count), table.names, rotation=35, ha="right", rotation_mode="anchor")
    _bar(figure, image, axes, game)
    return figure


def met(result: Result) -> Table | None:
    """The agents of one run against each other, themselves and naive learners; None for one agent or an old evaluation."""
    agents = [f"agent {n}" for n in range(result.config.pool.agents)]
    columns = [*agents, "naive"]
    if len(agents) < 2 or not set(columns) <= result.opponents:
        return None
    evaluation = result.evaluation
    assert evaluation is not None
    sides = [[evaluation.match(name, n).own for name in columns] for n in range(len(agents))]
    cells = [[estimate(side.reward, side.error, evaluation.meta_batch) for side in row] for row in sides]
    fields = [[[getattr(cell, name) for cell in row] for row in cells] for name in ("value", "error", "low", "high")]
    often = lambda side: float(np.mean(side.cooperation_curve)) if side.cooperation_curve else None  # noqa: E731
    return Table(columns, *fields, cooperation=[[often(side) for side in row] for row in sides], ranking=[])


def pools(results: Sequence[Result]) -> Any:
    """One heat map a run of several agents."""
    tables = [(r, table) for r in results if (table := met(r))]
    wide = max(len(table.names) for _, table in tables)
    columns = min(len(tables), max(1, 12 // wide))
    rows = -(-len(tables) // columns)
    figure, axes = panels(rows, columns, max(4.5, columns * (0.75 * wide + 0.9)), rows * (0.5 * wide + 0.9))
    image = None
    for panel, (result, table) in zip(axes.flat, tables, strict=False):
        image = cells(panel, table, table.names[:-1], marks_of(result.config))
        panel.set_title(f"{label(result.estimator)} seed {result.config.seed}", fontsize=10)
    for panel in axes.flat[len(tables) :]:
        panel.set_visible(False)
    _bar(figure, image, axes, marks_of(results[0].config))
    return figure


def marks_of(cfg: Config) -> dict[str, float]:
    """The marks of a run's game, which is a repeated one."""
    assert cfg.game.repeated is not None
    return marks(cfg.game.repeated)


def _scale(game: Mapping[str, float]) -> tuple[float, float]:
    """What is white, and how far from it the colours reach."""
    if "P" in game:
        return game["P"], max(game["T"] - game["P"], game["P"] - game["S"])
    return (game["highest"] + game["lowest"]) / 2, (game["highest"] - game["lowest"]) / 2 or 1.0


def cells(axes: Any, table: Table, rows: Sequence[str], game: Mapping[str, float]) -> Any:
    """Draw the table into axes; returns the image."""
    rewards = np.array(table.rewards, float)  # None becomes nan
    white, reach = _scale(game)
    image = axes.imshow(rewards, cmap="RdBu", vmin=white - reach, vmax=white + reach, aspect="auto")
    for (row, column), value in np.ndenumerate(rewards):
        if np.isfinite(value):
            _number(axes, row, column, value, table, strong=bool(abs(value - white) > 0.6 * reach))
    axes.set_xticks(range(len(table.names)), table.names)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return image


def _bar(figure: Any, image: Any, axes: Any, game: Mapping[str, float]) -> None:
    bar = figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02)
    named = {payoff: name for name, payoff in game.items()}
    bar.set_ticks(sorted(named), labels=[f"{named[mark]} = {mark:g}" for mark in sorted(named)])
    bar.outline.set_visible(False)


def _number(axes: Any, row: int, column: int, value: float, table: Table, strong: bool) -> None:
    """The figure of one cell, with half the width of its interval below."""
    low, high = table.low[row][column], table.high[row][column]
    style = {"ha": "center", "va": "center", "color": "white" if strong else INK}
    if low is None or high is None:
        axes.text(column, row, number(value), fontsize=9.5, **style)
    else:
        axes.text(column, row - 0.12, number(value), fontsize=9.5, **style)
        axes.text(column, row + 0.25, f"±{(high - low) / 2:.2f}", fontsize=6.5, **style)
