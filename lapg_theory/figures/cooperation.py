"""Figures 3B, 3C, 9 and 10: extortioners that meet come to cooperate, and so do agents in mixed pools, conditionally."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import expit, logit

from lapg_theory.figures import style
from lapg_theory.figures.training import self_play, starts, train, versus_naive
from lapg_theory.game import ALLD, NAMED, STATES, TFT, Discounted, prisoners_dilemma
from lapg_theory.learning import naive_course, sobol_logits
from lapg_theory.metagame import MetaGame, project

Numbers = dict[str, np.ndarray]
GAME = prisoners_dilemma()


def extortioners_meet(
    *,
    gammas: Sequence[float] = (0.9, 0.99, 0.999),
    eta: float = 2.0,
    phases: Sequence[int] = (1000, 3000),
    updates: int = 20,
    seeds: int = 32,
    steps: int = 6000,
    every: int = 200,
    batch: int = 16,
    rate: float = 0.005,
    nodes: int = 64,
    seed: int = 0,
) -> Numbers:
    """Pairs of agents train against naive learners only for a phase, then against each other only.

    Random starts. With the second phase the optimiser goes on with its averages, or starts afresh.

    Returns:
        times [records] of the second phase; reward [optimiser, phases, gammas, records, seeds], self-play per step in
        it (optimiser 0: goes on, 1: afresh); policies [optimiser, phases, gammas, records, 5], mean over seeds and agents;
        before [phases, gammas, seeds], what the first agents earned from naive learners at the end of the first phase;
        start_policies [phases, gammas, seeds, 5], theirs then.

    Raises:
        ValueError: unless `every` divides every phase, and phases come in rising order.
    """
    if any(phase % every for phase in phases) or list(phases) != sorted(phases):
        raise ValueError(f"phases must be multiples of every = {every} in rising order, got {tuple(phases)}")
    gamma, stretch = np.repeat(gammas, seeds), int(np.gcd.reduce(phases))
    budget = {"gamma": gamma, "eta": eta, "updates": updates, "every": every, "batch": batch, "rate": rate}
    theta, state, met, done = np.tile(starts("random", seeds, 2, seed), (len(gammas), 1, 1)), None, {}, 0
    while done < max(phases):
        _, course, state = train(GAME, theta, share=1.0, steps=stretch, seed=seed + done, state=state, **budget)
        done, theta = done + stretch, logit(course[-1])
        met[done] = theta, state
    found = [
        [train(GAME, met[x][0], share=0.0, steps=steps, seed=seed, state=kept, **budget) for x, kept in origins]
        for origins in ([(x, met[x][1]) for x in phases], [(x, None) for x in phases])
    ]
    by_gamma = (len(gammas), seeds)
    courses = np.array([[course for _, course, _ in row] for row in found])
    reward = np.array([[self_play(GAME, course, gamma).reshape(-1, *by_gamma) for course in row] for row in courses])
    begin = expit(np.array([met[x][0] for x in phases]))
    before = versus_naive(GAME, begin, gamma=gamma, eta=eta, updates=updates, nodes=nodes)[0]
    return {
        "times": found[0][0][0],
        "reward": np.moveaxis(reward, 2, 3),
        "policies": np.moveaxis(courses.reshape(*reward.shape[:4], 2 * seeds, 5).mean(4), 2, 3),
        "before": before.reshape(-1, *by_gamma),
        "start_policies": begin[:, :, 0].reshape(-1, *by_gamma, 5),
    }


def draw_extortioners_meet(numbers: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> Any:
    """Self-play rewards by discount, after a short and a long first phase, with a kept and with a fresh optimiser."""
    phases = settings["phases"]
    figure, axes = style.panels(2, len(phases) + 1, 4.2 * (len(phases) + 1), 7.2, sharex=True)
    middle = len(settings["gammas"]) // 2
    for row, optimiser, reward, policies in zip(
        axes, ("kept", "afresh"), numbers["reward"], numbers["policies"], strict=True
    ):
        for k, phase in enumerate(phases):
            for g, gamma in enumerate(settings["gammas"]):
                style.band(row[k], numbers["times"], reward[k, g], style.CYCLE[g], f"gamma {gamma:g}")
            row[k].set(title=f"After {phase} steps against naive, optimiser {optimiser}", ylim=(-0.05, 1.05))
            row[k].set_ylabel("self-play " + style.REWARD)
        for state, name in enumerate(STATES):
            path = policies[0, middle][:, state]
            row[-1].plot(numbers["times"], path, color=style.CYCLE[state], label=f"after {name}" if state else "start")
        row[-1].set(title=f"Policies (gamma {settings['gammas'][middle]:g}, first panel)", ylim=(-0.04, 1.04))
        row[-1].set_ylabel("probability of cooperating, mean")
    for panel in axes[-1]:
        panel.set_xlabel("training steps against each other")
        style.legend_below(panel, 3)
    return figure


def _pools(start: str, shares: Sequence[float], s: Mapping[str, Any]) -> Numbers:
    """Pairs of agents in pools with the effective `shares` of naive learners, all from the same `start`."""
    setting = {name: s[name] for name in ("gamma", "eta", "updates")}
    budget = {name: s[name] for name in ("steps", "every", "batch", "rate", "seed")}
    seeds = s["seeds"]
    begin = starts(start, seeds, 2, s["seed"])
    found: dict[float, np.ndarray] = {}
    times = np.empty(0)
    for alone in (True, False):  # without naive learners there is nothing to shape, which saves most of the work
        chosen = [x for x in shares if (x == 0) == alone]
        if chosen:
            many = np.tile(begin, (len(chosen), 1, 1))
            times, course, _ = train(GAME, many, share=np.repeat(chosen, seeds), **setting, **budget)
            found |= zip(chosen, np.split(course, len(chosen), axis=1), strict=True)
    ordered = [found[x] for x in shares]
    both = [versus_naive(GAME, course, nodes=s["nodes"], **setting) for course in ordered]
    return {
        "times": times,
        "reward": np.array([self_play(GAME, course, s["gamma"]) for course in ordered]),
        "versus_naive": np.array([rewards[0] for rewards in both]),
        "naive": np.array([rewards[1] for rewards in both]),
        "policies": np.array([course.mean((1, 2)) for course in ordered]),
        "end_policies": np.array([course[-1, :, 0] for course in ordered]),
    }


def _fields(policy: Any, s: Mapping[str, Any], shares: Sequence[float], etas: Sequence[float]) -> np.ndarray:
    """The projected gradient per step where both agents play `policy`, in probabilities, [etas, shares, 5]."""
    p = np.asarray(policy, dtype=float)
    pools = [[MetaGame(GAME, gamma=s["gamma"], p_naive=x, eta=e, updates=s["updates"]) for x in shares] for e in etas]
    return np.array([[project(p, pool.field(p, p)) for pool in row] for row in pools])


def mixed_pool(
    *,
    shares: Sequence[float] = (0.0, 0.25, 0.875),
    gamma: float = 0.99,
    eta: float = 2.0,
    updates: int = 20,
    seeds: int = 32,
    steps: int = 4000,
    every: int = 100,
    batch: int = 16,
    rate: float = 0.005,
    nodes: int = 64,
    seed: int = 0,
) -> Numbers:
    """Pairs of agents from random policies in a pool with a share of naive learners, for several shares.

    Returns:
        times [records]; reward, versus_naive, naive [shares, records, seeds], per step: self-play, the first agent's
        from naive learners, theirs; policies [shares, records, 5], mean over seeds and agents; end_policies [shares,
        seeds, 5], first agents.
    """
    return _pools("random", shares, locals())


def from_defection(
    *,
    shares: Sequence[float] = (0.0, 0.05, 0.25),
    etas: Sequence[float] = (0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 20.0, 100.0),
    gamma: float = 0.99,
    eta: float = 2.0,
    updates: int = 20,
    seeds: int = 32,
    steps: int = 3000,
    every: int = 100,
    batch: int = 16,
    rate: float = 0.005,
    nodes: int = 64,
    seed: int = 0,
) -> Numbers:
    """As `mixed_pool`, from unconditional defection (0.01 away).

    Returns:
        as `mixed_pool`, and gradient [etas, shares, 5], the projected gradient at mutual unconditional defection.
    """
    s = locals()
    return _pools("alld", shares, s) | {"gradient": _fields(ALLD, s, shares, etas)}


def from_tit_for_tat(
    *,
    shares: Sequence[float] = (0.25, 0.75),
    gamma: float = 0.99,
    eta: float = 2.0,
    updates: int = 20,
    seeds: int = 32,
    steps: int = 3600,
    every: int = 100,
    batch: int = 16,
    rate: float = 0.005,
    nodes: int = 64,
    seed: int = 0,
) -> Numbers:
    """As `mixed_pool`, from tit-for-tat (0.01 away).

    Returns:
        as `mixed_pool`; gradient [1, shares, 5], the projected gradient at mutual tit-for-tat; course [2, updates + 1]:
        reward per step in each inner episode against naive learners, of tit-for-tat and of the last share's agents.
    """
    s = locals()
    found = _pools("tft", shares, s) | {"gradient": _fields(TFT, s, shares, [eta])}
    ends, learners, horizon = found["end_policies"][-1], sobol_logits(nodes), Discounted(gamma)
    courses = [
        naive_course(GAME, horizon, np.reshape(p, (-1, 1, 5)), learners, eta, updates)[1].mean((0, 1)) / horizon.weight
        for p in (NAMED["tft"], ends)
    ]
    return found | {"course": np.array(courses)}


def _reward_panel(axes: Any, numbers: Mapping[str, np.ndarray], shares: Sequence[float]) -> None:
    for k, share in enumerate(shares):
        style.band(axes, numbers["times"], numbers["reward"][k], style.CYCLE[k], f"share {share:g}")
    axes.set(title="With one another", xlabel="training steps", ylabel=style.REWARD)


def _naive_panel(axes: Any, numbers: Mapping[str, np.ndarray], shares: Sequence[float]) -> None:
    for k, share in enumerate(shares):
        style.band(axes, numbers["times"], numbers["versus_naive"][k], style.CYCLE[k], f"agent, share {share:g}")
        style.band(axes, numbers["times"], numbers["naive"][k], style.CYCLE[k], "naive learner", style.DASHED)
    axes.set(title="With naive learners", xlabel="training steps", ylabel=style.REWARD)


def _policy_panel(axes: Any, numbers: Mapping[str, np.ndarray], shares: Sequence[float], k: int) -> None:
    for state, name in enumerate(STATES):
        path = numbers["policies"][k][:, state]
        axes.plot(numbers["times"], path, color=style.CYCLE[state], label=f"after {name}" if state else "start")
    axes.set(title=f"Policies at share {shares[k]:g}", xlabel="training steps", ylim=(-0.04, 1.04))
    axes.set_ylabel("probability of cooperating, mean")


def draw_mixed_pool(numbers: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> Any:
    """Rewards with one another and with naive learners, and policies at the middle share."""
    figure, (row,) = style.panels(1, 3, 12.6, 4.4)
    shares = settings["shares"]
    _reward_panel(row[0], numbers, shares)
    _naive_panel(row[1], numbers, shares)
    _policy_panel(row[2], numbers, shares, len(shares) // 2)
    for axes in row:
        style.legend_below(axes)
    return figure


def draw_from_defection(numbers: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> Any:
    """Rewards, policies at the middle share, and the gradient at defection against the naive learning rate."""
    figure, (row,) = style.panels(1, 4, 15.6, 4.4)
    shares, etas = settings["shares"], settings["etas"]
    _reward_panel(row[0], numbers, shares)
    _naive_panel(row[1], numbers, shares)
    _policy_panel(row[2], numbers, shares, len(shares) // 2)
    for state in (0, 3, 4):
        slopes = numbers["gradient"][:, -1, state]
        row[3].plot(
            etas, slopes, "o-", ms=4, color=style.CYCLE[state], label=f"after {STATES[state]}" if state else "start"
        )
    row[3].set(title="Projected gradient at defection", xscale="log", xlabel="naive learning rate")
    row[3].set_ylabel(f"gradient per step, share {shares[-1]:g}")
    for axes in row:
        style.legend_below(axes)
    return figure


def draw_from_tit_for_tat(numbers: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> Any:
    """Rewards, policies at the last share, and rewards over a naive learner's course."""
    figure, (row,) = style.panels(1, 3, 12.6, 4.4)
    shares = settings["shares"]
    _reward_panel(row[0], numbers, shares)
    row[0].set_ylim(-0.05, 1.05)
    _policy_panel(row[1], numbers, shares, len(shares) - 1)
    for curve, colour, label in zip(
        numbers["course"], (style.SOFT, style.BLUE), ("tit-for-tat", f"agents, share {shares[-1]:g}"), strict=True
    ):
        row[2].plot(range(len(curve)), curve, color=colour, label=label)
    row[2].set(title="Against a learning naive learner", xlabel="naive updates", ylabel=style.REWARD)
    for axes in row:
        style.legend_below(axes)
    return figure
