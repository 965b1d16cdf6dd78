"""The course of a run: which stage of its schedule an update belongs to, told by the metrics before it alone."""

import dataclasses
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lapg_rl.config import Config
from lapg_rl.config.schedule import WINDOW, check_metric, parse, stage_configs, summed
from lapg_rl.learn.rehearsal import stand_in
from lapg_rl.learn.training_step import TrainState, make_train_step, run_key


class Course:
    """Where a run stands in its schedule. A resumed run that sees the rows of metrics so far stands where it stood.

    Attributes:
        stage: 0 before the first stage of the schedule has started.
        began: after how many updates the stage started.
        copied: the agent that all become copies of after the update just seen, or None.
    """

    def __init__(self, cfg: Config, rows: Iterable[Mapping[str, Any]] = ()):
        self.stages, self.configs = parse(cfg.schedule), stage_configs(cfg)
        self.stage = self.began = self.done = 0
        self.copied: int | None = None
        self.rows: deque[Mapping[str, Any]] = deque(maxlen=WINDOW)
        self._advance()
        for row in rows:
            self.see(row)

    def see(self, row: Mapping[str, Any]) -> None:
        """Take note of the metrics of the next update."""
        self.rows.append(row)
        self.done += 1
        self.copied = None
        self._advance()

    def _advance(self) -> None:
        while self.stage < len(self.stages) and self.stages[self.stage].starts(self.done, self.rows):
            if which := self.stages[self.stage].copied:
                self.copied = outstanding(which, self.rows)
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

    @property
    def waits(self) -> str:
        """What the next stage waits for; empty where there is none."""
        if self.stage == len(self.stages):
            return ""
        stage = self.stages[self.stage]
        if stage.metric:
            return f"{stage.metric}{'>=' if stage.above else '<='}{stage.number:g}"
        return f"update {max(stage.number, self.began + WINDOW * bool(stage.copied)):g}"


def outstanding(which: str, rows: Iterable[Mapping[str, Any]]) -> int:
    """The agent with the most (`max(METRIC+METRIC)`), or the least (min), of a sum of metrics in the mean over rows."""
    totals = np.mean([[row[metric] for metric in summed(which, row)] for row in rows], axis=0).sum(0)
    return int(np.argmax(totals) if which.startswith("max") else np.argmin(totals))


def copies(state: TrainState, agent: int) -> TrainState:
    """The state with all agents, and their optimisers' states, those of one of them."""
    learners = jax.tree.map(lambda x: x[jnp.full(len(x), agent)], (state.agents, state.optimisers))
    return state._replace(agents=learners[0], optimisers=learners[1])


def all_configs(cfg: Config) -> tuple[Config, ...]:
    """Every config that the updates of a run are made with, but for ramps."""
    return tuple(dict.fromkeys(stage_configs(cfg))) if cfg.schedule else (dataclasses.replace(cfg, schedule=""),)


def metrics_of(cfg: Config) -> list[str]:
    """The names of the metrics of a config's updates. They are found without making one."""
    state = eqx.filter_eval_shape(lambda: stand_in(cfg))
    return list(eqx.filter_eval_shape(make_train_step(cfg), state, run_key(cfg))[1])


def check_metrics(cfg: Config) -> None:
    """Refuse a schedule that waits for a metric that the stage before has not. Raises ValueError with near matches."""
    for stage, before in zip(parse(cfg.schedule), stage_configs(cfg), strict=False):
        if stage.measures:
            check_metric(stage, metrics_of(before))
