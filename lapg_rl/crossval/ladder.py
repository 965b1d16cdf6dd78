"""The ladder of levels, from single plays to training: what each compares, and the function that does it."""

import importlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from lapg_rl.crossval.setting import Setting
from lapg_rl.crossval.simulation import HONEST, Simulation
from lapg_rl.crossval.verdict import Level


class Rung(NamedTuple):
    """A level of the ladder; `module`, of `levels`, has `level(setting, simulation) -> Level`; more arguments if it trains."""

    module: str
    title: str
    question: str

    @property
    def run(self) -> Callable[..., Level]:
        """Carry it out."""
        return importlib.import_module(f"lapg_rl.crossval.levels.{self.module}").level


#: Code -> level, of those that take minutes.
LEVELS = {
    "L0": Rung("l0_play", "Play", "Do games played by the environment yield the exact returns and occupancies?"),
    "L1": Rung(
        "l1_coplayer",
        "Co-player",
        "Is the naive learner's update the exact gradient step on average, with covariance / B?",
    ),
    "L2": Rung("l2_exact", "Estimator, exact", "Do the estimators have the expectations that enumeration gives?"),
    "L3": Rung(
        "l3_sampled", "Estimator, sampled", "Does training compute the predicted gradient, for small and large batches?"
    ),
    "L4": Rung("l4_dynamics", "Dynamics", "Does a tabular agent in training follow the integrated analytic path?"),
}
#: Levels that train, with checkpoints in the folder of the report; only where they are asked for.
TRAINED = {
    "L5": Rung(
        "l5_outcome", "Outcome", "Do sampled agents end in the phase, and on the side of the window, that is predicted?"
    ),
    "L6": Rung("l6_behaviour", "Behaviour", "Does a trained sequence agent do what the best memory-one policy does?"),
    "L7": Rung("l7_basin", "Basin", "Does each schedule of a mixed pool lead where the exact dynamics say it does?"),
}
RUNGS = LEVELS | TRAINED
#: Those that are also about more players than two, more actions than two, and noise.
GENERAL = ("L0", "L1", "L3")


def check_general(setting: Setting, codes: Iterable[str]) -> None:
    """Refuse levels that are about two players without noise in other games. Raises ValueError."""
    if setting.plain:
        return
    if other := [code for code in codes if code not in GENERAL]:
        sizes = f"{setting.players_count} players" if setting.actions == 2 else f"{setting.actions} actions"
        what = f"{setting.game.name} of {sizes}"
        noise = "" if setting.game.noise is None else f" with {setting.game.noise}"
        raise ValueError(
            f"{other[0]} is about 2x2 games without noise, but this is {what}{noise}; take --level {','.join(GENERAL)}"
        )


def chosen(names: Iterable[str]) -> list[str]:
    """Level codes from words such as L0, L1-L3 or L0,L2; in order, each once. No word means all that need no training.

    Raises:
        ValueError: for an unknown level.
    """
    codes, found = list(RUNGS), set()
    for name in (part.strip() for text in names for part in text.split(",")):
        ends = name.upper().split("-")
        if len(ends) > 2 or any(end not in codes for end in ends):
            raise ValueError(
                f"unknown level {name!r}; known: {', '.join(codes)}, or a range such as {codes[0]}-{codes[-1]}"
            )
        first, last = codes.index(ends[0]), codes.index(ends[-1])
        if first > last:
            raise ValueError(f"the range {name!r} runs backwards; write {ends[-1]}-{ends[0]}")
        found |= set(codes[first : last + 1])
    return [code for code in codes if code in found] if found else list(LEVELS)


def run(
    setting: Setting, codes: Iterable[str], simulation: Simulation = HONEST, folder: Path | None = None, **options: Any
) -> Iterator[Level]:
    """Carry out the levels, one after the other.

    Args:
        setting: the question.
        codes: which levels.
        simulation: the sampling side.
        folder: where levels that train keep their checkpoints; they carry on from what they find there.
        options: `runs`, the run folders that L6 looks at; `agents`, who trains in L5.

    Raises:
        ValueError: for a level that trains without a folder.
    """
    for code in codes:
        if code in LEVELS:
            yield LEVELS[code].run(setting, simulation)
        elif folder is None:
            raise ValueError(f"{code} trains, so it needs a folder for its checkpoints")
        else:
            yield TRAINED[code].run(setting, simulation, folder, **options)
