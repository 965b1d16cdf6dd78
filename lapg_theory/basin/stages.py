"""Schedules: stages of share, entropy bonus, learning rate and naive rate, ended by time or by what the agents earn.

A stage may begin with copies: all agents of a run become the one that stands out.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from lapg_theory.game import check_count

Ramp = float | int | tuple[float | int, float | int]
#: What a copied agent may stand out in, by the names of a training run's metrics.
MEASURES = ("reward_vs_naive", "cooperation_vs_naive", "reward_vs_meta", "cooperation_vs_meta")


def _ends(name: str, value: Any, least: float, most: float, steps: Any) -> tuple[float, float]:
    ramp = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(ramp) != 2 or not all(np.ndim(x) == 0 and least <= x <= most for x in ramp):
        raise ValueError(f"{name} must be a number, or (from, to), in [{least:g}, {most:g}], got {value!r}")
    if ramp[0] != ramp[1] and steps is None:
        raise ValueError(f"{name} = {value!r} is a ramp, but its stage has no length; give the stage steps")
    return float(ramp[0]), float(ramp[1])


@dataclasses.dataclass(frozen=True)
class Stage:
    """A stretch of learning. Each quantity is a number, or (from, to), linear over the stage's steps.

    The stage ends, for each run by itself, after `steps` steps, at step `until`, or as soon as one of the rewards is
    reached; the last stage goes on to the end.

    Attributes:
        share: of naive learners, effective, in [0, 1].
        steps: the most it lasts; None: until a reward is reached.
        until: the step of the whole schedule at which it ends, or where it begins later, its first.
        entropy: T = entropy coefficient / reward scale, >= 0.
        rate: the agents' learning rate in logits, >= 0.
        eta: factor on the naive learning rate, >= 0.
        naive: agents' mean reward from naive learners that ends the stage.
        among: agents' mean reward among each other that ends the stage.
        copies: all agents of a run begin it as copies, optimiser's state included, of the one for which the sum of these
            MEASURES is most then; empty: as they are.

    Raises:
        ValueError: for a quantity out of its range, a ramp without steps, steps that are no integer >= 1, or copies by
            what is none of the MEASURES.
    """

    share: Ramp
    _: dataclasses.KW_ONLY
    steps: Any = None
    entropy: Ramp = 0.0
    rate: Ramp = 0.02
    eta: Ramp = 1.0
    naive: float | int | None = None
    among: float | int | None = None
    until: Any = None
    copies: tuple[str, ...] = ()

    def __post_init__(self):
        for name in ("steps", "until"):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name))
        if len(set(self.copies) & set(MEASURES)) < len(self.copies):
            raise ValueError(f"copies must be a tuple of some of {', '.join(MEASURES)}, got {self.copies!r}")
        self.row()

    def row(self) -> list[tuple[float, float]]:
        """(from, to) of share, entropy, rate and eta."""
        bounds = {"share": 1.0, "entropy": np.inf, "rate": np.inf, "eta": np.inf}
        return [_ends(name, getattr(self, name), 0.0, most, self.steps) for name, most in bounds.items()]


#: Schedules of up to so many stages compile to the same program.
PADDED = 3
#: What may end a stage.
ENDS = ("steps", "until", "naive", "among")


def plan(stages: Sequence[Stage]) -> dict[str, np.ndarray]:
    """The stages as arrays: `ramps` [stage, quantity, 2]; `copies` [stage, measure]; `length` and ENDS [stage], inf where none.

    The last is repeated, as stages that are never reached, up to PADDED.

    Raises:
        ValueError: for no stage, one before the last that never ends, or copies before the first.
    """
    if not stages:
        raise ValueError("a schedule needs at least one stage")
    if stages[0].copies:
        raise ValueError("the first stage can't begin with copies: give it a stage before, or starts that are alike")
    for k, stage in enumerate(stages[:-1]):
        if all(getattr(stage, name) is None for name in ENDS):
            raise ValueError(f"stage {k} never ends: give it {', '.join(ENDS[:-1])} or {ENDS[-1]}")
    last, padding = len(stages) - 1, max(PADDED - len(stages), 0)
    stages = [*stages, *[stages[-1]] * padding]
    found = {"length": [stage.steps for stage in stages]}
    for name in ENDS:
        found[name] = [getattr(stage, name) if k < last else None for k, stage in enumerate(stages)]
    arrays = {name: np.array([np.inf if x is None else x for x in each], float) for name, each in found.items()}
    copies = np.array([[measure in stage.copies for measure in MEASURES] for stage in stages], float)
    return {"ramps": np.array([stage.row() for stage in stages]), "copies": copies, **arrays}
