"""Files of a run folder that were damaged, edited, planted or taken away: named, or the sound ones before them used."""

import dataclasses
import io
import json
import os
import shutil
import subprocess
import zipfile
import zlib

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from test_run import TINY, assert_same_run, uninterrupted

from lapg_rl import config
from lapg_rl.config import LearnerConfig, NaiveConfig
from lapg_rl.runs import checkpoint, files, loop
from lapg_rl.runs.lock import locked
from lapg_rl.runs.loop import RunFolder
from lapg_rl.study.results import collect

__all__ = ["uninterrupted"]  # a fixture


@pytest.fixture
def folder(uninterrupted, tmp_path):
    return shutil.copytree(uninterrupted[0], tmp_path / "run")


def change(path, old, new):
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))


def last_checkpoint(folder):
    return folder / "checkpoints" / "step_000000012"


# lines of metrics and provenance


def test_every_line_carries_a_checksum_begun_with_the_one_before(uninterrupted):
    total = 0
    for line in (uninterrupted[0] / "metrics.jsonl").read_text().splitlines():
        body, _, sum_of = line.rpartition(', "crc32": ')
        total = zlib.crc32(body.encode(), total)
        assert sum_of == f'"{total:08x}"}}'
    assert "crc32" not in RunFolder(uninterrupted[0]).metrics()[0]


DAMAGES = {
    "a figure": lambda lines: [*lines[:4], lines[4].replace(b"0.", b"1.", 1), *lines[5:]],
    "a name": lambda lines: [*lines[:4], lines[4].replace(b"entropy", b"entrqpy", 1), *lines[5:]],
    "no text": lambda lines: [*lines[:4], lines[4].replace(b"e", b"\xff", 1), *lines[5:]],
    "a line lost": lambda lines: [*lines[:4], *lines[5:]],
    "the first lost": lambda lines: lines[1:],
    "the last lost": lambda lines: lines[:-1],
    "a line twice": lambda lines: [*lines[:4], *lines[3:]],
    "an empty line": lambda lines: [*lines[:4], b"\n", *lines[4:]],
    "an end lost": lambda lines: [*lines[:4], lines[4].rstrip(), *lines[5:]],
    "the last end changed": lambda lines: [*lines[:-1], lines[-1].replace(b"\n", b"\x0b")],
    "no checksum": lambda lines: [*lines[:4], lines[4].partition(b', "crc32"')[0] + b"}\n", *lines[5:]],
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["metrics.jsonl", "provenance.jsonl"])
def test_a_damaged_line_of_a_finished_run_is_named(damage, name, folder):
    path = folder / name
    lines = path.read_bytes().splitlines(keepends=True)
    if name == "provenance.jsonl":  # of four starts, so that every damage has its lines
        lines = []
        total = 0
        for row in RunFolder(folder).provenance() * 4:
            line, total = files.line(row | {"entropy": 0.5}, total)
            lines.append(line)
        if damage == "the last lost":
            pytest.skip("a start more or less is no damage of its own")
    path.write_bytes(b"".join(DAMAGES[damage](lines)))
    with pytest.raises(
        ValueError, match=rf"{name}(, line \d+, is damaged| ends at update 11, before of the 12).*restore"
    ):
        collect(folder)


def test_files_without_checksums_are_read_as_before(folder):
    expected = RunFolder(folder).metrics(), len(RunFolder(folder).provenance())
    for name in ("metrics.jsonl", "provenance.jsonl"):
        rows = files.rows(folder / name)
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    change(folder / "provenance.jsonl", b"\n", b'\n{"finished_after_s": 1\n')  # torn by a crash, in an older version
    found = RunFolder(folder)
    assert (found.metrics(), len(found.provenance())) == expected
    files.append(found.provenance_file, {"more": 1})
    assert found.provenance()[-1] == {"more": 1}
    change(folder / "metrics.jsonl", b'{"update": 3', b'["update": 3')
    with pytest.raises(ValueError, match=r"metrics\.jsonl, line 4, is damaged"):
        found.metrics()


