"""The folder of a run: config, provenance, metrics, checkpoints; opened by one process at a time, never left half written."""

import dataclasses
import os
import platform
import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from html import escape
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lapg_rl
from lapg_rl import config
from lapg_rl.config import Config
from lapg_rl.runs import files, steps, trust
from lapg_rl.runs.lock import Lock, locked

if TYPE_CHECKING:  # arguments are checked before JAX is imported
    from lapg_rl.learn.training_step import TrainState


class RunFolder:
    """The files of one run. Reports and evaluations are functions of such folders only.

    Example:
        >>> import lapg_rl as rl
        >>> rl.RunFolder(run).config().model.kind
        'tabular'
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.config_file = self.path / "config.toml"
        self.metrics_file = self.path / "metrics.jsonl"
        self.provenance_file = self.path / "provenance.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.kept_agents = self.path / "agents"  # of a copy: checkpoints that hold the agents alone
        self.lock: Lock | None = None

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    def _repr_html_(self) -> str:
        """What a notebook shows: the run's results so far, or why there are none."""
        from lapg_rl.study.results import collect

        try:
            return collect(self.path)._repr_html_()
        except (ValueError, OSError) as error:
            return f"<p>{escape(str(error))}</p>"

    def config(self) -> Config:
        """The run's configuration. Raises ValueError where the folder holds no run, or not the one that was trained."""
        if packed := files.archive_of(self.path):
            raise ValueError(
                f"{self.path} lies in an archive, which compare and report read as it is; to do more, unpack it: `unzip "
                f"{shlex.quote(str(packed))} -d DIR`"
            )
        if self.path.is_file():
            raise ValueError(f"{self.path} is a file, and no run; name the folder of a run")
        files.check_regular(self.config_file)
        if not self.config_file.is_file():
            if str(self.path) in config.PRESETS:
                how = f"train it with `lapg train {self.path}`, and give the folder of the run"
                raise ValueError(f"{self.path} is a preset, no run; {how}")
            near = sorted(file.parent.name for file in self.path.parent.glob("*/config.toml"))
            there = f"there are {', '.join(near[:5])}{' and others' * (len(near) > 5)}; or " if near else ""
            raise ValueError(
                f"{self.path} holds no run (no config.toml); {there}start one with `lapg train PRESET --run "
                f"{shlex.quote(str(self.path))}`"
            )
        found = config.load(self.config_file, complete=True)
        trained = [row for row in self.provenance() if "config" in row]
        if trained:
            self.check_same(trained[-1]["config"], found, "its provenance", cut="lengthened" in trained[-1])
        return found

    def trusted_config(self) -> Config:
        """The same, to be played or trained: whatever looks up what it names comes after this.

        Raises:
            ValueError: where it names code that was not allowed; see `lapg_rl.runs.trust`.
        """
        found = self.config()
        trust.check(found, self.path)
        return found

    def check_same(self, trained: Any, found: Config, where: str, longer_now: bool = False, cut: bool = False) -> None:
        """Refuse a configuration that is not the one (plain data, None in older versions) that was trained with.

        It may have more updates if it is `longer_now`, and fewer if a crash `cut` off its being made longer.
        """
        if trained is None:
            return
        try:
            one = config.from_dict(trained)
            same = one == found or (longer_now and longer(one, found)) or (cut and longer(found, one))
            what = "" if same else difference(one, found, f"in {where}", "now")
        except (ValueError, TypeError) as error:
            what = f"{where}: {error}"
        if what:
            raise ValueError(
                f"{self.config_file} is not what the run was trained with ({what}); restore it, or train in another folder"
            )

    def metrics(self) -> list[dict[str, Any]]:
        """One dictionary an update, in order; a torn line at the end (a crash) is left out.

        Raises:
            ValueError: for a damaged line, or a file that ends before what is known to be done; it names file and line.
        """
        done = self.done()
        rows = files.rows(self.metrics_file)
        check_updates(self.metrics_file, rows)
        if rows and rows[-1]["update"] + 1 < done:
            raise _was_cut(self.metrics_file, rows[-1]["update"] + 1, f"of the {done} that were made")
        return rows

    def done(self) -> int:
        """How many updates are done for certain: those of the newest checkpoint, or that provenance tells of."""
        known = self.provenance()
        starts = [n for n, row in enumerate(known) if "from_update" in row]
        last = known[starts[-1] :] if starts else []
        told = sum(
            row.get(key, 0) for row in last for key in ("from_update", "updates") if isinstance(row.get(key, 0), int)
        )
        return max(told, self.saved())

    def saved(self) -> int:
        """After how many updates the newest checkpoint was written; 0 where there is none."""
        return max(map(steps.updates, steps.folders(self.checkpoints)), default=0)

    def provenance(self) -> list[dict[str, Any]]:
        """What is known of every start of the run, in order. Raises ValueError for a damaged line."""
        return files.rows(self.provenance_file, torn=True)

    def newest_state(self, cfg: Config) -> "TrainState | None":
        """The newest sound checkpoint as a train state, or None where there is no checkpoint yet."""
        from lapg_rl.runs import checkpoint, state

        if (found := checkpoint.newest_folder(self.checkpoints, state.fresh_state(cfg))) is None:
            return None
        trained = checkpoint.meta_of(found[0])["config"]
        self.check_same(trained, cfg, f"the checkpoint {found[0].name}", longer_now=True)
        return found[1]

    def state_at(self, cfg: Config, update: int) -> "TrainState":
        """The state after `update` updates. Raises ValueError where no sound checkpoint holds it."""
        from lapg_rl.runs import checkpoint, state

        return checkpoint.load(steps.folder(self.checkpoints, update), state.fresh_state(cfg))

    @property
    def played(self) -> Path:
        """Where the checkpoints lie whose agents play: of a copy without others, those that hold the agents alone."""
        copied = steps.folders(self.kept_agents) and not steps.folders(self.checkpoints)
        return self.kept_agents if copied else self.checkpoints

    def final_state(self) -> "TrainState":
        """The state to evaluate; of a copy that holds the agents alone, with fresh optimisers.

        Raises:
            ValueError: where the run has no sound checkpoint of a trained state.
        """
        cfg = self.check_trained()
        state = self.newest_state(cfg) if self.played == self.checkpoints else self._with_kept_agents(cfg)
        if state is None or not int(state.update):
            raise self._untrained()
        return state

    def keep_agents(self, copy: Path) -> None:
        """Write what plays of the newest checkpoint into a copy of the run, in place of what is there."""
        from lapg_rl.runs import checkpoint

        state, folder = self.final_state(), RunFolder(copy).kept_agents
        checkpoint.write(folder, int(state.update), {"agents": state.agents}, config.to_dict(self.config()))

    def _with_kept_agents(self, cfg: Config) -> "TrainState | None":
        from lapg_rl.runs import checkpoint, state

        fresh = state.fresh_state(cfg)
        if (found := checkpoint.newest_folder(self.kept_agents, {"agents": fresh.agents})) is None:
            return None
        self.check_same(checkpoint.meta_of(found[0])["config"], cfg, f"the agents {found[0].name}")
        return fresh._replace(agents=found[1]["agents"], update=fresh.update + steps.updates(found[0]))

    def check_trained(self) -> Config:
        """The configuration of a run to be played; refuses what needs no JAX to be told.

        Raises:
            ValueError: where there is no run, none that may be played (see `trusted_config`), or no checkpoint after update 0.
        """
        cfg = self.trusted_config()
        if not any(map(steps.updates, steps.folders(self.played))):
            raise self._untrained()
        return cfg

    def _untrained(self) -> ValueError:
        if self.metrics_file.exists() and not self.checkpoints.exists():
            return ValueError(
                f"{self.path} has no checkpoints: it is a copy without agents (`lapg report RUN --export DIR --agents` keeps "
                "them); name the run itself"
            )
        return ValueError(
            f"{self.path} has no sound checkpoint yet; train it with `lapg train --resume {shlex.quote(str(self.path))}`"
        )

    def append(self, path: Path, row: dict[str, Any]) -> None:
        """Add a row to one of the files, as long as the folder is this process's own."""
        if self.lock:
            self.lock.check()
        files.append(path, row)


