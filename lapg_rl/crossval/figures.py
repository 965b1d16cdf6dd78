"""One figure a level, drawn from the level's data."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lapg_rl.crossval.verdict import Level
from lapg_rl.reports.figures import COLOURS, NAMES, SOFT, THEORY
from lapg_theory.game import STATES

BLUE, ORANGE, GREEN = (COLOURS[name] for name in ("lapg", "mfos", "batch_unaware"))
#: More names than this do not fit below a panel.
MOST_NAMES = 24
ENDS = {"cooperate": GREEN, "extort": ORANGE, "defect": BLUE, "other": SOFT}


def panels(columns: int, height: float = 3.6) -> tuple[Any, Any]:
    """A figure of the report's width, and its axes."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, columns, figsize=(9.4, height), squeeze=False, layout="constrained")
    pyplot.close(figure)
    return figure, axes[0]


def _states(axes: Any, names: Sequence[str] = STATES) -> None:
    if len(names) > MOST_NAMES:
        axes.set_xlabel("slopes in the order of states and actions")
    else:
        axes.set_xticks(range(len(names)), names, rotation=0 if len(names) <= 9 else 90)
    axes.axhline(0, color=SOFT, linewidth=0.8)


def play(level: Level) -> Any:
    """Deviations in standard errors, and sampled against exact values."""
    figure, (left, right) = panels(2)
    ends = [0.0, 0.0]
    for kind, colour, label in (("return", BLUE, "reward per step"), ("share", ORANGE, "share of the steps")):
        points = [p for p in level.data["points"] if p["kind"] == kind]
        exact, sampled, error = (np.concatenate([p[key] for p in points]) for key in ("exact", "sampled", "error"))
        left.errorbar(exact, sampled, 2 * error, fmt="o", markersize=4, color=colour, label=label)
        ends = [min(ends[0], *exact), max(ends[1], *exact)]
        right.plot(exact, (sampled - exact) / error, "o", markersize=4, color=colour)
    left.plot(ends, ends, color=THEORY, linewidth=1, zorder=0)
    left.set(title="Sampled against exact", xlabel="exact", ylabel="sampled")
    left.legend()
    right.axhspan(-2, 2, color=THEORY, alpha=0.1, linewidth=0)
    right.set(
        title="Deviation in standard errors",
        xlabel="exact",
        ylim=(min(-4, right.get_ylim()[0]), max(4, right.get_ylim()[1])),
    )
    return figure


def learner(level: Level) -> Any:
    """Mean update, covariance against the batch, and the direction of the variants."""
    figure, (left, middle, right) = panels(3)
    mean, spread, names = level.data["mean"], level.data["covariance"], level.data.get("states", STATES)
    left.bar(range(len(names)), mean["exact"], 0.6, color=THEORY, alpha=0.3, label="exact gradient")
    left.errorbar(
        range(len(names)),
        mean["sampled"],
        2 * np.array(mean["error"]),
        fmt="o",
        markersize=4,
        color=BLUE,
        label="mean update",
    )
    left.set(title="Mean of an update", ylabel="change of log-odds, rate 1")
    _states(left, names)
    left.legend()
    middle.loglog(spread["batches"], spread["exact"], color=THEORY, linewidth=1, label="exact / B")
    middle.errorbar(
        spread["batches"],
        spread["sampled"],
        2 * np.array(spread["error"]),
        fmt="o",
        markersize=4,
        color=BLUE,
        label="sampled",
    )
    middle.set(title="Variance of an update", xlabel="B", ylabel="trace of the covariance")
    middle.set_xticks(spread["batches"], spread["batches"])
    middle.minorticks_off()
    middle.legend()
    for offset, (variant, colour) in enumerate(zip(level.data["variants"], (BLUE, GREEN, ORANGE), strict=True)):
        unit = np.array(variant["mean"]) / np.linalg.norm(variant["mean"])
        right.bar(np.arange(len(names)) + 0.26 * (offset - 1), unit, 0.24, color=colour, label=variant["name"])
    right.set(title="Direction of the mean update")
    _states(right, names)
    right.legend(fontsize=8)
    return figure


