"""Figures of the textbook, made when the documentation is built."""

import numpy as np
from matplotlib.figure import Figure

import lapg_theory as lt
from lapg_theory.game import look
from lapg_theory.learning import LolaDice, Naive


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


FIGURES = {"lola": lola}
