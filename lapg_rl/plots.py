"""Figures of results, as matplotlib axes and figures; nothing here reads files or computes results."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lapg_rl.records import Prediction
from lapg_rl.results import Result

Groups = Mapping[str, Sequence[Result]]

#: Colours that colour-blind readers tell apart (Okabe & Ito 2008).
COLOURS = {"lapg": "#0072B2", "mfos": "#D55E00", "batch_unaware": "#009E73", "inner_episode": "#CC79A7"}
NAMES = {"lapg": "LAPG", "mfos": "M-FOS", "batch_unaware": "batch-unaware", "inner_episode": "inner episode"}
THEORY, INK, SOFT = "#3d3d3d", "#1f2328", "#8b949e"

STYLE = {
    "font.size": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e9ed",
    "grid.linewidth": 0.8,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "lines.linewidth": 2,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "svg.fonttype": "none",  # text stays text: small files, searchable
    "svg.hashsalt": "lapg",
}


def draw(function: Callable[..., Any], *arguments: Any) -> Any:
    """`function(*arguments)` (a figure) in the project's style, on a canvas that needs no display."""
    import matplotlib

    matplotlib.use("Agg")
    with matplotlib.rc_context(STYLE):
        return function(*arguments)


def _panels(rows: int, columns: int, width: float, height: float, **options: Any) -> tuple[Any, Any]:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        rows, columns, figsize=(width, height), squeeze=False, layout="constrained", **options
    )
    pyplot.close(figure)
    return figure, axes


def _band(axes: Any, x: Any, curves: Sequence[Any], colour: str, label: str | None, style: str = "-") -> None:
    """The mean of several curves, and the range from the lowest to the highest."""
    stacked = np.array([np.asarray(curve, float) for curve in curves])
    axes.plot(x, stacked.mean(0), color=colour, label=label, linestyle=style)
    if len(stacked) > 1:
        axes.fill_between(x, stacked.min(0), stacked.max(0), color=colour, alpha=0.18, linewidth=0)


