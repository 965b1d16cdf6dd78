"""Folders and configs of strangers: whose code runs, what is imported from where, what reaches a page or a terminal."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import pytest

from lapg_rl import config
from lapg_rl.commands.main import main
from lapg_rl.commands.training import options
from lapg_rl.config import Config, GameConfig, LearnerConfig, ModelConfig, PoolConfig
from lapg_rl.envs.build import custom
from lapg_rl.reports import findings
from lapg_rl.runs import checkpoint, trust
from lapg_rl.runs.loop import fresh_state, open_run
from lapg_rl.study import comparison, markdown, records
from lapg_rl.study.records import Evaluation, Match, PayoffLine, Player
from lapg_rl.study.results import collect, summary_markdown

ROOT = Path(__file__).parents[2]
EVIL = """
from pathlib import Path
Path("executed").touch()
from lapg_rl.envs import IteratedMatrixGame
from lapg_theory.game import prisoners_dilemma
def f():
    return IteratedMatrixGame(prisoners_dilemma(2, 1, 0, -1))
def raises():
    raise KeyError("a\\nb")
def nothing():
    return 3
"""
CFG = Config(
    name="stranger",
    updates=2,
    meta_batch=2,
    batch=2,
    inner_episodes=2,
    steps=3,
    model=ModelConfig(kind="tabular"),
    pool=PoolConfig(naive_population=2),
)


@pytest.fixture
def stranger(tmp_path, monkeypatch):
    """A run folder whose config names code that lies in the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(trust, "_allowed", set())
    monkeypatch.delenv(trust.VARIABLE, raising=False)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place not in ("", str(tmp_path))])
    run = open_run(CFG, tmp_path / "run")
    checkpoint.save(run.checkpoints, 2, fresh_state(CFG)._replace(update=jnp.array(2)), keep=1)
    run.append(run.metrics_file, {"update": 0, "reward_vs_naive": [0.1], "<img src=x onerror=y>": [0.2]})
    run.append(run.metrics_file, {"update": 1, "reward_vs_naive": [0.1], "<img src=x onerror=y>": [0.2]})
    theirs = dataclasses.replace(CFG, game=GameConfig(kind="custom", factory="evil_world:f"))
    config.save(theirs, tmp_path / "run" / "config.toml")
    (tmp_path / "evil_world.py").write_text(EVIL)
    yield tmp_path
    sys.modules.pop("evil_world", None)


LINES = [["evaluate", "run"], ["train", "--resume", "run"], ["train", "--config", "run/config.toml"], ["report", "run"],
         ["sweep", "--config", "run/config.toml"], ["watch", "run"], ["tournament", "run"], ["balance", "run"],
         ["evaluate", "run", "tft"], ["train", "--config", "run/config.toml", "model.kind=gru"],
         ["crossval", "--level", "L6", "--run", "run"]]  # fmt: skip


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_a_strangers_factory_is_not_loaded_unless_it_is_named(line, stranger, capsys):
    assert main(line) == 2
    err = capsys.readouterr().err
    assert "depends on evil_world:f, and to load that runs its code; if you trust it, add --trust" in err
    assert err.removeprefix("evaluating run ...\n").count("\n") == 1
    assert not (stranger / "executed").exists()


def test_whatever_names_code_is_an_address():
    """Every key whose value is looked up in a table of names; a new one must be found here, too."""
    for key in ("game.kind", "model.kind", "naive.model", "learner.estimator", "learner.algorithm", "pool.fixed"):
        more = ["pool.p_fixed=0.25"] if key == "pool.fixed" else []
        assert config.override(config.preset("ipd-mixed"), [*more, f"{key}=evil_world:f"]).addresses == ["evil_world:f"]
    for changed in ("pool.coplayers=evil_world:f=0.25", "schedule=3: pool.coplayers=evil_world:f=0.25"):
        assert config.override(config.preset("ipd-mixed"), [changed]).addresses == ["evil_world:f"]


def test_an_evaluation_that_is_there_lets_a_report_load_no_code_either(stranger, capsys):
    config.save(dataclasses.replace(CFG, model=ModelConfig(kind="evil_world:f")), stranger / "run" / "config.toml")
    side = Player(0.5, 0.25, [0.5, 0.5], [0.5, 0.5], *([[0.5] * 5] * 4))
    line = PayoffLine(0, 0.5, 0.25, 0.5, 0.25, 0.75, [(0.5, 0.25)])
    records.save(Evaluation(2, 2, 0, [Match(0, "naive", side, side)], [line]), stranger / "run")
    assert main(["report", "run"]) == 2
    assert "run depends on evil_world:f" in capsys.readouterr().err
    assert not (stranger / "executed").exists()


def test_a_config_file_is_trusted_with_what_the_command_line_names_and_no_more(stranger, monkeypatch, capsys):
    monkeypatch.setattr("lapg_rl.runs.loop.train_together", lambda runs, **_: None)
    line = ["train", "--config", "run/config.toml", "game.factory=mine:f", "--run", "mine"]
    assert main(line) == 0  # the file's own is not loaded any more
    theirs = config.load(stranger / "run" / "config.toml")
    theirs = dataclasses.replace(theirs, learner=LearnerConfig(estimator="evil_world:nothing"))
    config.save(theirs, stranger / "run" / "config.toml")
    for command in (line, ["sweep", *line[1:-2]]):
        assert main(command) == 2
        assert "run/config.toml depends on evil_world:nothing, and" in capsys.readouterr().err


