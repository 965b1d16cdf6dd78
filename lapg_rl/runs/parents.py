"""Runs that begin where others ended: whose parameters they take, and what is kept of it.

A run is a pure function of its config, its key and its parents as they were when it began. So it begins only once: checkpoint 0
holds what agents and naive learners started from, `frozen/` a copy of the frozen co-players, and provenance names each parent
by its folder, update and the SHA-256 of the arrays that were read.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lapg_rl import config
from lapg_rl.config import Config, ModelConfig
from lapg_rl.config.checks import check_run, unknown
from lapg_rl.config.schedule import WINDOW, summed
from lapg_rl.learn.training_step import TrainState
from lapg_rl.play.company import naive_copies
from lapg_rl.runs import checkpoint, files
from lapg_rl.runs.course import outstanding
from lapg_rl.runs.folder import RunFolder

#: Where the copy of the frozen co-players lies in a run folder: a checkpoint of one entry.
FROZEN = "frozen"


class Parent(NamedTuple):
    """What is taken from a parent: policies along a leading axis, its config, and what provenance says of it."""

    policies: Any
    config: Config
    record: dict[str, Any]


def read(cfg: Config, field: str) -> Parent:
    """The newest checkpoint of the run that `pool.agents_from`, `naive_from` or `frozen` names.

    Raises:
        ValueError: where there is no such run, checkpoint or agent, or its game, observations or architecture are others.
    """
    name, named = check_run(f"pool.{field}", cfg.pool.parents[field])
    run = RunFolder(name.replace("{seed}", str(cfg.seed)))
    parent = run.config()
    if what := _differences(parent, cfg, field):
        raise ValueError(f"pool.{field} = {run.path} doesn't fit this run: it differs in {what}")
    there, wanted = parent.pool.agents, cfg.pool.agents
    state = run.final_state()
    agent = _outstanding(run, int(state.update), named) if isinstance(named, str) else named
    if agent is not None and agent >= there:
        raise ValueError(f"pool.{field} names agent {agent} of {run.path}, which has {there}; count from 0")
    if agent is None and field == "agents_from" and there not in (1, wanted):
        raise ValueError(
            f"pool.agents_from = {run.path} has {there} agents, this run {wanted}; name one, as in {run.path}:0, or set "
            f"pool.agents={there}"
        )
    chosen = jnp.arange(there) if agent is None else jnp.array([agent])
    meta = checkpoint.meta_of(checkpoint.folder(run.played, int(state.update)))
    record = {"role": field, "run": str(run.path.resolve()), "agent": agent}
    record |= {"by": named} if isinstance(named, str) else {}
    record |= {"update": meta["step"], "sha256": meta["sha256"]}
    return Parent(jax.tree.map(lambda x: x[chosen], state.agents), parent, record)


def _outstanding(run: RunFolder, done: int, which: str) -> int:
    """The agent that `which` names, by the last `WINDOW` of `done` updates."""
    rows = [row for row in run.metrics() if row["update"] < done][-WINDOW:]
    known = sorted({key for row in rows for key, value in row.items() if isinstance(value, list)})
    for metric in summed(which, known):
        if metric not in known:
            raise ValueError(f"{run.path}: {unknown(f'metric of agents {metric}', metric, known)}")
        if (there := sum(metric in row for row in rows)) < len(rows):
            on = f"train it on, as in `lapg train --resume {run.path} updates={done + len(rows) - there}`, or "
            raise ValueError(
                f"{run.path}: only {there} of its last {len(rows)} updates have {metric}; {on * (metric in rows[-1])}name "
                "another metric"
            )
    return outstanding(which, rows)


def _differences(parent: Config, cfg: Config, field: str) -> str:
    """The keys that tell a parent from what this run needs, with both values; empty where there are none.

    Who has played CleanUp-lite alone knows the grid, and may meet others there.
    """
    ours, theirs = config.flat(cfg), config.flat(parent)
    keys = [key for key in ours if key.startswith("game.") and key != "game.cleanup.alone"] + ["pool.reveal"]
    keys += ["pool.reveal_kinds"] * cfg.pool.reveal + ["learner.memory"] * (field == "frozen")
    pairs = [(key, theirs[key], ours[key]) for key in keys]
    wanted = cfg.naive_model if field == "naive_from" else cfg.model
    sizes = () if wanted.kind == "tabular" else dataclasses.fields(ModelConfig)
    names = dict.fromkeys(["kind", *(size.name for size in sizes if size.name != "spread")])
    pairs += [(f"model.{name}", getattr(parent.model, name), getattr(wanted, name)) for name in names]
    return ", ".join(f"{key} ({one} there, {other} here)" for key, one, other in pairs if one != other)


def check(cfg: Config, run: RunFolder) -> None:
    """Refuse a run that is to begin from what it can't begin from; one that has begun needs its parents no more."""
    if not checkpoint.folders(run.checkpoints):
        for field in cfg.pool.parents:
            read(cfg, field)


