"""Archives of runs are read like folders, and hostile ones are refused."""

import dataclasses
import json
import shutil
import zipfile

import numpy as np
import pytest
from folders import TABULAR, expected_rewards, metrics, run_of, with_estimator

from lapg_rl.commands.main import main
from lapg_rl.runs.folder import RunFolder
from lapg_rl.study import archive
from lapg_rl.study.agents import load
from lapg_rl.study.copies import export
from lapg_rl.study.evaluation import evaluate
from lapg_rl.study.results import collect, runs_in
from lapg_rl.study.sweep import Planned
from lapg_theory.game import NAMED


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    home = tmp_path_factory.mktemp("packed")
    runs = [metrics(home / "loose" / f"run{n}", with_estimator(TABULAR, "lapg", n), 1.0 + n, 0.1) for n in (0, 1)]
    (home / "kept").mkdir()
    export(runs, home / "kept" / archive.NAME)
    return home


def test_wildcards_are_those_of_a_shell_where_none_has_seen_them(packed, tmp_path):
    loose = packed / "loose"
    assert runs_in([loose / "run*"]) == [loose / "run0", loose / "run1"]
    shutil.copytree(loose / "run0", tmp_path / ".hidden")
    shutil.copytree(loose / "run0", tmp_path / "seen")
    assert runs_in([tmp_path / "*"]) == [tmp_path / "seen"]
    odd = tmp_path / "run[0]"
    shutil.copytree(loose / "run0", odd)
    assert runs_in([odd]) == [odd]
    nothing = loose / "none*"
    assert runs_in([nothing]) == [nothing]


def test_an_archive_is_a_folder_with_runs_inside(packed):
    for path in (packed / "kept", packed / "kept" / archive.NAME, packed / "kept" / archive.NAME / "run?"):
        found = runs_in([path])
        assert [run.name for run in found] == ["run0", "run1"]
        assert archive.origin(found[0]) == (packed / "kept" / archive.NAME).resolve()
    (one,) = runs_in([packed / "kept" / archive.NAME / "run1"])
    table = packed / "sweep.csv"  # as a shell's * finds beside runs
    table.write_text("seed\n")
    assert runs_in([table, packed / "loose" / "run0"]) == [packed / "loose" / "run0"]
    with pytest.raises(ValueError, match=r"sweep\.csv is a file, and no run"):
        runs_in([table])
    loose = collect(packed / "loose" / "run1")
    np.testing.assert_allclose(collect(one).metrics["naive_reward"], loose.metrics["naive_reward"], rtol=1e-4)
    assert archive.origin(packed / "loose" / "run1") is None


def test_exploiters_inside_a_run_are_no_runs_of_the_folder_around_it(packed, tmp_path):
    shutil.copytree(packed / "loose" / "run0", tmp_path / "runs" / "mine")
    shutil.copytree(packed / "loose" / "run1", tmp_path / "runs" / "mine" / "exploiters" / "agent0")
    assert runs_in([tmp_path / "runs"]) == runs_in([tmp_path]) == [tmp_path / "runs" / "mine"]
    assert runs_in([tmp_path / "runs" / "mine" / "exploiters"]) == [
        tmp_path / "runs" / "mine" / "exploiters" / "agent0"
    ]


