"""Figures 3A and 8: agents among naive learners come to extort them, and how near that is to zero determinants."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lapg_theory.figures import style
from lapg_theory.figures.training import starts, train, versus_naive
from lapg_theory.game import Discounted, prisoners_dilemma
from lapg_theory.learning import sobol_logits
from lapg_theory.shaping.optimum import train_shaper
from lapg_theory.zd import extortion_fit, fit

Numbers = dict[str, np.ndarray]
GAME = prisoners_dilemma()


@functools.lru_cache(maxsize=4)
def _train(
    start: str, gamma: float, eta: float, updates: int, seeds: int, steps: int, every: int, batch: int, rate: float,
    nodes: int, seed: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Steps, rewards of agents and of naive learners [2, records, seeds], policies at the end [seeds, 5]."""
    pool = {"gamma": gamma, "eta": eta, "updates": updates}
    budget = {"steps": steps, "every": every, "batch": batch, "rate": rate, "seed": seed}
    times, course, _ = train(GAME, starts(start, seeds, 1, seed), share=1.0, **pool, **budget)
    return times, versus_naive(GAME, course, nodes=nodes, **pool), course[-1, :, 0]


def extortion(
    *,
    gamma: float = 0.99,
    eta: float = 2.0,
    outside: Sequence[float] = (0.2, 100.0),
    updates: int = 20,
    seeds: int = 32,
    steps: int = 2500,
    every: int = 100,
    batch: int = 16,
    rate: float = 0.005,
    nodes: int = 64,
    seed: int = 0,
) -> Numbers:
    """Learning-aware agents train against naive learners only, from random policies and from defection.

    Returns:
        times [records]; for each group (random start, defection, defection at each learning rate `outside`): agent and
        naive [groups, records, seeds], rewards per step over the naive learner's course; policies [groups, seeds, 5] at
        the end; best_policy [5] and best_value, the exact optimum for these learners; defection_value [groups], what
        unconditional defection earns.
    """
    budget = {"seeds": seeds, "steps": steps, "every": every, "batch": batch, "rate": rate, "nodes": nodes}
    groups = [("random", eta), ("alld", eta), *(("alld", x) for x in outside)]
    found = [_train(start, gamma, x, updates, **budget, seed=seed) for start, x in groups]
    defectors = np.zeros((1, 1, 1, 5))
    best = train_shaper(GAME, Discounted(gamma), eta=eta, updates=updates, learners=sobol_logits(nodes))
    return {
        "times": found[0][0],
        "agent": np.array([rewards[0] for _, rewards, _ in found]),
        "naive": np.array([rewards[1] for _, rewards, _ in found]),
        "policies": np.array([policies for *_, policies in found]),
        "best_policy": best.policy,
        "best_value": np.array(best.value),
        "defection_value": np.array(
            [
                versus_naive(GAME, defectors, gamma=gamma, eta=x, updates=updates, nodes=nodes)[0, 0, 0]
                for _, x in groups
            ]
        ),
    }


