"""Command lines, configs and run folders that nobody would write: refused in one clear line, or understood.

The examples that the fast tests draw are few and the same every time; the slow ones draw many.
"""

import contextlib
import dataclasses
import io
import random
import shutil
import string

import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_run import TINY, uninterrupted

from lapg_rl import config
from lapg_rl.commands.main import main
from lapg_rl.machine import memory
from lapg_rl.runs import loop
from lapg_rl.runs.folder import RunFolder
from lapg_rl.study import records
from lapg_rl.study.records import Evaluation, Match, PayoffLine, Player
from lapg_rl.study.results import collect

__all__ = ["uninterrupted"]  # a fixture

KEYS = sorted(config.flat(TINY))
VALUES = [
    *(
        "0",
        "1",
        "-1",
        "2",
        "3",
        "7",
        "0.5",
        "1e-300",
        "1e308",
        "-1e308",
        "NaN",
        "Infinity",
        "true",
        "null",
        "{}",
        "[1]",
    ),
    *(
        "9" * 20,
        "9" * 5000,
        "",
        " ",
        "a,b",
        "a;b",
        "a\nb",
        "\x1b[2J",
        "../x",
        "/x",
        "é",
        "tft,alld",
        "lapg,mfos",
        "hawk",
    ),
]
keys = (
    st.sampled_from(KEYS)
    | st.sampled_from([key.split(".")[-1] for key in KEYS])
    | st.text(string.printable, max_size=8)
)
values = st.sampled_from(VALUES) | st.floats().map(repr) | st.integers().map(str) | st.text(max_size=12)
assignments = st.lists(st.tuples(keys, values).map("=".join), min_size=1, max_size=3)
FAST = settings(
    max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
SLOW = settings(FAST, max_examples=3000)


def called(line):
    """Exit status and what a command line prints to standard error."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            status = main(line)
        except SystemExit as end:
            status = end.code
    return status, said.getvalue()


def check_refusal(said):
    assert said.startswith("lapg") and said.count("\n") == 1 and said.strip().isprintable(), said
    assert "Traceback" not in said and "typing." not in said and len(said) < 1000


def check_line(given, folder, patch):
    seen = []

    def train_together(runs, **_):
        memory.check(runs[0][0])  # as the real one refuses a run, before it has a folder
        seen.extend(runs)

    patch.chdir(folder)
    patch.setattr(loop, "train_together", train_together)
    status, said = called(["train", "ipd-shaping-small", *given, "--run", "run"])
    assert status in (0, 2), given
    if status == 2:
        check_refusal(said)
        assert not list(folder.iterdir()) and not seen
    else:
        ((cfg, _),) = seen
        assert config.from_dict(config.to_dict(cfg)) == cfg
        assert all(np.isfinite(x) for x in config.flat(cfg).values() if isinstance(x, float))
        (folder / "c.toml").write_text(config.dumps(cfg), encoding="utf-8")
        assert config.load(folder / "c.toml", complete=True) == cfg
        (folder / "c.toml").unlink()
    return status


def check_file(data, folder):
    (folder / "c.toml").write_bytes(data)
    try:
        cfg = config.load(folder / "c.toml")
    except ValueError as refusal:
        assert "c.toml" in str(refusal)
        return "refused"
    assert config.from_dict(config.to_dict(cfg)) == cfg
    return "understood"


def mutated(data, draw):
    """Some bytes with one changed, lost or put in."""
    place, how = draw.randrange(len(data) + 1), draw.choice(["flip", "flip", "drop", "insert", "cut"])
    if how == "flip" and place < len(data):
        return data[:place] + bytes([data[place] ^ 1 << draw.randrange(8)]) + data[place + 1 :]
    if how == "drop":
        return data[:place] + data[place + 1 :]
    return (
        data[:place]
        if how == "cut" and place < len(data)
        else data[:place] + bytes([draw.randrange(256)]) + data[place:]
    )


@FAST
@given(assignments)
def test_a_command_line_is_refused_in_one_line_or_understood(tmp_path_factory, given):
    with pytest.MonkeyPatch.context() as patch:
        assert check_line(given, tmp_path_factory.mktemp("line"), patch) in (0, 2)


@pytest.mark.slow
@SLOW
@given(assignments)
def test_three_thousand_command_lines(tmp_path_factory, given):
    with pytest.MonkeyPatch.context() as patch:
        assert check_line(given, tmp_path_factory.mktemp("line"), patch) in (0, 2)


@pytest.mark.parametrize("count", [200, pytest.param(5000, marks=pytest.mark.slow)])
def test_a_changed_config_file_is_refused_by_name_or_understood(count, tmp_path):
    draw, whole = random.Random(0), config.dumps(TINY).encode()
    ends = {check_file(mutated(whole, draw), tmp_path) for _ in range(count)}
    assert ends == {"refused", "understood"}


@pytest.fixture(scope="module")
def whole(uninterrupted, tmp_path_factory):
    """A finished run with an evaluation, and what is read of it."""
    folder = shutil.copytree(uninterrupted[0], tmp_path_factory.mktemp("fuzzed") / "run")
    side = Player(0.5, 0.25, [0.125, 0.5], [0.5, 1.0], *([[0.5] * 5] * 4))
    line = PayoffLine(0, 0.5, 0.25, 0.5, 0.25, 0.75, [(0.5, 0.25)])
    records.save(Evaluation(12, 2, 0, [Match(0, "naive", side, side)], [line]), folder)
    return folder, read(folder)


def read(folder):
    """Everything that commands read of a run folder."""
    found = collect(folder)
    state = RunFolder(folder).final_state()
    arrays = [np.asarray(x).tobytes() for x in jax.tree.leaves(state)]
    metrics = {name: values.tobytes() for name, values in found.metrics.items()}
    return found.config, metrics, found.provenance, found.evaluation, int(state.update), arrays


def check_folder(folder, path, expected):
    """One line that names a file, the earlier checkpoint by its name, or what was there before."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            found = read(folder)
    except ValueError as refusal:
        assert "\n" not in str(refusal) or path.name in str(refusal)
        assert folder.name in str(refusal), (path, refusal)
        return "refused"
    if "checkpoints" in path.parts and found[4] < expected[4]:
        assert path.parent.name in said.getvalue()
        return "the checkpoint before it"
    if path.name == "evaluation.json" and found[3] is None:
        return "refused"
    if path.name == "provenance.jsonl" and len(found[2]) < len(expected[2]):  # what a crash after so many rows leaves
        assert found[2] == expected[2][: len(found[2])] and found[:2] + found[3:] == expected[:2] + expected[3:]
        return "as after a crash"
    assert found == expected, path
    return "the same"


@pytest.mark.parametrize("count", [40, pytest.param(1000, marks=pytest.mark.slow)])
def test_corrupted_bytes_of_a_run_folder_change_nothing_in_silence(count, whole):
    folder, expected = whole
    draw, ends = random.Random(1), {}
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != ".lock")
    assert {p.name for p in paths} == {
        "arrays.npz",
        "meta.json",
        "config.toml",
        "metrics.jsonl",
        "provenance.jsonl",
        "evaluation.json",
    }
    for n in range(count):
        path = paths[n % len(paths)]
        data = path.read_bytes()
        path.write_bytes(changed := mutated(data, draw))
        end = check_folder(folder, path, expected)
        path.write_bytes(data)
        ends[end] = ends.get(end, 0) + (changed != data)
    assert ends["refused"] > count / 3 and ends["the checkpoint before it"] > count / 50
    assert read(folder) == expected


@pytest.mark.slow
def test_corrupted_bytes_never_stop_a_run_from_being_resumed_or_refused(whole, tmp_path, uninterrupted):
    """Trained on, the run is the one that nobody touched, or it is refused by the name of a file."""
    draw = random.Random(2)
    for n in range(60):
        folder = shutil.copytree(whole[0], tmp_path / f"run{n}")
        shutil.rmtree(folder / "checkpoints" / "step_000000012")
        paths = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != ".lock")
        path = paths[n % len(paths)]
        path.write_bytes(mutated(path.read_bytes(), draw))
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                state = loop.train(TINY, folder, quiet=True)
        except ValueError as refusal:
            assert str(folder) in str(refusal)
            continue
        assert [np.asarray(x).tobytes() for x in jax.tree.leaves(state)] == whole[1][5]
        shutil.rmtree(folder)


def test_every_key_of_a_config_is_drawn():
    assert len(KEYS) > 50 and dataclasses.is_dataclass(TINY)
