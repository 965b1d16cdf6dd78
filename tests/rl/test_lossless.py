"""Runs whose machine is taken away, fills up, or tells another time: they end bit for bit with the uninterrupted result."""

import dataclasses
import errno
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import pytest
from test_run import TINY, assert_same_run, uninterrupted

from lapg_rl import config
from lapg_rl.config import Config, PoolConfig
from lapg_rl.runs import checkpoint, files, loop, preemption, processes
from lapg_rl.runs.loop import RunFolder
from lapg_rl.runs.preemption import Preempted
from lapg_rl.runs.progress import Progress

__all__ = ["uninterrupted"]  # a fixture

TINIEST = dataclasses.replace(TINY, name="tiniest", updates=Config().updates, pool=PoolConfig(naive_population=2))


def steps_in(folder):
    return [checkpoint.updates(f) for f in checkpoint.folders(folder / "checkpoints")]


def started(folder):
    """How often the run in `folder` got as far as its first update."""
    return sum("first_update_after_s" in row for row in RunFolder(folder).provenance())


def soak(cfg, tmp_path, kills):
    """Start, kill at a random moment, start again, ...; then go on to the end and compare with one that nobody killed."""
    draw = random.Random(0)
    config.save(cfg, tmp_path / "tiny.toml")
    folder = tmp_path / "killed"
    line = [
        sys.executable,
        "-m",
        "lapg_rl.commands.main",
        "train",
        "--config",
        tmp_path / "tiny.toml",
        "--run",
        folder,
        "--quiet",
    ]
    ends, sums = [], []
    for _ in range(kills):
        before = started(folder)
        with (tmp_path / "errors").open("a") as errors:
            process = subprocess.Popen(line, stderr=errors)
        early = (
            draw.random() < 0.2
        )  # anywhere in the start (imports, compilation, reading the checkpoint), or soon after it
        deadline = time.monotonic() + (draw.uniform(0, 5) if early else 300)
        while started(folder) == before and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0 if early else draw.uniform(0, 0.15))
        number = draw.choice([signal.SIGKILL, signal.SIGTERM])
        process.send_signal(number)
        ends.append((number, process.wait(timeout=300)))
        rows, saved = len(RunFolder(folder).metrics()), steps_in(folder)
        assert rows < cfg.updates, "the run is too short for so many kills"
        if ends[-1] == (signal.SIGTERM, preemption.EXIT) and saved:
            sums.append(rows - saved[-1])
    errors = (tmp_path / "errors").read_text()
    assert {end for number, end in ends if number == signal.SIGKILL} <= {-signal.SIGKILL}, errors
    assert {end for number, end in ends if number == signal.SIGTERM} <= {preemption.EXIT, -signal.SIGTERM}, errors
    assert set(sums) <= {0}, "what was done when SIGTERM came is saved"
    whole = tmp_path / "whole"
    assert_same_run(folder, loop.train(cfg, folder, quiet=True), (whole, loop.train(cfg, whole, quiet=True)))
    return ends, started(folder)


def test_killed_three_times_at_random_moments(tmp_path):
    ends, starts = soak(dataclasses.replace(TINIEST, updates=300), tmp_path, 3)
    assert starts >= 3
    assert (signal.SIGTERM, preemption.EXIT) in ends


@pytest.mark.slow
def test_killed_fifty_times_at_random_moments(tmp_path):
    ends, starts = soak(dataclasses.replace(TINIEST, updates=2000), tmp_path, 50)
    assert starts >= 30
    assert sum(number == signal.SIGKILL for number, _ in ends) >= 15
    assert sum(end == preemption.EXIT for _, end in ends) >= 15


def at_update(monkeypatch, number, action):
    """Do something, once, after that many updates and the checkpoint of the last."""

    pending = [action]

    def show(self, done, note=""):
        if done == number and pending:
            pending.pop()()

    monkeypatch.setattr(Progress, "show", show)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2])
def test_a_signal_to_stop_saves_the_update_in_hand(number, tmp_path, uninterrupted, monkeypatch):
    before = signal.getsignal(number)
    at_update(monkeypatch, 4, lambda: os.kill(os.getpid(), number))
    with pytest.raises(Preempted, match=r"5 updates are saved, carry on with `lapg train --resume .*`"):
        loop.train(TINY, tmp_path, quiet=True)
    assert steps_in(tmp_path) == [2, 4, 5]
    assert signal.getsignal(number) is before
    assert_same_run(tmp_path, loop.train(TINY, tmp_path, quiet=True), uninterrupted)


TRAP = """#!/bin/sh
for folder; do case $folder in --resume) ;; --quiet) ;; *) last=$folder;; esac; done
trap "exit 75" TERM
touch $last/begun
while :; do sleep 0.05; done
"""


def test_sigterm_is_passed_on_to_runs_side_by_side(tmp_path, monkeypatch):
    """Stand-ins for the runs, which tell that they were asked; the slow test below has real ones."""
    (tmp_path / "trap").write_text(TRAP)
    (tmp_path / "trap").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "trap"))
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        folder.mkdir()

    def wait(*arguments, **options):
        if all((folder / "begun").exists() for folder in folders[:2]):
            os.kill(os.getpid(), signal.SIGTERM)
        return original(*arguments, **options)

    original = processes.wait
    monkeypatch.setattr(processes, "wait", wait)
    assert [end.status for end in processes.train_each(folders, jobs=2)] == [preemption.EXIT] * 3
    assert [(folder / "begun").exists() for folder in folders] == [True, True, False]


