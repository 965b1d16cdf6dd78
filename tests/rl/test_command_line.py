"""What all commands have in common: no abbreviations, one name a thing, JSON, near matches, 80 columns, keys explained."""

import argparse
import importlib
import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from lapg_rl import config
from lapg_rl.commands import main as root
from lapg_rl.commands.main import main
from lapg_rl.config import tables
from lapg_rl.config.catalogue import CATALOGUE
from lapg_rl.config.meanings import explained, keys
from lapg_rl.runs.course import metrics_of
from lapg_rl.runs.progress import fitted
from lapg_theory.commands import theory
from lapg_theory.game import named_policy, prisoners_dilemma
from lapg_theory.game.strategies import ABOUT, NAMED

ROOT = Path(__file__).parents[2]
COMMANDS = {name: module for name, (module, _) in root.COMMANDS.items() if name != "theory"}
COMMANDS |= {f"theory {name}": module for name, (module, _) in theory.COMMANDS.items()}


def options(name):
    """The options of a command: name -> help."""
    parser = argparse.ArgumentParser()
    importlib.import_module(COMMANDS[name]).configure(parser)
    return {text: action.help for action in parser._actions for text in action.option_strings}


def refused(capsys, *line):
    """What a command line is refused with."""
    try:
        status = main(list(line))
    except SystemExit as end:
        status = end.code
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    return err


def test_nothing_may_be_abbreviated(capsys):
    err = refused(capsys, "train", "ipd-shaping", "--seed", "3")
    assert "unknown option --seed; did you mean --seeds? A key of the config is given without dashes: seed=..." in err
    assert "unknown option --gam; did you mean --gamma?" in refused(capsys, "theory", "thresholds", "--gam", "0.9")
    for path in [*ROOT.glob("benchmarks/*.py"), *ROOT.glob("examples/*.py"), *ROOT.glob("lapg_*/**/*.py")]:
        made = re.findall(r"argparse\.ArgumentParser\((?:[^()]|\([^()]*\))*\)", path.read_text())
        assert all("allow_abbrev=False" in text for text in made), path


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("theori", "did you mean theory?"),
        ("theory treshold", "did you mean thresholds?"),
        ("list prests", "did you mean presets"),
        ("theory zd --fit tit-for-tat", "unknown strategy 'tit-for-tat'; did you mean tft? Or give five"),
        ("theory basins --start pavlof", "did you mean wsls?"),
        ("theory evolution --type zd-extort", "did you mean zd-extort-3"),
        ("theory zd --fit zd-extort-0.5", "factor must be at least 1"),
        (
            "tournament runs --with tit-for-tat",
            "unknown co-player 'tit-for-tat'; did you mean tft? Or name a run folder",
        ),
        ("train ipd-mixed-small update=5", "did you mean updates?"),
        ("sweep ipd-mixed-small --run here", "did you mean --root?"),
        ("demo --run here", "did you mean --root"),
        ("train ipd-mixed-small --root here", "did you mean --run?"),
        ("config ipd-mixed-small learner.gama", "unknown key learner.gama; did you mean gamma?"),
        ("theory basins --p-naive 50%", "a share is a number from 0 to 1, such as 0.5 for 50%, got '50%'"),
        (
            "train ipd-mixed-small p_naive=50%",
            "expected float, got '50%'; a share is a number from 0 to 1, such as 0.5",
        ),
        (
            "train --config chicken-small",
            "--config takes a file, but chicken-small is a preset; name it without --config",
        ),
        ("evaluate chicken-small", "chicken-small is a preset, no run; train it with `lapg train chicken-small`"),
        ("train --config nowhere.toml", "nowhere.toml: No such file or directory; name another"),
        (
            "train chicken-small game.T=4",
            "give all payoffs at once, own action first: game.name= game.payoffs=[[R,S],[T,P]]",
        ),
        (
            "theory phase --noise 0.1",
            "--noise: this map is told by three policies that noise does away with; add --simulate",
        ),
        ("theory thresholds --payoffs 4,3,0,1", "Elsewhere naive learners may leave mutual defection by themselves"),
        ("theory thresholds --payoffs -1,2,0", "--payoffs needs the four numbers T,R,P,S, got '-1,2,0'"),
    ],
)
def test_what_is_mistyped_gets_near_matches(line, meant, capsys):
    assert meant in refused(capsys, *line.split())


def test_results_can_be_had_as_json_and_progress_can_be_turned_off():
    have = {name: options(name) for name in COMMANDS}
    scripts_and_runs = {"completion", "demo", "train"}
    assert {name for name, found in have.items() if "--json" not in found} == scripts_and_runs
    told = {"demo", "train", "sweep", "tournament", "exploit", "league", "in-context", "report", "watch", "evaluate"}
    told |= {"theory basin", "theory metagame", "theory phase", "theory figures", "theory published"}
    assert {name for name, found in have.items() if "--quiet" in found} == told


def test_help_fits_80_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    told = dict(root.helps(root.parser()))
    assert {f"lapg {name}" for name in COMMANDS} <= told.keys()
    assert not [(name, line) for name, text in told.items() for line in text.splitlines() if len(line) > 80]


def test_one_thing_has_one_name():
    """Older names still work, and help doesn't tell."""
    old = {"--run-root", "--init-spread", "--episodes", "--updates-of-agents", "--agents", "--steps"}
    for name in COMMANDS:
        for option, text in options(name).items():
            assert text != argparse.SUPPRESS or option in old, (name, option)
    assert "inner episode" in options("theory basin")["--steps"]