def _level(axes: Any, values: Sequence[float], text: str, style: str) -> None:
    """A level that theory predicts: the middle value, with the range of all values, and its name at the right end."""
    axes.axhspan(min(values), max(values), color=THEORY, alpha=0.10, linewidth=0)
    axes.axhline(values[len(values) // 2], color=THEORY, linestyle=style, linewidth=1.2)
    axes.annotate(
        text, (1, values[len(values) // 2]), (-2, 3), xycoords=("axes fraction", "data"), textcoords="offset points",
        ha="right", va="bottom", fontsize=9, color=THEORY,
    )  # fmt: skip


def training(axes: Any, groups: Groups, metric: str, prediction: Prediction | None) -> None:
    """One metric against the update, by estimator, with what theory predicts for shaping and for defecting."""
    for name, results in groups.items():
        shown = [r for r in results if metric in r.metrics]
        if not shown:
            continue
        length = min(len(r.metrics[metric]) for r in shown)
        curves = [r.metrics[metric][:length] for r in shown]
        _band(axes, shown[0].metrics["update"][:length] + 1, curves, COLOURS[name], NAMES[name])
    if prediction:
        field = "reward" if metric == "reward_vs_naive" else "naive_reward"
        _level(axes, [getattr(o, field) for o in prediction.best], "theory: best memory-one policy", "--")
        _level(axes, [getattr(o, field) for o in prediction.defection], "theory: always defect", ":")
    axes.set_xlabel("update")


def training_figure(groups: Groups, prediction: Prediction | None) -> Any:
    """Rewards per step of agents and of naive co-players while the agents train."""
    figure, ((left, right),) = _panels(1, 2, 9.4, 3.7)
    training(left, groups, "reward_vs_naive", prediction)
    training(right, groups, "naive_reward", prediction)
    left.set(title="Agent", ylabel="reward per step")
    right.set(title="Naive co-player")
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=len(groups))
    return figure


def _evaluated(groups: Groups) -> dict[str, list[Result]]:
    kept = {name: [r for r in results if r.evaluation] for name, results in groups.items()}
    return {name: results for name, results in kept.items() if results}


def _naive_matches(results: Sequence[Result]) -> list[Any]:
    return [match for r in results for match in r.evaluation.matches if match.opponent == "naive"]  # type: ignore


def course(axes: Any, results: Sequence[Result], name: str, field: str) -> None:
    """Both players' curves over the inner episodes of a meta-episode, agent solid and naive learner dashed."""
    matches = _naive_matches(results)
    episodes = np.arange(len(matches[0].own.reward_curve)) + 1
    _band(axes, episodes, [getattr(m.own, field) for m in matches], COLOURS[name], "agent")
    _band(axes, episodes, [getattr(m.other, field) for m in matches], COLOURS[name], "naive learner", (0, (4, 2)))
    axes.set_xlabel("inner episode")
    axes.xaxis.get_major_locator().set_params(integer=True)


def course_figure(groups: Groups, prediction: Prediction | None) -> Any:
    """What happens within a meta-episode after training: rewards above, cooperation below, one column an estimator."""
    groups = _evaluated(groups)
    figure, axes = _panels(2, len(groups), 1.0 + 3.1 * max(len(groups), 2), 5.2, sharey="row", sharex="col")
    for column, (name, results) in enumerate(groups.items()):
        upper, lower = axes[:, column]
        course(upper, results, name, "reward_curve")
        course(lower, results, name, "cooperation_curve")
        if prediction:
            told = prediction.best if name == "lapg" else prediction.defection
            middle = told[len(told) // 2]
            episodes = np.arange(len(middle.reward_curve)) + 1
            upper.plot(episodes, middle.reward_curve, color=THEORY, linewidth=1.2, label="theory, agent")
            upper.plot(episodes, middle.naive_curve, color=THEORY, linewidth=1.2, ls=(0, (4, 2)), label="theory, naive")
        upper.set(title=NAMES[name], xlabel="")
        lower.set(ylim=(-0.03, 1.03))
        upper.legend(fontsize=9, loc="best")
    axes[0, 0].set_ylabel("reward per step")
    axes[1, 0].set_ylabel("frequency of cooperation")
    return figure


def signature(axes: Any, groups: Groups, prediction: Prediction | None) -> None:
    """Bars: cooperation after each state, by estimator (whiskers: range over the seeds); diamonds: theory's policy."""
    groups = _evaluated(groups)
    width = 0.8 / max(len(groups), 1)
    states = np.arange(5)
    for n, (name, results) in enumerate(groups.items()):
        values = np.array([m.own.signature for m in _naive_matches(results)], float)  # None becomes nan
        seen = ~np.isnan(values).all(0)
        low, mean, high = (f(values[:, seen], axis=0) for f in (np.nanmin, np.nanmean, np.nanmax))
        at = states[seen] - 0.4 + (n + 0.5) * width
        axes.bar(at, mean, width * 0.92, color=COLOURS[name], label=NAMES[name])
        if len(values) > 1:
            axes.errorbar(at, mean, [mean - low, high - mean], fmt="none", ecolor=INK, elinewidth=1)
    if prediction:
        policies = np.array([o.policy for o in prediction.best])
        middle = policies[len(policies) // 2]
        axes.errorbar(
            states, middle, [middle - policies.min(0), policies.max(0) - middle], fmt="D", color="white", markersize=7,
            markeredgecolor=INK, markeredgewidth=1.4, ecolor=INK, label="theory (best memory-one policy)", zorder=5,
        )  # fmt: skip
    axes.set(ylim=(-0.04, 1.04), ylabel="frequency of cooperation")
    axes.set_xticks(states, ["first\nstep", "after\nCC", "after\nCD", "after\nDC", "after\nDD"])
    axes.grid(axis="x", visible=False)


def signature_figure(groups: Groups, prediction: Prediction | None) -> Any:
    """The policy signature against naive learners."""
    figure, ((axes,),) = _panels(1, 1, 9.4, 3.6)
    signature(axes, groups, prediction)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=len(groups) + 1)
    return figure


def payoff_lines_figure(groups: Groups, prediction: Prediction | None) -> Any:
    """Rewards of agent and co-player against random memory-one co-players, in the polygon of what the game allows."""
    groups = _evaluated(groups)
    figure, axes = _panels(1, len(groups), 1.0 + 3.1 * max(len(groups), 2), 3.6, sharey=True, sharex=True)
    for panel, (name, results) in zip(axes[0], groups.items(), strict=True):
        game = results[0].config.game
        corners = np.array([(game.R, game.R), (game.T, game.S), (game.P, game.P), (game.S, game.T)])
        panel.fill(*corners.T, color="#eef1f4", zorder=0)
        panel.plot(*np.array([(game.P, game.P), (game.R, game.R)]).T, color=SOFT, linewidth=1)
        for line in (line for r in results for line in r.evaluation.lines):  # type: ignore
            points = np.array(line.points) + game.P
            panel.scatter(*points.T, s=7, color=COLOURS[name], alpha=0.5, linewidth=0)
            if line.slope is not None:
                ends = np.array([points[:, 0].min(), points[:, 0].max()])
                panel.plot(ends, game.P + line.intercept + line.slope * (ends - game.P), color=INK, linewidth=1.2)
        slopes = [line.slope for r in results for line in r.evaluation.lines if line.slope is not None]  # type: ignore
        panel.set(title=f"{NAMES[name]}: slope {np.mean(slopes):.2f}" if slopes else NAMES[name])
        panel.set(xlabel="co-player's reward per step", aspect="equal")
    axes[0, 0].set_ylabel("agent's reward per step")
    return figure


def calibration_figure(groups: Groups, prediction: Prediction) -> Any:
    """How well the exact naive learner follows the simulated one against the strategies it is calibrated on."""
    del groups
    figure, axes = _panels(1, len(prediction.calibrations), 9.4, 3.0)
    for panel, told in zip(axes[0], prediction.calibrations, strict=True):
        episodes = np.arange(len(told.exact)) + 1
        panel.plot(episodes, told.simulated, "o", color="#56606b", markersize=4, label="simulated naive learners")
        panel.plot(episodes, told.exact, color=INK, linewidth=1.5, label="exact learner, calibrated rate")
        panel.set(title=f"against {told.strategy.upper()}: rate {told.rate:.2f}", xlabel="inner episode")
    axes[0, 0].set_ylabel("naive learner's reward")
    axes[0, 0].legend(fontsize=9)
    return figure


def overview_figure(groups: Groups, prediction: Prediction | None) -> Any:
    """The one picture: training, a meta-episode of the learning-aware agent, and its policy beside theory's."""
    figure, ((left, middle, right),) = _panels(1, 3, 13.2, 3.9, width_ratios=(1.15, 0.9, 1.15))
    training(left, groups, "reward_vs_naive", prediction)
    left.set(title="Training: the agent's reward", ylabel="reward per step")
    left.legend(fontsize=9)
    shown = _evaluated(groups)
    if shown:
        name = next(iter(shown))
        course(middle, shown[name], name, "cooperation_curve")
        middle.set(title=f"{NAMES[name]} in a meta-episode", ylabel="frequency of cooperation", ylim=(-0.03, 1.03))
        middle.legend(fontsize=9)
        signature(right, groups, prediction)
        right.set(title="What it learnt to do")
        right.legend(fontsize=9)
    return figure
