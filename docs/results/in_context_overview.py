"""Draw in-context/overview.svg from what is kept of the runs: how cooperation comes, and what agents do within an episode."""

from pathlib import Path

import numpy as np

import lapg_rl as rl
from lapg_rl.reports.figures import band
from lapg_rl.study.in_context import InContext
from lapg_rl.study.records import read
from lapg_rl.study.results import runs_in
from lapg_theory.game import look

KEPT = Path(__file__).parent / "in-context"
STAGES = {"mixed": look.BLUE, "agents-only": look.ORANGE, "told": look.GREEN}
OPPONENTS = {"meta": "each other", "tft": "tit-for-tat", "alld": "always-defect"}


def draw():
    """Left: reward among agents, a line a run; right: cooperation by step, agents of `mixed`."""
    figure, ((left, right),) = look.panels(1, 2, 7.6, 3.2)
    for stage, colour in STAGES.items():
        for n, run in enumerate(runs_in([KEPT / "runs.zip" / f"*{stage}*"])):
            metrics = rl.collect(run).metrics
            left.plot(metrics["update"], metrics["reward_vs_meta"], color=colour, lw=1, label=None if n else stage)
    met = {one.opponent: one for one in read(InContext, KEPT / "in-context.json").met if one.stage == "mixed"}
    for (opponent, name), colour in zip(OPPONENTS.items(), look.CYCLE, strict=False):
        curves = met[opponent].curves["cooperation"]
        band(right, np.arange(len(curves[0])) + 1, curves, colour, f"against {name}")
    left.set(title="Reward among agents, run by run", xlabel="update", ylabel="reward per step")
    right.set(title="The agents of mixed, within an episode", xlabel="step", ylabel="frequency of cooperation")
    for ax in (left, right):
        ax.legend(fontsize=8)
    return figure


if __name__ == "__main__":
    rl.plot.save(look.drawn(draw), KEPT / "overview.svg")
