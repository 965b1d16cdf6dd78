"""Figures of the theory itself: the window of learning rates, phase diagram, atlas of fixed points, phase portraits."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lapg_theory.certificate import defection_certificate
from lapg_theory.figures import style
from lapg_theory.game import prisoners_dilemma
from lapg_theory.metagame import LABELS, MetaGame, attractor_map, bifurcation, phase_diagram, project

Numbers = dict[str, np.ndarray]
GAME = prisoners_dilemma()
COLOURS = dict(zip(LABELS, (style.GREEN, style.SKY, style.ORANGE, style.INK, style.SOFT), strict=True))


def window(
    *,
    gammas: Sequence[float] = (0.9, 0.95, 0.99, 0.999),
    updates: Sequence[int] = (1, 2, 3, 5, 10, 20, 50),
    spread: float = 1.0,
    nodes: int = 512,
    seed: int = 0,
) -> Numbers:
    """The window of naive learning rates in which mutual defection is unstable, over discounts and numbers of updates.

    Returns:
        lower, upper [gammas, updates], critical rates on returns per step (NaN: no window), with standard errors
        lower_error, upper_error; tau_star [gammas], the critical total learning time of many small updates.
    """
    certificates = [
        [defection_certificate(GAME, gamma=g, eta=1.0, updates=m, init=spread, nodes=nodes, seed=seed) for m in updates]
        for g in gammas
    ]
    none = (np.nan, np.nan)
    edges = np.array([[found.window or none for found in row] for row in certificates])
    errors = np.array([[found.rate_scan.errors or none for found in row] for row in certificates])
    return {
        "lower": edges[..., 0],
        "upper": edges[..., 1],
        "lower_error": errors[..., 0],
        "upper_error": errors[..., 1],
        "tau_star": np.array([row[-1].tau_star or np.nan for row in certificates]),
    }


def draw_window(numbers: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> Any:
    """Both edges against the number of updates, and the lower one as a total learning time."""
    figure, ((left, right),) = style.panels(1, 2, 10.2, 4.6)
    updates = np.array(settings["updates"])
    for k, gamma in enumerate(settings["gammas"]):
        lower, upper, colour = numbers["lower"][k], numbers["upper"][k], style.CYCLE[k]
        left.plot(updates, lower, "o-", color=colour, ms=4, label=f"gamma {gamma:g}")
        left.plot(updates, upper, "o--", color=colour, ms=4)
        right.plot(updates, lower * updates, "o-", color=colour, ms=4, label=f"gamma {gamma:g}")
        right.axhline(numbers["tau_star"][k], color=colour, linestyle=":", linewidth=1.2)
    left.set(title="Defection is unstable between solid and dashed", ylabel="naive learning rate (returns per step)")
    right.set(title="Lower edge as total learning time", ylabel="rate x updates (dotted: limit tau*)", ylim=(0, None))
    for axes in (left, right):
        axes.set(xlabel="naive updates", xscale="log")
        axes.set_xticks(updates, [str(m) for m in updates], minor=False)
        axes.minorticks_off()
        style.legend_below(axes, 2)
    left.set_yscale("log")
    return figure


def phase(
    *,
    etas: Sequence[float] = (0.2, 0.5, 1.0, 2.0, 5.0),
    shares: Sequence[float] = (0.0, 0.05, 0.25, 0.5, 0.75, 0.9, 1.0),
    gamma: float = 0.99,
    updates: int = 20,
    runs: int = 8,
    steps: int = 1500,
    rate: float = 0.02,
    nodes: int = 32,
    seed: int = 0,
) -> Numbers:
    """Where random pairs end, and which fixed points exist, over naive learning rate and share of naive learners.

    Returns:
        outcomes [etas, shares, behaviours], share of pairs by behaviour (in the order of `metagame.LABELS`); defect,
        extort, cooperate [etas, shares], whether each is a fixed point (0 or 1).
    """
    meta = MetaGame(GAME, gamma=gamma, p_naive=0.5, eta=1.0, updates=updates, nodes=8 * nodes, seed=seed)
    grid: dict[str, Any] = {"p_naive": shares, "over": "eta", "values": etas}
    ends = phase_diagram(meta, **grid, runs=runs, steps=steps, rate=rate, nodes=nodes, seed=seed)
    exact = attractor_map(meta, **grid)
    there = {name: getattr(exact, name).astype(int) for name in ("defect", "extort", "cooperate")}
    return {"outcomes": np.stack([ends.share(name) for name in LABELS], axis=-1)} | there


def draw_phase(numbers: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> Any:
    """Left: a bar for the outcomes of learning in each cell; right: the set of fixed points that exist there."""
    figure, ((left, right),) = style.panels(1, 2, 12.0, 5.0, sharey=True)
    outcomes = numbers["outcomes"]
    for i, j in np.ndindex(outcomes.shape[:2]):
        begin = j - 0.47
        for name, share in zip(LABELS, outcomes[i, j], strict=True):
            left.barh(i, 0.94 * share, 0.94, begin, color=COLOURS[name], linewidth=0)
            begin += 0.94 * share
    for name in LABELS:
        left.barh(0, 0, color=COLOURS[name], label=name)
    pairs = {"defect": "D", "extort": "E", "cooperate": "C"}
    for i, j in np.ndindex(outcomes.shape[:2]):
        there = [name for name in pairs if numbers[name][i, j]]
        for k, name in enumerate(there):
            width = 0.94 / len(there)
            right.barh(i, width, 0.94, j - 0.47 + k * width, color=COLOURS[name], alpha=0.75, linewidth=0)
        text = "".join(pairs[name] for name in there)
        right.text(j, i, text, ha="center", va="center", fontsize=9, color="white", weight="bold")
    titles = ("Where random pairs end", "Which fixed points exist (D defect, E extort, C cooperate)")
    for axes, title in zip((left, right), titles, strict=True):
        axes.set_xticks(range(outcomes.shape[1]), [f"{x:g}" for x in settings["shares"]])
        axes.set_yticks(range(outcomes.shape[0]), [f"{x:g}" for x in settings["etas"]])
        axes.set(title=title, xlabel="share of naive learners")
        axes.grid(visible=False)
    left.set_ylabel("naive learning rate (returns per step)")
    style.legend_below(left, 5)
    return figure


def atlas(
    *,
    shares: Sequence[float] = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.985, 0.99, 1.0),
    gamma: float = 0.99,
    eta: float = 1.0,
    updates: int = 20,
    nodes: int = 256,
    starts: int = 2,
    seed: int = 0,
) -> Numbers:
    """The fixed points of self-play over the share of naive learners, searched at both ends and followed in between.

    Returns:
        share, stable (0 or 1), label (index into `metagame.LABELS`), self_play, versus_naive, naive_gets [points];
        policy [points, 5]; p_critical, the share above which the cooperative one is gone.
    """
    meta = MetaGame(GAME, gamma=gamma, p_naive=shares[0], eta=eta, updates=updates, nodes=nodes, seed=seed)
    found = bifurcation(meta, over="p_naive", values=shares, starts=starts)
    listed = [(x, point) for x, points in zip(found.values, found.points, strict=True) for point in points]
    earned = {
        name: np.array([getattr(point, name) for _, point in listed])
        for name in ("self_play", "versus_naive", "naive_gets", "policy")
    }
    return earned | {
        "share": np.array([x for x, _ in listed]),
        "stable": np.array([int(point.stable) for _, point in listed]),
        "label": np.array([LABELS.index(point.label) for _, point in listed]),
        "p_critical": np.array(meta.p_critical()),
    }


def draw_atlas(numbers: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> Any:
    """Self-play rewards, rewards from naive learners, and the stable policies, of all fixed points."""
    figure, ((left, middle, right),) = style.panels(1, 3, 12.6, 4.4)
    position = np.array([settings["shares"].index(x) for x in numbers["share"].tolist()])
    for k, name in enumerate(LABELS):
        for stable in (0, 1):
            chosen = (numbers["label"] == k) & (numbers["stable"] == stable)
            face, order = (COLOURS[name] if stable else "white"), 2 + stable
            for axes, what in ((left, "self_play"), (middle, "versus_naive")):
                axes.scatter(
                    position[chosen], numbers[what][chosen], s=34, facecolor=face, edgecolor=COLOURS[name], zorder=order,
                    label=name if stable and chosen.any() else None,
                )  # fmt: skip
        chosen = (numbers["label"] == k) & (numbers["stable"] == 1)
        if chosen.any():
            right.plot(
                np.arange(5) + 0.08 * (k - 1), numbers["policy"][chosen].mean(0), "D", color=COLOURS[name], ms=6,
                label=f"{name}, mean over shares",
            )  # fmt: skip
            right.vlines(
                np.arange(5) + 0.08 * (k - 1), *(f(numbers["policy"][chosen], 0) for f in (np.min, np.max)),
                color=COLOURS[name],
            )  # fmt: skip
    for axes, title in ((left, "With one another"), (middle, "With naive learners")):
        axes.set(title=title, xlabel="share of naive learners", ylabel=style.REWARD)
        axes.set_xticks(range(len(settings["shares"])), [f"{x:g}" for x in settings["shares"]], rotation=60, fontsize=8)
    style.policy_axis(right)
    right.set_title("Stable policies (bars: range)")
    style.legend_below(left, 3, drop=0.3)
    style.legend_below(right, 1)
    return figure


def portraits(
    *,
    shares: Sequence[float] = (0.0, 0.25, 0.75),
    gamma: float = 0.99,
    eta: float = 1.0,
    updates: int = 20,
    points: int = 21,
    nodes: int = 128,
    seed: int = 0,
) -> Numbers:
    """The self-play field on two planes: reactive strategies, and the one with extortion and cooperation on it.

    On the first p = (x, x, y, x, y): cooperate with probability x after the other cooperated (and at the start), y after
    it defected. On the second p = (x, 1, 0, y, 0): E-K, extortion at x = 0 and cooperation with one's own kind at x = 1.

    Returns:
        grid [points]; reactive, edge [shares, y, x, 2]: the velocities of x and y, projected at the border; cooperative
        [2], where on the second plane K is; boundary [shares], x below which learning leads away from it there.
    """
    grid = np.linspace(0, 1, points)
    x, y = np.meshgrid(grid, grid)
    zero, one = np.zeros_like(x), np.ones_like(x)
    planes = {
        "reactive": (np.stack([x, x, y, x, y], -1), ([0, 1, 3], [2, 4])),
        "edge": (np.stack([x, one, zero, y, zero], -1), ([0], [3])),
    }
    pools = [MetaGame(GAME, gamma=gamma, p_naive=x, eta=eta, updates=updates, nodes=nodes, seed=seed) for x in shares]
    found: Numbers = {"grid": grid}
    for name, (p, states) in planes.items():
        fields = []
        for pool in pools:
            F = pool.field(p, p)
            fields.append(project(np.stack([x, y], -1), np.stack([F[..., s].mean(-1) for s in states], -1)))
        found[name] = np.array(fields)
    kind = pools[0].cooperation()  # the same for every share
    found["cooperative"] = kind.policy[[0, 3]]
    found["boundary"] = np.array([kind.basin_boundary(pool.share) for pool in pools])
    return found


def draw_portraits(numbers: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> Any:
    """Streamlines of both fields, one column a share; colour: speed."""
    shares, grid = settings["shares"], numbers["grid"]
    figure, axes = style.panels(2, len(shares), 4.1 * len(shares), 8.2, sharex=True, sharey=True)
    titles = {"reactive": "after the other defected", "edge": "after (D, C)"}
    below = {"reactive": "after the other cooperated", "edge": "at the start"}
    planes, images = {"reactive": "Reactive strategies", "edge": "Extortion to cooperation"}, []
    for row, name in zip(axes, titles, strict=True):
        for k, (panel, field) in enumerate(zip(row, numbers[name], strict=True)):
            speed = np.log10(np.linalg.norm(field, axis=-1) + 1e-9)
            images.append(
                panel.contourf(grid, grid, speed, np.linspace(-4, 1, 11), cmap="cividis", alpha=0.6, extend="both")
            )
            panel.streamplot(grid, grid, field[..., 0], field[..., 1], color=style.INK, linewidth=0.8, density=0.9)
            panel.set(
                title=f"{planes[name]}, share {shares[k]:g}",
                xlim=(0, 1),
                ylim=(0, 1),
                xlabel=f"cooperates {below[name]}",
            )
            panel.grid(visible=False)
            if name == "edge":
                x, y = numbers["cooperative"]
                marks = {"marker": "*", "s": 190, "facecolor": style.GREEN, "edgecolor": "white", "zorder": 5}
                panel.scatter(x, y, clip_on=False, **marks)
                if 0 < numbers["boundary"][k] < 1:
                    panel.scatter(
                        numbers["boundary"][k], y, marker="X", s=90, facecolor=style.ORANGE, edgecolor="white", zorder=5
                    )
        row[0].set_ylabel(f"cooperates {titles[name]}")
    figure.colorbar(images[0], ax=axes, shrink=0.5, label="log10 of the speed (gradient per step)")
    return figure
