"""Figures of results, as matplotlib axes and figures; nothing here reads files or computes results."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lapg_rl.config.tables import ALGORITHMS, ESTIMATORS
from lapg_rl.study.records import Prediction
from lapg_rl.study.results import Result
from lapg_theory.game import look
from lapg_theory.game.look import CYCLE, DASHED, INK, SKY, SOFT, panels
from lapg_theory.game.show import state_names

Groups = Mapping[str, Sequence[Result]]

#: What an estimator, or an algorithm that has none, looks like and is called: by the rows of the tables, in their order.
COLOURS = dict(zip(ESTIMATORS, CYCLE, strict=False))
NAMES = {name: row.label for name, row in (ALGORITHMS | ESTIMATORS).items()}


def colour(name: str) -> str:
    """The colour of an estimator; of a mixture of estimators, always the same."""
    return COLOURS.get(name, MIXTURE)


def label(name: str) -> str:
    """The name of an estimator, or of a mixture of estimators, in prose."""
    return " + ".join(NAMES.get(part, part) for part in dict.fromkeys(name.split(",")))


MIXTURE = SKY
#: Metrics shown over the training, and the titles of their panels.
TRAINING = {"reward_vs_naive": "Agent", "naive_reward": "Naive co-player", "reward_vs_meta": "Agents among themselves"}
#: A state with a smaller share of the steps is drawn faintly.
RARE = 0.02
THEORY = "#3d3d3d"

STYLE = look.STYLE | {"axes.titleweight": "bold", "legend.fontsize": "medium"}


def draw(function: Callable[..., Any], *arguments: Any) -> Any:
    """`function(*arguments)` (a figure) in the project's style, on a canvas that needs no display."""
    return look.drawn(function, *arguments, style=STYLE)


def band(axes: Any, x: Any, curves: Sequence[Any], colour: str, label: str | None, style: Any = "-") -> None:
    """The mean of several curves, and the range from the lowest to the highest."""
    stacked = np.ma.masked_invalid(np.array([np.asarray(curve, float) for curve in curves]))  # not yet measured: NaN
    axes.plot(x, stacked.mean(0), color=colour, label=label, linestyle=style)
    if len(stacked) > 1:
        axes.fill_between(x, stacked.min(0), stacked.max(0), color=colour, alpha=0.18, linewidth=0)


