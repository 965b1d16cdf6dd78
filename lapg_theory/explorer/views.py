"""What the explorer shows of a setting: tables and pictures of what the theory computes, coarsely enough for a slider.

Nothing is computed here but by the functions of the theory; what is refused there is said here.
"""

import dataclasses
import functools
import threading
from collections.abc import Callable
from html import escape
from typing import Any

import numpy as np

from lapg_theory import plot
from lapg_theory.certificate import DefectionCertificate, defection_certificate
from lapg_theory.exact.returns import exact_returns
from lapg_theory.game import Discounted, MatrixGame, look, symmetric_game
from lapg_theory.game.show import table
from lapg_theory.metagame import LABELS, MetaGame, attractor_map

#: How coarse it is, so that every part answers within about two seconds; the commands beside it are finer.
LEARNERS, SCRAMBLINGS = 128, 4
FEW = 16
SHARES = (0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95)
TIMES = (1 / 8, 1 / 3, 1.0, 3.0, 8.0)
PAIRS, STEPS, RATE = 8, 300, 0.1
#: Figures are drawn one at a time: matplotlib's settings are everybody's.
_drawing = threading.Lock()


@dataclasses.dataclass(frozen=True)
class Asked:
    """Where the sliders stand; `noise` is the chance that an action slips."""

    T: float = 2.0
    R: float = 1.0
    P: float = 0.0
    S: float = -1.0
    gamma: float = 0.95
    eta: float = 1.0
    updates: int = 20
    p_naive: float = 0.5
    noise: float = 0.0

    @property
    def game(self) -> MatrixGame:
        """The game; with noise where there is any."""
        return symmetric_game(self.T, self.R, self.P, self.S).noisy(self.noise)

    def certificate(self) -> DefectionCertificate:
        """The certificate of mutual defection, with few learners."""
        numbers = {name: getattr(self, name) for name in ("gamma", "eta", "updates", "p_naive")}
        return defection_certificate(self.game, **numbers, nodes=LEARNERS, scramblings=SCRAMBLINGS)

    def pool(self) -> MetaGame:
        """The mixed pool, with few learners."""
        numbers = {name: getattr(self, name) for name in ("gamma", "eta", "updates", "p_naive")}
        return MetaGame(self.game, **numbers, nodes=FEW)


def command(asked: Asked) -> str:
    """The same questions on the command line, at full precision."""
    payoffs = ",".join(f"{x:g}" for x in (asked.T, asked.R, asked.P, asked.S))
    pool = f"--payoffs={payoffs} --gamma {asked.gamma:g} --eta {asked.eta:g} --updates {asked.updates}"
    pool += f" --noise {asked.noise:g}" if asked.noise else ""
    share = f" --p-naive {asked.p_naive:g}"
    lines = [f"lapg theory thresholds {pool}{share}", f"lapg theory metagame {pool}{share}"]
    return "\n".join([*lines, *([] if asked.noise else [f"lapg theory phase {pool}"])])


def python(asked: Asked) -> str:
    """The same questions in Python, at full precision."""
    noisy = f".noisy({asked.noise:g})" if asked.noise else ""
    numbers = f"gamma={asked.gamma:g}, eta={asked.eta:g}, updates={asked.updates}, p_naive={asked.p_naive:g}"
    return "\n".join(
        [
            "import lapg_theory as lt",
            "",
            f"game = lt.symmetric_game({asked.T:g}, {asked.R:g}, {asked.P:g}, {asked.S:g}){noisy}",
            f"certificate = lt.defection_certificate(game, {numbers})",
            f"pool = lt.MetaGame(game, {numbers})",
            "ends = pool.basins()",
        ]
    )


def refusals(view: Callable[[Asked], str]) -> Callable[[Asked], str]:
    """A view that is kept for settings seen before, and says what the theory refuses."""

    @functools.lru_cache(64)
    @functools.wraps(view)
    def careful(asked: Asked) -> str:
        try:
            return view(asked)
        except ValueError as error:
            return f"<p>Not for this setting: {escape(str(error))}</p>"

    return careful


@refusals
def window(asked: Asked) -> str:
    """Whether mutual defection lasts, what undoes it, and up to where cooperation does."""
    found, pool = asked.certificate(), asked.pool()
    later = (
        "Up to where cooperation lasts under noise, `lapg theory metagame` tells in some seconds."
        if asked.noise
        else ""
    )
    edges, errors = found.window, found.errors
    inside = edges is not None and edges[0] < found.setting.eta < edges[1]
    off = errors["window"] or (None, None)
    rows = [
        ("mutual defection is stable in this pool", bool(found.local.stable), None),
        ("... and no longer from this share of naive learners on", found.local.p_critical, None),
        ("window of naive rates in which any share undoes it: from", edges and edges[0], off[0]),
        ("to", edges and edges[1], off[1]),
        ("the naive rate lies in it", inside, None),
        ("least total learning time, tau*", found.tau_star, errors["tau_star"]),
    ]
    if not asked.noise:
        rows.append(("cooperation is a fixed point up to this share", float(pool.p_critical()), None))
        rows.append(("... its basin begins at an opening of", max(0.0, float(pool.basin_boundary())), None))
    return table(("", "", "±"), rows, below=later)


@refusals
def phase(asked: Asked) -> str:
    """The fixed points over share and learning time around the setting, which a ring marks."""
    pool = asked.pool()
    values = [float(f"{pool.tau * factor:.3g}") for factor in TIMES]
    found = attractor_map(pool, p_naive=list(SHARES), over="tau", values=values)

    def draw() -> Any:
        ax = plot.phase(found)
        at = np.interp(asked.p_naive, SHARES, range(len(SHARES)))
        ax.plot(at, TIMES.index(1.0), "o", markersize=26, markerfacecolor="none", markeredgecolor=look.INK)
        ax.set(ylabel="total naive learning time, eta x updates")
        return ax.figure

    return _picture(draw)


@refusals
def ends(asked: Asked) -> str:
    """Where random pairs of agents end, by which policies, and what everybody earns there."""
    pool = asked.pool()
    found = pool.basins(PAIRS, steps=STEPS, rate=RATE, nodes=FEW)
    horizon, rows = Discounted(asked.gamma), []
    for name in LABELS:
        here = np.array([label == name for label in found.labels])
        if not here.any():
            continue
        pairs = found.policies[here]
        both = exact_returns(pool.game, pairs[:, 0], pairs[:, 1], horizon)
        among = np.mean(np.asarray(both)) / horizon.weight
        earned = pool.earnings(pairs)
        rest = (float(np.mean(earned[who])) for who in ("versus_naive", "naive"))
        shown = " ".join(f"{x:.2f}" for x in pairs.mean((0, 1)))
        rows.append((name, f"{here.sum()} of {PAIRS}", shown, float(among), *rest))
    heads = ("end", "pairs", "policy: s0 CC CD DC DD", "among agents", "from naive", "naive get")
    return _picture(lambda: plot.basins(found).figure) + table(heads, rows)


@refusals
def fixed_points(asked: Asked) -> str:
    """Every fixed point that a short search finds, stable or not."""
    rows = [
        (p.label, p.stability, " ".join(f"{x:.2f}" for x in p.policy), p.self_play, p.versus_naive, p.naive_gets)
        for p in asked.pool().fixed_points(starts=1, iterations=10, nash=False)
    ]
    return table(("point", "stability", "policy: s0 CC CD DC DD", "among agents", "from naive", "naive get"), rows)


def _picture(draw: Callable[[], Any]) -> str:
    with _drawing:
        picture = look.svg(look.drawn(draw))
    return picture[picture.index("<svg") :]