def test_there_is_a_line_on_everything(capsys):
    known = (tables.ESTIMATORS, tables.ALGORITHMS, tables.MODELS, tables.GAMES, tables.COPLAYERS)
    assert all(row.about for table in known for row in table.values())
    assert list(CATALOGUE["presets"]) == list(config.PRESETS) and ABOUT.keys() - {"zd-extort-X"} == NAMED.keys()
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) == sum(map(len, CATALOGUE.values())) + 2 * len(CATALOGUE)
    assert main(["list", "models", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"models": dict(CATALOGUE["models"])}


@pytest.mark.parametrize(
    "more",
    [[], ["learner.algorithm=shaper", "epochs=1", "minibatches=1"], ["game.kind=public-goods", "game.players=3"]],
)
def test_every_metric_is_among_the_patterns(more):
    small = ["model.kind=tabular", "meta_batch=4", "batch=2", "inner_episodes=2", "steps=2", "population=2"]
    cfg = config.override(
        config.preset("ipd-mixed-small"), [*small, "p_naive=0.5", *more][: len(small) + 1 + len(more)]
    )
    group = r"naive\+meta"
    fixed = {"kind": "|".join([*tables.COPLAYERS, group]), "measure": "cooperation", "group": group}
    patterns = [re.compile(re.sub(r"{(\w+)}", lambda m: f"({fixed[m[1]]})", text)) for text in tables.METRICS]
    names = metrics_of(cfg)
    assert len(names) > 8
    assert [name for name in names if not any(p.fullmatch(name) for p in patterns)] == []


def test_a_config_explains_itself_and_can_be_trained(capsys, tmp_path):
    assert [key.name for key in keys()] == list(config.flat(config.Config()))
    assert all(key.meaning and key.default == config.flat(config.Config())[key.name] for key in keys())
    assert main(["config", "ipd-mixed-small", "learner.gamma=0.999"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    file = tmp_path / "mine.toml"
    file.write_text(text)
    assert config.load(file) == config.override(config.preset("ipd-mixed-small"), ["learner.gamma=0.999"])
    assert tomllib.loads(explained(config.Config())) == config.to_dict(config.Config())
    assert "# discount over the whole meta-episode; 1 is published. (default 1.0)\ngamma = 0.999\n" in text
    assert main(["config", "--config", str(file), "--json"]) == 0
    (told,) = (key for key in json.loads(capsys.readouterr().out) if key["name"] == "learner.gamma")
    assert (told["kind"], told["default"], told["value"]) == ("float", 1.0, 0.999)


def test_a_config_prints_what_is_asked_for(capsys):
    assert (
        main(["config", "ipd-mixed-small", "game.coin", "learner.gamma=0.9", "updates", "gamma_naive", "--json"]) == 2
    )
    assert "unknown key gamma_naive" in capsys.readouterr().err
    assert (
        main(["config", "ipd-mixed-small", "game.coin", "learner.gamma=0.9", "updates", "learner.gamma", "--json"]) == 0
    )
    found = {key["name"]: key["value"] for key in json.loads(capsys.readouterr().out)}
    coin = {name for name in config.flat(config.Config()) if name.startswith("game.coin.")}
    assert len(coin) > 0
    assert found.keys() == {"updates", "learner.gamma", *coin}
    assert (found["updates"], found["learner.gamma"]) == (500, 0.9)
    assert main(["config", "ipd-mixed-small", "estimator"]) == 0
    assert tomllib.loads(capsys.readouterr().out) == {"learner": {"estimator": "lapg"}}


def test_a_progress_line_fits():
    times = ("59:59 gone, 1:59:59 left", "1:59:59 left")
    note = "agent +0.12 naive -0.10 pool +0.34"
    assert len(fitted("ipd-shaping-small lapg seed 0", "100/160", *times, "", 200)) == 64
    for label in ("train", "ipd-shaping-small lapg seed 0", "cleanup-mixed-small lapg,lapg,mfos seed 4000000000"):
        for width in (80, 60, 20, 3):
            line = fitted(label, "29999/30000", *times, note, width)
            assert len(line) <= width and (width < 80 or (note in line and "29999/30000" in line))


def test_a_shell_completes_commands_and_options(capsys, tmp_path):
    pytest.importorskip("shtab")
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "lapg.bash"
    script.write_text(capsys.readouterr().out)
    name = re.search(r"complete .*-F (\w+) lapg", script.read_text())[1]
    typed = f"source {script}; COMP_WORDS=(lapg theory thresholds --pay); COMP_CWORD=3; {name}; echo ${{COMPREPLY[*]}}"
    done = subprocess.run(["bash", "-c", typed], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["--payoffs"]


def test_an_extortioner_has_its_name_everywhere(capsys):
    game = prisoners_dilemma()
    assert main(["theory", "zd", "--fit", "zd-extort-3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["policy"] == list(named_policy(game, "zd-extort-3"))
    assert found["extortion_family"]["chi"] == pytest.approx(3)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("--chi 0.5", "a slope above 1 (chi below 1), here 2, takes P >= R"),
        ("--chi 2 --baseline 1.5", "from P = 0 to R = 1"),
    ],
)
def test_a_line_that_no_discount_enforces_says_why(line, why, capsys):
    assert main(["theory", "zd", *line.split()]) == 1
    assert why in capsys.readouterr().out