@pytest.mark.slow
def test_sigterm_saves_runs_side_by_side(tmp_path):
    config.save(dataclasses.replace(TINIEST, updates=100_000), tmp_path / "tiny.toml")
    line = ["train", "--config", tmp_path / "tiny.toml", "--run", tmp_path / "r", "--seeds", "3", "--jobs", "2"]
    process = subprocess.Popen([sys.executable, "-m", "lapg_rl.commands.main", *line, "--quiet"])
    folders = [tmp_path / "r" / f"seed{n}" for n in range(3)]
    deadline = time.monotonic() + 300
    while not all(started(folder) for folder in folders[:2]) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.terminate()
    assert process.wait(timeout=300) == preemption.EXIT
    for folder in folders[:2]:
        assert steps_in(folder)[-1] == len(RunFolder(folder).metrics()) > 0
    assert not folders[2].joinpath("metrics.jsonl").exists()


def test_every_nth_checkpoint_is_kept_beside_the_newest(tmp_path):
    for step in range(0, 21, 2):
        checkpoint.save(tmp_path, step, {"x": jnp.arange(step)}, keep=2, every=8)
    assert [checkpoint.updates(f) for f in checkpoint.folders(tmp_path)] == [8, 16, 18, 20]
    with pytest.raises(ValueError, match="keep_every must be a multiple of checkpoint_every = 20, got 30"):
        Config(keep_every=30)


@pytest.mark.parametrize("room", ["for half a checkpoint", "for half a row"])
def test_a_full_disk_leaves_what_is_there(room, tmp_path, uninterrupted, monkeypatch):
    """The kernel refuses to let files grow beyond a limit, in the middle of a write as a full disk does."""
    size = (uninterrupted[0] / "checkpoints" / "step_000000012" / "arrays.npz").stat().st_size
    written, rows = tmp_path / "metrics.jsonl", []
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill():
        rows.append(written.stat().st_size)
        limit = size // 2 if room == "for half a checkpoint" else rows[0] + 100
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))

    at_update(monkeypatch, 3 if room == "for half a checkpoint" else 7, fill)
    try:
        with pytest.raises(OSError, match=r"cannot write .*: File too large; .*make room.*--resume"):
            loop.train(TINY, tmp_path, quiet=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert steps_in(tmp_path) == ([0, 2] if room == "for half a checkpoint" else [2, 4, 6])
    assert not list(tmp_path.glob("**/*.tmp"))
    assert_same_run(tmp_path, loop.train(TINY, tmp_path, quiet=True), uninterrupted)


def test_rewriting_a_file_on_a_full_disk_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "metrics.jsonl"
    path.write_text("old")

    def full(path, data):
        path.write_bytes(data[:2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "write", full)
    with pytest.raises(OSError, match="No space left"):
        files.replace(path, "new and longer")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("metrics.jsonl", "old")]


def test_a_read_only_folder_is_refused():
    with tempfile.TemporaryDirectory() as place:  # where others may look, too
        folder = Path(place) / "run"
        loop.open_run(TINY, folder)
        modes = [(Path(place), 0o755), (folder, 0o555), (folder / ".lock", 0o444)]
        for path, mode in modes:
            path.chmod(mode)
        root = os.geteuid() == 0  # whom permissions don't stop
        try:
            if root:
                os.seteuid(65534)
            with pytest.raises(ValueError, match=r"cannot write the run folder .*: Permission denied; choose another"):
                loop.train(TINY, folder, quiet=True)
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o755)


def test_nothing_is_ordered_by_the_clock(tmp_path, uninterrupted, monkeypatch):
    """Stopped after the 6th update; then the clock is in 1970, and the oldest checkpoint is the one written last."""
    at_update(monkeypatch, 5, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Preempted):
        loop.train(TINY, tmp_path, quiet=True)
    for folder in checkpoint.folders(tmp_path / "checkpoints"):
        for path in (folder, *folder.iterdir()):
            os.utime(path, (4e9 - checkpoint.updates(folder),) * 2)
    original = time.gmtime
    monkeypatch.setattr(time, "gmtime", lambda *_: original(0))
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert_same_run(tmp_path, loop.train(TINY, tmp_path, quiet=True), uninterrupted)
    starts = [row for row in RunFolder(tmp_path).provenance() if "started" in row]
    assert [row["from_update"] for row in starts] == [0, 6]
    assert starts[1]["started"] == "1970-01-01T00:00:00Z"
    assert RunFolder(tmp_path).provenance()[-1]["finished_after_s"] >= 0


@pytest.mark.parametrize("part", ["agents", "optimisers"])
def test_a_state_that_is_not_finite_is_not_saved_even_where_the_metrics_are(part, tmp_path, monkeypatch):
    where = {"agents": lambda s: s.agents.logits, "optimisers": lambda s: s.optimisers[1][0].nu.logits}[part]

    step = loop.step_of(TINY, 1, None)

    def spoilt(state, key):
        state, metrics = step(state, key)
        if len(RunFolder(tmp_path).metrics()) == 3:
            state = eqx.tree_at(where, state, replace_fn=lambda x: x.at[0, 2, 1].set(jnp.inf))
        return state, metrics

    monkeypatch.setattr(loop, "step_of", lambda *_: spoilt)
    with pytest.raises(FloatingPointError, match=rf"^{part}\S*logits became non-finite in update 3 .*step_000000002\."):
        loop.train(TINY, tmp_path, quiet=True)
    assert steps_in(tmp_path) == [0, 2]
