"""Figures 4A to 4C: LOLA-DiCE with exact gradients cooperates with few look-aheads, extorts with many, and its repair."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import expit

from lapg_theory.dynamics import Trajectory, iterate
from lapg_theory.figures import style
from lapg_theory.game import Discounted, prisoners_dilemma
from lapg_theory.learning import LolaDice, naive_course

Numbers = dict[str, np.ndarray]
GAME = prisoners_dilemma()


def _train(look_aheads: int, inner_rate: float, mix: float, s: Mapping[str, Any]) -> Trajectory:
    """Pairs of LOLA-DiCE agents from N(0, 1) logits, by AdamW."""
    rule = LolaDice(rate=s["rate"], inner_rate=inner_rate, look_aheads=look_aheads, mix=mix)
    joint = np.random.default_rng(s["seed"]).standard_normal((2, s["seeds"], 5))
    horizon = Discounted(s["gamma"])
    return iterate(rule, GAME, horizon, tuple(joint), s["steps"], optimizer="adamw", record_every=s["every"])


def look_aheads(
    *,
    look_aheads: Sequence[int] = (1, 2, 3, 10, 20),
    inner_rates: Sequence[float] = (10.0, 5.0, 5.0, 5.0, 5.0),
    mixes: Sequence[float] = (1.0, 1.0, 1.0, 1.0, 1.0),
    gamma: float = 0.95,
    seeds: int = 64,
    steps: int = 4000,
    every: int = 200,
    rate: float = 0.005,
    seed: int = 0,
) -> Numbers:
    """Pairs of LOLA-DiCE agents by number of look-aheads; `mixes` are weights of its gradient against the partial one.

    Returns:
        times [records]; reward [look-aheads, records, seeds], the first agent's per step.
    """
    s = locals()
    runs = [_train(n, inner, mix, s) for n, inner, mix in zip(look_aheads, inner_rates, mixes, strict=True)]
    return {"times": runs[0].times, "reward": np.array([run.rewards[..., 0] for run in runs])}


def draw_look_aheads(numbers: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> Any:
    """Mean reward of the first agent over the training, with standard errors."""
    figure, ((axes,),) = style.panels(1, 1, 7.2, 4.6)
    for k, (count, mix) in enumerate(zip(settings["look_aheads"], settings["mixes"], strict=True)):
        curves, colour = numbers["reward"][k], style.CYCLE[k]
        mean, error = curves.mean(1), curves.std(1, ddof=1) / np.sqrt(curves.shape[1])
        label = f"{count} look-ahead{'s' * (count > 1)}" + (f", mix {mix:g}" if mix != 1 else "")
        axes.plot(numbers["times"], mean, color=colour, label=label)
        axes.fill_between(numbers["times"], mean - error, mean + error, color=colour, alpha=0.18, linewidth=0)
    mixed = any(mix != 1 for mix in settings["mixes"])
    title = "LOLA-DiCE mixed with the partial gradient" if mixed else "LOLA-DiCE"
    axes.set(title=title, xlabel="training steps", ylabel="first agent's " + style.REWARD)
    style.legend_below(axes, 3)
    return figure


def fixed_look_ahead(
    *,
    look_aheads: int = 20,
    inner_rate: float = 5.0,
    updates: int = 100,
    gamma: float = 0.95,
    seeds: int = 64,
    steps: int = 2000,
    every: int = 200,
    rate: float = 0.005,
    seed: int = 0,
) -> Numbers:
    """A fresh naive learner, N(0, 1) logits, against each first agent that LOLA-DiCE with many look-aheads ends with.

    The learner's rate is that of the look-aheads, `inner_rate`.

    Returns:
        agent, naive [updates + 1, seeds], rewards per step before every update; policies [seeds, 5] of the agents.
    """
    s = locals()
    policies, horizon = expit(_train(look_aheads, inner_rate, 1.0, s).row[-1]), Discounted(gamma)
    fresh = np.random.default_rng(seed + 1).standard_normal((seeds, 5))
    _, agent, naive = naive_course(GAME, horizon, policies, fresh, inner_rate, updates)
    return {"agent": agent.T / horizon.weight, "naive": naive.T / horizon.weight, "policies": policies}


def draw_fixed_look_ahead(numbers: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> Any:
    """Rewards of both over the naive learner's updates, and the agents' policies."""
    figure, ((left, right),) = style.panels(1, 2, 9.4, 4.3)
    updates = np.arange(len(numbers["agent"]))
    style.band(left, updates, numbers["agent"], style.ORANGE, f"fixed LOLA-DiCE, {settings['look_aheads']} look-aheads")
    style.band(left, updates, numbers["naive"], style.SKY, "naive learner", style.DASHED)
    left.set(title="A fresh naive learner", xlabel="naive updates", ylabel=style.REWARD)
    style.policy_dots(right, numbers["policies"], style.ORANGE, None)
    right.set_title("Policies of the fixed agents")
    style.legend_below(left)
    return figure
