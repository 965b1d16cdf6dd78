"""What noise does to the thresholds: the window of learning rates, the shares that matter, what K earns."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lapg_theory.certificate import defection_certificate
from lapg_theory.figures import style
from lapg_theory.game import prisoners_dilemma
from lapg_theory.metagame import MetaGame

Numbers = dict[str, np.ndarray]
GAME = prisoners_dilemma()


def noise(
    *,
    errors: Sequence[float] = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3),
    gamma: float = 0.99,
    eta: float = 1.0,
    updates: int = 20,
    nodes: int = 1024,
    seed: int = 0,
) -> Numbers:
    """Thresholds and what becomes of cooperation as actions slip (first row) or are mistaken (second row) more often.

    Returns:
        lower, upper, tau_star [kind of error, errors], the window of naive learning rates and the critical learning time (NaN:
        none), with the standard error lower_error; leave [kind, errors], the share from which on defection is left at the rate
        eta (NaN: none); forgive, gone [kind, errors], the shares between which K is a fixed point; kept [kind, errors], what K
        earns per step with its kind.
    """
    rows: dict[str, list[Any]] = {}
    for kind in ("execution", "perception"):
        for error in errors:
            game = GAME.noisy(**{kind: error})
            for name, value in _thresholds(game, gamma, eta, updates, nodes, seed).items():
                rows.setdefault(name, []).append(value)
    return {name: np.array(values, float).reshape(2, -1) for name, values in rows.items()}


def _thresholds(game: Any, gamma: float, eta: float, updates: int, nodes: int, seed: int) -> dict[str, float]:
    found = defection_certificate(game, gamma=gamma, eta=eta, updates=updates, nodes=nodes, seed=seed)
    meta = MetaGame(game, gamma=gamma, eta=eta, updates=updates, p_naive=0.9, nodes=nodes, seed=seed)
    lower, upper = found.window or (np.nan, np.nan)
    K = meta.cooperation().policy
    return {
        "lower": lower,
        "upper": upper,
        "lower_error": found.rate_scan.errors[0] if found.rate_scan.errors else np.nan,
        "tau_star": np.nan if found.tau_star is None else found.tau_star,
        "leave": np.nan if found.local.p_critical is None else found.local.p_critical,
        "forgive": meta.forgiving_below(),
        "gone": meta.p_critical(),
        "kept": float(meta.earnings(K)["self_play"]),
    }


def draw_noise(numbers: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> Any:
    """The window, the shares and the rewards against the chance of an error."""
    figure, ((left, middle, right),) = style.panels(1, 3, 12.6, 4.4)
    errors = np.array(settings["errors"])
    for k, (kind, line) in enumerate((("execution", "-"), ("perception", style.DASHED))):
        for name, colour in (("upper", style.ORANGE), ("lower", style.BLUE)):
            left.plot(errors, numbers[name][k], "o", linestyle=line, color=colour, ms=3.5, label=f"{name} edge, {kind}")
        shown = (("gone", "K gone above", style.GREEN), ("forgive", "K forgives below", style.SKY))
        for name, label, colour in (*shown, ("leave", "defection left above", style.ORANGE)):
            middle.plot(errors, numbers[name][k], "o", linestyle=line, color=colour, ms=3.5, label=f"{label}, {kind}")
    left.set(
        title="Rates at which the DC component is positive",
        ylabel="naive learning rate (returns per step)",
        yscale="log",
    )
    middle.set(title="Shares of naive learners", ylabel="share", ylim=(-0.03, 1.03))
    for k, (kind, line) in enumerate((("execution", "-"), ("perception", style.DASHED))):
        right.plot(errors, numbers["kept"][k], "o", linestyle=line, color=style.GREEN, ms=3.5, label=f"K, {kind}")
    right.set(title="K among its kind", ylabel=style.REWARD, ylim=(-0.03, 1.03))
    for axes in (left, middle, right):
        axes.set(xlabel="chance of an error", xscale="log")
        style.legend_below(axes, 2)
    return figure
