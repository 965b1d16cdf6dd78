"""Draw ipd-steering/path.svg: the way to cooperation, in the exact pool and in the runs that are kept; a minute."""

from pathlib import Path

import lapg_rl as rl
import lapg_theory as lt
from lapg_rl.study.results import runs_in
from lapg_theory.basin import RECIPES, integrate, random_starts, small_pool
from lapg_theory.game import look

RESULTS = Path(__file__).parent


def draw():
    """A constant share of one half, the recipe, and with copies; thin the exact pool's runs, thick those of networks."""
    kept = {
        "constant .5": "ipd-steered/half.zip",
        "recipe": "ipd-steering/runs.zip",
        "copies": "ipd-steered/steered.zip/waits-seed*",
    }
    figure, (axes,) = look.panels(1, 3, 10.6, 3.4, sharey=True)
    for ax, (name, where) in zip(axes, kept.items(), strict=True):
        runs = [rl.collect(run) for run in runs_in([RESULTS / where])]
        lt.plot.course(integrate(small_pool(), RECIPES[name], random_starts(16, 4), steps=1200, every=10), ax=ax)
        rl.plot.path(runs, ax=ax)
        ax.set(title=f"{name}: {len(runs)} runs", xlabel="reward from naive learners", ylabel="")
    axes[0].set(ylabel="reward among agents")
    handles = {label: line for ax in axes for line, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=5, fontsize=8)
    return figure


if __name__ == "__main__":
    rl.plot.save(look.drawn(draw), RESULTS / "ipd-steering" / "path.svg")
