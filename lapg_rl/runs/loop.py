"""Train runs in their folders: start, resume, crash, resume again; one seed, or several in one program."""

import dataclasses
import functools
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from lapg_rl import config
from lapg_rl.config import Config
from lapg_rl.config.schedule import parse
from lapg_rl.config.tables import HEADLINES
from lapg_rl.learn.rehearsal import rehearse
from lapg_rl.learn.training_step import TrainState, run_key, step_of
from lapg_rl.machine import devices, memory
from lapg_rl.machine.cache import make_room
from lapg_rl.runs import folder as on_disk
from lapg_rl.runs import state as states_of
from lapg_rl.runs import trust
from lapg_rl.runs.course import Course, all_configs, check_metrics, copies
from lapg_rl.runs.folder import RunFolder as RunFolder
from lapg_rl.runs.folder import open_run as open_run
from lapg_rl.runs.loggers import Logs, Opens, openers
from lapg_rl.runs.preemption import Preempted, counted, listen
from lapg_rl.runs.progress import Progress, chosen, say
from lapg_rl.runs.state import fresh_state as fresh_state


def train(
    cfg: Config,
    path: str | Path,
    *,
    label: str = "train",
    quiet: bool = False,
    count: int | Literal["all"] | None = None,
    log: Opens | Sequence[Opens] = (),
    progress: str | Callable[[int, int, Mapping[str, float]], Any] = "auto",
) -> TrainState:
    """Run `cfg` in the folder `path`, from its newest sound checkpoint if it has one, to its last update.

    A killed run, started again, ends with the parameters, optimiser state and metrics of an uninterrupted one: bit for bit
    on the same kind of CPU with as many threads and the same native kernels (provenance names both), and on a GPU where XLA
    picks the same kernels (`--xla_gpu_deterministic_ops`).

    Args:
        cfg: what to train.
        path: the run folder.
        label: this and what follows: see `train_together`.
        quiet: no progress.
        count: how many devices to use.
        log: where metrics go besides the run folder.
        progress: how it is shown.

    Raises:
        ValueError: see `open_run`; also where the checkpoints of a begun run are gone or all damaged.
        FloatingPointError: when a metric, parameter or optimiser state becomes non-finite; that state is not saved.
        OSError: when the folder can't be written any more, as on a full disk; what is there stays as it was.
        Preempted: after SIGTERM, when the update in hand is saved.

    Example:
        >>> import lapg_rl as rl
        >>> small = ["model.kind=tabular", "updates=1", "meta_batch=2", "batch=2", "inner_episodes=2", "steps=3"]
        >>> state = rl.train(rl.override(rl.preset("ipd-shaping-small"), small), folder / "first", quiet=True)
        >>> int(state.update)
        1
    """
    return train_together([(cfg, path)], label=label, quiet=quiet, count=count, log=log, progress=progress)[0]