def test_a_row_longer_than_a_disk_block_is_followed_by_another(tmp_path):
    rows = [{"x": list(range(n))} for n in (3, 5000, 2, 4000)]
    for row in rows:
        files.append(tmp_path / "rows", row)
    with (tmp_path / "rows").open("ab") as file:
        file.write(b'{"x": [0, 1')  # a crash
    assert files.rows(tmp_path / "rows") == rows
    files.append(tmp_path / "rows", {"x": [7]})
    assert files.rows(tmp_path / "rows") == [*rows, {"x": [7]}]


def test_damage_behind_the_checkpoint_is_made_again(folder, uninterrupted):
    shutil.rmtree(last_checkpoint(folder))
    change(folder / "metrics.jsonl", b'"update": 11', b'"update": 91')
    assert_same_run(folder, loop.train(TINY, folder, quiet=True), uninterrupted)


# what was trained with


def test_an_edited_config_is_noticed_by_everything_that_reads_the_run(folder):
    change(folder / "config.toml", b"learning_rate = 0.0003", b"learning_rate = 0.0005")
    edited = (
        r"config.toml is not what the run was trained with \(learner.learning_rate 0.0003 in .*, 0.0005 now\); restore"
    )
    for read in (collect, lambda path: RunFolder(path).final_state()):
        with pytest.raises(ValueError, match=edited):
            read(folder)
    (folder / "provenance.jsonl").unlink()
    cfg = dataclasses.replace(TINY, updates=20, learner=LearnerConfig(learning_rate=0.0005))
    with pytest.raises(ValueError, match=r"0.0003 in the checkpoint step_000000012, 0.0005 now"):
        RunFolder(folder).final_state()
    config.save(cfg, folder / "config.toml")
    with pytest.raises(ValueError, match=r"0.0003 in the checkpoint step_000000012, 0.0005 now"):
        loop.train(cfg, folder, quiet=True)


def test_checkpoints_of_an_older_version_without_config_go_on(folder, uninterrupted):
    shutil.rmtree(last_checkpoint(folder))
    for place in checkpoint.folders(folder / "checkpoints"):
        meta = json.loads((place / "meta.json").read_text())
        del meta["config"], meta["crc32"]
        (place / "meta.json").write_text(json.dumps(meta, indent=1))
    assert_same_run(folder, loop.train(TINY, folder, quiet=True), uninterrupted)


# checkpoints


def says(data):
    """What JSON says, in its own order; None where it is none."""
    try:
        return json.dumps(json.loads(data))
    except ValueError:
        return None


def test_every_flipped_bit_of_a_checkpoints_meta_file_is_noticed(folder, uninterrupted, capsys):
    path = last_checkpoint(folder) / "meta.json"
    whole = path.read_bytes()
    checked = 0
    for place in range(0, len(whole), 7):
        for bit in (0, 2, 5):
            data = bytearray(whole)
            data[place] ^= 1 << bit
            if says(data) == says(whole):  # other white space, or 1E-05 for 1e-05: no value is another one
                continue
            path.write_bytes(data)
            with pytest.raises(checkpoint.DamagedError):
                checkpoint.meta_of(last_checkpoint(folder))
            checked += 1
    assert checked > 500
    path.write_bytes(whole.replace(b'"schema"', b'"schemb"'))
    assert checkpoint.newest_folder(folder / "checkpoints", uninterrupted[1])[0].name == "step_000000010"
    assert "step_000000012 is damaged" in capsys.readouterr().err


def test_a_checkpoint_that_would_unpack_to_more_than_the_run_has_is_not_unpacked(folder, uninterrupted, monkeypatch):
    place, like = last_checkpoint(folder), uninterrupted[1]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bomb:
        for name in checkpoint.leaves(like):
            with bomb.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array_header_1_0(
                    file, {"descr": "<f4", "fortran_order": False, "shape": (4_000_000,)}
                )
                file.write(bytes(16_000_000))
    assert len(buffer.getvalue()) < 1_000_000
    checkpoint.files.write(place / "arrays.npz", buffer.getvalue())
    meta = json.loads((place / "meta.json").read_text())
    del meta["crc32"]
    meta["sha256"] = checkpoint.hashlib.sha256(buffer.getvalue()).hexdigest()
    (place / "meta.json").write_text(json.dumps(meta | {"crc32": checkpoint._sum(meta)}))
    monkeypatch.setattr(np.lib.format, "read_array", lambda *_, **__: pytest.fail("it was unpacked"))
    with pytest.raises(ValueError, match=r"is float32\(4000000,\), this run needs"):
        checkpoint.load(place, like)


