"""Archives of runs are read like folders, and hostile ones are refused."""

import zipfile

import numpy as np
import pytest
from folders import TABULAR, metrics, with_estimator

from lapg_rl.commands.main import main
from lapg_rl.study import archive
from lapg_rl.study.results import collect, export, runs_in


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    home = tmp_path_factory.mktemp("packed")
    runs = [metrics(home / "loose" / f"run{n}", with_estimator(TABULAR, "lapg", n), 1.0 + n, 0.1) for n in (0, 1)]
    (home / "kept").mkdir()
    export(runs, home / "kept" / archive.NAME)
    return home


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
        "evaluate {}",
        "evaluate {loose} {}",
        "watch {}",
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
    assert "run0 has no checkpoints: it is a copy" in capsys.readouterr().err


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
