"""Sweeps: which runs they are, that what failed or stopped harms no other run, and the table, computed by hand."""

import csv
import dataclasses
import json
import math
import os
import subprocess
import sys

import pytest
from folders import metrics
from test_lossless import TINIEST

from lapg_rl import config
from lapg_rl.commands.main import main
from lapg_rl.runs import preemption, processes
from lapg_rl.runs.loop import RunFolder
from lapg_rl.runs.processes import Ended
from lapg_rl.study import sweep

SMALL = dataclasses.replace(TINIEST, updates=3)


def test_the_cross_product_of_all_values_on_all_seeds(tmp_path):
    runs = sweep.plan(SMALL, ["batch=2,3", "updates=7", "learner.estimator=lapg,mfos"], 2, tmp_path)
    found = [(run.config.batch, run.config.method, run.config.seed, run.config.updates) for run in runs]
    assert found == [(b, e, s, 7) for b in (2, 3) for e in ("lapg", "mfos") for s in (0, 1)]
    assert runs[3].folder == tmp_path / "batch=2_learner.estimator=mfos_seed1"
    assert runs[3].setting == {"batch": "2", "learner.estimator": "mfos"}


def test_values_that_hold_commas_are_separated_by_semicolons():
    assert sweep.alternatives("pool.fixed=tft,alld;allc") == ("pool.fixed", ["tft,alld", "allc"])
    assert sweep.alternatives("pool.fixed=tft,alld;") == ("pool.fixed", ["tft,alld"])
    assert sweep.alternatives("batch=2, 3") == ("batch", ["2", "3"])