def test_an_archive_that_is_not_finished_leaves_the_one_that_was_there(packed, tmp_path, monkeypatch):
    target = tmp_path / "not there yet" / "one.zip"
    archive.pack(packed / "loose", target)
    before = target.read_bytes()
    monkeypatch.setattr(zipfile.ZipFile, "writestr", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        archive.pack(packed / "loose", target)
    assert [path.read_bytes() for path in target.parent.iterdir()] == [before]


def test_the_same_runs_give_the_same_bytes(packed, tmp_path):
    archive.pack(packed / "loose", tmp_path / "one.zip")
    archive.pack(packed / "loose", tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_commands_take_archives(packed, capsys):
    assert main(["compare", str(packed / "kept")]) == 0
    assert "reward_vs_naive" in capsys.readouterr().out


@pytest.mark.parametrize(
    "line",
    [
        "exploit {}",
        "balance {}",
        "train --resume {}",
        "train ipd-shaping --from {}",
    ],
)
def test_what_needs_more_than_a_copy_says_so_of_a_run_in_an_archive(line, packed, capsys):
    place, loose = packed / "kept" / archive.NAME / "run1", packed / "loose" / "run1"
    (loose / "checkpoints" / "step_000000002").mkdir(parents=True, exist_ok=True)
    assert main(line.format(place, loose=loose).split()) == 2
    assert f"{place} lies in an archive, which compare and report read as it is; to do" in capsys.readouterr().err
    assert main(["tournament", str(packed / "kept")]) == 2
    assert "run0 has no checkpoints: it is a copy without agents" in capsys.readouterr().err


@pytest.fixture(scope="module")
def playing(tmp_path_factory):
    """An archive of two runs with their agents: one cooperates with everybody, the other plays tit-for-tat."""
    home, names = tmp_path_factory.mktemp("playing"), ("allc", "tft")
    cfg = dataclasses.replace(TABULAR, updates=1)
    for name in names:
        run_of(metrics(home / name, cfg, 0.5, 0.1), [NAMED[name]], cfg)
    export([home / name for name in names], home / "copies.zip", agents=True)
    return home


def test_agents_in_an_archive_play_as_those_of_their_runs(playing, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(playing)
    of_run, of_copy = (evaluate(where, ["naive", "alld"], meta_batch=4) for where in ("tft", "copies.zip/tft"))
    assert of_copy == of_run and of_run.updates == 1
    assert np.array_equal(load("copies.zip/allc").logits, load("allc").logits)
    (met,) = evaluate("allc", ["copies.zip/tft"], meta_batch=4).matches
    assert (met.opponent, met.own.reward, met.other.reward) == (
        "tft",
        pytest.approx(1, abs=1e-4),
        pytest.approx(1, abs=1e-4),
    )
    assert (
        main(["tournament", "copies.zip", "--with", "alld", "--meta-batch", "4", "--json", "--out", str(tmp_path)]) == 0
    )
    rewards = json.loads(capsys.readouterr().out)["players"]["rewards"]
    lost = expected_rewards(np.array(NAMED["tft"]), NAMED["alld"], 6)
    assert rewards[1][2] == pytest.approx(lost[0], abs=1e-4)
    kept = tmp_path / "one.json"
    before = (playing / "copies.zip").read_bytes()
    assert main(["evaluate", "copies.zip/tft", "--meta-batch", "4", "--quiet"]) == 0
    assert "copies.zip stays as it is; --out FILE keeps the evaluation" in capsys.readouterr().err
    assert main(["evaluate", "copies.zip/tft", "alld", "--meta-batch", "4", "--quiet", "--out", str(kept)]) == 0
    assert kept.exists() and (playing / "copies.zip").read_bytes() == before
    assert main(["watch", "copies.zip/tft", "--quiet"]) == 2
    assert "say with --out DIR where the episode goes" in capsys.readouterr().err
    assert main(["watch", "copies.zip/tft", "--quiet", "--out", str(tmp_path)]) == 0
    assert main(["evaluate", "copies.zip", "alld"]) == 2
    assert "copies.zip holds 2 runs; name one of them" in capsys.readouterr().err


@pytest.mark.parametrize("other", ["alld", "0,0,0,0,0", "DDDDD"])
def test_an_agent_is_watched_and_met_by_a_strategy_as_it_is_named_or_written(playing, tmp_path, capsys, other):
    """Tit-for-tat cooperates with a defector in the first step, and then no more."""
    run = str(playing / "tft")
    assert main(["watch", run, other, "--out", str(tmp_path), "--json"]) == 0
    episode = json.loads(capsys.readouterr().out)
    assert episode["players"] == ["agent 0", other]
    assert ["".join(row) for row in episode["actions"]] == ["CDDDDD", "DDDDDD"]
    assert main(["evaluate", run, other, "--meta-batch", "2", "--json"]) == 0
    (match,) = json.loads(capsys.readouterr().out)["matches"]
    assert match["own"]["reward"] == pytest.approx(-1 / 6, abs=1e-4)
    assert main(["evaluate", run, "1,2,0,0,0"]) == 2
    assert "expected five probabilities in [0, 1]" in capsys.readouterr().err


def test_a_copy_with_agents_is_finished_and_goes_no_further(playing, tmp_path, capsys):
    (copy,) = runs_in([playing / "copies.zip" / "tft"])
    here = tmp_path / "tft"
    shutil.copytree(copy, here)
    cfg = RunFolder(here).config()
    assert Planned({}, cfg, here).finished and not Planned({}, dataclasses.replace(cfg, updates=2), here).finished
    assert main(["train", "--resume", str(here), "updates=2"]) == 2
    assert "is a copy whose agents play but can't go on" in capsys.readouterr().err
    small = ["--config", str(here / "config.toml"), "--run", str(tmp_path / "child"), "--quiet"]
    assert (
        main(["train", *small, "--from", str(here), "learner.learning_rate=0"]) == 0
    )  # but another may begin with them
    assert np.array_equal(load(tmp_path / "child").logits, load(here).logits)
    export([here], tmp_path / "again", agents=True)  # a copy of the copy
    assert np.array_equal(load(tmp_path / "again" / "tft").logits, load(playing / "tft").logits)
    (arrays,) = here.glob("agents/*/arrays.npz")
    arrays.write_bytes(arrays.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"no checkpoint in .* is sound"):
        load(here)


def hostile(path, name, link=False):
    with zipfile.ZipFile(path, "w") as out:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = (0o120777 if link else 0o644) << 16
        out.writestr(entry, "x")


@pytest.mark.parametrize(("name", "link"), [("../escaped", False), ("/abs/olute", False), ("run/config.toml", True)])
def test_what_leads_outside_is_refused(tmp_path, name, link):
    hostile(tmp_path / "runs.zip", name, link)
    with pytest.raises(ValueError, match="leads outside of it"):
        runs_in([tmp_path])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["runs.zip"]


def test_damage_and_size_are_refused(tmp_path, monkeypatch, packed):
    (tmp_path / "runs.zip").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(ValueError, match=r"runs\.zip is no archive of runs, or damaged"):
        runs_in([tmp_path / "runs.zip"])
    monkeypatch.setattr(archive, "MOST", 10)
    archive.pack(packed / "loose", tmp_path / "other.zip")
    with pytest.raises(ValueError, match="at most 10 are allowed"):
        runs_in([tmp_path / "other.zip"])


def test_runs_of_one_name_are_kept_apart(tmp_path):
    runs = [
        metrics(tmp_path / stage / "seed0", with_estimator(TABULAR, "lapg", 0), 1.0, 0.1) for stage in ("pair", "mixed")
    ]
    export(runs, tmp_path / "kept.zip")
    assert sorted(run.name for run in runs_in([tmp_path / "kept.zip"])) == ["mixed-seed0", "pair-seed0"]