def test_an_archive_far_larger_than_the_run_is_not_read(folder, uninterrupted):
    with (last_checkpoint(folder) / "arrays.npz").open("r+b") as file:
        file.truncate(10**12)  # of nothing: takes no room
    with pytest.raises(checkpoint.DamagedError, match="has 1000000000000 bytes"):
        checkpoint.load(last_checkpoint(folder), uninterrupted[1])


# planted and taken away


@pytest.mark.parametrize("name", [".lock", "config.toml", "metrics.jsonl", "provenance.jsonl"])
def test_a_planted_link_is_refused_and_not_followed(name, folder, tmp_path):
    target = tmp_path / "precious"
    (folder / name).rename(target) if name != ".lock" else target.write_text("precious")
    before = target.read_bytes()
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(target)
    with pytest.raises(ValueError, match=rf"{name} is a symbolic link, not a regular file; put the file itself there"):
        loop.train(dataclasses.replace(TINY, updates=14), folder, quiet=True)
    assert target.read_bytes() == before


def test_a_planted_link_in_the_place_of_a_temporary_file_is_replaced(folder, tmp_path):
    (tmp_path / "precious").write_text("precious")
    (folder / "evaluation.tmp").symlink_to(tmp_path / "precious")
    files.replace(folder / "evaluation.json", "{}")
    assert ((tmp_path / "precious").read_text(), (folder / "evaluation.json").read_text()) == ("precious", "{}")


@pytest.mark.parametrize("name", ["config.toml", "metrics.jsonl", "provenance.jsonl", ".lock"])
def test_a_fifo_is_refused_at_once(name, folder):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(ValueError, match=rf"{name} is a FIFO, not a regular file"):
        loop.train(dataclasses.replace(TINY, updates=14), folder, quiet=True)
    if name != ".lock":
        with pytest.raises(ValueError, match=rf"{name} is a FIFO, not a regular file"):
            collect(folder)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/full"])
def test_a_config_that_is_a_device_is_refused(device):
    with pytest.raises(ValueError, match=f"{device} is a device or socket, not a regular file"):
        config.load(device)


def test_a_lock_file_that_is_deleted_lets_nobody_in(folder):
    with locked(folder):
        (folder / ".lock").unlink()
        with pytest.raises(ValueError, match="another process is training"), locked(folder):
            pass


def during(monkeypatch, update, action):
    """Do something before the row of an update is written."""
    make = loop.step_of

    def made(*how):
        step = make(*how)

        def one(state, key):
            if int(state.update) == update:
                action()
            return step(state, key)

        return one

    monkeypatch.setattr(loop, "step_of", made)


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_a_folder_that_is_taken_away_while_it_is_trained_in_stops_the_run(how, tmp_path, monkeypatch):
    folder = tmp_path / "run"

    def take():
        folder.rename(tmp_path / "elsewhere")
        if how == "replaced":
            folder.mkdir()

    during(monkeypatch, 5, take)
    with pytest.raises(ValueError, match=r"run was deleted, moved or replaced while this process trained in it"):
        loop.train(TINY, folder, quiet=True)
    assert not folder.exists() if how == "deleted" else not list(folder.iterdir())


# several seeds, of which a crash leaves one ahead


@pytest.mark.parametrize("crash_at", [pytest.param("write", marks=pytest.mark.slow), "prune"])
def test_seeds_together_that_keep_one_checkpoint_survive_a_crash_between_their_checkpoints(
    crash_at, tmp_path, monkeypatch, uninterrupted
):
    cfg = dataclasses.replace(TINY, keep_checkpoints=1, checkpoint_every=1, updates=4)
    runs = [(dataclasses.replace(cfg, seed=seed), tmp_path / f"seed{seed}") for seed in (0, 1, 2)]
    original, calls = getattr(checkpoint, crash_at), []

    def crash(directory, *rest):
        calls.append(directory)
        if len(calls) == 8:  # 3 at the start, one each; then the second run's of the second update
            raise RuntimeError("killed")
        return original(directory, *rest)

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="killed"):
        patch.setattr(checkpoint, crash_at, crash)
        loop.train_together(runs, quiet=True)
    steps = [[checkpoint.updates(f) for f in checkpoint.folders(path / "checkpoints")] for _, path in runs]
    assert steps == {"write": [[1, 2], [1], [1]], "prune": [[2], [1, 2], [1, 2]]}[crash_at]
    states = loop.train_together(runs, quiet=True)
    reference = loop.train(dataclasses.replace(cfg, seed=0), tmp_path / "alone", quiet=True)
    np.testing.assert_allclose(states[0].agents.logits, reference.agents.logits, atol=1e-5)


