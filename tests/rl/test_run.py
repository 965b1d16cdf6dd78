"""Runs that are killed, damaged, or refused: nothing is lost, and what is wrong is named."""

import dataclasses
import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import jax
import numpy as np
import pytest

from lapg_rl.config import Config, LearnerConfig, ModelConfig, PoolConfig
from lapg_rl.machine import cache
from lapg_rl.runs import checkpoint, loop
from lapg_rl.runs.lock import locked
from lapg_rl.runs.loop import RunFolder

TINY = Config(
    name="tiny",
    updates=12,
    meta_batch=2,
    batch=2,
    inner_episodes=2,
    steps=3,
    checkpoint_every=2,
    model=ModelConfig(kind="tabular"),
    pool=PoolConfig(naive_population=3),
)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    return folder, loop.train(TINY, folder, quiet=True)


def assert_same_run(folder, state, uninterrupted):
    reference, expected = uninterrupted
    for one, other in zip(jax.tree.leaves(state), jax.tree.leaves(expected), strict=True):
        assert np.asarray(one).tobytes() == np.asarray(other).tobytes()
    assert (folder / "metrics.jsonl").read_bytes() == (reference / "metrics.jsonl").read_bytes()


def test_a_run_writes_one_metrics_row_an_update_and_keeps_the_newest_checkpoints(uninterrupted):
    folder, state = uninterrupted
    rows = RunFolder(folder).metrics()
    assert [row["update"] for row in rows] == list(range(12))
    assert set(rows[0]) >= {"reward_vs_naive", "naive_reward", "entropy", "gradient_norm"}
    assert [f.name for f in checkpoint.folders(folder / "checkpoints")] == [f"step_{n:09d}" for n in (8, 10, 12)]
    assert int(state.update) == 12


@pytest.fixture
def copied(uninterrupted, tmp_path):
    """The finished run cut back to its checkpoints of updates 8 and 10, as a crash in update 11 leaves it."""
    folder = tmp_path / "copied"
    subprocess.run(["cp", "-r", uninterrupted[0], folder], check=True)
    subprocess.run(["rm", "-r", folder / "checkpoints" / "step_000000012"], check=True)
    rows = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text("".join(rows[:11]) + rows[11][:20])  # a torn last line
    return folder


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("damage", "file"),
    [
        (flip_a_bit, "arrays.npz"),
        (truncate, "arrays.npz"),
        (Path.unlink, "arrays.npz"),
        (truncate, "meta.json"),
        (Path.unlink, "meta.json"),
    ],
)
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_is_used(damage, file, copied, uninterrupted, capsys):
    damaged = copied / "checkpoints" / "step_000000010"
    damage(damaged / file)
    state = loop.train(TINY, copied, quiet=True)
    assert str(damaged) in capsys.readouterr().err
    assert_same_run(copied, state, uninterrupted)
    starts = [json.loads(line) for line in (copied / "provenance.jsonl").read_text().splitlines()]
    assert [row["from_update"] for row in starts if "from_update" in row] == [0, 8]


def test_a_run_without_a_sound_checkpoint_is_refused_and_left_alone(copied):
    for folder in checkpoint.folders(copied / "checkpoints"):
        flip_a_bit(folder / "arrays.npz")
    before = (copied / "metrics.jsonl").read_bytes()
    with pytest.raises(ValueError, match=r"no checkpoint in .* is sound; restore one, or delete the folder"):
        loop.train(TINY, copied, quiet=True)
    assert (copied / "metrics.jsonl").read_bytes() == before


def test_metrics_that_were_cut_are_refused(copied):
    rows = (copied / "metrics.jsonl").read_text().splitlines(keepends=True)
    (copied / "metrics.jsonl").write_text("".join(rows[:5]))
    with pytest.raises(ValueError, match=r"ends at update 5, before the checkpoint of update 10"):
        loop.train(TINY, copied, quiet=True)