def exact(level: Level) -> Any:
    """The gradient and each estimator's expectation."""
    figure, (axes,) = panels(1)
    axes.bar(range(5), level.data["gradient"], 0.9, color=THEORY, alpha=0.15, label="gradient (oracle)")
    for offset, (name, bar) in enumerate(level.data["bars"].items()):
        x = np.arange(5) + 0.2 * (offset - 1.5)
        axes.bar(x, bar["oracle"], 0.17, color=COLOURS[name], alpha=0.55, label=NAMES[name])
        axes.plot(x, bar["enumerated"], "_", markersize=9, color="black")
    axes.plot([], [], "_", color="black", label="training code, enumerated")
    axes.set(title="Expected estimates, T = M = B = 2", ylabel="slope in the log-odds")
    _states(axes)
    axes.legend(ncols=2, fontsize=8)
    return figure


def sampled(level: Level) -> Any:
    """Deviations from prediction and from the gradient in standard errors, and the approach to the analytic limit."""
    figure, (left, right) = panels(2)
    names = level.data.get("states", STATES)
    for offset, score in enumerate(level.data["scores"]):
        x = np.arange(len(names)) + 0.22 * (offset - 1)
        colour = COLOURS[score["name"]]
        left.plot(x, score["z"], "o", markersize=4, color=colour, label=NAMES[score["name"]])
        left.plot(x, score["z_gradient"], "x", markersize=5, color=colour)
    left.plot([], [], "o", color=SOFT, markersize=4, label="from its expectation")
    left.plot([], [], "x", color=SOFT, markersize=5, label="from the gradient")
    left.axhspan(-2, 2, color=THEORY, alpha=0.1, linewidth=0)
    left.set_yscale("symlog", linthresh=3)
    left.set(title=f"Deviation in standard errors, B = {level.data['batch']}")
    _states(left, names)
    left.legend(fontsize=8)
    data = level.data
    k = int(np.argmax(np.abs(np.array(data["oracle"][-1]) - np.array(data["batch_unaware"][-1]))))
    inverse = 1 / np.array(data["batches"])
    if data["coefficient"] is not None:
        line = np.array([0.0, 1.0])
        gap = data["coefficient"][k] * line
        right.plot(line, data["limit"][k] + gap, color=THEORY, linewidth=1, label="analytic limit + c / B")
    right.plot(0, data["limit"][k], "D", color=THEORY, markersize=5, label="analytic shaping gradient")
    right.plot(inverse, np.array(data["oracle"])[:, k], "o", markersize=4, color=BLUE, label="oracle: LAPG")
    right.plot(
        inverse, np.array(data["batch_unaware"])[:, k], "o", markersize=4, color=GREEN, label="oracle: batch-unaware"
    )
    x = [1 / p["batch"] for p in data["points"]]
    y, error = (np.array([p[key][k] for p in data["points"]]) for key in ("mean", "error"))
    right.errorbar(x, y, 2 * error, fmt="s", markersize=4, color=BLUE, mfc="white", label="sampled LAPG")
    right.set(title=f"Slope after {names[k]} against 1/B", xlabel="1 / B")
    right.legend(fontsize=8)
    return figure


