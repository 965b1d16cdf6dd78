"""Draw ipd-steering/path.svg: the way to cooperation, in the exact pool and in the runs that are kept; a minute."""

from pathlib import Path

import lapg_rl as rl
import lapg_theory as lt
from lapg_rl.study.results import runs_in
from lapg_theory.basin import RECIPES, integrate, random_starts, small_pool
from lapg_theory.game import look

RESULTS = Path(__file__).parent


def draw():
    """Left a constant share of one half, right the recipe; thin the exact pool's runs, thick those of networks."""
    mixed = [rl.collect(run) for run in runs_in([RESULTS / "ipd-mixed"])]
    constant = [r for r in mixed if r.estimator == "lapg" and r.config.pool.p_naive == 0.5]
    recipe = [rl.collect(run) for run in runs_in([RESULTS / "ipd-steering" / "runs.zip"])]
    figure, ((left, right),) = look.panels(1, 2, 7.6, 3.4, sharey=True)
    for ax, name, runs in ((left, "constant .5", constant), (right, "recipe", recipe)):
        stages = RECIPES[name]
        lt.plot.course(integrate(small_pool(), stages, random_starts(16, 4), steps=1200, every=10), ax=ax)
        rl.plot.path(runs, ax=ax)
        ax.set(title=f"{name}: {len(runs)} runs", xlabel="reward from naive learners")
    left.set(ylabel="reward among agents")
    right.set(ylabel="")
    handles = {label: line for ax in (left, right) for line, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=5, fontsize=8)
    return figure


if __name__ == "__main__":
    rl.plot.save(look.drawn(draw), RESULTS / "ipd-steering" / "path.svg")
