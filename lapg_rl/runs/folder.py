"""The folder of a run: config, provenance, metrics, checkpoints; opened by one process at a time, never left half written."""

import dataclasses
import json
import os
import platform
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lapg_rl import config
from lapg_rl.config import Config
from lapg_rl.learn.training_step import TrainState, initial_state, run_key
from lapg_rl.machine import devices
from lapg_rl.runs import checkpoint, files


class RunFolder:
    """The files of one run. Reports and evaluations are functions of such folders only."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.config_file = self.path / "config.toml"
        self.metrics_file = self.path / "metrics.jsonl"
        self.provenance_file = self.path / "provenance.jsonl"
        self.checkpoints = self.path / "checkpoints"

    def config(self) -> Config:
        """The run's configuration. Raises ValueError where the folder holds no run."""
        if not self.config_file.is_file():
            raise ValueError(
                f"{self.path} holds no run (no config.toml); start one with `lapg train PRESET --run {self.path}`"
            )
        return config.load(self.config_file, complete=True)

    def metrics(self) -> list[dict[str, Any]]:
        """One dictionary an update, in order; a torn line (a crash) ends the list."""
        rows = files.rows(self.metrics_file)
        return rows[: rows.index(None)] if None in rows else rows

    def provenance(self) -> list[dict[str, Any]]:
        """What is known of every start of the run, in order; torn lines are left out."""
        return [row for row in files.rows(self.provenance_file) if row is not None]

    def newest_state(self, cfg: Config) -> TrainState | None:
        """The newest sound checkpoint as a train state, or None where there is no checkpoint yet."""
        return checkpoint.newest(self.checkpoints, fresh_state(cfg))

    def state_at(self, cfg: Config, update: int) -> TrainState:
        """The state after `update` updates. Raises ValueError where no sound checkpoint holds it."""
        return checkpoint.load(checkpoint.folder(self.checkpoints, update), fresh_state(cfg))

    def final_state(self) -> TrainState:
        """The state to evaluate. Raises ValueError where the run has no sound checkpoint of a trained state."""
        state = self.newest_state(self.config())
        if state is None or not int(state.update):
            raise ValueError(
                f"{self.path} has no sound checkpoint yet; train it with `lapg train --resume {self.path}`"
            )
        return state


def fresh_state(cfg: Config) -> TrainState:
    """The state that a run starts from; its key is outside the range of update numbers."""
    return initial_state(cfg, jax.random.fold_in(run_key(cfg), 2**32 - 1))


def _commit() -> str:
    """The commit of the source, or "unknown" where it is installed without its repository."""
    source = Path(__file__).resolve().parents[2]
    if not (source / ".git").exists():
        return "unknown"
    git = ["git", "-C", str(source), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(git, capture_output=True, text=True, timeout=10).stdout.strip() or "unknown"
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"


def provenance() -> dict[str, Any]:
    """Where and with what this process runs: versions, device, commit of the source (if any), time."""
    packages = ("lapg", "jax", "jaxlib", "equinox", "optax", "numpy")
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in packages},
        "platform": platform.platform(),
        "devices": [f"{d.platform}:{d.device_kind}" for d in jax.devices()],
        "cores": os.cpu_count(),
        "commit": _commit(),
    }


def truncate_metrics(run: RunFolder, updates: int) -> None:
    """Keep the rows of the first `updates` updates: those after the checkpoint are made again."""
    rows = [row for row in run.metrics() if row["update"] < updates]
    if len(rows) < updates:
        raise ValueError(
            f"{run.metrics_file} ends at update {len(rows)}, before the checkpoint of update {updates}: it was cut; "
            "restore it, or train in another folder"
        )
    files.replace(run.metrics_file, "".join(json.dumps(row) + "\n" for row in rows))


def check_finite(values: dict[str, Any], update: int, run: RunFolder) -> None:
    """Refuse metrics, parameters or optimiser states that are not finite, by their names."""
    bad = [name.lstrip(".") for name, value in values.items() if not np.all(np.isfinite(value))]
    if bad:
        good = checkpoint.folders(run.checkpoints)
        raise FloatingPointError(
            f"{', '.join(bad)} became non-finite in update {update} of {run.path}; the last good checkpoint is "
            f"{good[-1] if good else 'none'}. Lower learner.learning_rate or learner.clip_norm and train in another folder"
        )


def save(run: RunFolder, cfg: Config, state: TrainState) -> None:
    """Write a checkpoint of a state, if it is finite; of several processes that train together, the first does."""
    done = int(state.update)
    numbers = {name: x for name, x in checkpoint.leaves(state).items() if jnp.issubdtype(x.dtype, jnp.inexact)}
    check_finite(jax.device_get(numbers), done - 1, run)
    if devices.writes():
        checkpoint.save(run.checkpoints, done, state, cfg.keep_checkpoints, cfg.keep_every)


def difference(there: Config, wanted: Config) -> str:
    """The keys in which two configurations differ, with both values."""
    one, other = (config.flat(c) for c in (there, wanted))
    return ", ".join(f"{key} {one[key]} there, {other[key]} here" for key in one if one[key] != other[key])


def _longer(there: Config, wanted: Config) -> bool:
    """Whether `wanted` is the same run with more updates."""
    return wanted.updates > there.updates and dataclasses.replace(there, updates=wanted.updates) == wanted


@contextmanager
def opened(cfg: Config, path: str | Path) -> Iterator[RunFolder]:
    """The folder of a run of `cfg`, for this process alone; see `open_run`."""
    run = RunFolder(path)
    with ExitStack() as lock:
        try:
            run.path.mkdir(parents=True, exist_ok=True)
            lock.enter_context(files.locked(run.path))
            there = run.config() if run.config_file.exists() else None
            if there is None or _longer(there, cfg):
                files.replace(run.config_file, config.dumps(cfg))
            elif there != cfg:
                what = difference(there, cfg)
                raise ValueError(
                    f"{run.path} holds a run with another configuration ({what}); choose another folder (only updates can be "
                    "changed, and only raised)"
                )
        except OSError as error:
            raise ValueError(
                f"cannot write the run folder {run.path}: {error.strerror}; choose another with --run"
            ) from None
        yield run


def open_run(cfg: Config, path: str | Path) -> RunFolder:
    """Prepare `path` for a run of `cfg`: new, or the same run to be continued, or made longer by a larger `updates`.

    Raises:
        ValueError: where the folder holds a run with another configuration, can't be written, or is being trained in.
    """
    with opened(cfg, path) as run:
        return run


def begin(run: RunFolder, cfg: Config) -> TrainState:
    """The state to go on from: the newest sound checkpoint, or in a new folder a fresh state, saved as checkpoint 0."""
    fresh = fresh_state(cfg)
    state = checkpoint.newest(run.checkpoints, fresh)
    if state is None and (rows := len(run.metrics())):
        raise ValueError(
            f"{run.metrics_file} has {rows} updates, but {run.checkpoints} holds no checkpoint: restore it, or delete "
            "metrics.jsonl as well to train from the start"
        )
    if state is None:
        save(run, cfg, fresh)
    return fresh if state is None else state