MISTAKES = {
    "sweep": "expected one preset or --config FILE, got none",
    "sweep ipd-shaping batch=2,2": "batch takes the value 2 twice; name it once",
    "sweep ipd-shaping batch=2 batch=3": "batch is given twice; give all its values at once: batch=2,3",
    "sweep ipd-shaping meta_batch=2,3 batch=1,2": "meta_batch=3 batch=1: meta_batch must be a multiple of",
    "sweep ipd-shaping seed=0,1 --seeds 2": "two runs would share the folder runs/sweep-ipd-shaping/seed1",
    "sweep ipd-shaping --seeds 0": "--seeds must be an integer >= 1, got 0",
    "sweep ipd-shaping --jobs 0": "--jobs must be an integer >= 1, got 0",
    "sweep ipd-shaping --slurm timeout": "--slurm takes key=value, got 'timeout'",
    "sweep ipd-shaping updats=1": "unknown key updats; did you mean updates",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_mistakes_are_found_before_anything_is_made(line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(line.split()) == 2
    assert MISTAKES[line] in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def finish(folder, agent=0.0):
    """As a process would: metrics that rise to `agent`, and a last checkpoint (the table looks for its name only)."""
    cfg = RunFolder(folder).config()
    metrics(folder, cfg, agent, -agent)
    (folder / "checkpoints" / f"step_{cfg.updates:09d}").mkdir(parents=True)


def test_a_sweep_that_is_killed_and_has_failures_goes_on_and_makes_one_table(tmp_path, monkeypatch, capsys):
    """Rewards rise evenly to 1.5 and 2.5 (seeds) or to 6 over 3 updates, so means are 2/3 of that: 1 and 5/3, or 4."""
    monkeypatch.chdir(tmp_path)
    config.save(SMALL, tmp_path / "small.toml")
    rewards = {"batch=2_seed0": 1.5, "batch=2_seed1": 2.5, "batch=3_seed0": 6.0}
    asked = []

    def train_each(folders, jobs, options):
        asked.append(([f.name for f in folders], jobs, options))
        for folder in folders[: 2 if len(asked) == 1 else 9]:
            if folder.name in rewards:
                finish(folder, rewards[folder.name])
        codes = {"batch=2_seed0": 0, "batch=2_seed1": 0} if len(asked) == 1 else {"batch=3_seed0": 0}
        return [Ended(codes.get(f.name, 75 if len(asked) == 1 else 1), "it broke") for f in folders]

    monkeypatch.setattr(processes, "train_each", train_each)
    line = [
        "sweep",
        "--config",
        "small.toml",
        "batch=2,3",
        "--seeds",
        "2",
        "--jobs",
        "4",
        "--quiet",
        "--devices",
        "1",
        "--root",
        "grid",
    ]
    assert main(line) == preemption.EXIT
    assert main(line) == 1
    names = ["batch=2_seed0", "batch=2_seed1", "batch=3_seed0", "batch=3_seed1"]
    options = ["--quiet", "--devices", "1"]
    assert asked == [(names, 4, options), (names[2:], 4, options)]
    out = capsys.readouterr().out
    assert out.count("failed: batch=3_seed1: it broke") == 1  # a run that was asked to stop has not failed
    first, second = json.loads((tmp_path / "grid" / "sweep.json").read_text())
    half = 12.7062047 * (2 / 3) / 2  # Student's t with one degree of freedom, times half the distance of two values
    assert (first["batch"], first["runs"], first["finished"], first["failed"]) == ("2", 2, 2, [])
    assert first["reward_vs_naive"] == pytest.approx(4 / 3, rel=1e-5)
    assert first["reward_vs_naive_low"] == pytest.approx(4 / 3 - half, rel=1e-5)
    assert first["reward_vs_naive_high"] == pytest.approx(4 / 3 + half, rel=1e-5)
    assert (second["finished"], second["reward_vs_naive"], second["reward_vs_naive_low"]) == (1, 4.0, None)
    assert second["naive_reward"] == -4
    rows = list(csv.DictReader((tmp_path / "grid" / "sweep.csv").read_text().splitlines()))
    assert [row["failed"] for row in rows] == ["", "batch=3_seed1: it broke"]
    assert math.isclose(float(rows[0]["reward_vs_naive"]), 4 / 3, rel_tol=1e-5)

    assert main([*line, "--table"]) == 0
    assert len(asked) == 2
    assert "+1.333 [-2.902, +5.569]" in capsys.readouterr().out


def test_processes_side_by_side_get_a_gpu_each(tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: A (UUID: a)'\necho 'GPU 1: A (UUID: b)'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert processes.gpus() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert processes.gpus() == ["3", "5"]
    fake = tmp_path / "python"
    fake.write_text(
        '#!/bin/sh\necho "$CUDA_VISIBLE_DEVICES" > "$5/saw"; echo first >&2; echo last >&2; sleep 0.3; exit 3\n'
    )
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        folder.mkdir()
    assert processes.train_each(folders, jobs=2) == [Ended(3, "last")] * 3
    saw = [(folder / "saw").read_text().strip() for folder in folders]
    assert sorted(saw[:2]) == ["3", "5"]
    assert saw[2] in ("3", "5")


def test_a_slurm_task_saves_its_run_before_it_is_queued_again(tmp_path, monkeypatch):
    trap = tmp_path / "python"
    trap.write_text('#!/bin/sh\ntrap "touch $5/saved; exit 75" TERM\necho begun >&2\nwhile :; do sleep 0.05; done\n')
    trap.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(trap))
    task = processes.SlurmTask(["--quiet"])
    task.process = subprocess.Popen(processes.command(tmp_path, ["--quiet"]), stderr=subprocess.PIPE, text=True)
    with task.process:
        assert task.process.stderr.readline() == "begun\n"
        again = task.checkpoint(str(tmp_path))
    assert (tmp_path / "saved").exists()
    assert isinstance(again.function, processes.SlurmTask)
    assert (again.args, again.function.options, again.function.process) == ((str(tmp_path),), ["--quiet"], None)


@pytest.mark.slow
@pytest.mark.parametrize("where", [["--jobs", "2"], ["--slurm", "cluster=local", "timeout_min=9"]])
def test_a_real_sweep_of_which_one_run_diverges(where, tmp_path):
    config.save(SMALL, tmp_path / "small.toml")
    line = [sys.executable, "-m", "lapg_rl.commands.main", "sweep", "--config", tmp_path / "small.toml", "--quiet"]
    line += [
        "learner.optimiser=sgd",
        "learner.clip_norm=1e30",
        "learner.learning_rate=1e-3,1e6",
        "--root",
        tmp_path / "grid",
        "--compilation-cache",
        tmp_path / "cache",
    ]
    line += where  # --slurm takes all that follows it
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "became non-finite in update" in done.stdout
    rows = json.loads((tmp_path / "grid" / "sweep.json").read_text())
    assert [row["finished"] for row in rows] == [1, 0]
    alone = RunFolder(tmp_path / "grid" / "learner.learning_rate=1e-3_seed0")
    assert rows[0]["reward_vs_naive"] == pytest.approx(
        sum(row["reward_vs_naive"][0] for row in alone.metrics()) / SMALL.updates, rel=1e-5
    )
    before = alone.metrics_file.stat().st_mtime_ns
    assert subprocess.run(line, capture_output=True).returncode == 1
    assert alone.metrics_file.stat().st_mtime_ns == before


def test_slurm_without_its_extra_names_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(ValueError, match=r'--slurm needs submitit: pip install ".\[slurm\]"'):
        processes.train_on_slurm([tmp_path], tmp_path, {})


def test_names_that_no_disk_takes_are_cut_and_told_apart(tmp_path):
    keys = [
        "learner.learning_rate",
        "learner.entropy_coef",
        "naive.learning_rate",
        "naive.entropy_coef",
        "naive.value_coef",
    ]
    swept = [f"{key}=0.10000000000000000000000000001,0.2000000000000000000000000000{n}" for n, key in enumerate(keys)]
    names = [run.folder.name for run in sweep.plan(config.preset("ipd-shaping-small"), swept, 2, tmp_path)]
    assert len(set(names)) == 2**6 and max(len(name.encode()) for name in names) <= 255
    assert {name.rpartition("_")[2] for name in names} == {"seed0", "seed1"}
    assert [run.folder.name for run in sweep.plan(config.preset("ipd-shaping-small"), [], 1, tmp_path)] == ["seed0"]


@pytest.mark.parametrize(
    ("statuses", "how"), [((0, 75), preemption.Preempted), ((75, 1), ValueError), ((75, 75), preemption.Preempted)]
)
def test_processes_that_were_asked_to_stop_did_not_fail(statuses, how, tmp_path, monkeypatch):
    """A command that ends with 75 is queued again by those who watch over it, one that ends with 2 isn't."""
    monkeypatch.setattr(processes, "train_each", lambda *_: [Ended(status, "why") for status in statuses])
    runs = [sweep.Planned({}, dataclasses.replace(SMALL, seed=n), tmp_path / f"seed{n}") for n in (0, 1)]
    with pytest.raises(how, match=r"carry on with|the same command carries on") as stop:
        sweep.finish(runs, jobs=2)
    assert str(tmp_path / f"seed{statuses.index(75)}") in str(stop.value) or how is ValueError