def test_a_checkpoint_of_another_model_is_refused_by_the_names_of_its_arrays(uninterrupted):
    folder = checkpoint.folders(uninterrupted[0] / "checkpoints")[-1]
    other = loop.fresh_state(dataclasses.replace(TINY, model=ModelConfig(kind="gru", width=4)))
    with pytest.raises(ValueError, match=r"other arrays than this run: .*logits"):
        checkpoint.load(folder, other)
    wider = loop.fresh_state(dataclasses.replace(TINY, pool=PoolConfig(naive_population=4)))
    with pytest.raises(ValueError, match=r"naive_policies.*\(3, 5, 2\), this run needs .*\(4, 5, 2\)"):
        checkpoint.load(folder, wider)


def test_checkpoints_hold_exactly_what_was_saved(uninterrupted):
    folder = checkpoint.folders(uninterrupted[0] / "checkpoints")[-1]
    stored = zipfile.ZipFile(folder / "arrays.npz").namelist()
    assert len(stored) == len(jax.tree.leaves(uninterrupted[1]))
    for one, other in zip(
        jax.tree.leaves(checkpoint.load(folder, uninterrupted[1])), jax.tree.leaves(uninterrupted[1]), strict=True
    ):
        assert np.asarray(one).tobytes() == np.asarray(other).tobytes()


def test_another_configuration_in_the_same_folder_is_refused(uninterrupted):
    with pytest.raises(ValueError, match=r"another configuration \(seed 0 there, 5 here\)"):
        loop.open_run(dataclasses.replace(TINY, seed=5), uninterrupted[0])


def test_two_processes_cannot_train_in_one_folder(uninterrupted):
    with locked(uninterrupted[0]), pytest.raises(ValueError, match="another process is training"):
        loop.train(TINY, uninterrupted[0], quiet=True)


def test_a_second_process_cannot_slip_its_configuration_under_a_first(tmp_path):
    with locked(tmp_path), pytest.raises(ValueError, match="another process is training"):
        loop.open_run(TINY, tmp_path)
    assert not (tmp_path / "config.toml").exists()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        ValueError, match=r"cannot write the run folder .*file/run: Not a directory; choose another folder"
    ):
        loop.open_run(TINY, tmp_path / "file" / "run")


def test_a_metric_that_is_not_finite_stops_the_run_before_it_is_saved(tmp_path):
    broken = dataclasses.replace(TINY, learner=LearnerConfig(learning_rate=1.0))
    object.__setattr__(broken.learner, "reward_scale", float("inf"))  # no config can say so
    with pytest.raises(
        FloatingPointError, match=r"loss.* became non-finite in update 0 .*step_000000000.*learning_rate"
    ):
        loop.train(broken, tmp_path, quiet=True)
    assert not RunFolder(tmp_path).metrics()
    assert [f.name for f in checkpoint.folders(tmp_path / "checkpoints")] == ["step_000000000"]


def test_an_untrained_run_has_no_state_to_evaluate(tmp_path):
    run = loop.open_run(TINY, tmp_path)
    checkpoint.save(run.checkpoints, 0, loop.fresh_state(TINY), keep=1)
    with pytest.raises(ValueError, match="no sound checkpoint yet; train it"):
        run.final_state()


SEEDS = [dataclasses.replace(TINY, seed=seed) for seed in (0, 1)]


def assert_close_runs(folders, states, alone, expected):
    for folder, state, reference, end in zip(folders, states, alone, expected, strict=True):
        for one, other in zip(jax.tree.leaves(state), jax.tree.leaves(end), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)
        rows, wanted = RunFolder(folder).metrics(), RunFolder(reference).metrics()
        assert [row.keys() for row in rows] == [row.keys() for row in wanted]
        for row, other in zip(rows, wanted, strict=True):
            np.testing.assert_allclose(
                [row["policy_loss"], row["reward_vs_naive"]],
                [other["policy_loss"], other["reward_vs_naive"]],
                atol=1e-4,
            )


