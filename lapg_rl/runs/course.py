"""The course of a run: which stage of its schedule an update belongs to, told by the metrics before it alone."""

import dataclasses
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from lapg_rl.config import Config
from lapg_rl.config.schedule import WINDOW, parse, stage_configs


class Course:
    """Where a run stands in its schedule. A resumed run that sees the rows of metrics so far stands where it stood.

    Attributes:
        stage: 0 before the first stage of the schedule has started.
        began: after how many updates the stage started.
    """

    def __init__(self, cfg: Config, rows: Iterable[Mapping[str, Any]] = ()):
        self.stages, self.configs = parse(cfg.schedule), stage_configs(cfg)
        self.stage = self.began = self.done = 0
        self.rows: deque[Mapping[str, Any]] = deque(maxlen=WINDOW)
        self._advance()
        for row in rows:
            self.see(row)

    def see(self, row: Mapping[str, Any]) -> None:
        """Take note of the metrics of the next update."""
        self.rows.append(row)
        self.done += 1
        self._advance()

    def _advance(self) -> None:
        while self.stage < len(self.stages) and self.stages[self.stage].starts(self.done, self.rows):
            self.stage, self.began = self.stage + 1, self.done
            self.rows.clear()  # the next condition looks at updates of this stage

    @property
    def config(self) -> Config:
        """What the next update is made with, but for ramps."""
        return self.configs[self.stage]

    @property
    def numbers(self) -> dict[str, Float[Array, ""]]:
        """The values of this stage's ramps at the next update; those of earlier stages have ended."""
        ramps = self.stages[self.stage - 1].ramps if self.stage else {}
        return {key: jnp.float32(ramp.at(self.done - self.began)) for key, ramp in ramps.items()}

    def same_as(self, other: "Course") -> bool:
        """Whether both are in the same stage since the same update."""
        return (self.stage, self.began) == (other.stage, other.began)


def all_configs(cfg: Config) -> tuple[Config, ...]:
    """Every config that the updates of a run are made with, but for ramps."""
    return tuple(dict.fromkeys(stage_configs(cfg))) if cfg.schedule else (dataclasses.replace(cfg, schedule=""),)