def test_processes_that_train_may_load_what_this_one_may():
    cfgs = [config.override(CFG, [f"estimator=mine:{name}", "model.kind=mine:m"]) for name in "ab"]
    assert options(False, None, cfgs) == [*("--trust", "mine:a"), *("--trust", "mine:b"), *("--trust", "mine:m")]


def test_compare_and_a_quick_report_never_load_it(stranger):
    assert main(["compare", "run"]) == 0
    assert main(["report", "run", "--quick", "--out", "r.html"]) == 0
    assert not (stranger / "executed").exists()


@pytest.mark.parametrize("how", ["option", "variable", "named"])
def test_what_is_named_is_loaded(how, stranger, monkeypatch):
    monkeypatch.setattr("lapg_rl.runs.loop.train_together", lambda runs, **_: seen.extend(runs))
    seen = []
    line = ["train", "--config", "run/config.toml", "--run", "mine"]
    if how == "option":
        line += ["--trust", "evil_world:f"]
    elif how == "variable":
        monkeypatch.setenv(trust.VARIABLE, "other:g, evil_world:f")
    else:
        line += ["game.factory=evil_world:f"]
    assert main(line) == 0
    assert seen[0][0].game.factory == "evil_world:f"


def test_trust_names_functions(capsys):
    assert main(["evaluate", "run", "--trust", "all"]) == 2
    assert "--trust names a function as package.module:function, got 'all'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("evil_world:raises", r"KeyError: 'a\\nb'"),
        ("evil_world:nothing", r"is no Environment: .* lacks num_actions, observation_size"),
        ("evil_world:absent", "AttributeError"),
        ("no_such_world:f", "ModuleNotFoundError"),
    ],
)
def test_a_factory_that_makes_no_environment_gets_one_line(name, reason, stranger):
    with pytest.raises(ValueError, match=rf"(game.factory .*{name}|{name}.* returned).*{reason}") as refusal:
        custom(GameConfig(kind="custom", factory=name))
    assert "\n" not in str(refusal.value)


def test_the_working_folder_is_on_the_path_only_while_a_factory_is_loaded(stranger):
    assert custom(GameConfig(kind="custom", factory="evil_world:f")).num_actions == 2
    assert (stranger / "executed").exists()
    assert "" not in sys.path


def test_modules_planted_in_the_working_folder_are_not_imported(tmp_path):
    for name in ("jax_plugins", "libtpu", "jax_cuda12_plugin", "cattrs", "numpy"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"from pathlib import Path\nPath('executed-{name}').touch()\n")
    code = "import sys; from lapg_rl.commands.main import main; sys.exit(main(['evaluate', 'nowhere']))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],  # -P: as in the installed command, whose folder is the one on the path
        cwd=tmp_path, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert not list(tmp_path.glob("executed*"))


def test_processes_that_are_started_do_not_look_for_modules_in_the_working_folder(tmp_path, monkeypatch):
    from lapg_rl.runs import processes

    monkeypatch.chdir(tmp_path)
    (tmp_path / "cattrs.py").write_text("from pathlib import Path\nPath('executed').touch()\n")
    with processes.start("nowhere", [], {}) as process:
        said = process.stderr.read()
    assert "nowhere holds no run" in said and not (tmp_path / "executed").exists()


def test_names_of_strangers_are_text_on_every_page(stranger):
    text = summary_markdown([collect(stranger / "run")])
    table = comparison.markdown(
        settings := comparison.settings([collect(stranger / "run")]), comparison.table(settings)
    )
    assert "<img" not in text + table and "&lt;img src=x onerror=y&gt;" in table
    assert markdown.plain("a|b`c[d](e)\x1b[2J\n") == "a\\|b\\`c\\[d\\](e)\\\\x1b\\[2J\\\\n"
    assert markdown.link("x](y", "../a b)/c") == "[x\\](y](../a%20b%29/c)"
    assert markdown.code("a`b|c") == "`a'b\\|c`"


def test_runs_of_another_precision_are_another_setting(tmp_path):
    results = []
    for seed, dtype in ((0, "float32"), (1, "float32"), (0, "float64")):
        run = open_run(dataclasses.replace(CFG, seed=seed), tmp_path / f"{dtype}-{seed}")
        run.append(run.provenance_file, {"dtype": dtype, "from_update": 0})
        run.append(run.metrics_file, {"update": 0, "reward_vs_naive": [0.1 * seed]})
        results.append(collect(run.path))
    found = comparison.settings(results)
    assert [(setting.label, len(setting.runs)) for setting in found] == [("dtype=float32", 2), ("dtype=float64", 1)]


@pytest.mark.parametrize("name", ["balance.json", "evaluation.json", "prediction.json"])
def test_no_link_is_followed_into_a_copy_or_a_page(name, stranger, capsys):
    (stranger / "secret").write_text("[]")
    (stranger / "run" / name).symlink_to(stranger / "secret")
    assert main(["report", "run", "--quick", "--export", "copies"]) == 2
    assert f"run/{name} is a symbolic link, not a regular file" in capsys.readouterr().err
    if name == "balance.json":
        with pytest.raises(ValueError, match=r"run/balance\.json is a symbolic link, not a regular file"):
            findings._balance(collect(stranger / "run"))
    assert not (stranger / "copies" / "run" / name).exists()


def test_a_kept_copy_has_checksums_too(stranger):
    from lapg_rl.study.copies import export

    config.save(CFG, stranger / "run" / "config.toml")
    export([stranger / "run"], stranger / "kept")
    lines = (stranger / "kept" / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["update"] for line in lines] == [0, 1]
    assert all("crc32" in line for line in lines)
