"""Sixty real kills: six kinds of command, ten each, at random moments. Each ends with what the uninterrupted command gives."""

import dataclasses
import os
import random
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from test_lossless import TINIEST

from lapg_rl import config
from lapg_rl.config import ModelConfig
from lapg_rl.runs.folder import RunFolder

KILLS = 10
NETWORK = {"width": 4, "heads": 2, "mlp_width": 4, "conv_width": 2}
KINDS = {  # what is trained, on which command line, into which folders
    "tabular": (ModelConfig(kind="tabular"), ["train"], [""]),
    "hawk": (ModelConfig(kind="hawk", **NETWORK), ["train"], [""]),
    "transformer": (ModelConfig(kind="transformer", **NETWORK), ["train"], [""]),
    "together": (ModelConfig(kind="tabular"), ["train", "--together", "--seeds", "3"], ["seed0", "seed1", "seed2"]),
    "side by side": (ModelConfig(kind="tabular"), ["train", "--jobs", "2", "--seeds", "2"], ["seed0", "seed1"]),
    "sweep": (ModelConfig(kind="tabular"), ["sweep", "learner.clip=0.1,0.2"], ["clip=0.1/seed0", "clip=0.2/seed0"]),
}


def rows(folder):
    return sum(path.read_bytes().count(b"\n") for path in folder.rglob("metrics.jsonl"))


def killed(line, folder, draw):
    """Start the command and kill it: anywhere in its start, or soon after it has done more; then wait for its children."""
    before, early = rows(folder), draw.random() < 0.3
    process = subprocess.Popen(line, start_new_session=True, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + (draw.uniform(0, 6) if early else 300)
    while rows(folder) <= before and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0 if early else draw.uniform(0, 0.3))
    process.kill()
    said = process.communicate()[1]
    for _ in range(6000):
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.01)
    else:
        os.killpg(process.pid, signal.SIGKILL)
        pytest.fail("a child outlived the command by a minute")
    assert process.returncode in (0, -signal.SIGKILL), said
    assert "Traceback" not in said
    return process.returncode


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_ten_kills_change_nothing(kind, tmp_path):
    model, words, folders = KINDS[kind]
    updates = 1500 if len(folders) == 1 else 600
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
    for name in folders:
        one, other = RunFolder(attacked / name), RunFolder(whole / name)
        assert one.metrics_file.read_bytes() == other.metrics_file.read_bytes()
        pairs = zip(jax.tree.leaves(one.final_state()), jax.tree.leaves(other.final_state()), strict=True)
        assert all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in pairs)
        assert int(one.final_state().update) == updates
