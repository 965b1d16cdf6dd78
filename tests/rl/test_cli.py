"""The command line: every mistake gets one line and exit status 2; a small run goes all the way to its report."""

import json
import re

import pytest

from lapg_rl.commands.main import main
from lapg_rl.config import PRESETS
from lapg_rl.runs import loop
from lapg_rl.runs.loop import RunFolder

TINY = [
    *("updates=2", "meta_batch=2", "batch=2", "inner_episodes=2", "steps=3"),
    *("model.kind=tabular", "naive_population=2", "minibatches=1", "epochs=1"),
]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


MISTAKES = {
    "train": "expected one preset or --config FILE, got none",
    "train ipd-shaping-smal": "unknown preset ipd-shaping-smal; did you mean ipd-shaping-small or ipd-shaping",
    "train ipd-shaping ipd-shaping-small": "expected one preset",
    "train ipd-shaping --config x.toml": "expected one preset or --config FILE, got ipd-shaping and --config",
    "train --config missing.toml": "missing.toml",
    "train ipd-shaping updats=3": "unknown key updats; did you mean updates",
    "train ipd-shaping learner.gama=1": "unknown key learner.gama; did you mean gamma",
    "train ipd-shaping 00=0": "unknown key 00; `lapg config PRESET` prints all keys\n",
    "train ipd-shaping gamma=0.9": "key gamma is ambiguous: write naive.gamma or learner.gamma",
    "train ipd-shaping updates=1.5": "updates: expected int, got 1.5",
    "train ipd-shaping steps=0": "steps must be an integer >= 1, got 0",
    "train ipd-shaping seed=-1": "seed must be an integer >= 0, got -1",
    "train ipd-shaping learner.gamma=1.5": "learner.gamma must be in (0, 1], got 1.5",
    "train ipd-shaping game.T=0": "(T, R, P, S) = (0.0, 1.0, 0.0, -1.0) is no prisoner's dilemma: it needs T > R > P > S",
    "train ipd-shaping steps=100 learner.gamma=0.96 learner.gae_lambda=0.95": "(gamma * gae_lambda)^steps = (0.96 * 0.95)^100",
    "train ipd-shaping estimator=lola": "learner.estimator",
    "train ipd-shaping meta_batch=3": "meta_batch must be a multiple of learner.minibatches = 2, got 3",
    "train ipd-shaping --run file/run": "cannot write the run folder file/run: Not a directory; choose another folder",
    "train ipd-shaping --seeds 0": "--seeds must be an integer >= 1, got 0",
    "train ipd-shaping --jobs 0": "--jobs must be an integer >= 1, got 0",
    "train ipd-shaping --seeds 2 --jobs 2 --together": "--together is one program, got --jobs 2 as well",
    "train ipd-shaping --seeds two": "argument --seeds: invalid int value: 'two'",
    "train ipd-shaping --sed 1": "--sed",
    "train --resume nowhere": "nowhere holds no run (no config.toml); start one with `lapg train PRESET --run nowhere`",
    "train ipd-shaping --resume nowhere": "--resume takes everything but updates=N from nowhere",
    "evaluate nowhere": "nowhere holds no run",
    "report nowhere": "nowhere holds no run",
    "evaluate": "the following arguments are required: RUN",
    "tournament": "the following arguments are required: RUN",
    "tournament nowhere": "nowhere holds no run",
    "tournament nowhere --with nobody": "unknown co-player 'nobody'; known: naive, always-0, allc",
    "demo updats=3": "unknown key updats; did you mean updates",
    "demo ipd-shaping": "expected key=value, got 'ipd-shaping'",
    "trian ipd-shaping": "invalid choice: 'trian'",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_gets_one_line_and_status_2(line, tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    try:
        status = main(line.split())
    except SystemExit as stop:  # argparse's own errors
        status = stop.code
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert MISTAKES[line] in err
    assert err.startswith("lapg") and err.count("\n") == 1 and err.endswith("\n")
    assert not (tmp_path / "runs").exists()


def test_presets_are_listed(capsys):
    assert main(["train", "--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(PRESETS)


def test_settings_may_stand_before_and_after_options(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(loop, "train_together", lambda runs, **_: seen.extend(runs))
    assert main(["train", "ipd-shaping", "seed=3", "--seeds", "2", "updates=7", "--quiet", "estimator=mfos"]) == 0
    assert [(c.seed, c.updates, c.learner.estimator, f.as_posix()) for c, f in seen] == [
        (3, 7, "mfos", "runs/ipd-shaping-mfos-seed3"),
        (4, 7, "mfos", "runs/ipd-shaping-mfos-seed4"),
    ]


def test_an_interrupt_says_how_to_carry_on(monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "train_together", interrupted)
    assert main(["train", "ipd-shaping", "--run", "here"]) == 130
    assert capsys.readouterr().err.strip() == "lapg: interrupted; carry on with `lapg train --resume here`"


def test_a_run_that_diverges_fails_with_one_line(capsys):
    steep = ["learner.optimiser=sgd", "learner.learning_rate=1e6", "learner.clip_norm=1e30", "learner.value_coef=1e6"]
    assert main(["train", "ipd-shaping", *TINY[1:], *steep, "updates=9", "--run", "r", "--quiet"]) == 1
    err = capsys.readouterr().err
    assert re.fullmatch(r"lapg train: .* became non-finite in update \d of r; the last good checkpoint is .*\n", err)


def test_a_small_run_goes_all_the_way_to_its_report(tmp_path, capsys):
    assert main(["train", "ipd-shaping", *TINY, "--run", "one", "--quiet"]) == 0
    before = (tmp_path / "one" / "metrics.jsonl").read_bytes()
    assert main(["train", "--resume", "one", "--quiet"]) == 0
    assert main(["train", "ipd-shaping", *TINY, "--run", "one", "--quiet"]) == 0
    assert (tmp_path / "one" / "metrics.jsonl").read_bytes() == before
    assert main(["train", "--resume", "one", "updates=3", "--quiet"]) == 0
    assert [row["update"] for row in RunFolder("one").metrics()] == [0, 1, 2]
    assert main(["train", "--resume", "one", "updates=2"]) == 2
    assert "updates 3 there, 2 here" in capsys.readouterr().err
    assert main(["train", "ipd-shaping", *TINY, "seed=1", "--run", "one"]) == 2
    assert "holds a run with another configuration" in capsys.readouterr().err
    assert main(["train", "--config", "one/config.toml", "seed=1", "--run", "two", "--quiet"]) == 0

    capsys.readouterr()
    assert main(["evaluate", "one", "--meta-batch", "3", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    kept = json.loads((tmp_path / "one" / "evaluation.json").read_text())
    assert printed == {key: value for key, value in kept.items() if key != "crc32"}
    assert {"naive", "alld", "tft"} <= {match["opponent"] for match in printed["matches"]}
    assert main(["evaluate", "one", "--meta-batch", "3"]) == 0
    assert "payoff line" in capsys.readouterr().out
    assert main(["evaluate", "one", "--meta-batch", "3", "--quiet"]) == 0
    assert not capsys.readouterr().out

    assert main(["report", "one", "two", "--out", "out/r.html", "--figure", "out/f.svg", "--export", "kept"]) == 0
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"r.html", "r.json", "r.md", "f.svg"}
    kept = {p.name for p in (tmp_path / "kept" / "two").iterdir()}
    assert kept == {"config.toml", "provenance.jsonl", "metrics.jsonl", "evaluation.json", "prediction.json"}


def test_the_demo_derives_trains_compares_and_starts_again_where_it_was(tmp_path, capsys):
    line = ["demo", *TINY, "--run-root", "d", "--jobs", "1", "--quiet"]
    assert main(line) == 0
    out = capsys.readouterr().out
    for expected in ("best memory-one policy", "d/report.html", "lapg seed 0: agent", "(extortion: at least 0.75)"):
        assert expected in out
    assert "mfos seed 0: agent" in out
    runs = sorted(p.name for p in (tmp_path / "d").iterdir() if p.is_dir())
    assert runs == ["ipd-shaping-small-lapg-seed0", "ipd-shaping-small-mfos-seed0"]
    times = {p: p.stat().st_mtime_ns for p in (tmp_path / "d").glob("*/*.json*")}
    assert main(line) == 0
    assert {p: p.stat().st_mtime_ns for p in times if p.suffix == ".json"} == {
        p: t for p, t in times.items() if p.suffix == ".json"
    }