def check_updates(path: Path, rows: list[dict[str, Any]]) -> None:
    """Refuse metrics whose updates do not rise, or are no counts."""
    before = -1
    for number, row in enumerate(rows, start=1):
        update = row.get("update")
        if not isinstance(update, int) or update <= before:
            raise ValueError(
                f"{path}, line {number}, has no update after {before}; restore the file from a copy, or train in another folder"
            )
        before = update


def _was_cut(path: Path, end: int, before: str) -> ValueError:
    return ValueError(
        f"{path} ends at update {end}, before {before}: it was cut; restore it, or train in another folder"
    )


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
    """Where and with what this process runs: versions, device, native kernels and commit of the source (if any), time."""
    import jax
    import jax.numpy as jnp

    from lapg_rl.native import library

    kernels = library.in_use()
    packages = ("jax", "jaxlib", "equinox", "optax", "numpy")
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "python": platform.python_version(),
        "versions": {"lapg": lapg_rl.__version__} | {name: metadata.version(name) for name in packages},
        "platform": platform.platform(),
        "devices": [f"{d.platform}:{d.device_kind}" for d in jax.devices()],
        "cores": os.cpu_count(),
        "kernels": kernels and kernels.stem,
        "dtype": str(jnp.result_type(float)),
        "commit": _commit(),
    }


