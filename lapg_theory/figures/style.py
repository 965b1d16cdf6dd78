"""What the analytic figures have in common: the look of the project, bands, captions."""

from typing import Any

import numpy as np

from lapg_theory.game.look import AMBER as AMBER
from lapg_theory.game.look import BLUE as BLUE
from lapg_theory.game.look import CYCLE as CYCLE
from lapg_theory.game.look import DASHED as DASHED
from lapg_theory.game.look import GREEN as GREEN
from lapg_theory.game.look import INK as INK
from lapg_theory.game.look import ORANGE as ORANGE
from lapg_theory.game.look import PINK as PINK
from lapg_theory.game.look import SKY as SKY
from lapg_theory.game.look import SOFT as SOFT
from lapg_theory.game.look import drawn as drawn
from lapg_theory.game.look import panels as panels

REWARD = "reward per step"


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
