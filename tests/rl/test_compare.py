"""`lapg compare` on metrics made by hand, whose means and intervals are computed here on paper."""

import dataclasses
import json

import pytest
from folders import TABULAR, metrics, with_estimator
from scipy import stats

import lapg_rl as rl
from lapg_rl.commands.main import main
from lapg_rl.reports.make import report
from lapg_rl.runs.folder import open_run
from lapg_rl.study.intervals import of_difference

#: Metrics rise evenly over 40 updates, so the mean of the last 20 is 30.5 / 40 of the last value, of 11 to 30 it is 20.5 / 40.
LATE, MIDDLE = 30.5 / 40, 20.5 / 40


def test_differences_against_the_textbook():
    same = of_difference([0.0, 1, 2], [3.0, 4, 5])
    half = 2.776445 * (2 / 3) ** 0.5  # variances 1 and 1 of three each: Student's t with 4 degrees of freedom
    assert (same.value, same.low, same.high) == pytest.approx((-3, -3 - half, -3 + half), rel=1e-6)
    one_sided = of_difference([1.0, 2, 6], [5.0, 5, 5])
    half = 4.302653 * (7 / 3) ** 0.5  # all variance is in one sample: its 2 degrees of freedom
    assert (one_sided.value, one_sided.low, one_sided.high) == pytest.approx((-2, -2 - half, -2 + half), rel=1e-6)
    assert of_difference([1.0, 1], [3.0, 3]).high == -2
    assert of_difference([1.0], [3.0, 4]).low is None


@pytest.fixture
def runs(tmp_path):
    for name, rewards in {"mfos": (1.0, 3.0), "lapg": (10.0, 14.0)}.items():
        for seed, reward in enumerate(rewards):
            metrics(tmp_path / f"{name}-{seed}", with_estimator(TABULAR, name, seed), reward, -reward)
    return tmp_path


