"""What a partner can be worth in CleanUp-lite, exactly, by size and dirt rate: a table, and cleanup/worth.svg; two minutes.

`--published` adds the published grid, for twenty minutes.
"""

import argparse
import dataclasses
from pathlib import Path

from matplotlib.figure import Figure

import lapg_rl as rl
from lapg_theory.game import look

RESULTS = Path(__file__).parent
GRID = rl.preset("cleanup-mixed-small").game.cleanup
PARTNERS = {"random": "random moves", "harvester": "a harvester", "cleaner": "a cleaner"}
COLUMNS = ("alone", *(f"facing {name}" for name in PARTNERS.values()), "moving both", "half of the most of both")
RATES = (0.2, 0.35, 0.5, 0.6, 0.7, 0.85, 1.0)
SIZES = ((2, 2, 32), (3, 2, 16), (3, 2, 32), (2, 3, 32), (3, 4, 32), (4, 3, 32), (4, 4, 32))


def worth(steps: int, **changes) -> list[float]:
    """A row of the table: what a player earns per step at best."""
    grid = dataclasses.replace(GRID, initial_dirt=min(3, changes.get("rows", GRID.rows)), **changes)
    plans, alone = rl.CleanUpPlans(grid), rl.CleanUpPlans(dataclasses.replace(grid, alone=True))
    facing = [plans.best(steps, partner=plans.policy(name)).own for name in PARTNERS]
    return [alone.best(steps).own, *facing, plans.best(steps).own, sum(plans.best(steps, total=True)) / 2]


def told(name: str, row: list[float]) -> None:
    """Print a row."""
    print(f"| {name} | " + " | ".join(f"{x:.3f}" for x in row) + " |", flush=True)


def draw(rows: dict[float, list[float]]) -> Figure:
    """What each partner is worth over the dirt rate, on 3 x 3 cells."""
    figure, ((ax,),) = look.panels(1, 1, 5.2, 3.6)
    for n, name in enumerate(COLUMNS):
        ax.plot(rows.keys(), [row[n] for row in rows.values()], "osv^DP"[n] + "-", ms=4, label=name)
    ax.set(xlabel="dirt rate", ylabel="reward per step", ylim=(0, None))
    ax.legend(fontsize=8)
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", action="store_true", help="the published grid, too")
    more = parser.parse_args().published
    print("| cells, steps, dirt rate | " + " | ".join(COLUMNS) + " |\n" + "|---" * (1 + len(COLUMNS)) + "|")
    for rows, columns, steps in (*SIZES, *([(5, 4, 64)] if more else [])):
        told(f"{rows} x {columns}, {steps}, .35", worth(steps, rows=rows, columns=columns))
    by_rate = {rate: worth(32, dirt_rate=rate) for rate in RATES}
    for rate, row in by_rate.items():
        told(f"3 x 3, 32, {rate}", row)
    rl.plot.save(look.drawn(lambda: draw(by_rate)), RESULTS / "cleanup" / "worth.svg")
