"""Leagues: what is known of agents made by hand, a tiny league from its file, and what is refused."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from folders import expected_rewards, run_of

from lapg_rl import config
from lapg_rl.commands.main import main
from lapg_rl.reports.league import markdown
from lapg_rl.runs import processes
from lapg_rl.runs.folder import RunFolder
from lapg_rl.study.copies import export
from lapg_rl.study.evaluation import evaluate
from lapg_rl.study.league import Plan, environment_steps, league, read, runs_of
from lapg_rl.study.league import _check_meetings as check_meetings
from lapg_rl.study.results import runs_in
from lapg_theory.game import NAMED, group_strategy

SMALL = ["ipd-aa-small", "batch=4", "meta_batch=2", "steps=6", "updates=3"]
PLAN = Plan({"ipd": SMALL}, {"kind": [], "hard": ["beta=0"]}, seeds=3, restarts=0, others=["tft"], meta_batch=64)
KIND = {"kind": ("tft", "allc", "tft"), "hard": ("alld", "alld", "grim")}


def made(plan, root, kinds):
    """All runs of the league, finished, with agents that play the strategies of their method, one a seed."""
    for run in runs_of(plan, root):
        policy = NAMED[kinds[run.method][run.planned.config.seed]]
        run_of(run.planned.folder, [policy, policy], run.planned.config)


def test_a_league_of_known_agents(tmp_path, capsys):
    """Deterministic play, so every figure follows from the states."""
    made(PLAN, tmp_path, KIND)
    outcome = league(PLAN, tmp_path, quiet=True)
    (found,) = outcome.games
    of = {name: [NAMED[n] for n in kinds] for name, kinds in KIND.items()}
    of |= {name: [NAMED[name]] for name in ("allc", "alld", "tft")}

    def earns(one, other):
        pairs = [
            expected_rewards(np.array(p, float), q, 6)[0]
            for i, p in enumerate(of[one])
            for j, q in enumerate(of[other])
            if one != other or len(of[one]) == 1 or i != j
        ]
        return np.mean(pairs)

    names = found.table.names
    assert names[:2] == ["kind", "hard"] and {*names} == {*of}
    expected = [[earns(one, other) for other in names] for one in names]
    np.testing.assert_allclose(np.array(found.table.rewards, float), expected, atol=2e-3)
    scores = {one: np.mean([earns(one, other) for other in names if other != one]) for one in KIND}
    assert [m.name for m in found.methods] == sorted(KIND, key=lambda name: -scores[name])
    for method in found.methods:
        assert method.score.value == pytest.approx(scores[method.name], abs=2e-3)
        assert (method.reward, method.cpu_s, method.steps) == (None, None, 3 * 2 * 2 * 4 * 6)
    assert {c.group for c in found.circles} == {"kind", "hard"}
    assert main(["league", str(tmp_path / "league.json")]) == 0
    assert capsys.readouterr().out == markdown(outcome) + "\n"
    (tmp_path / "league.json").write_text((tmp_path / "league.json").read_text().replace("alld", "allc"))
    assert main(["league", str(tmp_path / "league.json")]) == 2
    assert "it was changed" in capsys.readouterr().err


def test_a_league_takes_agents_that_are_kept_and_trains_the_others(tmp_path, monkeypatch, capsys):
    kind = dataclasses.replace(PLAN, methods={"kind": []}, seeds=2, meta_batch=4)
    made(kind, tmp_path / "once", {"kind": ("tft", "allc")})
    export(runs_in([tmp_path / "once"]), tmp_path / "agents.zip", agents=True)
    told = 'seeds = 2\nmeta_batch = 4\nrestarts = 0\nothers = []\nagents = "{}"\n[games]\nipd = {}\n[methods]\n{}'
    file = tmp_path / "league.toml"
    file.write_text(told.format("agents.zip", json.dumps(SMALL), 'kind = []\nmine = ["beta=0.5"]'))
    monkeypatch.chdir(tmp_path)
    assert main(["league", str(file), "--root", "again"]) == 0
    said = capsys.readouterr()
    assert "2 of 4 runs are taken from agents.zip" in said.err
    kept, new = (RunFolder(f"again/ipd/{name}/seed1") for name in ("kind", "mine"))
    assert not kept.checkpoints.exists() and new.saved() == 3
    (found,) = json.loads((tmp_path / "again" / "league.json").read_text())["games"]
    (circle,) = (c for c in found["circles"] if c["group"] == "kind")
    assert circle["other_seeds"]["value"] == pytest.approx(1, abs=2e-3)  # tit-for-tat and always-cooperate
    file.write_text(told.format("agents.zip", json.dumps([*SMALL[:-1], "updates=2"]), "kind = []"))
    assert main(["league", str(file), "--root", "other"]) == 2
    assert "agents.zip holds no run of this league" in capsys.readouterr().err


def test_methods_are_told_apart_where_their_seeds_agree_and_only_there(tmp_path):
    """Always-defect against always-cooperate on all seeds; then each of both on some."""
    plan = dataclasses.replace(PLAN, others=[], meta_batch=2)
    alike = {}
    for name, kinds in {"apart": ("allc", "alld"), "mixed": (("tft", "alld", "allc"), ("alld", "allc", "tft"))}.items():
        chosen = [(k,) * 3 if isinstance(k, str) else k for k in kinds]
        made(plan, tmp_path / name, dict(zip(KIND, chosen, strict=True)))
        (found,) = league(plan, tmp_path / name, quiet=True).games
        alike[name] = {method.name: method.alike for method in found.methods}
    assert alike == {"apart": {"kind": [], "hard": []}, "mixed": {"kind": ["hard"], "hard": ["kind"]}}


@pytest.mark.slow
def test_a_tiny_league_from_its_file_carries_on(tmp_path, capsys):
    file = tmp_path / "league.toml"
    file.write_text(
        'name = "tiny"\nseeds = 2\nmeta_batch = 2\nrestarts = 2\nexploiter_updates = 2\nothers = ["tft"]\n[games]\n'
        f"ipd = {json.dumps(SMALL)}\n[methods]\naa = []\nloqa = ['estimator=loqa']\n"
    )
    root = tmp_path / "root"
    assert main(["league", str(file), "--root", str(root), "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert "| aa" in printed and "loqa" in printed and "alld" in printed
    assert (root / "league.md").read_text() in printed
    assert "<table>" in (root / "league.html").read_text()
    before = {path: path.read_bytes() for path in root.rglob("step_*/*.npz")}
    assert league(read(file), root, quiet=True).games
    assert {path: path.read_bytes() for path in root.rglob("step_*/*.npz")} == before
    (method, _) = json.loads((root / "league.json").read_text())["games"][0]["methods"]
    assert method["cpu_s"] >= 0 and method["reward"]["count"] == 2


REFUSED = {
    "seeds = 2": "no league",
    "[games]\na = ['ipd-aa-small']\n[methods]\n": "at least one",
    "[games]\na = ['ipd-aa-smal']\n[methods]\nb = []": "a, b: unknown preset ipd-aa-smal; did you mean ipd-aa-small",
    "[games]\na = ['ipd-aa-small']\n[methods]\nb = ['estimater=lapg']": "a, b: unknown key estimater; did you mean est",
    "sedes = 2\n[games]\n[methods]\n": "sedes",
    "seeds = 0\n[games]\na = ['ipd']\n[methods]\nb = []": "seeds",
    "[games]\na = []\n[methods]\nb = []": "names no preset",
    "[games": "no TOML file",
}


def test_a_player_whom_no_game_of_the_league_knows_is_refused_before_anybody_trains(tmp_path):
    with pytest.raises(ValueError, match="always-7 needs an action 7"):
        league(dataclasses.replace(PLAN, others=["tft", "always-7"]), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("others", "more", "message"),
    [
        (
            ["naive"],
            "naive.learning_rate=0.5",
            r"ipd: aa and odd cannot .* naive.learning_rate .* leave naive out of the",
        ),
        ([], "steps=5", r"ipd: aa and odd cannot play each other: they differ in steps 6 and 5$"),
    ],
)
def test_methods_that_can_t_meet_are_refused_before_anybody_trains(others, more, message, tmp_path):
    plan = dataclasses.replace(PLAN, methods={"aa": [], "odd": [more]}, others=others)
    with pytest.raises(ValueError, match=message):
        league(plan, tmp_path)
    assert not list(tmp_path.iterdir())
    if others:
        check_meetings(dataclasses.replace(plan, others=[]), "ipd", runs_of(plan, tmp_path))


@pytest.mark.parametrize("taken", ["tft", "naive"])
def test_a_method_called_like_another_player_is_refused_before_anybody_trains(taken, tmp_path):
    plan = dataclasses.replace(PLAN, methods={"aa": [], taken: []}, others=["tft", "naive"])
    with pytest.raises(
        ValueError, match=f"ipd: {taken} plays in the league besides its methods; give the method another"
    ):
        league(plan, tmp_path)
    assert not list(tmp_path.iterdir())


def test_methods_that_play_more_than_once_an_update_count_all_steps():
    cfg = config.override(config.preset("ipd-aa-small"), ["updates=3", "meta_batch=2", "batch=4", "steps=6"])
    again = config.override(
        cfg, ["learner.algorithm=pola", "learner.epochs=5", "naive.optimiser=sgd", "naive.normalize_advantages=false"]
    )
    assert environment_steps(again) == 5 * environment_steps(cfg) == 5 * 3 * 2 * 2 * 4 * 6


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_league_is_refused_in_one_line(text, tmp_path):
    file = tmp_path / "league.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=REFUSED[text]) as refusal:
        runs_of(read(file), tmp_path)
    assert "\n" not in str(refusal.value)


def test_a_league_of_groups(tmp_path):
    """Three players, deterministic play; strategies that no group knows are refused before anybody trains."""
    small = ["public-goods-small", "batch=4", "meta_batch=2", "inner_episodes=2", "steps=3", "model.kind=tabular"]
    plan = Plan({"goods": small}, {"kind": [], "hard": ["estimator=mfos"]}, seeds=2, restarts=0, meta_batch=2)
    with pytest.raises(ValueError, match="unknown co-player 'wsls' for a group; known: naive, allc"):
        league(dataclasses.replace(plan, others=["wsls"]), tmp_path)
    assert not list(tmp_path.iterdir())
    for run in runs_of(plan, tmp_path):
        run_of(
            run.planned.folder, [group_strategy({"kind": "grim", "hard": "alld"}[run.method], 3)], run.planned.config
        )
    outcome = league(dataclasses.replace(plan, others=[]), tmp_path, quiet=True)
    (found,) = outcome.games
    kind, hard = (found.table.names.index(name) for name in KIND)
    rewards = np.array(found.table.rewards)
    # grim contributes once (-1/3 alone, 1/3 as one of two), then everybody defects
    expected = [[1, -1 / 9], [2 / 3 * 2 / 3, 0]]
    np.testing.assert_allclose(rewards[np.ix_([kind, hard], [kind, hard])], expected, atol=2e-3)
    assert "the row, which has one seat and the column the other 2" in markdown(outcome)


def test_a_league_trains_on_slurm_what_is_not_finished(tmp_path, monkeypatch):
    """Where the array ends without all runs, the league says so; its parameters reach submitit as numbers."""
    asked = []

    def array(folders, logs, parameters, options):
        asked.append((len(folders), logs, parameters))
        return [processes.Ended(0) for _ in folders[1:]] + [processes.Ended(1, "out of time")]

    monkeypatch.setattr(processes, "train_on_slurm", array)
    file = tmp_path / "league.toml"
    file.write_text(f"seeds = 2\n[games]\nipd = {json.dumps(SMALL)}\n[methods]\naa = []\n")
    root = tmp_path / "root"
    line = ["league", str(file), "--root", str(root), "--quiet", "--slurm", "timeout_min=9", "slurm_partition=gpu"]
    assert main(line) == 2
    assert asked == [(2, root / "slurm", {"timeout_min": 9, "slurm_partition": "gpu"})]


@pytest.mark.slow
def test_the_agents_of_the_coin_games_league_are_kept_and_play():
    file = Path(__file__).parents[2] / "docs" / "results" / "league" / "coin.toml"
    plan = read(file)
    runs, kept = runs_of(plan, Path("nowhere")), runs_in([Path(plan.agents)])
    assert len(runs) == len(kept) == 55
    assert {run.planned.config for run in runs} == {RunFolder(copy).check_trained() for copy in kept}
    (match,) = evaluate(f"{plan.agents}/aa-ad-seed0", ["ad"], meta_batch=8).matches[:1]
    assert match.own.measures["other_coins"][-1] > 0.15  # it answers a defector, as it was seen to in training