def _level(axes: Any, values: Sequence[float], label: str, style: str) -> None:
    """A level that theory predicts: its middle value, and a band over all values."""
    axes.axhspan(min(values), max(values), color=THEORY, alpha=0.10, linewidth=0)
    axes.axhline(values[len(values) // 2], color=THEORY, linestyle=style, linewidth=1.2, label=label)


def even(updates: np.ndarray) -> np.ndarray:
    """Those updates that are in equal steps: a thinned run keeps all of its last ones, which would look noisier."""
    return updates[(updates - updates[0]) % max(updates[1] - updates[0], 1) == 0] if len(updates) > 1 else updates


def training_curve(axes: Any, groups: Groups, metric: str, prediction: Prediction | None) -> None:
    """One metric against the update, by estimator, with what theory predicts for shaping and for defecting."""
    for name, results in groups.items():
        shown = [r.metrics for r in results if metric in r.metrics]
        if shown:
            common = even(functools.reduce(np.intersect1d, [metrics["update"] for metrics in shown]))
            curves = [metrics[metric][np.isin(metrics["update"], common)] for metrics in shown]
            band(axes, common + 1, curves, colour(name), label(name))
    field = {"reward_vs_naive": "reward", "naive_reward": "naive_reward"}.get(metric)
    if prediction and field:
        _level(axes, [getattr(o, field) for o in prediction.best], "theory: best memory-one policy", "--")
        _level(axes, [getattr(o, field) for o in prediction.defection], "theory: always defect", ":")
    axes.set_xlabel("update")


def training(groups: Groups, prediction: Prediction | None) -> Any:
    """Rewards per step while the agents train: theirs, the naive co-players', and theirs among themselves if they meet."""
    there = set().union(*(r.last for results in groups.values() for r in results))
    metrics = [metric for metric in TRAINING if metric in there] or sorted(
        x for x in there if x.startswith("reward_vs_")
    )
    figure, (row,) = panels(1, len(metrics), 9.4, 3.7)
    for panel, metric in zip(row, metrics, strict=True):
        training_curve(panel, groups, metric, prediction)
        panel.set_title(TRAINING.get(metric, metric.replace("_", " ")))
    row[0].set_ylabel("reward per step")
    shared_legend(figure, row[0], 3)
    return figure


def shared_legend(figure: Any, axes: Any, columns: int) -> None:
    """One legend above all panels."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(columns, len(labels)))


def evaluated(groups: Groups) -> dict[str, list[Result]]:
    """The results that hold an evaluation."""
    kept = {name: [r for r in results if r.evaluation] for name, results in groups.items()}
    return {name: results for name, results in kept.items() if results}


def naive_met(groups: Groups) -> str:
    """What the naive learners of evaluations are, for captions."""
    starts = {r.evaluation.naive_start for results in groups.values() for r in results if r.evaluation}
    return (
        "naive learners that start as copies of the other agents" if starts == {"dynamic"} else "fresh naive learners"
    )


def _naive_matches(results: Sequence[Result]) -> list[Any]:
    return [match for r in results for match in r.evaluation.matches if match.opponent == "naive"]  # type: ignore


def course_curves(axes: Any, results: Sequence[Result], name: str, field: str) -> None:
    """Both players' curves over the inner episodes of a meta-episode."""
    matches = _naive_matches(results)
    both_players(axes, [getattr(m.own, field) for m in matches], [getattr(m.other, field) for m in matches], name)


def both_players(axes: Any, own: Sequence[Any], other: Sequence[Any], name: str) -> None:
    """Curves over the inner episodes of agents of one estimator and of their naive co-players, one a match."""
    episodes = np.arange(len(own[0])) + 1
    band(axes, episodes, own, colour(name), "agent")
    band(axes, episodes, other, colour(name), "naive learner", DASHED)
    _inner_episodes(axes)


def _inner_episodes(axes: Any) -> None:
    axes.set_xlabel("inner episode")
    axes.xaxis.get_major_locator().set_params(integer=True)


def course(groups: Groups, prediction: Prediction | None) -> Any:
    """What happens within a meta-episode after training: rewards above, cooperation below, one column an estimator."""
    groups = evaluated(groups)
    figure, axes = panels(2, len(groups), _width(groups), 5.4, sharey="row", sharex="col")
    for column, (name, results) in enumerate(groups.items()):
        upper, lower = axes[:, column]
        course_curves(upper, results, name, "reward_curve")
        course_curves(lower, results, name, "cooperation_curve")
        if prediction:
            told = prediction.best if name == "lapg" else prediction.defection
            middle = told[len(told) // 2]
            episodes = np.arange(len(middle.reward_curve)) + 1
            upper.plot(episodes, middle.reward_curve, color=THEORY, linewidth=1.2, label="theory, agent")
            upper.plot(
                episodes, middle.naive_curve, color=THEORY, linewidth=1.2, ls=DASHED, label="theory, naive learner"
            )
        upper.set(title=label(name), xlabel="")
        lower.set_ylim(-0.03, 1.03)
    axes[0, 0].set_ylabel("reward per step")
    axes[1, 0].set_ylabel("frequency of cooperation")
    shared_legend(figure, axes[0, 0], 4)
    return figure


def _width(groups: Groups) -> float:
    return 0.8 + 2.9 * max(len(groups), 2)


def signature_bars(axes: Any, groups: Groups, prediction: Prediction | None) -> None:
    """Bars: cooperation after each state, by estimator (whiskers: range over seeds); diamonds: theory's policy.

    In a game that is no prisoner's dilemma: action 0, after what both did, own action first.
    """
    groups = evaluated(groups)
    width = 0.8 / max(len(groups), 1)
    for n, (name, results) in enumerate(groups.items()):
        matches = _naive_matches(results)
        values = np.array([m.own.signature for m in matches], float)  # None becomes nan
        visits = np.array([m.own.visits for m in matches]).sum(0)
        for state in np.flatnonzero(visits):
            seen = values[:, state][~np.isnan(values[:, state])]
            at, rare = state - 0.4 + (n + 0.5) * width, visits[state] < RARE * visits.sum()
            axes.bar(at, seen.mean(), width * 0.92, color=colour(name), alpha=0.35 if rare else 1)
            if len(seen) > 1:
                axes.vlines(at, seen.min(), seen.max(), color=INK, linewidth=1)
        axes.bar(0, 0, color=colour(name), label=label(name))  # for the legend
    if prediction:
        policies = np.array([o.policy for o in prediction.best])
        axes.vlines(range(5), policies.min(0), policies.max(0), color=INK, linewidth=1)
        axes.plot(
            range(5), policies[len(policies) // 2], "D", markerfacecolor="white", markeredgecolor=INK, markersize=7,
            markeredgewidth=1.4, label="theory: best memory-one policy",
        )  # fmt: skip
    sides = [m.own for results in groups.values() for m in _naive_matches(results)]
    dilemma = all(side.of_dilemma for side in sides)
    names = state_names(max((len(side.signature) for side in sides), default=5), dilemma)
    axes.set(ylim=(-0.04, 1.04), ylabel=f"frequency of {'cooperation' if dilemma else 'action 0'}")
    axes.set_xticks(range(len(names)), ["first\nstep", *(f"after\n{state}" for state in names[1:])])
    axes.grid(axis="x", visible=False)


def signature(groups: Groups, prediction: Prediction | None) -> Any:
    """The policy signature against naive learners."""
    figure, ((axes,),) = panels(1, 1, 9.4, 3.7)
    signature_bars(axes, groups, prediction)
    shared_legend(figure, axes, 5)
    return figure


def payoff_lines(groups: Groups, prediction: Prediction | None) -> Any:
    """Rewards of agent and co-player against random memory-one co-players, in the polygon of what the game allows."""
    del prediction
    groups = evaluated(groups)
    figure, (row,) = panels(1, len(groups), _width(groups), 3.9, sharey=True, sharex=True)
    for panel, (name, results) in zip(row, groups.items(), strict=True):
        T, R, P, S = results[0].config.game.build().trps
        corners = [(R, R), (T, S), (P, P), (S, T)]
        panel.fill(*zip(*corners, strict=True), color="#eef1f4", zorder=0)
        panel.plot([P, R], [P, R], color=SOFT, linewidth=1)
        lines = [line for r in results for line in r.evaluation.lines]  # type: ignore
        for line in lines:
            points = np.array(line.points) + P
            panel.scatter(*points.T, s=7, color=colour(name), alpha=0.5, linewidth=0)
            if line.slope is not None:
                ends = np.array([points[:, 1].min(), points[:, 1].max()])
                panel.plot(P + line.intercept + line.slope * (ends - P), ends, color=INK, linewidth=1.2)
        slopes = [line.slope for line in lines if line.slope is not None]
        panel.set_title(f"{label(name)}: slope {np.mean(slopes):.2f}" if slopes else label(name))
        panel.set_xlabel("co-player's reward")
    row[0].set_ylabel("agent's reward")
    return figure


def calibration(groups: Groups, prediction: Prediction) -> Any:
    """How well the exact naive learner follows the simulated one against the strategies it is calibrated on."""
    del groups
    figure, (row,) = panels(1, len(prediction.calibrations), 9.4, 3.2)
    for panel, told in zip(row, prediction.calibrations, strict=True):
        episodes = np.arange(len(told.exact)) + 1
        panel.plot(episodes, told.simulated, "o", color="#56606b", markersize=4, label="simulated naive learners")
        panel.plot(episodes, told.exact, color=INK, linewidth=1.5, label="exact learner, calibrated rate")
        panel.set_title(f"against {told.strategy.upper()}: rate {told.rate:.2f}")
        _inner_episodes(panel)
    row[0].set_ylabel("naive learner's reward")
    shared_legend(figure, row[0], 2)
    return figure


def each_run(axes: Any, results: Sequence[Result], name: str, metric: str) -> None:
    """A metric against the update, one line a run of one estimator."""
    for n, result in enumerate(results):
        shown = even(result.metrics["update"])
        values = result.metrics[metric][np.isin(result.metrics["update"], shown)]
        axes.plot(shown + 1, values, color=colour(name), lw=1.2, label=None if n else label(name))


def pool_overview(groups: Groups) -> Any:
    """The one picture of agents that meet each other: rewards against naive learners, and among agents run by run.

    Runs end in one of several ways, so a mean over them would show what none of them does.
    """
    figure, ((left, right),) = panels(1, 2, 10.4, 4.3)
    training_curve(left, groups, "reward_vs_naive", None)
    left.set(title="Against naive learners", ylabel="reward per step")
    for name, results in groups.items():
        each_run(right, results, name, "reward_vs_meta")
    right.set(title="Among agents: one line a run", xlabel="update")
    shared_legend(figure, right, 4)
    return figure


def overview(groups: Groups, prediction: Prediction | None) -> Any:
    """The one picture: training, a meta-episode of the first estimator's agents, and policies beside theory's."""
    figure, ((left, middle, right),) = panels(1, 3, 13.4, 4.3, width_ratios=(1.1, 0.9, 1.2))
    training_curve(left, groups, "reward_vs_naive", prediction)
    left.set(title="Training: the agent's reward per step", ylabel="reward per step")
    shown = evaluated(groups)
    if shown:
        name = next(iter(shown))
        course_curves(middle, shown[name], name, "cooperation_curve")
        middle.set(title=f"A meta-episode of {label(name)}", ylabel="frequency of cooperation", ylim=(-0.03, 1.03))
        signature_bars(right, groups, prediction)
        right.set_title("What the agents learnt to do")
    for axes in (left, middle, right):
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, fontsize=9)
    return figure