@pytest.fixture(scope="module")
def alone(uninterrupted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    return [uninterrupted[0], folder], [uninterrupted[1], loop.train(SEEDS[1], folder, quiet=True)]


def test_seeds_trained_together_are_the_runs_trained_alone(alone, tmp_path):
    folders = [tmp_path / "seed0", tmp_path / "seed1"]
    states = loop.train_together(list(zip(SEEDS, folders, strict=True)), quiet=True)
    assert_close_runs(folders, states, *alone)


def test_seeds_trained_together_carry_on_from_the_newest_update_that_all_have(alone, tmp_path):
    folders = [tmp_path / "seed0", tmp_path / "seed1"]
    for folder, source in zip(folders, alone[0], strict=True):
        shutil.copytree(source, folder)
    for step in (10, 12):
        shutil.rmtree(checkpoint.folder(folders[1] / "checkpoints", step))
    states = loop.train_together(list(zip(SEEDS, folders, strict=True)), quiet=True)
    assert_close_runs(folders, states, *alone)
    assert [RunFolder(f).provenance()[-1]["updates"] for f in folders] == [4, 4]


def test_seeds_trained_together_that_are_killed_leave_runs_that_can_go_on_alone(
    alone, uninterrupted, tmp_path, monkeypatch
):
    """One seed is ahead and has to wait for the other; a crash in the first update after that must not cut it off."""
    folders = [tmp_path / "seed0", tmp_path / "seed1"]
    for folder, source in zip(folders, alone[0], strict=True):
        shutil.copytree(source, folder)
    for step in (10, 12):
        shutil.rmtree(checkpoint.folder(folders[1] / "checkpoints", step))

    def crash(*_):
        raise RuntimeError

    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(loop, "step_of", crash)
        loop.train_together(list(zip(SEEDS, folders, strict=True)), quiet=True)
    assert_same_run(folders[0], loop.train(TINY, folders[0], quiet=True), uninterrupted)


@pytest.fixture
def compiled():
    """The name of every function that JAX compiles meanwhile."""
    names = []

    def hear(event, _, **told):
        if event == "/jax/core/compile/jaxpr_to_mlir_module_duration":
            names.append(told["fun_name"])

    jax.monitoring.register_event_duration_secs_listener(hear)
    yield names
    jax.monitoring.unregister_event_duration_listener(hear)


def test_a_process_compiles_once_for_all_runs_of_one_program(tmp_path, uninterrupted, compiled, monkeypatch):
    """The first run of all is that of the fixture; none of its numbers that differ are known to the program."""
    monkeypatch.setattr(cache, "MAPS", tmp_path / "no room is made")
    warm = dataclasses.replace(TINY.pool, agents_from=str(uninterrupted[0]))
    for n, changes in enumerate(({"seed": 3}, {"name": "other", "updates": 2}, {"pool": warm})):
        loop.train(dataclasses.replace(TINY, **changes), tmp_path / f"run{n}", quiet=True)
        assert not {"jit(train_step)", "jit(_initial_state)"} & set(compiled), changes
    learner = dataclasses.replace(TINY.learner, clip=0.17)
    loop.train(dataclasses.replace(TINY, updates=1, learner=learner), tmp_path / "run", quiet=True)
    assert {"jit(train_step)", "jit(_initial_state)"} <= set(compiled)


def test_runs_that_differ_in_more_than_the_seed_are_not_trained_together(tmp_path):
    other = dataclasses.replace(SEEDS[1], batch=3)
    with pytest.raises(ValueError, match=r"seeds only.*batch 2 there, 3 here"):
        loop.train_together([(TINY, tmp_path / "a"), (other, tmp_path / "b")], quiet=True)
    assert not (tmp_path / "a").exists()


def test_metrics_without_checkpoints_are_refused_and_left_alone(copied, uninterrupted):
    before = (copied / "metrics.jsonl").read_bytes()
    subprocess.run(["rm", "-r", copied / "checkpoints"], check=True)
    with pytest.raises(ValueError, match=r"has 11 updates, but .* holds no checkpoint: restore it, or delete metrics"):
        loop.train(TINY, copied, quiet=True)
    assert (copied / "metrics.jsonl").read_bytes() == before
    (copied / "metrics.jsonl").unlink()  # the remedy
    assert_same_run(copied, loop.train(TINY, copied, quiet=True), uninterrupted)
