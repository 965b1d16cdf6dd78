"""How much naive learners must have learnt in groups of a public good before rewarding their cooperation pays."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lapg_theory.certificate.group import critical_time
from lapg_theory.figures import style
from lapg_theory.game import public_goods
from lapg_theory.symbolic import group

Numbers = dict[str, np.ndarray]


def groups(
    *,
    players: Sequence[int] = (2, 3, 4, 5, 6, 8),
    factor: float = 1.6,
    returned: float = 2 / 3,
    gamma: float = 0.95,
    updates: int = 40,
) -> Numbers:
    """Critical learning times in groups in which all others learn, from coin-flip policies, by size of the group.

    Returns:
        exact, linear [rule, players]: the critical time (NaN: none up to 300) and its value to first order, where
        contributions are multiplied by `factor` whatever the size, and where the share `returned` of a contribution
        comes back to everybody.
    """
    exact, linear = [], []
    for n in players:
        for r in (factor, returned * n):
            found = critical_time(public_goods(n, r), gamma=gamma, naive=n - 1, updates=updates)
            exact.append(np.nan if found is None else found)
            linear.append(group.critical_time(n - 1)(N=n, r=r, c=1.0, gamma=gamma))
    return {name: np.array(x).reshape(-1, 2).T for name, x in (("exact", exact), ("linear", linear))}


def draw_groups(numbers: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> Any:
    """Both rules against the size of the group."""
    figure, ((axes,),) = style.panels(1, 1, 7.0, 4.6)
    rules = (f"multiplied by {settings['factor']:g}", f"everybody gets {settings['returned']:.2g} of it")
    for k, (rule, colour) in enumerate(zip(rules, (style.ORANGE, style.BLUE), strict=True)):
        axes.plot(settings["players"], numbers["exact"][k], "o-", color=colour, label=f"{rule}")
        axes.plot(settings["players"], numbers["linear"][k], color=colour, linestyle=style.DASHED, label="first order")
    axes.set(xlabel="players, all but one of them naive learners", ylabel="critical learning time", yscale="log")
    style.legend_below(axes, 2)
    return figure
