"""The same numbers on one device, on eight, and in two processes."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from test_lossless import TINIEST, started, steps_in

from lapg_rl import config
from lapg_rl.commands.main import main
from lapg_rl.config import Config, LearnerConfig, ModelConfig, NaiveConfig, PoolConfig
from lapg_rl.machine import devices
from lapg_rl.runs import loop, preemption
from lapg_rl.runs.loop import RunFolder

EIGHT = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=8"}

TWICE = """
import json, sys
import jax, jax.numpy as jnp, numpy as np
from lapg_rl import config
from lapg_rl.machine import devices
from lapg_rl.learn import training_step

cfg, seeds = config.load(sys.argv[1]), int(sys.argv[2])
key = training_step.run_key(cfg)

def after_two_updates(mesh):
    step = training_step.make_train_step(cfg, seeds, mesh)
    stack = lambda make: jax.tree.map(lambda *x: jnp.stack(x), *map(make, range(seeds))) if seeds > 1 else make(0)
    keys = lambda n: stack(lambda seed: jax.random.fold_in(key, 10 * seed + n))
    state = devices.place(stack(lambda seed: training_step.initial_state(cfg, jax.random.fold_in(key, 99 + seed))), mesh)
    for n in range(2):
        state, metrics = step(state, devices.place(keys(n), mesh))
    return [np.asarray(x).tolist() for x in jax.tree.leaves((state, metrics))]

mesh = devices.make_mesh(cfg, seeds, "all")
print(json.dumps([dict(mesh.shape), after_two_updates(None), after_two_updates(mesh)]))
"""

LEARNER = LearnerConfig(advantages="normalised", epochs=2)
POOL = PoolConfig(agents=2, p_naive=0.5, naive_population=3)
BASE = dataclasses.replace(
    TINIEST, meta_batch=8, model=ModelConfig(kind="tabular", spread=0.5), learner=LEARNER, pool=POOL
)
ONCE = {"epochs": 1, "minibatches": 1}
LOLA = LearnerConfig(algorithm="lola_dice", memory="inner_episode", **ONCE)
SGD = NaiveConfig(optimiser="sgd", learning_rate=1.0, normalize_advantages=False)
CASES = {
    "seeds, agents and games": (dataclasses.replace(BASE, pool=PoolConfig(agents=2, naive_population=3)), 2, (2, 2, 2)),
    "all kinds of co-players": (BASE, 2, (2, 2, 2)),
    "games": (dataclasses.replace(BASE, pool=PoolConfig(naive_population=3)), 1, (1, 1, 8)),
    "agents and games": (dataclasses.replace(BASE, learner=LearnerConfig(estimator="lapg,mfos")), 1, (1, 2, 4)),
    "seeds": (BASE, 8, (8, 1, 1)),
    "hawk": (dataclasses.replace(BASE, model=ModelConfig(width=4, mlp_width=4)), 1, (1, 2, 4)),
    "transformer": (
        dataclasses.replace(BASE, model=ModelConfig(kind="transformer", width=4, mlp_width=4)),
        1,
        (1, 2, 4),
    ),
    "short memory": (
        dataclasses.replace(BASE, learner=dataclasses.replace(LEARNER, memory="inner_episode")),
        1,
        (1, 2, 4),
    ),
    "lola_dice": (dataclasses.replace(BASE, learner=LOLA, naive=SGD), 1, (1, 2, 4)),
    "shaper": (
        dataclasses.replace(BASE, learner=LearnerConfig(algorithm="shaper", population=4, **ONCE)),
        1,
        (1, 2, 4),
    ),
}


@pytest.mark.parametrize(
    "case", [pytest.param(name, marks=[] if n == 0 else pytest.mark.slow) for n, name in enumerate(CASES)]
)
def test_eight_devices_give_the_numbers_of_one(case, tmp_path):
    cfg, seeds, shape = CASES[case]
    config.save(cfg, tmp_path / "cfg.toml")
    line = [sys.executable, "-c", TWICE, tmp_path / "cfg.toml", str(seeds)]
    done = subprocess.run(line, capture_output=True, text=True, check=True, env=EIGHT)
    mesh, one, eight = json.loads(done.stdout)
    assert tuple(mesh.values()) == shape
    for x, y in zip(one, eight, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=2e-6)


def test_one_device_is_the_default_on_a_cpu_and_more_than_there_are_is_refused():
    assert devices.make_mesh(BASE) is None
    assert devices.make_mesh(BASE, 1, 1) is None
    for count in (0, 99):
        with pytest.raises(ValueError, match=rf"all or from 1 to \d+, got {count}.*host_platform_device_count"):
            devices.make_mesh(BASE, 1, count)


@pytest.mark.parametrize(
    ("seeds", "agents", "count", "shape"),
    [(1, 1, 8, (1, 1, 8)), (1, 4, 8, (1, 4, 2)), (3, 4, 6, (3, 2, 1)), (2, 4, 16, (2, 4, 2)), (5, 3, 7, (1, 1, 7))],
)
def test_seeds_are_split_first_then_agents_then_games(seeds, agents, count, shape):
    cfg = Config(pool=PoolConfig(agents=agents))
    assert devices._shape(cfg, seeds, count) == shape
    left = devices._indivisible(cfg, seeds, count)
    assert left == ("" if shape[2] != 7 else "128 meta-episodes against naive, 1024 sequences in a minibatch")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--devices 99", "--devices must be all or from 1 to"),
        ("--distributed --jobs 2 --seeds 2", "--distributed trains one run at a time, got --jobs 2"),
        ("--processes 2", "give that, too"),
    ],
)
def test_options_that_do_not_fit_are_refused(line, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "ipd-shaping", *line.split()]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_processes_that_do_not_find_each_other_say_so(tmp_path):
    line = [
        sys.executable,
        "-m",
        "lapg_rl.commands.main",
        "train",
        "ipd-shaping",
        "--distributed",
        "--run",
        tmp_path / "run",
    ]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 2
    assert "give --coordinator HOST:PORT --processes N --process I" in done.stderr
    assert not list(tmp_path.iterdir())


def two_processes(toml, folder):
    """Two processes that train one run, without a common folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = [
        sys.executable,
        "-m",
        "lapg_rl.commands.main",
        "train",
        "--config",
        toml,
        "--quiet",
        "--distributed",
        "--processes",
        "2",
    ]
    line += ["--coordinator", f"127.0.0.1:{port}"]
    return [
        subprocess.Popen([*line, "--process", str(n), "--run", folder if n == 0 else folder.parent / "not-here"])
        for n in range(2)
    ]