def check_unchanged(run: RunFolder) -> None:
    """Refuse a run whose parents have trained on since it began: what it shows isn't about what they are. Raises ValueError."""
    rows = run.provenance() if run.provenance_file.exists() else []
    for record in (parent for row in rows for parent in row.get("parents", [])):
        newest = checkpoint.folders(RunFolder(record["run"]).played)[-1:]
        for now in map(checkpoint.meta_of, newest):  # a parent that is gone tells nothing
            if now["sha256"] != record["sha256"]:
                raise ValueError(
                    f"{run.path} began from {record['run']} as it was after {record['update']} updates, and there is another "
                    f"state after {now['step']} now; remove {run.path}, or name another folder for what is to come"
                )


def begun(cfg: Config, run: RunFolder, fresh: TrainState) -> TrainState:
    """A fresh state with its parents' parameters instead of random ones; provenance names them, frozen ones are copied."""
    found = {field: read(cfg, field) for field in cfg.pool.parents}
    if "agents_from" in found:
        fresh = fresh._replace(agents=_in_turn(fresh.agents, found["agents_from"].policies, cfg.pool.agents))
    if "naive_from" in found:
        naive = _in_turn(fresh.naive_policies, found["naive_from"].policies, cfg.pool.naive_population)
        fresh = fresh._replace(naive_policies=naive)
    if "frozen" in found:
        kept = found["frozen"]
        for old in checkpoint.folders(run.path / FROZEN):  # of a start that was cut off before checkpoint 0
            files.drop(old)
        checkpoint.write(run.path / FROZEN, kept.record["update"], kept.policies, config.to_dict(kept.config))
    if found:
        run.append(run.provenance_file, {"parents": [parent.record for parent in found.values()]})
    return fresh


def _in_turn(like: Any, policies: Any, count: int) -> Any:
    """`count` policies, one after the other from those there are; what is static is as in `like`."""
    there = len(jax.tree.leaves(policies)[0])
    return naive_copies(like, jax.tree.map(lambda x: x[jnp.arange(count) % there], policies))


def frozen(cfg: Config, run: RunFolder, state: TrainState) -> Any:
    """The frozen co-players of a run that has begun, from the copy in its folder; None where it has none.

    Raises:
        ValueError: where the copy is missing, damaged, or of another number of agents.
    """
    if not cfg.pool.frozen:
        return None
    copies = checkpoint.folders(run.path / FROZEN)
    if len(copies) != 1:
        raise ValueError(f"{run.path / FROZEN} holds {len(copies)} copies of the frozen agents, not 1; restore it")
    one = check_run("pool.frozen", cfg.pool.frozen)[1] is not None
    count = 1 if one else config.from_dict(checkpoint.meta_of(copies[0])["config"]).pool.agents
    return checkpoint.load(copies[0], jax.tree.map(lambda x: jnp.zeros((count, *x.shape[1:]), x.dtype), state.agents))
