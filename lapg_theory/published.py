"""Published numbers of learning dynamics, each with the reading of its protocol under which it is computed here.

A protocol: two players learn from random logits by `updates` simultaneous gradient steps; what is reported is a mean over
independent runs, as reward per step. What a paper leaves open (initialisation, averaging window, which LOLA) is part of the
reading, and the table holds rival readings too.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from lapg_theory.dynamics import Trajectory, iterate
from lapg_theory.game import TFT, Discounted, MatrixGame, check_count, matching_pennies, mirror, prisoners_dilemma
from lapg_theory.learning import LolaFoerster, LolaTaylor, Match, Naive, Rule

#: The payoffs of LOLA and its successors: those of the default dilemma minus 2.
DILEMMA = prisoners_dilemma(T=0, R=-1, P=-2, S=-3)
NAIVE = Naive(normalize=False)
LOLA, LOLA_SHAPING = LolaTaylor(normalize=False), LolaFoerster(normalize=False)
LOLA_HALF = LolaFoerster(inner_rate=0.5, normalize=False)


@dataclasses.dataclass(frozen=True)
class Reading:
    """One way to understand how a published number was made.

    Attributes:
        row, column: the players' rules.
        says: the rules in words.
        updates: simultaneous updates of both players.
        game, gamma: what they play.
        start: "normal", N(0, 1) logits, or "uniform", U(-0.1, 0.1).
    """

    row: Rule
    column: Rule
    says: str
    updates: int = 100
    game: MatrixGame = DILEMMA
    gamma: float = 0.96
    start: Literal["normal", "uniform"] = "normal"

    def play(self, runs: int, seed: int) -> Trajectory:
        """Independent runs, recorded at every update."""
        random = np.random.default_rng(seed)
        shape = (2, runs, 5)
        joint = random.normal(size=shape) if self.start == "normal" else random.uniform(-0.1, 0.1, shape)
        rule = self.row if self.row == self.column else Match(self.row, self.column)
        horizon = Discounted(self.gamma)
        return iterate(rule, self.game, horizon, tuple(joint), self.updates, record_every=1)


def tft_share(path: Trajectory) -> np.ndarray:
    """Share of the five states in which *both* players' likelier action at the end is that of tit-for-tat, by run."""
    row, column = (np.asarray(policy) > 0 for policy in path.last)
    like = np.array(TFT) > 0
    return ((row == like) & mirror(column == like)).mean(-1)


#: What is measured in each run.
MEASURES = {
    "row, mean over updates": lambda path: path.rewards[:-1, :, 0].mean(0),
    "column, mean over updates": lambda path: path.rewards[:-1, :, 1].mean(0),
    "row, at the end": lambda path: path.rewards[-1, :, 0],
    "s.d. over runs, at the end": lambda path: path.rewards[-1, :, 0],
    "share of TFT": tft_share,
}


@dataclasses.dataclass(frozen=True)
class Published:
    """A published number and a reading of it.

    Attributes:
        source: where it is printed.
        measure: which of `MEASURES`.
        value: the number as printed.
        reading: how it is computed here.
        runs: how many runs it is a mean of; None where that is not said.
        digit: unit of its last printed digit.
    """

    source: str
    measure: str
    value: float
    reading: Reading
    runs: int | None = 50
    digit: float = 0.01


@dataclasses.dataclass(frozen=True)
class Computed:
    """What a reading gives: `value`, its standard error, and how far it is from the published number.

    `deviation` is the difference over the root of the sum of squares of both standard errors and of the rounding error.
    """

    value: float
    error: float
    deviation: float


def _estimate(measure: str, sample: np.ndarray) -> tuple[float, float]:
    """The statistic and what its standard error is over the square root of the number of runs."""
    spread = sample.std(ddof=1)
    if not measure.startswith("s.d."):
        return float(sample.mean()), float(spread)
    fourth = ((sample - sample.mean()) ** 4).mean()
    return float(spread), float(np.sqrt(max(fourth - spread**4, 0)) / (2 * spread))


def compute(
    numbers: Any, runs: int = 1024, seed: int = 0, report: Callable[[int, int, str], Any] | None = None
) -> list[Computed]:
    """Each published number recomputed from `runs` runs; a reading that several share is played once.

    Args:
        numbers: some of `NUMBERS`.
        runs: independent runs of each protocol.
        seed: of the initial policies.
        report: told before each number how many are done, of how many, and which comes.

    Raises:
        ValueError: for fewer than two runs.
    """
    check_count("runs", runs, least=2)
    played: dict[Reading, Trajectory] = {}
    found = []
    for count, number in enumerate(numbers):
        if report is not None:
            report(count, len(numbers), f"{number.source}: {number.reading.says}")
        if number.reading not in played:
            played[number.reading] = number.reading.play(runs, seed)
        value, spread = _estimate(number.measure, MEASURES[number.measure](played[number.reading]))
        theirs = 0 if number.runs is None else spread**2 / number.runs
        noise = np.sqrt(spread**2 / runs + theirs + number.digit**2 / 12)
        found.append(Computed(value, spread / runs**0.5, float((value - number.value) / noise)))
    return found