@pytest.mark.slow
def test_two_processes_one_of_which_is_preempted_give_the_numbers_of_one(tmp_path):
    cfg = dataclasses.replace(TINIEST, meta_batch=4, updates=150)
    config.save(cfg, tmp_path / "cfg.toml")
    folder = tmp_path / "together"
    pair = two_processes(tmp_path / "cfg.toml", folder)
    deadline = time.monotonic() + 300
    while not started(folder) and time.monotonic() < deadline:
        time.sleep(0.02)
    pair[1].send_signal(signal.SIGTERM)
    assert [process.wait(timeout=300) for process in pair] == [preemption.EXIT] * 2
    assert 0 < steps_in(folder)[-1] == len(RunFolder(folder).metrics()) < cfg.updates
    assert [process.wait(timeout=300) for process in two_processes(tmp_path / "cfg.toml", folder)] == [0, 0]
    assert not (tmp_path / "not-here").exists()
    assert [row["processes"] for row in RunFolder(folder).provenance() if "started" in row] == [2, 2]

    alone = loop.train(cfg, tmp_path / "alone", quiet=True)
    np.testing.assert_allclose(RunFolder(folder).final_state().agents.logits, alone.agents.logits, atol=1e-5)
    for row, other in zip(RunFolder(folder).metrics(), RunFolder(tmp_path / "alone").metrics(), strict=True):
        assert row.keys() == other.keys()
        for name in row:
            np.testing.assert_allclose(row[name], other[name], rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_two_processes_both_end_where_the_first_cannot_write(tmp_path):
    config.save(TINIEST, tmp_path / "cfg.toml")
    (tmp_path / "file").write_text("in the way")
    assert [p.wait(timeout=300) for p in two_processes(tmp_path / "cfg.toml", tmp_path / "file" / "run")] == [2, 2]
