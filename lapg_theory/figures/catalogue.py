"""The figures by name: what computes the numbers of each, what draws them, and what its caption says of the settings."""

import dataclasses
import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lapg_theory.figures import cooperation, extortion, groups, look_ahead, maps, noise, style

TRAINED = (
    "(T, R, P, S) = (2, 1, 0, -1); {updates} naive updates on returns per step from N(0, 1) logits; {seeds} seeds; "
    "AdamW {rate:g}, {batch} fresh naive learners a step."
)
POOL = "gamma {gamma:g}, naive learning rate {eta:g}. " + TRAINED + " Median and quartiles."
LOLA = "(T, R, P, S) = (2, 1, 0, -1), gamma {gamma:g}; exact gradients of returns per step;\n{seeds} seeds; AdamW {rate:g}. "
EXACT = "(T, R, P, S) = (2, 1, 0, -1); "

#: Four times the rate in a quarter of the steps, on few seeds: the same picture, coarser, in seconds.
QUICK = {"seeds": 4, "rate": 0.02, "batch": 8, "nodes": 32, "every": 50}


@dataclasses.dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes:
        title: what it shows, in a line.
        numbers: computes its numbers; the defaults of its keyword arguments are the figure's settings.
        draw: draws them: (numbers, settings) to a matplotlib figure.
        caption: template of the small print, filled from the settings.
        quick: settings that differ in a quick version.
        raster: whether it is saved as PNG rather than SVG.
    """

    title: str
    numbers: Callable[..., dict[str, np.ndarray]]
    draw: Callable[[Mapping[str, np.ndarray], Mapping[str, Any]], Any]
    caption: str
    quick: Mapping[str, Any]
    raster: bool = False
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def settings(self, quick: bool = False) -> dict[str, Any]:
        """The settings it is computed with."""
        defaults = {name: p.default for name, p in inspect.signature(self.numbers).parameters.items()}
        return defaults | dict(self.changes) | (dict(self.quick) if quick else {})

    def drawn(self, numbers: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> Any:
        """The matplotlib figure of these numbers, with title and caption."""

        def make() -> Any:
            figure = self.draw(numbers, settings)
            style.caption(figure, self.title, self.caption.format(**settings))
            return figure

        return style.drawn(make)


FIGURES = {
    "3A": Figure(
        "Learning-aware agents come to extort naive learners, within a window of learning rates",
        extortion.extortion,
        extortion.draw_extortion,
        POOL,
        QUICK | {"steps": 600},
    ),
    "3B": Figure(
        "Extortioners that train against each other come to cooperate, if they care for the future",
        cooperation.extortioners_meet,
        cooperation.draw_extortioners_meet,
        "Naive learning rate {eta:g}. " + TRAINED + " Median and quartiles.",
        QUICK | {"phases": (250, 750), "steps": 1000},
    ),
    "3C": Figure(
        "A pool of learning-aware agents and naive learners comes to cooperate; neither extreme does",
        cooperation.mixed_pool,
        cooperation.draw_mixed_pool,
        POOL,
        QUICK | {"steps": 1000},
    ),
    "4A": Figure(
        "LOLA-DiCE cooperates with few look-aheads and extorts with many",
        look_ahead.look_aheads,
        look_ahead.draw_look_aheads,
        LOLA + "Mean and standard error.",
        {"seeds": 8, "rate": 0.02, "steps": 600, "every": 100},
    ),
    "4B": Figure(
        "The policy that LOLA-DiCE learns with many look-aheads extorts a fresh naive learner",
        look_ahead.fixed_look_ahead,
        look_ahead.draw_fixed_look_ahead,
        LOLA + "Median and quartiles.",
        {"seeds": 8, "rate": 0.02, "steps": 500, "every": 100},
    ),
    "4C": Figure(
        "Mixed with the partial gradient, LOLA-DiCE regains cooperation",
        look_ahead.look_aheads,
        look_ahead.draw_look_aheads,
        LOLA + "Mean and standard error.",
        {"seeds": 8, "rate": 0.02, "steps": 600, "every": 100},
        changes={"mixes": (1.0, 1.0, 0.75, 0.6, 0.4)},
    ),
    "8": Figure(
        "How near extortion policies are to zero-determinant strategies",
        extortion.zero_determinant,
        extortion.draw_zero_determinant,
        "gamma {gamma:g}, naive learning rate {eta:g}. " + TRAINED + " {random_policies} random policies.",
        QUICK | {"steps": 600, "random_policies": 300, "optima": ((1, 20), (5, 20), (20, 20))},
    ),
    "9": Figure(
        "From unconditional defection a mixed pool comes to cooperate, if naive learners are few but there",
        cooperation.from_defection,
        cooperation.draw_from_defection,
        POOL,
        QUICK | {"steps": 1000},
    ),
    "10": Figure(
        "Mutual tit-for-tat is no equilibrium of a mixed pool",
        cooperation.from_tit_for_tat,
        cooperation.draw_from_tit_for_tat,
        POOL,
        QUICK | {"steps": 1000},
    ),
    "window": Figure(
        "The learning rates of naive learners between which mutual defection is unstable",
        maps.window,
        maps.draw_window,
        EXACT + "naive logits N(0, s^2) with s = {spread:g}.",
        {"updates": (1, 5, 20), "nodes": 128},
    ),
    "phase": Figure(
        "Which pools cooperate, extort or defect",
        maps.phase,
        maps.draw_phase,
        EXACT
        + "gamma {gamma:g}, {updates} naive updates; left: {runs} random pairs a cell, AdamW {rate:g}, {steps} steps.",
        {"etas": (0.2, 1.0), "shares": (0.0, 0.25, 0.9, 1.0), "runs": 4, "steps": 300, "rate": 0.05, "nodes": 16},
    ),
    "atlas": Figure(
        "The fixed points of the mixed pool: full circles are stable",
        maps.atlas,
        maps.draw_atlas,
        EXACT + "gamma {gamma:g}, naive learning rate {eta:g}, {updates} updates. Full: stable, hollow: not.",
        {"shares": (0.05, 0.25, 0.9, 1.0), "nodes": 64, "starts": 1},
    ),
    "portraits": Figure(
        "Self-play learning on two planes of policies",
        maps.portraits,
        maps.draw_portraits,
        EXACT + "gamma {gamma:g}, naive learning rate {eta:g}, {updates} updates.\n"
        "Below: extortion at the left border, cooperation at the right one; star: fixed point, cross: saddle.",
        {"points": 11, "nodes": 32},
        raster=True,
    ),
    "noise": Figure(
        "Noise shuts the window of learning rates, and makes agents forgive",
        noise.noise,
        noise.draw_noise,
        EXACT + "gamma {gamma:g}, naive learning rate {eta:g}, {updates} updates.",
        {"errors": (0.001, 0.03, 0.3), "nodes": 16},
    ),
    "groups": Figure(
        "Larger groups take longer to shape, if they share a pot",
        groups.groups,
        groups.draw_groups,
        "gamma {gamma:g}, contributions of 1; {updates} naive updates from coin-flip policies; full cooperation is rewarded.",
        {"players": (2, 3)},
    ),
}


def figure(name: str) -> tuple[str, Figure]:
    """The figure of this name, whatever its case, and the name as it is written.

    Raises:
        ValueError: for an unknown name, with the nearest known ones.
    """
    known = {key.lower(): key for key in FIGURES}
    key = known.get(name.lower())
    if key is None:
        near = [known[x] for x in difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.4)]
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise ValueError(f"unknown figure {name!r}: {hint}known: {', '.join(FIGURES)}")
    return key, FIGURES[key]
