"""Sections of a report on another game than the iterated prisoner's dilemma: what its environment measures.

In a repeated game also what the agents do after what, and what they earn from whom.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lapg_rl.config import Config, tables
from lapg_rl.config.payoffs import spelled
from lapg_rl.reports import figures, sections
from lapg_rl.reports.figures import Groups, draw, evaluated
from lapg_rl.reports.html import figure, number
from lapg_rl.study.records import Prediction
from lapg_rl.study.results import LAST

READING = f"Means over the last {LAST} updates and over seeds, per step."
#: In the names of metrics that say what an agent gets or does.
VERSUS = "_vs_"


def lead(cfg: Config) -> str:
    """What was played, in two sentences."""
    title = cfg.game.title
    return (
        f"{title[0].upper()}{title[1:]}{_payoffs(cfg)}, in {cfg.inner_episodes} inner episodes of {cfg.steps} steps and "
        f"{cfg.batch} parallel games with "
        f"{'one co-player' if cfg.game.players == 2 else f'{cfg.game.players - 1} co-players'}. "
        f"Naive co-players learn after each inner episode; the agents ({cfg.model.kind}) are trained on all."
    )


def _payoffs(cfg: Config) -> str:
    """What the actions of a matrix game are called, and its payoffs, as far as the title does not say."""
    if cfg.game.name not in tables.ZOO:
        return ""
    actions = ", ".join(f"{n} {action}" for n, action in enumerate(tables.ZOO[cfg.game.name].actions))
    assert cfg.game.repeated is not None
    return f" (actions: {actions}; payoffs {spelled(cfg.game.repeated)})"


def shown(results: Sequence[Any]) -> list[str]:
    """The metrics that the game's own figures show: rewards first, then what the environment measures."""
    names = [name for name in results[0].metrics if VERSUS in name and all(name in r.last for r in results)]
    rewards = [name for name in names if name.startswith("reward")]
    return rewards + sorted(name for name in names if name not in rewards)


def card(name: str, results: Sequence[Any]) -> str:
    """The headline of one estimator."""
    rows = "".join(
        f"<dt>{metric.replace('_', ' ')}</dt><dd>{number(np.mean([r.last[metric] for r in results]), 3)}</dd>"
        for metric in shown(results)
    )
    return (
        f'<div class="card" style="--colour: {figures.colour(name)}"><div class="name">{figures.label(name)}</div>'
        f"<dl>{rows}</dl></div>"
    )


def curves(groups: Groups) -> Any:
    """Rewards and measures while the agents train, one panel each."""
    names = shown([r for results in groups.values() for r in results])
    columns = 4 if len(names) > 6 else 3
    rows = -(-len(names) // columns)
    drawing, axes = figures.panels(rows, columns, 3.1 * columns, 2.5 * rows + 0.4)
    for panel, name in zip(axes.flat, names, strict=False):
        figures.training_curve(panel, groups, name, None)
        panel.set_title(name.replace("_", " "), fontsize=9.5)
    for panel in axes.flat[len(names) :]:
        panel.set_visible(False)
    figures.shared_legend(drawing, axes[0, 0], 4)
    return drawing


def training(groups: Groups, prediction: Prediction | None) -> str:
    """Learning curves of rewards and of every measure."""
    del prediction
    caption = "Per step, in the meta-episodes that the agents learn from; mean and range over seeds."
    return "<h2>Training</h2>" + figure(draw(curves, groups), caption)


def _course(groups: Groups) -> Any:
    sides = lambda results: [m for r in results for m in r.evaluation.matches if m.opponent == "naive"]  # noqa: E731
    names = ["reward", *sides(next(iter(groups.values())))[0].own.measures]
    drawing, axes = figures.panels(
        len(names), len(groups), 0.8 + 2.9 * max(len(groups), 2), 2.0 * len(names), sharey="row"
    )
    for column, (estimator, results) in enumerate(groups.items()):
        for panel, name in zip(axes[:, column], names, strict=True):
            curve = lambda side, n=name: side.reward_curve if n == "reward" else side.measures[n]  # noqa: E731
            matches = sides(results)
            figures.both_players(panel, [curve(m.own) for m in matches], [curve(m.other) for m in matches], estimator)
            panel.set_ylabel(name if column == 0 else "")
        axes[0, column].set_title(figures.label(estimator))
    figures.shared_legend(drawing, axes[0, 0], 2)
    return drawing


def course(groups: Groups, prediction: Prediction | None) -> str:
    """What both players do within a meta-episode after training."""
    del prediction
    groups = evaluated(groups)
    if not groups:
        return '<p class="note">No run is evaluated yet: <code>lapg evaluate RUN</code>.</p>'
    caption = f"Per step, the trained agents against {figures.naive_met(groups)}, by inner episode. Mean and range over seeds."
    return "<h2>Within a meta-episode</h2>" + figure(draw(_course, groups), caption)


def signature(groups: Groups, prediction: Prediction | None) -> str:
    """What agents do after what, in a 2x2 game."""
    groups = evaluated(groups)
    if not groups or not all(m.own.signature for rs in groups.values() for r in rs for m in r.evaluation.matches):  # type: ignore
        return ""
    in_groups = next(iter(groups.values()))[0].config.game.players > 2
    also = "; C2: own C, and two others cooperated" if in_groups else ""
    caption = (
        "How often an agent takes action 0 against naive learners in the first step of an inner episode, and after each joint "
        f"action (its own first{also}). Whiskers: range over seeds; faint bars: states that make up less than 2 % of its steps."
    )
    return "<h2>What the agents learnt to do</h2>" + figure(draw(figures.signature, groups, prediction), caption)


def pools(groups: Groups, prediction: Prediction | None) -> str:
    """Who earns how much from whom, in a game by its payoffs."""
    repeated = next(iter(groups.values()))[0].config.game.repeated
    return sections.pools(groups, prediction) if repeated else ""


SECTIONS = (training, pools, course, signature, sections.strategies, sections.runs)
