"""False alarms: how they are counted, and how many there are."""

import dataclasses
import json

import numpy as np
import pytest
from scipy import stats

from lapg_rl.commands.main import main
from lapg_rl.crossval.calibration import calibrate, level_p_value
from lapg_rl.crossval.ladder import LEVELS, Rung
from lapg_rl.crossval.setting import Setting, derived
from lapg_rl.crossval.verdict import Exact, Level, Sampled

EXACT = Exact("same", 0.0, 0.0, 1.0, "e")
SMALL = Setting(steps=2, inner_episodes=2, budget=0.02, false_alarms=0.05)


def made(monkeypatch, statistic, count=2):
    """Levels whose `count` comparisons of 3 degrees of freedom have the statistics `statistic(rng)`."""

    def level(setting, simulation):
        rng = np.random.default_rng(setting.seed)
        checks = [Sampled(f"{n}: of {setting.seed}", statistic(rng), 3, 100.0, 1000, "e") for n in range(count)]
        return Level("L0", (*checks, EXACT), {}, (), setting.false_alarms)

    monkeypatch.setattr(Rung, "run", property(lambda rung: level))


def test_a_level_that_keeps_its_rate_is_calibrated(monkeypatch):
    """The alarms are what the definition of a level's rate says: some comparison beyond its share of the rate."""
    made(monkeypatch, lambda rng: rng.chisquare(3))
    (row,) = calibrate(SMALL, ["L0"], 200)
    draws = [np.random.default_rng(seed).chisquare(3, size=2) for seed in range(200)]
    threshold = stats.chi2.isf(1 - 0.95**0.5, 3)
    assert row["alarms"] == sum(max(pair) > threshold for pair in draws)
    assert set(row["uniformity"]) == {"level", "0", "1"}
    low, high = row["interval"]
    assert row["calibrated"] and low < 0.05 < high and len(row["p_values"]) == 200


@pytest.mark.parametrize("factor", [0.6, 1.4])
def test_a_level_with_too_many_or_too_few_alarms_is_not(monkeypatch, factor):
    """Statistics that are 1.4 times too large, or that are too small to alarm."""
    made(monkeypatch, lambda rng: factor * rng.chisquare(3))
    assert not calibrate(SMALL, ["L0"], 400)[0]["calibrated"]


def test_the_p_value_of_a_level_is_below_its_rate_where_it_is_refuted():
    checks = tuple(Sampled("x", x, 3, 100.0, 1000, "e") for x in (2.0, 9.0, 1.0))
    level = Level("L0", (*checks, EXACT), {}, (), 0.05)
    assert level_p_value(level) == pytest.approx(1 - (1 - checks[1].p_value) ** 3)
    for rate in (0.99 * level_p_value(level), 1.01 * level_p_value(level)):
        assert (dataclasses.replace(level, alarm=rate).verdict == "refuted") == (level_p_value(level) < rate)


def test_what_is_derived_does_not_depend_on_the_samples():
    calls = []
    found = derived(lambda setting, n: calls.append(n) or len(calls))
    again = dataclasses.replace(SMALL, seed=7, budget=3.0, false_alarms=0.2)
    assert [found(SMALL, 1), found(again, 1), found(dataclasses.replace(SMALL, batch=5), 1)] == [1, 1, 2]


def test_every_key_gives_other_samples():
    """10 keys of L0, called miscalibrated in one start of a thousand."""
    (row,) = calibrate(dataclasses.replace(SMALL, budget=0.01, gamma=0.5, seed=5), ["L0"], 10)
    assert row["calibrated"]
    assert len(set(row["p_values"])) == 10


def test_exact_comparisons_raise_no_false_alarm(monkeypatch):
    made(monkeypatch, None, count=0)
    (row,) = calibrate(SMALL, ["L2"], 1000)
    assert (row["alarms"], row["interval"], row["calibrated"]) == (0, None, True)


@pytest.mark.parametrize("factor", [1.0, 9.0])
def test_the_command_writes_the_rates_and_says_whether_they_hold(factor, tmp_path, capsys, monkeypatch):
    made(monkeypatch, lambda rng: factor * rng.chisquare(3))
    line = ["crossval", "--calibrate", "30", "--level", "L0-L1", "--false-alarms", "0.3", "--out", str(tmp_path / "c")]
    assert main(line) == (factor > 1)
    assert ("L1: MISCALIBRATED" in capsys.readouterr().out) == (factor > 1)
    report = json.loads((tmp_path / "c" / "calibration.json").read_text())
    assert [row["level"] for row in report["levels"]] == ["L0", "L1"]
    assert report["setting"]["false_alarms"] == 0.3
    assert {p.name for p in (tmp_path / "c").iterdir()} == {"calibration.json", "calibration.svg"}


@pytest.mark.slow
@pytest.mark.parametrize("code", LEVELS)
def test_false_alarms_come_at_the_stated_rate(code):
    """200 keys; called miscalibrated in one start of a thousand."""
    (row,) = calibrate(dataclasses.replace(SMALL, budget=0.1, seed=1000), [code], 200)
    assert row["calibrated"], row
