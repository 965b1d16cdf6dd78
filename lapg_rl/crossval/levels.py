"""The ladder of levels, from single plays to training: what each compares, and the function that does it."""

import importlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from lapg_rl.crossval.setting import Setting
from lapg_rl.crossval.simulation import HONEST, Simulation
from lapg_rl.crossval.verdict import Level


class Rung(NamedTuple):
    """A level of the ladder; `module` has `level(setting, simulation) -> Level`."""

    module: str
    title: str
    question: str

    @property
    def run(self) -> Callable[[Setting, Simulation], Level]:
        """Carry it out."""
        return importlib.import_module(f"lapg_rl.crossval.{self.module}").level


#: Code -> level. L5 (a sequence agent against naive learners) and L6 (mixed pools) are to follow.
LEVELS = {
    "L0": Rung("play", "Play", "Do games played by the environment yield the exact returns and occupancies?"),
    "L1": Rung(
        "learner", "Co-player", "Is the naive learner's update the exact gradient step on average, with covariance / B?"
    ),
    "L2": Rung("exact", "Estimator, exact", "Do the estimators have the expectations that enumeration gives?"),
    "L3": Rung(
        "sampled", "Estimator, sampled", "Does training compute the predicted gradient, for small and large batches?"
    ),
    "L4": Rung("dynamics", "Dynamics", "Does a tabular agent in training follow the integrated analytic path?"),
}


def chosen(names: Iterable[str]) -> list[str]:
    """Level codes from words such as L0, L1-L3; in order, each once. No word means all.

    Raises:
        ValueError: for an unknown level.
    """
    codes, found = list(LEVELS), set()
    for name in names:
        ends = name.upper().split("-")
        if len(ends) > 2 or any(end not in codes for end in ends):
            raise ValueError(
                f"unknown level {name!r}; known: {', '.join(codes)}, or a range such as {codes[0]}-{codes[-1]}"
            )
        first, last = codes.index(ends[0]), codes.index(ends[-1])
        if first > last:
            raise ValueError(f"the range {name!r} runs backwards; write {ends[-1]}-{ends[0]}")
        found |= set(codes[first : last + 1])
    return [code for code in codes if code in found] if found else codes


def run(setting: Setting, codes: Iterable[str], simulation: Simulation = HONEST) -> Iterator[Level]:
    """Carry out the levels, one after the other."""
    for code in codes:
        yield LEVELS[code].run(setting, simulation)
