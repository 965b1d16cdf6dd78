"""Sixty real kills: six kinds of command, ten each, at random moments. Each ends with what the uninterrupted command gives."""

import dataclasses
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import jax
import numpy as np
import pytest
from test_lossless import TINIEST

from lapg_rl import config
from lapg_rl.config import ModelConfig
from lapg_rl.runs.folder import RunFolder

KILLS = 10
NETWORK = {"width": 4, "heads": 2, "mlp_width": 4, "conv_width": 2}
KINDS = {  # what is trained, on which command line, in how many folders
    "tabular": (ModelConfig(kind="tabular"), ["train"], 1),
    "hawk": (ModelConfig(kind="hawk", **NETWORK), ["train"], 1),
    "transformer": (ModelConfig(kind="transformer", **NETWORK), ["train"], 1),
    "together": (ModelConfig(kind="tabular"), ["train", "--together", "--seeds", "3"], 3),
    "side by side": (ModelConfig(kind="tabular"), ["train", "--jobs", "2", "--seeds", "2"], 2),
    "sweep": (ModelConfig(kind="tabular"), ["sweep", "learner.clip=0.1,0.2"], 2),
}


def rows(folder):
    return sum(path.read_bytes().count(b"\n") for path in folder.rglob("metrics.jsonl"))


def named_by_a_process(folder):
    """Whether a command line of any process holds the folder's name."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if str(folder).encode() in path.read_bytes():
                return True
    return False


def killed(line, folder, draw):
    """Start the command and kill it: anywhere in its start, or soon after it has done more; then wait for its children."""
    before, early = rows(folder), draw.random() < 0.3
    process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + (draw.uniform(0, 6) if early else 300)
    while rows(folder) <= before and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0 if early else draw.uniform(0, 0.3))
    process.kill()
    said = process.communicate()[1]
    deadline = time.monotonic() + 60
    while named_by_a_process(folder):
        assert time.monotonic() < deadline, "a child outlived the command by a minute"
        time.sleep(0.02)
    assert process.returncode in (0, -signal.SIGKILL), said
    assert "Traceback" not in said
    return process.returncode


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_ten_kills_change_nothing(kind, tmp_path):
    model, words, count = KINDS[kind]
    updates = 1500 if count == 1 else 600
    cfg = dataclasses.replace(TINIEST, model=model, updates=updates, checkpoint_every=1, keep_checkpoints=1)
    config.save(cfg, tmp_path / "tiny.toml")
    where = "--root" if words[0] == "sweep" else "--run"
    line = [sys.executable, "-m", "lapg_rl.commands.main", *words, "--config", tmp_path / "tiny.toml", "--quiet"]
    line += ["--compilation-cache", tmp_path / "cache", where]
    draw, attacked, whole = random.Random(kind), tmp_path / "attacked", tmp_path / "whole"
    ends = [killed([*line, attacked], attacked, draw) for _ in range(KILLS)]
    assert ends.count(-signal.SIGKILL) >= KILLS - 2, "the run is too short for so many kills"
    for folder in (attacked, whole):
        done = subprocess.run([*line, folder], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    names = [path.parent.relative_to(whole) for path in sorted(whole.rglob("metrics.jsonl"))]
    assert len(names) == count
    for name in names:
        one, other = RunFolder(attacked / name), RunFolder(whole / name)
        assert one.metrics_file.read_bytes() == other.metrics_file.read_bytes()
        pairs = zip(jax.tree.leaves(one.final_state()), jax.tree.leaves(other.final_state()), strict=True)
        assert all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in pairs)
        assert int(one.final_state().update) == updates