def train_together(
    runs: Sequence[tuple[Config, str | Path]],
    *,
    label: str = "train",
    quiet: bool = False,
    count: int | Literal["all"] | None = None,
    log: Opens | Sequence[Opens] = (),
    progress: str | Callable[[int, int, Mapping[str, float]], Any] = "auto",
) -> list[TrainState]:
    """Train runs that differ in nothing but their seed side by side in one program, each in its own folder.

    That is how a GPU is filled; a CPU gains nothing. Each run is the one that `train` makes of its config, up to rounding.
    They carry on from the newest update of which all have a sound checkpoint. Where several processes train together (see
    `devices.join`), all make the same call and the first has the folders.

    Args:
        runs: configs and folders.
        label: stands before the progress.
        quiet: no progress, whatever `progress` says.
        count: how many devices to use; see `devices.make_mesh`.
        log: where metrics go besides the run folder, as they come: "tensorboard", "wandb", or what else `rl.log` takes.
        progress: "auto" (in a notebook a bar with curves beneath the cell, on a terminal a bar, in a log a line now and then),
            "notebook", "line", "none", or a function told (updates done, of how many, {"agent": its reward, ...}).

    Raises:
        ValueError: for configs that differ in more than the seed, or don't fit the devices; see also `train`.
        FloatingPointError: where one of them becomes non-finite; all stop before they save that state.
        OSError, Preempted: see `train`.
        KeyboardInterrupt: by Ctrl-C, with a note on how to carry on, which loses nothing up to the newest checkpoint.

    Example:
        >>> import dataclasses, lapg_rl as rl
        >>> cfg = rl.RunFolder(run).config()
        >>> seeds = [dataclasses.replace(cfg, updates=1, seed=seed) for seed in (1, 2)]
        >>> len(rl.train_together([(c, folder / str(c.seed)) for c in seeds], quiet=True))
        2
    """
    configs, cfg = [config.check_config(c) for c, _ in runs], runs[0][0]
    for other in configs[1:]:
        if dataclasses.replace(other, seed=cfg.seed) != cfg:
            raise ValueError(
                f"runs trained together may differ in their seeds only, got {on_disk.difference(cfg, other)}"
            )
    shown, makers = chosen(progress, label, quiet or not devices.writes()), openers(log)
    make_room()
    mesh = _check_stages(cfg, len(runs), count)
    for stage in all_configs(cfg):
        rehearse(stage)
    trust.allow(*cfg.addresses)  # it has just been run
    with listen() as asked, ExitStack() as opened:
        folders, states = _begin(runs, opened)
        try:
            if (start := int(states[0].update)) >= cfg.updates:
                return states
            for run, c in zip(folders, configs, strict=True):
                more = {"config": config.to_dict(c), "from_update": start, **_apart(configs, mesh)}
                _append(run, run.provenance_file, {**on_disk.provenance(), **more})
            told = zip(folders, configs, strict=True) if devices.writes() else ()
            logs = [opened.enter_context(closing(Logs(run, c, makers))) for run, c in told]
            return _train(configs, folders, states, mesh, shown, asked, logs)
        except KeyboardInterrupt as stop:
            how = f"interrupted; {counted(folders[0].saved())} saved, and the same call carries on, as does `lapg train"
            stop.add_note(f"{how} --resume {shlex.quote(str(folders[0].path))}`")
            shown.stopped(stop.__notes__[-1])
            raise
        except OSError as error:
            raise OSError(
                f"cannot write {error.filename or folders[0].path}: {error.strerror or error}; the run so far is intact: make "
                f"room, then carry on with `lapg train --resume {shlex.quote(str(folders[0].path))}`"
            ) from error


def _check_stages(cfg: Config, seeds: int, count: int | Literal["all"] | None) -> Mesh | None:
    """The mesh; refuse a schedule whose stages take too much memory, don't fit the devices, can't start or part the runs."""
    if any(stage.measures for stage in parse(cfg.schedule)) and (seeds > 1 or jax.process_count() > 1):
        raise ValueError(
            "the schedule looks at metrics, which can't be told alike to several seeds or processes in one program; train the "
            "runs one by one, or start stages at given updates and copy no agents"
        )
    if cfg.pool.frozen and jax.process_count() > 1:
        raise ValueError(
            "only the first of several processes can read the copy of the agents of pool.frozen; train in one process"
        )
    check_metrics(cfg)
    meshes = []
    for stage in all_configs(cfg):
        memory.check(stage, seeds)
        meshes.append(devices.make_mesh(stage, seeds, count))
    return meshes[0]