def draw_extortion(numbers: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> Any:
    """Rewards inside and outside the window of learning rates, and the policies reached."""
    figure, ((left, middle, right),) = style.panels(1, 3, 12.6, 4.3)
    times, agent, naive = (numbers[name] for name in ("times", "agent", "naive"))
    for k, (start, colour) in enumerate((("random", style.BLUE), ("defection", style.ORANGE))):
        style.band(left, times, agent[k], colour, f"agent, from {start}")
        style.band(left, times, naive[k], colour, f"naive learner ({start})", style.DASHED)
    left.axhline(numbers["best_value"], color=style.INK, linewidth=1, linestyle=":", label="best memory-one policy")
    left.set(title=f"Inside the window (rate {settings['eta']:g})", xlabel="training steps", ylabel=style.REWARD)
    rates = (settings["eta"], *settings["outside"])
    for k, (x, colour) in enumerate(zip(rates, (style.ORANGE, style.GREEN, style.PINK, style.AMBER), strict=False)):
        gain = agent[k + 1] - numbers["defection_value"][k + 1]
        style.band(middle, times, gain, colour, f"naive learning rate {x:g}")
    middle.set(title="From defection, by rate", xlabel="training steps", ylabel="reward per step above defection's")
    for k, colour in enumerate((style.BLUE, style.ORANGE)):
        style.policy_dots(right, numbers["policies"][k], colour, ("from random", "from defection")[k], (k - 0.5) / 3)
    right.plot(range(5), numbers["best_policy"], "D", mfc="none", mec=style.INK, ms=8, label="best memory-one policy")
    right.set_title("Policies at the end")
    for axes in (left, middle, right):
        style.legend_below(axes)
    return figure


def zero_determinant(
    *,
    gamma: float = 0.99,
    eta: float = 2.0,
    updates: int = 20,
    seeds: int = 32,
    steps: int = 2500,
    every: int = 100,
    batch: int = 16,
    rate: float = 0.005,
    nodes: int = 64,
    seed: int = 0,
    random_policies: int = 2000,
    optima: Sequence[tuple[float | int, int]] = ((1, 20), (2, 20), (5, 20), (10, 20), (20, 20), (50, 20), (10, 100)),
) -> Numbers:
    """Distance from zero-determinant strategies: of learned extortion policies, random ones, and exact optima.

    Two measures: `line`, the distance to all strategies that enforce a line (`zd.fit`), and `family`, the squared
    distance to the two-parameter extortion family (`zd.extortion_fit`, the published measure).

    Returns:
        learned_line, learned_family, learned_chi [start, seeds] (random, defection); random_line, random_family
        [random_policies]; optima_policy [n, 5], optima_line, optima_family, optima_chi, optima_tau [n] for the (learning
        rate, updates) in `optima`.
    """
    budget = {"seeds": seeds, "steps": steps, "every": every, "batch": batch, "rate": rate, "nodes": nodes}
    learned = np.array([_train(s, gamma, eta, updates, **budget, seed=seed)[2] for s in ("random", "alld")])
    others = np.random.default_rng(seed).uniform(size=(random_policies, 5))
    best = np.array(
        [
            train_shaper(GAME, Discounted(gamma), eta=x, updates=m, learners=sobol_logits(nodes)).policy
            for x, m in optima
        ]
    )
    numbers = {"optima_policy": best, "optima_tau": np.array([x * m for x, m in optima])}
    for name, policies in (("learned", learned), ("random", others), ("optima", best)):
        flat = policies.reshape(-1, 5)
        shape = policies.shape[:-1]
        family = [extortion_fit(GAME, p) for p in flat]
        numbers[f"{name}_line"] = np.reshape([fit(GAME, p, gamma).residual for p in flat], shape)
        numbers[f"{name}_family"] = np.reshape([found.loss for found in family], shape)
        if name != "random":
            numbers[f"{name}_chi"] = np.reshape([found.chi for found in family], shape)
    return numbers


def draw_zero_determinant(numbers: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> Any:
    """Cumulative distributions of both distances, and both against the total naive learning time."""
    figure, row = style.panels(1, 3, 12.6, 4.1)
    titles = {"family": "To the extortion family", "line": "To any enforced line"}
    for axes, (measure, title) in zip(row[0], titles.items(), strict=False):
        shown = [("random policies", numbers[f"random_{measure}"], style.SOFT)]
        for k, (start, colour) in enumerate((("random", style.BLUE), ("defection", style.ORANGE))):
            shown.append((f"learned, from {start}", numbers[f"learned_{measure}"][k], colour))
        for label, values, colour in shown:
            axes.ecdf(values, color=colour, label=label)
        unit = "squared distance" if measure == "family" else "distance"
        axes.set(title=title, xscale="log", xlabel=unit, ylabel="share of policies", xlim=(3e-3, None))
        style.legend_below(axes, 1)
    last, order = row[0, 2], np.argsort(numbers["optima_tau"])
    for measure, colour in (("family", style.GREEN), ("line", style.PINK)):
        middle = np.median(numbers[f"random_{measure}"])
        last.plot(numbers["optima_tau"][order], numbers[f"optima_{measure}"][order], "o-", color=colour, label=measure)
        last.axhline(middle, color=colour, linestyle=":", linewidth=1.2, label=f"{measure}, random policies' median")
    last.set(title="Best policy", xscale="log", yscale="log", xlabel="total naive learning time (rate x updates)")
    last.set_ylabel("distance (family: squared)")
    style.legend_below(last, 1)
    del settings
    return figure