def truncate_metrics(run: RunFolder, updates: int) -> None:
    """Keep the rows of the first `updates` updates: those after the checkpoint are made again, damaged or not."""
    rows = files.rows(run.metrics_file, upto=updates)
    check_updates(run.metrics_file, rows)
    if len(rows) < updates or (rows and rows[-1]["update"] != updates - 1):
        raise _was_cut(run.metrics_file, len(rows), f"the checkpoint of update {updates}")
    files.replace(run.metrics_file, files.text_of(rows))


def difference(there: Config, wanted: Config, one: str = "there", other: str = "here") -> str:
    """The keys in which two configurations differ, with both values."""
    first, second = ({k: '""' if v == "" else v for k, v in config.flat(c).items()} for c in (there, wanted))
    return ", ".join(f"{key} {first[key]} {one}, {second[key]} {other}" for key in first if first[key] != second[key])


def longer(there: Config, wanted: Config) -> bool:
    """Whether `wanted` is the same run with more updates."""
    return wanted.updates > there.updates and dataclasses.replace(there, updates=wanted.updates) == wanted


def unwritable(path: Path, error: OSError) -> ValueError:
    """The refusal of a folder that a run can't be kept in."""
    return ValueError(
        f"cannot write the run folder {path}: {error.strerror or error}; choose another folder, or make room there"
    )


@contextmanager
def opened(cfg: Config, path: str | Path) -> Iterator[RunFolder]:
    """The folder of a run of `cfg`, for this process alone; see `open_run`."""
    from lapg_rl.machine import memory

    memory.check(cfg)
    run = RunFolder(path)
    if cfg.pool.parents:
        from lapg_rl.runs import parents

        parents.check(cfg, run)
    with ExitStack() as lock:
        try:
            run.path.mkdir(parents=True, exist_ok=True)
            run.lock = lock.enter_context(locked(run.path))
            there = run.config() if run.config_file.exists() or run.config_file.is_symlink() else None
            if there is not None and run.played == run.kept_agents:
                raise ValueError(
                    f"{run.path} is a copy whose agents play but can't go on; resume the run itself, or start another from its "
                    f"agents: `lapg train --config {shlex.quote(str(run.config_file))} --from {shlex.quote(str(run.path))}`"
                )
            if there is None or longer(there, cfg):
                if there is not None:  # told before it is so: a config that is longer than that was edited
                    run.append(run.provenance_file, {"config": config.to_dict(cfg), "lengthened": True})
                files.replace(run.config_file, config.dumps(cfg))
            elif there != cfg:
                raise ValueError(
                    f"{run.path} holds a run with another configuration ({difference(there, cfg)}); choose another folder, "
                    "in `lapg train` by --run (only updates can be changed, and only raised)"
                )
            run.checkpoints.mkdir(exist_ok=True)
        except OSError as error:
            raise unwritable(run.path, error) from None
        try:
            yield run
        finally:
            run.lock = None


def open_run(cfg: Config, path: str | Path) -> RunFolder:
    """Prepare `path` for a run of `cfg`: new, or the same run to be continued, or made longer by a larger `updates`.

    Raises:
        ValueError: where the run needs more memory than there is, or the folder holds a run with another configuration, can't
            be written, or is being trained in.
    """
    with opened(cfg, path) as run:
        return run
