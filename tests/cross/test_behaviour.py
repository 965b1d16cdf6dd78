"""Level L6: trained agents with a memory against the bounds that the best memory-one policy gives."""

import dataclasses
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from lapg_rl import config
from lapg_rl.commands.main import main
from lapg_rl.crossval.levels import l6_behaviour
from lapg_rl.crossval.sabotage import SABOTAGES
from lapg_rl.crossval.setting import Setting
from lapg_rl.crossval.simulation import HONEST
from lapg_rl.study import archive, records
from lapg_rl.study.records import Evaluation, Prediction
from lapg_theory import shaping_return
from lapg_theory.game import FiniteHorizon

RUNS = archive.unpacked(Path(__file__).parents[2] / "docs" / "results" / "ipd-shaping" / archive.NAME)


@pytest.fixture(scope="module")
def told():
    cfg = config.load(RUNS / "lapg-seed0" / "config.toml", complete=True)
    prediction = records.load(Prediction, RUNS / "lapg-seed0")
    return l6_behaviour.bounds(cfg, dataclasses.replace(prediction, best=prediction.best[1:2]))


@pytest.mark.parametrize(
    ("value", "verdict"), [(1.2, "confirmed"), (0.99, "confirmed"), (0.9, "refuted"), (math.inf, "confirmed")]
)
def test_a_bound_is_refuted_from_one_side_only(value, verdict):
    """An error of 0.02: 0.9 lies five errors below, 0.99 half an error; 0.8 would have been seen."""
    check = l6_behaviour.outside("", value, 0.02, (1.0, math.inf), 0.8, 100, "")
    assert check.verdict(0.001) == verdict
    assert l6_behaviour.outside("", value, 0.2, (1.0, math.inf), 0.8, 100, "").verdict(0.001) == "underpowered"


def test_the_best_policy_is_that_of_the_prediction(told):
    """Another search, from other starts: the same value and policy; its curve is the mean of what it earns."""
    prediction = records.load(Prediction, RUNS / "lapg-seed0")
    best = prediction.best[1]
    assert told.rewards[0] == pytest.approx(best.reward, abs=1e-6)
    np.testing.assert_allclose(told.policies[0], best.policy, atol=1e-3)
    np.testing.assert_allclose(told.curves[0], best.reward_curve, atol=1e-4)
    value = shaping_return(
        config.load(RUNS / "lapg-seed0" / "config.toml", complete=True).game.build(), FiniteHorizon(10),
        np.array(told.policies[0]), np.zeros(5), best.rate, 19,
    )  # fmt: skip
    assert np.mean(told.curves[0]) == pytest.approx(value / 10, abs=1e-9)
    assert told.floor < told.slopes[0] < told.fair


@pytest.mark.parametrize(
    ("run", "refuted"),
    [("lapg-seed0", []), ("mfos-seed0", ["earns", "reward"]), ("batch_unaware-seed0", ["earns", "reward"])],
)
def test_the_recorded_agents(told, run, refuted):
    """LAPG extorts as well as the best policy; agents of the baselines defect, and earn and shape too little."""
    found = records.load(Evaluation, RUNS / run)
    made = l6_behaviour.compare("agent", found.match("naive"), found.lines[0], told, found.meta_batch)
    assert [check.name.split(": ")[1].split()[0] for check in made if check.verdict(3e-4) == "refuted"] == refuted


def test_an_evaluation_without_errors_is_refused(told):
    found = records.load(Evaluation, RUNS / "lapg-seed0")
    match = found.match("naive")
    alone = dataclasses.replace(match, own=dataclasses.replace(match.own, error=None))
    with pytest.raises(ValueError, match="has no errors: it was made with a single meta-episode"):
        l6_behaviour.compare("agent", alone, found.lines[0], told, 1)


def test_what_l6_cannot_look_at_is_refused(tmp_path, capsys):
    assert main(["crossval", "--level", "L6", "--out", str(tmp_path / "out")]) == 2
    assert "L6 looks at trained agents: name their folders with --run DIR" in capsys.readouterr().err
    assert main(["crossval", "--level", "L6", "--run", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "holds no run" in capsys.readouterr().err
    with pytest.raises(ValueError, match="nothing can be sabotaged"):
        l6_behaviour.level(Setting(), SABOTAGES["learner-sum"][1], tmp_path, runs=[tmp_path])


@pytest.mark.slow
def test_the_report_of_recorded_agents(tmp_path):
    """No more than a copy of the folders is read; the page and its figure are written."""
    for seed in (0, 1):
        shutil.copytree(RUNS / f"lapg-seed{seed}", tmp_path / f"run{seed}")
    line = [
        "crossval",
        "--level",
        "L6",
        "--run",
        str(tmp_path / "run0"),
        str(tmp_path / "run1"),
        "--out",
        str(tmp_path / "o"),
    ]
    assert main(line) == 0
    assert {p.name for p in (tmp_path / "o").iterdir()} == {"report.html", "results.json", "L6.svg"}
    assert l6_behaviour.level(Setting(), HONEST, tmp_path, runs=[tmp_path / "run0"]).verdict == "confirmed"