def compared(capsys, *line):
    assert main(["compare", *map(str, line), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    return found["settings"], {row["metric"]: row for row in found["rows"]}


def test_means_and_differences_by_hand(runs, capsys):
    settings, rows = compared(capsys, runs)
    assert settings == ["lapg", "mfos"]
    row = rows["reward_vs_naive"]
    assert [m["value"] for m in row["means"]] == pytest.approx([12 * LATE, 2 * LATE])
    half = 12.7062047 * 1 * LATE  # the error of the mean of two values is half their distance
    assert row["means"][1]["high"] - row["means"][1]["value"] == pytest.approx(half)
    assert [d["value"] for d in row["differences"]] == [pytest.approx(-10 * LATE)]
    assert set(rows) == {"reward_vs_naive", "naive_reward", "cooperation_vs_naive", "naive_cooperation"}


def test_one_folder_or_name_needs_no_list(runs, tmp_path):
    one, listed = (rl.compare(x, y) for x, y in ((str(runs), "naive_reward"), ([runs], ["naive_reward"])))
    assert one.rows == listed.rows and [row.metric for row in one.rows] == ["naive_reward"]
    assert len(rl.plot.each_run(runs / "mfos-0").lines) == len(rl.plot.each_run(str(runs / "mfos-0")).lines) == 1
    assert rl.report(str(runs), tmp_path / "page.html", quick=True)[0].exists()
    rl.export(str(runs / "mfos-0"), str(tmp_path / "kept"))
    assert (tmp_path / "kept" / "mfos-0" / "metrics.jsonl").exists()
    assert rl.override(TABULAR, "updates=3").updates == 3


def test_up_to_an_update_and_to_another_reference(runs, capsys):
    settings, rows = compared(capsys, runs, "--upto", 30, "--reference", "mfos", "--metrics", "naive_reward")
    assert (settings, list(rows)) == (["mfos", "lapg"], ["naive_reward"])
    assert [d["value"] for d in rows["naive_reward"]["differences"]] == [pytest.approx(-10 * MIDDLE)]


def test_settings_of_one_method_are_told_apart_by_what_differs(runs, capsys):
    cfg = dataclasses.replace(with_estimator(TABULAR, "lapg"), batch=8)
    metrics(runs / "large", cfg, 1.0, 1.0)
    settings, _ = compared(capsys, runs, "--metrics", "naive_reward")
    assert {frozenset(label.split()) for label in settings} == {
        frozenset({"batch=8", "learner.estimator=lapg"}),
        frozenset({"batch=4", "learner.estimator=lapg"}),
        frozenset({"batch=4", "learner.estimator=mfos"}),
    }


def test_long_labels_stand_above_the_table(runs, tmp_path, capsys):
    for n, name in enumerate(("first", "second")):
        learner = dataclasses.replace(
            TABULAR.learner, learning_rate=0.01 + n, gamma=0.9 + 0.01 * n, entropy_coef=0.1 * n
        )
        metrics(tmp_path / "long" / name, dataclasses.replace(TABULAR, learner=learner), 1.0 + n, 0.0)
    assert main(["compare", str(tmp_path / "long"), "--metrics", "reward_vs_naive"]) == 0
    a, b, blank, head, _, _, difference, _, caption = capsys.readouterr().out.splitlines()
    assert "learner.learning_rate=0.01" in a and a.startswith("- A: ") and b.startswith("- B: ") and blank == ""
    assert "95 % intervals over seeds" in caption
    assert head.split() == ["|", "|", "A", "(1)", "|", "B", "(1)", "|"]
    assert difference.startswith("| minus A") and f"+{LATE:.3f}" in difference


def test_the_table_for_reading(runs, capsys):
    for seed, reward in ((2, 12.0), (3, 12.0)):
        metrics(runs / f"lapg-{seed}", with_estimator(TABULAR, "lapg", seed), reward, 0)
        metrics(runs / f"mfos-{seed}", with_estimator(TABULAR, "mfos", seed), 2.0, 0)
    assert main(["compare", str(runs), "--metrics", "reward_vs_naive"]) == 0
    head, _, means, differences, _, caption, star = capsys.readouterr().out.splitlines()
    assert "lapg (4)" in head and "mfos (4)" in head
    # four values a, b, b, b' at distances -2, 2, 0, 0 or -1, 1, 0, 0: errors of the mean 0.8165 and 0.4082
    assert f"{12 * LATE:.3f} ± {3.182446 * 0.8164966 * LATE:.3f}" in means
    assert "-7.625 [" in differences and "] **" in differences
    assert caption.startswith("means over agents and the last 20 updates")
    assert star == "* 0 is outside of the interval of this difference; ** with all 1 differences looked at (Holm)"


def test_two_stars_are_for_what_holds_with_all_differences_looked_at(tmp_path):
    ends = {"reward_vs_naive": ([8.0, 9, 10, 11], [1.0, 2, 3, 2]), "naive_reward": ([0.0, 1, 2, 3], [2.5, 4, 5, 6])}
    for n, name in enumerate(("lapg", "mfos")):
        for seed, values in enumerate(zip(*(of[n] for of in ends.values()), strict=True)):
            metrics(tmp_path / f"{name}-{seed}", with_estimator(TABULAR, name, seed), *values)
    found = rl.compare(tmp_path)
    assert len(found.rows) == 4  # both cooperate alike
    first, second = (stats.ttest_ind(*of, equal_var=False).pvalue for of in ends.values())
    assert first < 0.05 / 4 < 0.05 / 3 < second < 0.05
    assert [row.metric for row in found.rows if row.firm[0]] == ["reward_vs_naive"]
    told = str(found)
    assert told.count("] **") == 1 and told.count("] * ") == 1 and "with all 4 differences looked at" in told


MISTAKES = {
    "--metrics reward_vs_naiv": "do you mean reward_vs_naive?",
    "--reference mfoss": "--reference must be one of the settings lapg; mfos, got 'mfoss'",
    "--upto 41": "--upto must be from 1 to 40",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_mistakes(line, runs, capsys):
    assert main(["compare", str(runs), *line.split()]) == 2
    assert MISTAKES[line] in capsys.readouterr().err


def test_runs_of_unequal_length_are_compared_only_up_to_a_common_update(runs, capsys):
    cfg = dataclasses.replace(with_estimator(TABULAR, "batch_unaware"), updates=25)
    metrics(runs / "short", cfg, 1.0, 1.0)
    assert main(["compare", str(runs)]) == 2
    assert "between 25 and 40 updates; compare all at --upto 25" in capsys.readouterr().err
    assert main(["compare", str(runs), "--upto", "25"]) == 0


def test_an_unfinished_run_is_named_and_blocks_nothing(runs, tmp_path, capsys):
    longer = metrics(runs / "lapg-9", with_estimator(TABULAR, "lapg", 9), 99.0, 99.0)
    lines = (longer / "metrics.jsonl").read_text().splitlines(keepends=True)
    (longer / "metrics.jsonl").write_text("".join(lines[:25]))
    open_run(with_estimator(TABULAR, "mfos", 9), runs / "mfos-9")
    line = ["compare", str(runs), "--metrics", "reward_vs_naive"]
    assert main([*line, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rows"][0]["means"][0]["value"] == pytest.approx(12 * LATE)
    empty, short = found["left_out"]
    assert "mfos-9 has no metrics yet" in empty and "lapg-9 has 25 of 40 updates; carry on with" in short
    assert main(line) == 0
    assert capsys.readouterr().out.count("left out: ") == 2
    assert main([*line, "--upto", "25"]) == 0
    assert capsys.readouterr().out.count("left out: ") == 1
    written = report([runs], tmp_path / "r.html", quick=True)
    assert all("mfos-9 has no metrics yet" in path.read_text() for path in written if path.suffix != ".json")
    assert len(json.loads(written[1].read_text())) == 5


def test_one_run_under_two_names_is_refused(runs, capsys):
    metrics(runs / "again", with_estimator(TABULAR, "lapg", 1), 1.0, 1.0)
    assert main(["compare", str(runs)]) == 2
    assert "are the same run, seed 1" in capsys.readouterr().err


def test_a_thinned_run_without_updates_in_the_window_is_refused(runs, capsys):
    file = runs / "lapg-0" / "metrics.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([lines[0], *lines[36:]]))
    assert main(["compare", str(runs), "--upto", "30"]) == 2
    assert "keeps no update from 10 to 29, it is thinned" in capsys.readouterr().err
