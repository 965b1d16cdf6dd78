"""A run and its self-contained folder: config, provenance, metrics, checkpoints; start, resume, crash, resume again."""

import dataclasses
import fcntl
import json
import os
import platform
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from lapg_rl import checkpoint, config
from lapg_rl.config import Config
from lapg_rl.progress import Progress
from lapg_rl.train import TrainState, initial_state, make_train_step, run_key


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
        rows = _rows(self.metrics_file)
        return rows[: rows.index(None)] if None in rows else rows

    def provenance(self) -> list[dict[str, Any]]:
        """What is known of every start of the run, in order; torn lines are left out."""
        return [row for row in _rows(self.provenance_file) if row is not None]

    def newest_state(self, cfg: Config) -> TrainState | None:
        """The newest sound checkpoint as a train state, or None where there is no checkpoint yet."""
        return checkpoint.newest(self.checkpoints, fresh_state(cfg))

    def state_at(self, cfg: Config, update: int) -> TrainState:
        """The state after `update` updates. Raises ValueError where no sound checkpoint holds it."""
        fresh = fresh_state(cfg)
        return fresh if update == 0 else checkpoint.load(checkpoint.folder(self.checkpoints, update), fresh)

    def final_state(self) -> TrainState:
        """The state to evaluate. Raises ValueError where the run has no sound checkpoint."""
        state = self.newest_state(self.config())
        if state is None:
            raise ValueError(
                f"{self.path} has no sound checkpoint yet; train it with `lapg train --resume {self.path}`"
            )
        return state


def fresh_state(cfg: Config) -> TrainState:
    """The state that a run starts from; its key is outside the range of update numbers."""
    return initial_state(cfg, jax.random.fold_in(run_key(cfg), 2**32 - 1))


def _rows(path: Path) -> list[Any]:
    """The rows of a JSONL file; None for each line that is torn."""
    rows = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            row = None
        else:
            if not isinstance(row, dict):
                raise ValueError(f"{path} holds {line[:40]!r}, which is no row of it; restore the file")
        rows.append(row)
    return rows


def _commit() -> str:
    """The commit of the source, or "unknown" where it is installed without its repository."""
    source = Path(__file__).resolve().parent.parent
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


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ValueError(
                f"another process is training in {folder}; wait for it, or choose another --run folder"
            ) from None
        yield


