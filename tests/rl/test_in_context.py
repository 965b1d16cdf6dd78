"""The steps of in-context inference: what is known of agents made by hand, what begins from what, and what is refused."""

import json
import shutil

import numpy as np
import pytest
from folders import TABULAR, run_of

from lapg_rl.commands.main import main
from lapg_rl.config import override
from lapg_rl.runs import parents
from lapg_rl.runs.loop import RunFolder
from lapg_rl.study.adaptation import adaptation
from lapg_rl.study.in_context import STAGES, in_context, runs_of
from lapg_theory.game import ALLC, ALLD, GRIM, TFT

SMALL = ["model.kind=tabular", "meta_batch=4", "steps=4", "updates=2"]


def test_agents_of_known_policies_step_by_step(tmp_path):
    """Deterministic play, so every figure follows from the strategies; one agent meets the other, never itself."""
    cfg = override(TABULAR, ["p_naive=0", "agents=2", "batch=1", "inner_episodes=2", "learner.memory=inner_episode"])
    run_of(tmp_path, [TFT, ALLD], cfg)
    meta, alld, grim = adaptation(tmp_path, ["meta", "alld", "grim"], meta_batch=3)
    first, never = np.eye(cfg.steps)[0], np.zeros(cfg.steps)
    for met, own, other in (
        (meta, (first + never) / 2, (first + never) / 2),
        (alld, (first + never) / 2, never),
        (grim, (1 + never) / 2, (1 + first) / 2),
    ):
        np.testing.assert_allclose(met.cooperation, own, atol=1e-4)
        np.testing.assert_allclose(met.other_cooperation, other, atol=1e-4)
    np.testing.assert_allclose(meta.rewards, (2 * first - first) / 2, atol=1e-4)
    assert (alld.reward, alld.other_reward) == pytest.approx((-1 / 12, 2 / 12), abs=1e-4)
    assert (grim.reward, grim.other_reward) == pytest.approx(((1 + 2 / 6) / 2, (1 - 1 / 6) / 2), abs=1e-4)


def test_random_strategies_are_drawn_anew_for_every_episode(tmp_path):
    """Against always-defect their chance of cooperating is 1/2 at first and in the mean over strategies later.

    False alarms: 6 steps at 4 standard errors of 1,000 episodes, below 4e-4.
    """
    cfg = override(TABULAR, ["p_naive=0", "p_memory_one=1", "batch=1", "inner_episodes=1", "meta_batch=4"])
    run_of(tmp_path, [ALLD], cfg)
    (met,) = adaptation(tmp_path, meta_batch=1000)
    assert met.opponent == "memory_one" and met.cooperation == pytest.approx([0] * cfg.steps, abs=2e-3)
    np.testing.assert_allclose(met.other_cooperation, 0.5, atol=4 * 0.5 / 1000**0.5)
    assert met.reward == pytest.approx(2 * np.mean(met.other_cooperation), abs=4e-3)


def test_stages_begin_from_their_parents_and_change_nothing_else(tmp_path):
    runs = {run.stage: run.planned for run in runs_of([*SMALL, "pair:updates=5"], tmp_path)}
    assert list(runs) == list(STAGES)
    assert [run.config.updates for run in runs.values()] == [2, 2, 5, 2, 2, 2]
    pools = {name: run.config.pool for name, run in runs.items()}
    assert pools["extorter"].frozen == f"{tmp_path}/responder/seed{{seed}}:0"
    assert pools["pair"].agents_from == f"{tmp_path}/extorter/seed{{seed}}"
    kinds = {name: set(run.config.shares) for name, run in runs.items()}
    tabled, agents = {"memory_one"}, {"meta"}
    assert kinds == {
        "responder": tabled, "extorter": {"frozen"}, "pair": agents, "mixed": tabled | agents, "agents-only": agents,
        "told": tabled | agents,
    }  # fmt: skip
    assert [name for name, pool in pools.items() if pool.reveal] == ["told"]
    assert {run.stage for run in runs_of(SMALL, tmp_path, stages=["pair"])} == {"responder", "extorter", "pair"}


