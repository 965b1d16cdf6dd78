"""Draw docs/finding.svg, the picture of the README, from the runs that are kept in docs/results."""

from pathlib import Path

import lapg_rl as rl
from lapg_rl.study.results import runs_in
from lapg_theory.game import look

DOCS = Path(__file__).parent
CREDITED = ("lapg", "mfos", "batch_unaware")


def draw():
    """Left: the agents' reward among naive learners; right: among themselves, a line a run."""
    shaping = [rl.collect(run) for run in runs_in([DOCS / "results" / "ipd-shaping"])]
    mixed = [rl.collect(run) for run in runs_in([DOCS / "results" / "ipd-mixed"])]
    mixed = [r for r in mixed if r.estimator in CREDITED and r.config.pool.p_naive == 0.5]
    figure, ((left, right),) = look.panels(1, 2, 7.6, 2.9, sharey=True)
    rl.plot.training(shaping, prediction=next(r.prediction for r in shaping if r.prediction), ax=left)
    rl.plot.each_run(mixed, "reward_vs_meta", ax=right)
    left.set(title="Among naive learners: extortion")
    right.set(title="Among themselves: cooperation", ylabel="", xlim=(0, 500))
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=8, columnspacing=1, handlelength=1.6)
    return figure


if __name__ == "__main__":
    rl.plot.save(look.drawn(draw), DOCS / "finding.svg")