def _append(path: Path, row: dict[str, Any]) -> None:
    """Add a line and put it on the disk before anything that follows; a torn line before it stays by itself."""
    torn = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")
    with path.open("a") as file:
        file.write("\n" * torn + json.dumps(row) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _truncate_metrics(run: RunFolder, updates: int) -> None:
    """Keep the rows of the first `updates` updates: those after the checkpoint are made again."""
    rows = [row for row in run.metrics() if row["update"] < updates]
    if len(rows) < updates:
        raise ValueError(
            f"{run.metrics_file} ends at update {len(rows)}, before the checkpoint of update {updates}: it was cut; "
            "restore it, or train in another folder"
        )
    partial = run.metrics_file.with_suffix(".tmp")
    partial.write_text("".join(json.dumps(row) + "\n" for row in rows))
    partial.replace(run.metrics_file)


def _rows_of(update: int, metrics: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """The row of each of `count` runs; with several, the metrics have a leading axis over them."""
    fetched = sorted(jax.device_get(metrics).items())
    return [
        {"update": update, **{name: (value if count == 1 else value[n]).tolist() for name, value in fetched}}
        for n in range(count)
    ]


def _check_finite(row: dict[str, Any], run: RunFolder) -> None:
    bad = [name for name, value in row.items() if name != "update" and not np.all(np.isfinite(value))]
    if bad:
        good = checkpoint.folders(run.checkpoints)
        raise FloatingPointError(
            f"{', '.join(bad)} became non-finite in update {row['update']} of {run.path}; the last good checkpoint is "
            f"{good[-1] if good else 'none'}. Lower learner.learning_rate or learner.clip_norm and train in another folder"
        )


def _difference(there: Config, wanted: Config) -> str:
    """The keys in which two configurations differ, with both values."""
    one, other = (config.flat(c) for c in (there, wanted))
    return ", ".join(f"{key} {one[key]} there, {other[key]} here" for key in one if one[key] != other[key])


def open_run(cfg: Config, path: str | Path) -> RunFolder:
    """Prepare `path` for a run of `cfg`: new, or the same run to be continued.

    Raises:
        ValueError: where the folder holds a run with another configuration, or can't be written.
    """
    run = RunFolder(path)
    try:
        run.path.mkdir(parents=True, exist_ok=True)
        if run.config_file.exists():
            if run.config() != cfg:
                what = _difference(run.config(), cfg)
                raise ValueError(f"{run.path} holds a run with another configuration ({what}); choose another folder")
        else:
            partial = run.config_file.with_suffix(".tmp")
            config.save(cfg, partial)
            partial.replace(run.config_file)
    except OSError as error:
        raise ValueError(
            f"cannot write the run folder {run.path}: {error.strerror}; choose another with --run"
        ) from None
    return run


def train(cfg: Config, path: str | Path, *, label: str = "train", quiet: bool = False) -> TrainState:
    """Run `cfg` in the folder `path`, from its newest sound checkpoint if it has one, to its last update.

    A killed run, started again, ends with the parameters, optimiser state and metrics of an uninterrupted one: bit for bit
    on the same kind of CPU with as many threads, and on a GPU where XLA picks the same kernels (`--xla_gpu_deterministic_ops`).

    Raises:
        ValueError: see `open_run`.
        FloatingPointError: when a metric becomes non-finite; the run stops before it saves that state.
    """
    return train_together([(cfg, path)], label=label, quiet=quiet)[0]


def train_together(
    runs: Sequence[tuple[Config, str | Path]], *, label: str = "train", quiet: bool = False
) -> list[TrainState]:
    """Train runs that differ in nothing but their seed side by side in one program, each in its own folder.

    That is how a GPU is filled; a CPU gains nothing. Each run is the one that `train` makes of its config, up to rounding.
    They carry on from the newest update of which all have a sound checkpoint.

    Raises:
        ValueError: for configs that differ in more than the seed; see also `open_run`.
        FloatingPointError: when a metric of one of them becomes non-finite; all stop before they save that state.
    """
    configs, cfg = [c for c, _ in runs], runs[0][0]
    for other in configs[1:]:
        if dataclasses.replace(other, seed=cfg.seed) != cfg:
            raise ValueError(f"runs trained together may differ in their seeds only, got {_difference(cfg, other)}")
    with ExitStack() as locks:
        folders = [open_run(*one) for one in runs]
        for run in folders:
            locks.enter_context(_locked(run.path))
        states = [_newest_or_fresh(run, c) for run, c in zip(folders, configs, strict=True)]
        start = min(int(state.update) for state in states)
        states = [
            s if int(s.update) == start else run.state_at(c, start)
            for s, run, c in zip(states, folders, configs, strict=True)
        ]
        for run in folders:
            _truncate_metrics(run, start)
        if start >= cfg.updates:
            return states
        note = {"together_with_seeds": [c.seed for c in configs]} if len(runs) > 1 else {}
        for run in folders:
            _append(run.provenance_file, {**provenance(), "from_update": start, **note})
        began = time.monotonic()
        keys, step = [run_key(c) for c in configs], make_train_step(cfg, len(runs))
        state = _stack(states)
        progress = Progress(label, start, cfg.updates, quiet=quiet)
        for update in range(start, cfg.updates):
            state, metrics = step(state, _stack([jax.random.fold_in(key, update) for key in keys]))
            rows = _rows_of(update, metrics, len(runs))
            for row, run in zip(rows, folders, strict=True):
                _check_finite(row, run)
            for row, run in zip(rows, folders, strict=True):
                _append(run.metrics_file, row)
                if update == start:
                    _append(run.provenance_file, {"first_update_after_s": round(time.monotonic() - began, 1)})
            if (update + 1) % cfg.checkpoint_every == 0 or update + 1 == cfg.updates:
                for one, run in zip(_unstack(state, len(runs)), folders, strict=True):
                    checkpoint.save(run.checkpoints, update + 1, one, cfg.keep_checkpoints)
            progress.show(update + 1, _headline(rows))
        for run in folders:
            _append(
                run.provenance_file,
                {"finished_after_s": round(time.monotonic() - began, 1), "updates": cfg.updates - start},
            )
        progress.done()
    return _unstack(state, len(runs))


def _newest_or_fresh(run: RunFolder, cfg: Config) -> TrainState:
    fresh = fresh_state(cfg)
    state = checkpoint.newest(run.checkpoints, fresh)
    return fresh if state is None else state


def _stack(trees: Sequence[Any]) -> Any:
    """One tree with a new leading axis; a single tree stays as it is."""
    if len(trees) == 1:
        return trees[0]
    return jax.tree.map(lambda *x: jnp.stack(x) if eqx.is_array(x[0]) else x[0], *trees)


def _unstack(tree: Any, count: int) -> list[Any]:
    if count == 1:
        return [tree]
    return [jax.tree.map(lambda x, n=n: x[n] if eqx.is_array(x) else x, tree) for n in range(count)]


def _headline(rows: Sequence[dict[str, Any]]) -> str:
    names = {"reward_vs_naive": "agent", "naive_reward": "naive", "reward_vs_meta": "among agents"}
    means = {short: [row[name] for row in rows] for name, short in names.items() if name in rows[0]}
    return "  ".join(f"{short} {np.mean(values):+.2f}" for short, values in means.items())