def test_what_is_known_of_finished_stages_is_told(tmp_path):
    """No training: a run of agents made by hand stands in each folder, one seed grim and one always-cooperate."""
    for run in runs_of(SMALL, tmp_path, seeds=2, stages=["agents-only"]):
        run_of(run.planned.folder, [GRIM if run.planned.config.seed else ALLC] * 2, run.planned.config)
    found = in_context(SMALL, tmp_path, seeds=2, stages=["agents-only"], meta_batch=2, quiet=True)
    by = {met.opponent: met for met in found.met}
    assert [name for name, met in by.items() if met.trained] == ["meta"] and list(by)[1:] == [
        "memory_one",
        "allc",
        "alld",
        "tft",
    ]
    assert by["meta"].reward.value == pytest.approx(1, abs=1e-3)
    assert by["alld"].reward.value == pytest.approx((-1 - 1 / 4) / 2, abs=1e-3)
    assert by["alld"].reward.high is not None and by["alld"].reward.count == 2
    np.testing.assert_allclose(by["alld"].curves["cooperation"], [[1] * 4, [1, 0, 0, 0]], atol=1e-4)


def test_a_stage_whose_parent_trained_on_is_refused(tmp_path):
    runs = {run.stage: run.planned for run in runs_of(SMALL, tmp_path, stages=["extorter"])}
    for one in runs.values():
        run_of(one.folder, [ALLC] * one.config.pool.agents, one.config)
    record = {"role": "frozen", "run": str(runs["responder"].folder), "agent": 0, "update": 1, "sha256": "another"}
    RunFolder(runs["extorter"].folder).append(runs["extorter"].folder / "provenance.jsonl", {"parents": [record]})
    with pytest.raises(ValueError, match=r"extorter.seed0 began from .*responder.seed0 as it was after 1 updates"):
        in_context(SMALL, tmp_path, stages=["extorter"], meta_batch=2, quiet=True)
    shutil.rmtree(runs["responder"].folder)
    parents.check_unchanged(RunFolder(runs["extorter"].folder))  # nobody knows better


REFUSED = {
    "pool.agents=3": "pool.agents is what the stages are about",
    "extorte:updates=3": "did you mean extorter",
    "updates=many": "responder: updates: expected int",
    "pair:steps=many": "pair: steps: expected int",
    "updtes=3": "did you mean updates",
    "game.stop=0.1": "responder is no run .* inner episodes of full length.* game.stop = 0.1",
    "agents-only:game.kind=coin": "agents-only is no run in a repeated game .* game.kind = coin",
}


@pytest.mark.parametrize("change", REFUSED)
def test_what_does_not_fit_is_refused_in_one_line(change):
    with pytest.raises(ValueError, match=REFUSED[change]) as refusal:
        runs_of([change])
    assert "\n" not in str(refusal.value)
    for wrong in ({"stages": ["pear"]}, {"seeds": 0}):
        with pytest.raises(ValueError, match=r"did you mean pair|seeds"):
            runs_of(**wrong)


@pytest.mark.slow
def test_all_steps_from_the_command_line_carry_on(tmp_path, capsys):
    command = ["in-context", *SMALL, "--root", str(tmp_path / "runs"), "--meta-batch", "4", "--quiet"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert (tmp_path / "runs" / "in-context.md").read_text() in printed and all(name in printed for name in STAGES)
    assert "<svg" in (tmp_path / "runs" / "in-context.html").read_text()
    before = {path: path.read_bytes() for path in tmp_path.rglob("step_*/*.npz")}
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["preset"] == "ipd-in-context-small"
    assert {path: path.read_bytes() for path in tmp_path.rglob("step_*/*.npz")} == before
    for name, role in (("extorter", "frozen"), ("pair", "agents_from")):
        (parent,) = [
            row["parents"] for row in RunFolder(tmp_path / "runs" / name / "seed0").provenance() if "parents" in row
        ]
        assert [(one["role"], one["run"]) for one in parent] == [
            (role, str(tmp_path / "runs" / STAGES[name].parent / "seed0"))
        ]