def _pennies(row: Rule, column: Rule, says: str, updates: int) -> Reading:
    return Reading(row, column, says, updates=updates, game=matching_pennies(), gamma=0.9)


_NL = Reading(NAIVE, NAIVE, "naive, naive")
_NL_PER_STEP = Reading(Naive(), Naive(), "naive, naive, on returns per step")
_NL_UNIFORM = Reading(NAIVE, NAIVE, "naive, naive", start="uniform")
_BOTH = Reading(LOLA, LOLA, "LOLA (both factors), same")
_SHAPING = Reading(LOLA_SHAPING, LOLA_SHAPING, "LOLA (shaping term only), same")
_HALF = Reading(LOLA_HALF, LOLA_HALF, "LOLA (shaping term only, correction 0.5), same")
_UNIFORM = Reading(LOLA_SHAPING, LOLA_SHAPING, "LOLA (shaping term only), same", start="uniform")
_AGAINST = Reading(LOLA, NAIVE, "LOLA (both factors), naive")
_AGAINST_SHAPING = Reading(LOLA_SHAPING, NAIVE, "LOLA (shaping term only), naive")
_MFOS, _LOLA3, _LOLA4 = "Lu et al. 2022, table 1", "Foerster et al. 2018, table 3", "Foerster et al. 2018, table 4"
_ROW, _COLUMN, _END, _SD, _TFT = MEASURES

#: The numbers, and every reading that was tried.
NUMBERS = (
    Published(_MFOS, _ROW, -1.98, _NL, None),
    Published(_MFOS, _ROW, -1.98, _NL_PER_STEP, None),
    Published(_MFOS, _ROW, -1.30, _AGAINST, None),
    Published(_MFOS, _COLUMN, -1.52, _AGAINST, None),
    Published(_MFOS, _ROW, -1.30, _AGAINST_SHAPING, None),
    Published(_MFOS, _COLUMN, -1.52, _AGAINST_SHAPING, None),
    Published(_MFOS, _ROW, -1.09, _BOTH, None),
    Published(_LOLA3, _END, -1.98, _NL),
    Published(_LOLA3, _SD, 0.14, _NL),
    Published(_LOLA3, _TFT, 0.208, _NL, digit=0.001),
    Published(_LOLA3, _SD, 0.14, _NL_UNIFORM),
    Published(_LOLA3, _END, -1.06, _SHAPING),
    Published(_LOLA3, _SD, 0.19, _SHAPING),
    Published(_LOLA3, _TFT, 0.81, _SHAPING, digit=0.001),
    Published(_LOLA3, _END, -1.06, _BOTH),
    Published(_LOLA3, _TFT, 0.81, _BOTH, digit=0.001),
    Published(_LOLA3, _END, -1.06, _HALF),
    Published(_LOLA3, _TFT, 0.81, _HALF, digit=0.001),
    Published(_LOLA3, _TFT, 0.81, _UNIFORM, digit=0.001),
    Published(_LOLA3, _SD, 0.37, _pennies(NAIVE, NAIVE, "naive, naive", 50)),
    Published(_LOLA3, _SD, 0.37, _pennies(NAIVE, NAIVE, "naive, naive", 200)),
    Published(_LOLA3, _SD, 0.02, _pennies(LOLA_SHAPING, LOLA_SHAPING, "LOLA (shaping term only), same", 50)),
    Published(_LOLA3, _SD, 0.02, _pennies(LOLA, LOLA, "LOLA (both factors), same", 50)),
    Published(_LOLA4, _ROW, -1.28, _AGAINST),
    Published(_LOLA4, _COLUMN, -1.54, _AGAINST),
    Published(_LOLA4, _ROW, -1.28, _AGAINST_SHAPING),
    Published(_LOLA4, _COLUMN, -1.54, _AGAINST_SHAPING),
)


def table(numbers: Any, found: Any) -> list[str]:
    """Markdown: a line for each number, with its reading, what is published and what is computed."""
    lines = [
        "| source | rules | setting | measured | published | here (s.e.) | deviation |",
        "|---|---|---|---|---|---|---|",
    ]
    for number, computed in zip(numbers, found, strict=True):
        reading = number.reading
        setting = f"{reading.game.name}, gamma {reading.gamma}, {reading.updates} updates, {reading.start} start"
        here = f"{computed.value:.3f} ({computed.error:.3f})"
        cells = (
            number.source,
            reading.says,
            setting,
            number.measure,
            f"{number.value:g}",
            here,
            f"{computed.deviation:+.1f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines
