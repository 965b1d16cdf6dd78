"""Loggers: what TensorBoard and Weights & Biases have of a run, read from their files, against its metrics.jsonl."""

import importlib
import json
import os
import re
import struct
import subprocess
import sys

import numpy as np
import pytest
from folders import TABULAR, metrics

import lapg_rl as rl
from lapg_rl.commands.main import main
from lapg_rl.runs.loggers import numbers, openers

SMALL = ["updates=2", "meta_batch=2", "batch=2", "inner_episodes=2", "steps=3", "model.kind=tabular"]


class Listener:
    """Notes what it is told; it breaks down at an update."""

    def __init__(self, breaks=None):
        self.told, self.closed, self.breaks = [], 0, breaks

    def log(self, update, values):
        if update == self.breaks:
            raise RuntimeError("the line is dead\nand more")
        self.told.append((update, values))

    def close(self):
        self.closed += 1


def rows(folder):
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [{name: value for name, value in line.items() if name != "crc32"} for line in lines]


def records(data):
    """The records of a TFRecord file: length (8 bytes), checksum of it (4), data, checksum (4)."""
    while data:
        (size,) = struct.unpack("<Q", data[:8])
        yield data[12 : 12 + size]
        data = data[16 + size :]


def events(folder):
    """`{tag: {update: value}}` of the one event file there."""
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2", reason='needs the extra "tensorboard"')
    (file,) = (folder / "tensorboard").iterdir()
    found = {}
    for event in map(event_pb2.Event.FromString, records(file.read_bytes())):
        for value in event.summary.value:
            found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


def test_tensorboard_has_every_metric_however_often_it_is_told(tmp_path, capsys):
    folder = metrics(tmp_path / "run", TABULAR, 1.0, -0.5)
    pytest.importorskip("tensorboardX", reason='needs the extra "tensorboard"')
    for _ in range(2):
        assert main(["log", str(tmp_path), "--to", "tensorboard", "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == {"to": ["tensorboard"], "updates": {str(folder): 40}}
    found = events(folder)
    assert list(found.pop("config/text_summary")) == [0]
    assert found.keys() == rows(folder)[0].keys() - {"update"}
    for tag, values in found.items():
        assert [values[row["update"]] for row in rows(folder)] == np.float32(
            [row[tag][0] for row in rows(folder)]
        ).tolist()


def test_live_logs_hold_what_the_run_has_also_when_it_goes_on(tmp_path, capsys):
    """The second start tells them the first two updates, then the new ones. One that breaks stops nothing."""
    pytest.importorskip("tensorboardX", reason='needs the extra "tensorboard"')
    cfg = rl.override(rl.preset("ipd-shaping-small"), SMALL)
    broken, sound = Listener(breaks=1), Listener()
    rl.train(cfg, tmp_path / "run", quiet=True, log=["tensorboard", lambda cfg, folder: broken])
    assert [update for update, _ in broken.told] == [0] and broken.closed == 1
    assert re.search(
        r"log <lambda> of .*run failed at update 1 .*RuntimeError: the line is dead, test_loggers\.py line \d+\)",
        capsys.readouterr().err,
    )

    longer = rl.override(cfg, ["updates=3"])
    rl.train(longer, tmp_path / "run", quiet=True, log=["tensorboard", lambda cfg, folder: sound])
    assert len(rows(tmp_path / "run")) == 3
    assert sound.told == [(n, numbers(row)) for n, row in enumerate(rows(tmp_path / "run"))] and sound.closed == 1
    found = events(tmp_path / "run")
    assert list(found["reward_vs_naive"]) == [0, 1, 2]
    last = np.float32([row["reward_vs_naive"][0] for row in rows(tmp_path / "run")])
    assert list(found["reward_vs_naive"].values()) == last.tolist()


def test_several_agents_are_told_one_by_one_and_their_mean():
    row = {"update": 3, "entropy": [1.0, 0.5], "score": [2.0]}
    assert numbers(row) == {"entropy": 0.75, "entropy/0": 1.0, "entropy/1": 0.5, "score": 2.0}


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("tensorbord", "unknown name 'tensorbord' in log; did you mean tensorboard?"),
        ("nowhere:at_all", "No module named 'nowhere'"),
        ("builtins:len", "cannot be opened (TypeError: len() takes exactly one argument"),
        (",", "--to must name a logger"),
    ],
)
def test_loggers_that_are_none_are_refused(to, said, tmp_path, capsys):
    assert main(["log", str(metrics(tmp_path / "run", TABULAR, 1.0, 0.0)), "--to", to]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("name", "module"), [("tensorboard", "tensorboardX"), ("wandb", "wandb")])
def test_a_package_that_is_missing_is_named_before_anything_is_written(name, module, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match=rf'log {name} needs {module}, .* pip install ".\[{name}\]"'):
        rl.train(rl.preset("ipd-shaping-small"), tmp_path / "run", log=name)
    assert not (tmp_path / "run").exists()


def test_what_logs_would_write_to_is_the_run_s_own(tmp_path, capsys):
    pytest.importorskip("tensorboardX", reason='needs the extra "tensorboard"')
    folder = metrics(tmp_path / "run", TABULAR, 1.0, 0.0)
    (tmp_path / "elsewhere").mkdir()
    (folder / "tensorboard").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="is no folder of this run"):
        rl.log(folder, "tensorboard")
    assert not list((tmp_path / "elsewhere").iterdir())
    rl.export([folder], tmp_path / "kept.zip")
    assert main(["log", str(tmp_path / "kept.zip"), "--to", "tensorboard"]) == 2
    assert "is an archive" in capsys.readouterr().err


@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason='needs the extra "wandb", 96 MB')
def test_weights_and_biases_has_every_metric_offline(tmp_path):
    """In a process of its own: the package starts another one, and registers what it does at exit."""
    folder = metrics(tmp_path / "run", TABULAR, 1.0, -0.5)
    place = {"WANDB_MODE": "offline", "WANDB_PROJECT": "mine"}
    for _ in range(2):
        line = [sys.executable, "-m", "lapg_rl.commands.main", "log", str(folder), "--to", "wandb"]
        subprocess.run(line, env=os.environ | place, check=True, capture_output=True)
    read = """
import sys, json
from wandb.proto import wandb_internal_pb2 as pb
data, at, found, begun, held = open(sys.argv[1], "rb").read(), 7, [], {}, b""
while len(data) - at > 7:  # the log format of LevelDB: checksum (4), length (2), kind (1); blocks of 32768 bytes
    if 32768 - at % 32768 < 7:
        at += 32768 - at % 32768
        continue
    size, kind = int.from_bytes(data[at + 4:at + 6], "little"), data[at + 6]
    held += data[at + 7:at + 7 + size]
    at += 7 + size
    if kind in (1, 4):
        record, held = pb.Record.FromString(held), b""
        if record.HasField("run"):
            begun = {"project": record.run.project, "name": record.run.display_name, "id": record.run.run_id,
                     "config": {i.key: json.loads(i.value_json) for i in record.run.config.update}}
        if record.HasField("history"):
            found.append({(i.key or ".".join(i.nested_key)): json.loads(i.value_json) for i in record.history.item})
print(json.dumps([begun, found]))
"""
    written = sorted(folder.glob("wandb/offline-run-*/*.wandb"))
    assert len(written) == 2  # it keeps both; they have one name, under which the later one goes on
    told = [json.loads(subprocess.check_output([sys.executable, "-c", read, file])) for file in written]
    assert told[0][0]["id"] == told[1][0]["id"]
    begun, history = told[1]
    assert (begun["project"], begun["name"]) == ("mine", "run") and begun["config"]["batch"] == TABULAR.batch
    for row, seen in zip(rows(folder), history, strict=True):
        assert seen["_step"] == row["update"]
        assert {k: v for k, v in seen.items() if k[0] != "_"} == {k: v[0] for k, v in row.items() if k != "update"}
    assert not list(folder.glob("wandb/offline-run-*/files/*"))  # nothing of the machine or the source


def test_loggers_of_one_name_are_all_told():
    first, second, third = (lambda cfg, folder: None for _ in range(3))
    found = openers([first, second, "tensorboard", third])
    assert list(found) == ["<lambda>", "<lambda>-2", "tensorboard", "<lambda>-3"]
    assert [found[name] for name in ("<lambda>", "<lambda>-2", "<lambda>-3")] == [first, second, third]