def test_seeds_together_with_a_damaged_checkpoint_go_on_from_one_that_all_have(folder, uninterrupted, tmp_path):
    other = tmp_path / "other"
    loop.train(dataclasses.replace(TINY, seed=1), other, quiet=True)
    for place, step in ((folder, 12), (folder, 10), (other, 12)):
        change(checkpoint.folder(place / "checkpoints", step) / "meta.json", b"sha256", b"sha255")
    runs = [(TINY, folder), (dataclasses.replace(TINY, seed=1), other)]
    states = loop.train_together(runs, quiet=True)
    assert RunFolder(folder).provenance()[-1]["updates"] == 4  # from 8
    np.testing.assert_allclose(states[0].agents.logits, uninterrupted[1].agents.logits, atol=1e-5)


# co-players


def test_naive_learners_that_become_non_finite_stop_the_run(tmp_path):
    naive = NaiveConfig()
    object.__setattr__(naive, "reward_scale", float("nan"))  # no config can say so; the first update spoils the learner
    with pytest.raises(
        FloatingPointError, match=r"^naive_reward became non-finite in update 0 .*Lower naive.learning_rate"
    ):
        loop.train(dataclasses.replace(TINY, naive=naive), tmp_path, quiet=True)


def test_a_co_player_that_is_not_finite_shows_in_its_reward():
    from lapg_rl.learn.training_step import initial_state
    from lapg_rl.play.company import Company, play_pool
    from lapg_rl.play.metrics import describe_play

    state = initial_state(TINY, loop.run_key(TINY))
    agent = eqx.filter_vmap(lambda x: x)(state.agents)
    for value, finite in ((0.0, True), (jnp.nan, False), (jnp.inf, False)):
        policies = eqx.tree_at(
            lambda p: p.logits, state.naive_policies, replace_fn=lambda x, v=value: x.at[:, 0, 0].set(v)
        )
        company = Company(jnp.array(0), state.agents, policies)
        one = eqx.filter(agent, eqx.is_array)
        policy = eqx.combine(eqx.tree_at(lambda p: (p.logits, p.values), one, (one.logits[0], one.values[0])), agent)
        figures = describe_play(TINY, play_pool(TINY, policy, company, loop.run_key(TINY)))
        assert bool(jnp.isfinite(figures["naive_reward"])) == finite
        assert bool(jnp.isfinite(figures["reward_vs_naive"]))


def test_the_precision_is_in_the_provenance(uninterrupted):
    assert RunFolder(uninterrupted[0]).provenance()[0]["dtype"] == "float32"


def test_a_run_folder_needs_no_jax_to_be_read():
    code = "import sys, lapg_rl.runs.folder; sys.exit(bool({'jax', 'lapg_rl.learn'} & set(sys.modules) - BEFORE))"
    code = f"import sys, lapg_rl.config; BEFORE = set(sys.modules); {code}"
    assert subprocess.run([os.sys.executable, "-c", code]).returncode == 0


def test_a_longer_run_is_told_of_before_it_is_so(folder):
    longer = dataclasses.replace(TINY, updates=14)
    whole = (folder / "config.toml").read_text()
    loop.open_run(longer, folder)
    assert RunFolder(folder).config() == longer
    (folder / "config.toml").write_text(whole)  # as a crash between the two leaves it
    assert RunFolder(folder).config() == TINY
    loop.train(longer, folder, quiet=True)
    change(folder / "config.toml", b"updates = 14", b"updates = 94")
    with pytest.raises(ValueError, match=r"updates 14 in its provenance, 94 now"):
        RunFolder(folder).config()