def _train(
    configs: list[Config],
    folders: list[RunFolder],
    states: list[TrainState],
    mesh: Mesh | None,
    progress: Progress,
    asked: Callable[[], bool],
    logs: list[Logs],
) -> list[TrainState]:
    cfg, count, start = configs[0], len(configs), int(states[0].update)
    began, cpu = time.monotonic(), time.process_time()
    elapsed = lambda: round(time.monotonic() - began, 1)  # noqa: E731
    keys = [run_key(c) for c in configs]
    step = functools.cache(lambda stage: step_of(stage, count, mesh))
    course = Course(cfg, folders[0].metrics() if cfg.schedule and devices.writes() else [{}] * start)
    state = devices.place(_stack(states), mesh)
    progress.begin(start, cfg.updates, lambda: (_headline([row]) for row in folders[0].metrics()[:start]))
    if devices.any_process(asked()):
        raise Preempted(folders[0].path, start)
    progress.first_step()
    for update in range(start, cfg.updates):
        key = devices.place(_stack([jax.random.fold_in(key, update) for key in keys]), mesh)
        numbers = course.numbers
        state, metrics = step(course.config)(state, key, *([numbers] if numbers else []))
        rows = _rows_of(update, metrics, count)
        course.see(rows[0])
        for row, run in zip(rows, folders, strict=True):
            states_of.check_finite(row, update, run, cfg)
        for row, run in zip(rows, folders, strict=True):
            _append(run, run.metrics_file, row)
        for row, log in zip(rows, logs, strict=devices.writes()):
            log.tell(row)
        if update == start:
            _note(folders, {"first_update_after_s": elapsed()})
        done, stop = update + 1, devices.any_process(asked())
        if course.copied is not None:
            state = devices.place(copies(state, course.copied), mesh)
            _note(folders, {"update": done, "agents_are_copies_of": course.copied})
        if done % cfg.checkpoint_every == 0 or done == cfg.updates or stop:
            states_of.save(folders, configs, _unstack(state, count))
        progress.show(done, _headline(rows))
        if stop and done < cfg.updates:
            raise Preempted(folders[0].path, done)
    spent = round(time.process_time() - cpu, 1)
    _note(folders, {"finished_after_s": elapsed(), "cpu_s": spent, "updates": cfg.updates - start})
    if (waits := course.waits) and not progress.quiet:
        say(f"lapg: {folders[0].path} ended after {course.stage} of {len(course.stages)} stages: it waited for {waits}")
    progress.done()
    return _unstack(state, count)


def _begin(runs: Sequence[tuple[Config, str | Path]], opened: ExitStack) -> tuple[list[RunFolder], list[TrainState]]:
    """The folders, kept open, and the states to go on from, which the first process gives to all."""
    states, refused = [] if devices.writes() else [fresh_state(c) for c, _ in runs], None
    folders = [RunFolder(path) for _, path in runs]
    if devices.writes():
        try:
            folders = [opened.enter_context(on_disk.opened(*one)) for one in runs]
            states = states_of.begin_together(folders, [c for c, _ in runs])
        except ValueError as error:
            refused = error
        except OSError as error:
            refused = on_disk.unwritable(folders[0].path, error)
    if devices.any_process(refused is not None):
        raise refused or ValueError(f"the first process cannot train in {folders[0].path}; it says why")
    return folders, devices.from_first(states)


def _apart(configs: list[Config], mesh: Mesh | None) -> dict[str, Any]:
    """What provenance says of a run that is not alone, or not on one device."""
    note: dict[str, Any] = {"together_with_seeds": [c.seed for c in configs]} if len(configs) > 1 else {}
    return note | ({"mesh": dict(mesh.shape), "processes": jax.process_count()} if mesh else {})


def _append(run: RunFolder, path: Path, row: dict[str, Any]) -> None:
    if devices.writes():
        run.append(path, row)


def _note(folders: list[RunFolder], row: dict[str, Any]) -> None:
    for run in folders:
        _append(run, run.provenance_file, row)


def _rows_of(update: int, metrics: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """The row of each of `count` runs; with several, the metrics have a leading axis over them."""
    fetched = sorted(jax.device_get(metrics).items())
    return [
        {"update": update, **{name: (value if count == 1 else value[n]).tolist() for name, value in fetched}}
        for n in range(count)
    ]


def _stack(trees: Sequence[Any]) -> Any:
    """One tree with a new leading axis; a single tree stays as it is."""
    if len(trees) == 1:
        return trees[0]
    return jax.tree.map(lambda *x: jnp.stack(x) if eqx.is_array(x[0]) else x[0], *trees)


def _unstack(tree: Any, count: int) -> list[Any]:
    if count == 1:
        return [tree]
    return [jax.tree.map(lambda x, n=n: x[n] if eqx.is_array(x) else x, tree) for n in range(count)]


def _headline(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Mean rewards per step, over runs and agents, in words that fit a line."""
    means = {short: [row[name] for row in rows] for name, short in HEADLINES.items() if name in rows[0]}
    return {short: float(np.mean(values)) for short, values in means.items()}
