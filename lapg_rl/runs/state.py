"""The training state of a run and its checkpoints: where it begins, where it goes on, and what must not be saved."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lapg_rl import config
from lapg_rl.config import Config
from lapg_rl.learn.training_step import TrainState, initial_state, run_key
from lapg_rl.machine import devices
from lapg_rl.runs import checkpoint, files, parents
from lapg_rl.runs.folder import RunFolder, truncate_metrics
from lapg_rl.runs.progress import say


def fresh_state(cfg: Config) -> TrainState:
    """The state from which `lapg_rl.train` starts a run without parents; its key is outside the range of update numbers.

    Example:
        >>> import jax, lapg_rl as rl
        >>> cfg = rl.RunFolder(run).config()
        >>> state, key, step = rl.fresh_state(cfg), rl.run_key(cfg), rl.make_train_step(cfg)
        >>> for n in range(cfg.updates):  # what rl.train computes, but for checkpoints and schedules
        ...     state, metrics = step(state, jax.random.fold_in(key, n))
        >>> float(metrics["entropy"][0]) == float(rl.collect(run).metrics["entropy"][-1])
        True
    """
    return initial_state(cfg, jax.random.fold_in(run_key(cfg), 2**32 - 1))


def check_finite(values: dict[str, Any], update: int, run: RunFolder, cfg: Config) -> None:
    """Refuse metrics, parameters or optimiser states that are not finite, by their names, and those of the user's own parts."""
    bad = [name.lstrip(".") for name, value in values.items() if not np.all(np.isfinite(value))]
    if bad:
        good = checkpoint.folders(run.checkpoints)
        lower = "naive.learning_rate or naive.reward_scale" if bad[0].startswith("naive_") else "learner.learning_rate"
        yours = " and ".join(cfg.addresses)
        remedy = f"See first that what {yours} gives is finite; else lower" if yours else "Lower"
        raise FloatingPointError(
            f"{', '.join(bad)} became non-finite in update {update} of {run.path}; the last good checkpoint is "
            f"{good[-1] if good else 'none'}. {remedy} {lower} or learner.clip_norm and train in another folder"
        )


def save(runs: Sequence[RunFolder], configs: Sequence[Config], states: Sequence[TrainState]) -> None:
    """Write a checkpoint of every run if all are finite, then drop old ones, so that all have one of the same update.

    Of several processes that train together, the first does.
    """
    for run, cfg, state in zip(runs, configs, states, strict=True):
        numbers = {name: x for name, x in checkpoint.leaves(state).items() if jnp.issubdtype(x.dtype, jnp.inexact)}
        check_finite(jax.device_get(numbers), int(state.update) - 1, run, cfg)
    if not devices.writes():
        return
    for run, cfg, state in zip(runs, configs, states, strict=True):
        if run.lock:
            run.lock.check()
        checkpoint.write(run.checkpoints, int(state.update), state._replace(frozen=None), config.to_dict(cfg))
    for run, cfg in zip(runs, configs, strict=True):
        checkpoint.prune(run.checkpoints, cfg.keep_checkpoints, cfg.keep_every)


def begin(run: RunFolder, cfg: Config) -> TrainState:
    """The state to go on from: the newest sound checkpoint, or in a new folder a fresh state, saved as checkpoint 0.

    A new run takes the parameters of its parents, if it has any; see `lapg_rl.runs.parents`.
    """
    state = run.newest_state(cfg)
    if state is None and (rows := len(files.rows(run.metrics_file))):
        raise ValueError(
            f"{run.metrics_file} has {rows} updates, but {run.checkpoints} holds no checkpoint: restore it, or delete "
            "metrics.jsonl as well to train from the start"
        )
    if state is None:
        state = parents.begun(cfg, run, fresh_state(cfg))
        save([run], [cfg], [state])
    return state._replace(frozen=parents.frozen(cfg, run, state))


def begin_together(runs: Sequence[RunFolder], configs: Sequence[Config]) -> list[TrainState]:
    """The states of runs at the newest update of which all have a sound checkpoint. What is later is dropped, and made again.

    Raises:
        ValueError: where there is none; each run can then go on alone.
    """
    states = [begin(run, c) for run, c in zip(runs, configs, strict=True)]
    start = min(int(state.update) for state in states)
    steps = [{checkpoint.updates(f) for f in checkpoint.folders(run.checkpoints)} for run in runs]
    for step in sorted((n for n in set.intersection(*steps) if n <= start), reverse=True):
        try:
            states = [
                state if int(state.update) == step else run.state_at(c, step)._replace(frozen=state.frozen)
                for run, c, state in zip(runs, configs, states, strict=True)
            ]
            break
        except checkpoint.DamagedError as error:
            say(f"lapg: {error}; trying the checkpoint before it")
    else:
        places = ", ".join(str(run.path) for run in runs)
        raise ValueError(
            f"{places} have no sound checkpoint of one and the same update; carry on with each alone: `lapg train --resume`"
        )
    for run in runs:
        checkpoint.drop_after(run.checkpoints, int(states[0].update))
        truncate_metrics(run, int(states[0].update))
    return states
