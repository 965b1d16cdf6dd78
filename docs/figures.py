"""Figures of the textbook, made when the documentation is built."""

import numpy as np
from matplotlib.figure import Figure

import lapg_theory as lt
from lapg_theory.game import graded_dilemma, look, rock_paper_scissors
from lapg_theory.learning import ActorCritic, LolaDice, Naive, Sarsa


def lola():
    """Mean rewards of pairs of naive learners and of LOLA, step by step; the middle half of the pairs is shaded."""
    start = tuple(np.random.default_rng(0).normal(size=(2, 32, 5)))
    rules = {
        "naive": Naive(rate=5.0),
        "LOLA, one step ahead": LolaDice(rate=5.0, inner_rate=5.0),
        "LOLA, ten steps ahead": LolaDice(rate=5.0, inner_rate=5.0, look_aheads=10),
    }
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    ax = figure.subplots()
    for name, rule in rules.items():
        path = lt.iterate(rule, lt.prisoners_dilemma(), lt.Discounted(0.95), start, 300)
        pairs = np.asarray(path.rewards).mean(axis=-1)
        (line,) = ax.plot(path.times, pairs.mean(axis=1), label=name)
        ax.fill_between(path.times, *np.quantile(pairs, (0.25, 0.75), axis=1), color=line.get_color(), alpha=0.15)
    ax.set(xlabel="step of learning", ylabel="reward per step of a pair", ylim=(-0.05, 1.05))
    ax.legend(loc="center right")
    return look.svg(figure)


def actions():
    """Naive learners of rock-paper-scissors and of the dilemma with three degrees, on the triangle."""
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    starts = [[0.7, 0.2, 0.1], [0.2, 0.2, 0.6]]
    game = rock_paper_scissors(win=2)
    lt.plot.actions(game, starts, updates=3000, names=("rock", "paper", "scissors"), ax=left)
    starts = [[0.8, 0.1, 0.1], [0.4, 0.5, 0.1], [0.9, 0.09, 0.01], [0.5, 0.25, 0.25]]
    lt.plot.actions(graded_dilemma(), starts, updates=1500, names=("cooperate", "half", "defect"), ax=right)
    return look.svg(figure)


def temporal():
    """The flow of actor-critic and of SARSA in the stag hunt; without exploration they part on the diagonal at 5/7."""
    figure = Figure(figsize=(7, 3.4), layout="constrained")
    rules = {"actor-critic": ActorCritic(), "SARSA, 1 / beta = 0.02": Sarsa(beta=50.0)}
    for ax, (name, rule) in zip(figure.subplots(1, 2), rules.items(), strict=True):
        lt.plot.flow(rule, lt.stag_hunt(0.8, 1, 0, -0.5), lt.Discounted(0.9), ax=ax)
        ax.plot(5 / 7, 5 / 7, "o", color=look.ORANGE)
        ax.set_title(name)
    return look.svg(figure)


def invasion():
    """Who breaks tit-for-tat, without errors and with one action in a hundred that slips."""
    figure = Figure(figsize=(7, 3), layout="constrained")
    for ax, slips in zip(figure.subplots(1, 2, sharey=True), (0.0, 0.01), strict=True):
        game = lt.prisoners_dilemma().noisy(execution=slips)
        lt.plot.invasion("tft", ["allc", "alld"], game=game, horizon=lt.Discounted(0.96), ax=ax)
        ax.set_title(f"actions slip with chance {slips:g}")
    return look.svg(figure)


def commons():
    """The thresholds of the ecological public good, by how fast it collapses and by how fast it recovers."""
    figure = Figure(figsize=(7, 3), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    numbers = {"n": 2, "f": 1.2, "c": 5, "m": -5}
    lt.plot.commons(over="q_c", values=np.linspace(0.02, 1, 99), q_r=0.01, ax=left, **numbers)
    lt.plot.commons(over="q_r", values=np.linspace(0, 0.2, 99), q_c=0.2, ax=right, **numbers)
    left.set_xlabel("chance to collapse when all defect")
    right.set_xlabel("chance to recover")
    return look.svg(figure)


FIGURES = {"lola": lola, "actions": actions, "temporal": temporal, "invasion": invasion, "commons": commons}
