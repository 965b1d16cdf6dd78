"""Cross-play as pictures: who earns how much from whom."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lapg_rl.report.figures import INK, panels
from lapg_rl.report.html import number
from lapg_rl.standings import Table


def heat_map(table: Table, game: Mapping[str, float]) -> Any:
    """The row player's reward per step by row and column: white what mutual defection yields, blue more, red less."""
    count = len(table.names)
    longest = max(map(len, table.names))
    side = 0.66 * count
    figure, ((axes,),) = panels(1, 1, side + 0.085 * longest + 1.6, side * 0.72 + 0.06 * longest + 0.9)
    rewards = np.array(table.rewards, float)  # None becomes nan
    reach = max(game["T"] - game["P"], game["P"] - game["S"])
    image = axes.imshow(rewards, cmap="RdBu", vmin=game["P"] - reach, vmax=game["P"] + reach, aspect="auto")
    for (row, column), value in np.ndenumerate(rewards):
        if np.isfinite(value):
            _number(axes, row, column, value, table, strong=bool(abs(value - game["P"]) > 0.6 * reach))
    axes.set_xticks(range(count), table.names, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(count), table.names)
    axes.set(title="Reward per step of the row player", xlabel="against")
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02)
    marks = sorted({game[name] for name in "TRPS"})
    names = {game[name]: name for name in "TRPS"}
    bar.set_ticks(marks, labels=[f"{names[mark]} = {mark:g}" for mark in marks])
    bar.outline.set_visible(False)  # type: ignore
    return figure


def _number(axes: Any, row: int, column: int, value: float, table: Table, strong: bool) -> None:
    """The figure of one cell, with half the width of its interval below."""
    low, high = table.low[row][column], table.high[row][column]
    style = {"ha": "center", "va": "center", "color": "white" if strong else INK}
    if low is None or high is None:
        axes.text(column, row, number(value), fontsize=9.5, **style)
    else:
        axes.text(column, row - 0.12, number(value), fontsize=9.5, **style)
        axes.text(column, row + 0.25, f"±{(high - low) / 2:.2f}", fontsize=6.5, **style)