def dynamics(level: Level) -> Any:
    """The mean path beside the analytic one, the gap against B, and the scatter against the learning rate."""
    figure, (left, middle, right) = panels(3)
    data = level.data
    path, mean = np.array(data["path"]), np.array(data["batches"][-1]["mean_path"])
    for k, colour in enumerate((BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00")):
        left.plot(data["times"], path[:, k] - path[0, k], color=colour, linewidth=1.2, label=STATES[k])
        time = data["times"][-1] * np.arange(1, len(mean) + 1) / len(mean)
        left.plot(time, mean[:, k] - path[0, k], "o", markersize=3, color=colour)
    left.set(title=f"Path at B = {data['batches'][-1]['batch']}", xlabel="time", ylabel="change of log-odds")
    left.legend(fontsize=8, ncols=2)
    sizes = [b["batch"] for b in data["batches"]]
    gap, error = (np.array([np.linalg.norm(b[key]) for b in data["batches"]]) for key in ("gap", "error"))
    middle.errorbar(sizes, gap, error, fmt="o", markersize=4, color=BLUE, label="mean end - analytic end")
    inverse = np.linspace(1 / sizes[-1], 1, 50)
    fit = np.stack([inverse, inverse**2], axis=1) @ np.array(data["coefficients"])
    middle.plot(1 / inverse, np.linalg.norm(fit, axis=1), color=THEORY, linewidth=1, label="fit c / B + d / B^2")
    middle.plot(sizes, error, ":", color=SOFT, label="sampling error")
    middle.set(xscale="log", yscale="log", title="Gap against B", xlabel="B")
    middle.set_xticks(sizes, sizes)
    middle.minorticks_off()
    middle.legend(fontsize=8)
    rate, scatter, error = (np.array([r[key] for r in data["rates"]]) for key in ("rate", "scatter", "error"))
    right.errorbar(rate, scatter, 2 * error, fmt="o", markersize=4, color=BLUE, label="scatter of runs")
    right.plot(
        rate,
        rate * np.exp(np.mean(np.log(scatter / rate))),
        color=THEORY,
        linewidth=1,
        label="proportional to the rate",
    )
    right.set(
        xscale="log", yscale="log", title="Scatter against rate", xlabel="learning rate", ylabel="summed variance"
    )
    right.set_xticks(rate, [f"{r:g}" for r in rate])
    right.minorticks_off()
    right.legend(fontsize=8)
    return figure


def outcome(level: Level) -> Any:
    """Which runs leave defection against the total naive learning time, and where pools of agents end."""
    from matplotlib import pyplot

    windows, pool = level.data["windows"], level.data["pool"]
    kinds = list(dict.fromkeys(cell["start"] for cell in pool))
    figure = pyplot.figure(figsize=(9.4, 6.4 if windows else 3.4), layout="constrained")
    pyplot.close(figure)
    *above, below = figure.subfigures(2 if windows else 1, 1, squeeze=False)[:, 0]
    for part in above:
        for axes, found in zip(part.subplots(1, len(windows), squeeze=False)[0], windows, strict=True):
            _window(axes, found)
    for axes, kind in zip(below.subplots(1, len(kinds), squeeze=False, sharey=True)[0], kinds, strict=True):
        cells = [cell for cell in pool if cell["start"] == kind]
        for offset, side, alpha in ((-0.2, "predicted", 0.4), (0.2, "seen", 1.0)):
            bottom = np.zeros(len(cells))
            for name, colour in ENDS.items():
                height = np.array([cell["outcomes"][name][side] / cell["runs"] for cell in cells])
                label = name if side == "seen" else None
                axes.bar(np.arange(len(cells)) + offset, height, 0.38, bottom, color=colour, alpha=alpha, label=label)
                bottom += height
        axes.set_xticks(range(len(cells)), [f"{cell['share']:g}" for cell in cells])
        axes.set(title=f"Start: {kind}", xlabel="share of naive learners")
    below.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    below.supylabel("runs: predicted | seen", fontsize=10)
    return figure


def basin(level: Level) -> Any:
    """Where each schedule leads: the share of runs at each end, predicted and seen."""
    from matplotlib import pyplot

    cells = level.data["schedules"][::-1]
    figure, axes = pyplot.subplots(figsize=(9.4, 0.8 + 0.55 * len(cells)), layout="constrained")
    pyplot.close(figure)
    for offset, side, alpha in ((0.2, "predicted", 0.4), (-0.2, "seen", 1.0)):
        left = np.zeros(len(cells))
        for name, colour in ENDS.items():
            width = np.array([cell["outcomes"][name][side] / cell["runs"] for cell in cells])
            label = name if side == "seen" else None
            axes.barh(np.arange(len(cells)) + offset, width, 0.38, left, color=colour, alpha=alpha, label=label)
            left += width
    axes.set_yticks(range(len(cells)), [textwrap.fill(cell["schedule"], 48) for cell in cells], fontsize=8)
    axes.set(xlim=(0, 1), xlabel="share of the runs: above predicted, below seen")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    return figure


def _window(axes: Any, found: dict[str, Any]) -> None:
    """One sweep over the naive learning rate."""
    cells = found["cells"]
    tau = np.array([cell["tau"] for cell in cells])
    outcomes = [cell["outcomes"]["leaves"] for cell in cells]
    share = np.array([o["seen"] / cell["runs"] for o, cell in zip(outcomes, cells, strict=True)])
    low, high = np.transpose([o["interval"] for o in outcomes])
    if found["edges"] is not None:
        edges = np.array(found["edges"]) * found["updates"]
        axes.axvspan(*edges, color=THEORY, alpha=0.1, linewidth=0, label="predicted window")
    told = np.array([o["predicted"] / cell["runs"] for o, cell in zip(outcomes, cells, strict=True)])
    axes.plot(tau, told, "_", markersize=11, color=THEORY, label="exact dynamics")
    axes.errorbar(tau, share, [share - low, high - share], fmt="o", markersize=4, color=BLUE, label="sampled, 95%")
    axes.set(
        title=f"{found['updates']} naive updates", xscale="log", ylim=(-0.05, 1.05), xlabel="total naive learning time"
    )
    axes.set_ylabel("runs that leave defection")
    axes.legend(fontsize=8)


def behaviour(level: Level) -> Any:
    """Shaping curves, payoff lines over random co-players, and conditional cooperation, beside the best policy."""
    figure, (left, middle, right) = panels(3)
    agents = level.data["agents"]
    told = agents[0]["bounds"]
    curves = np.array(told["curves"])
    episodes = np.arange(1, curves.shape[1] + 1)
    left.fill_between(episodes, curves.min(0), curves.max(0), color=THEORY, alpha=0.25, linewidth=0)
    left.plot(episodes, curves[len(curves) // 2], color=THEORY, linewidth=1.2, label="best memory-one policy")
    ends = [0.0, 0.0]
    for n, (agent, colour) in enumerate(zip(agents, (BLUE, ORANGE, GREEN) * len(agents), strict=False)):
        left.plot(episodes, agent["curve"], color=colour, linewidth=1.5, label="trained agent" if n == 0 else None)
        other, own = np.array(agent["points"]).T
        ends = [min(ends[0], own.min()), max(ends[1], own.max())]
        middle.plot(own, other, ".", markersize=2, color=colour, alpha=0.5)
        line = np.array([own.min(), own.max()])
        middle.plot(line, agent["intercept"] + agent["slope"] * line, color=colour, linewidth=1.5)
        for name, mark in (("first", "o"), ("last", "s")):
            seen = np.array([np.nan if p is None else p for p in agent[name]])
            label = f"{name} inner episode" if n == 0 else None
            right.plot(np.arange(5) + 0.1 * (n % 3 - 1), seen, mark, markersize=4, color=colour, label=label,
                       mfc="white" if name == "first" else colour)  # fmt: skip
    line = np.array(ends)
    middle.plot(line, told["slopes"][len(told["slopes"]) // 2] * line, color=THEORY, linewidth=1.2)
    left.set(title="Shaping", xlabel="inner episode", ylabel="reward per step")
    left.legend(fontsize=8)
    middle.set(title="Payoff line", xlabel="agent's surplus", ylabel="random co-player's surplus")
    right.bar(range(5), told["policies"][len(told["policies"]) // 2], 0.6, color=THEORY, alpha=0.2)
    right.set(title="P(cooperate)", ylim=(-0.03, 1.03))
    _states(right)
    right.legend(fontsize=8)
    return figure


def calibration(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Distribution of each level's p-values over keys, and its rate of false alarms with the interval."""
    figure, (left, right) = panels(2)
    rows = [row for row in rows if row["interval"]]
    for row, colour in zip(rows, (BLUE, ORANGE, GREEN, "#CC79A7"), strict=False):
        values = np.sort(row["p_values"])
        left.step(values, np.arange(1, len(values) + 1) / len(values), color=colour, linewidth=1.2, label=row["level"])
    line = np.array([0.0, 1.0])
    band = 1.358 / np.sqrt(rows[0]["keys"]) if rows else 0.0  # 95%, Kolmogorov
    left.fill_between(line, line - band, line + band, color=THEORY, alpha=0.1, linewidth=0)
    left.plot(line, line, color=THEORY, linewidth=1)
    left.set(title="p-values over keys", xlabel="p-value of the level", ylabel="share of keys below", ylim=(0, 1))
    left.legend()
    for place, row in enumerate(rows):
        rate, (low, high) = row["alarms"] / row["keys"], row["interval"]
        right.errorbar(place, rate, [[rate - low], [high - rate]], fmt="o", markersize=4, color=BLUE)
        right.axhline(row["stated"], color=THEORY, linewidth=1)
    right.set_xticks(range(len(rows)), [row["level"] for row in rows])
    right.set(title="False alarms: measured (95%) and stated", ylabel="rate", ylim=(0, None))
    return figure


FIGURES: dict[str, Callable[[Level], Any]] = {
    "L0": play,
    "L1": learner,
    "L2": exact,
    "L3": sampled,
    "L4": dynamics,
    "L5": outcome,
    "L6": behaviour,
    "L7": basin,
}
