"""The page of published numbers: what it says is what is computed, and what is measured means what it says."""

import re
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from lapg_rl.commands.main import main
from lapg_theory import published
from lapg_theory.dynamics import Trajectory
from lapg_theory.game import ALLD, TFT, mirror
from lapg_theory.published import MEASURES, NUMBERS, compute, table, tft_share

PAGE = (Path(__file__).parents[2] / "docs" / "published-numbers.md").read_text()
LINES = [line for line in PAGE.splitlines() if line.startswith("|")]
CELLS = [[cell.strip() for cell in line.strip("|").split("|")] for line in LINES[2:]]


def printed(cell):
    """The value and the standard error that a cell shows."""
    return tuple(map(float, re.fullmatch(r"(-?[\d.]+) \(([\d.]+)\)", cell).groups()))


def ended(*pairs):
    row, column = ([np.where(np.array(pair[k]) > 0.5, 2.0, -2.0) for pair in pairs] for k in (0, 1))
    return Trajectory([0], np.array([row]), np.array([column]), None, None, None)


def test_share_of_tit_for_tat_by_hand():
    """Two defectors follow it after mutual defection alone: after CD it wants one of them to cooperate."""
    generous = (1, 1, 1, 1, 0)  # forgives in its CD
    path = ended((ALLD, ALLD), (TFT, TFT), (TFT, generous), (generous, TFT), (TFT, ALLD))
    np.testing.assert_allclose(tft_share(path), [0.2, 1.0, 0.8, 0.8, 0.4])


REJECTED = re.search(
    r"mean\s+probability of tit-for-tat's action gives (\d+) and (\d+) %, the probability of all five states at once (\d+) "
    r"and (\d+) %, the same\s+share with probabilities instead of likelier actions (\d+) and (\d+) %",
    PAGE,
)


@pytest.mark.parametrize(("which", "slow"), [(0, False), pytest.param(1, True, marks=pytest.mark.slow)])
def test_the_rejected_definitions_of_the_share_give_what_the_page_says(which, slow):
    """128 other runs, or 512; 4.5 standard errors and the rounding of a per cent."""
    reading = (published._NL, published._SHAPING)[which]
    p, q = (expit(np.asarray(logits)) for logits in reading.play(512 if slow else 128, seed=5).last)
    first, second = (np.where(np.array(TFT) > 0, x, 1 - x) for x in (p, q))  # the chance of tit-for-tat's action
    readings = first.mean(-1) / 2 + second.mean(-1) / 2, (first > 0.5).all(-1), (first * mirror(second)).mean(-1)
    for found, printed in zip(readings, map(float, REJECTED.groups()[which::2]), strict=True):
        error = np.std(found) / len(found) ** 0.5
        assert abs(np.mean(found) - printed / 100) < 4.5 * error + 0.006


def test_the_page_lists_the_readings_of_the_code():
    zeros = [published.Computed(0.0, 0.0, 0.0)] * len(NUMBERS)
    assert LINES[:2] == table(NUMBERS, zeros)[:2]
    for cells, line in zip(CELLS, table(NUMBERS, zeros)[2:], strict=True):
        assert cells[:5] == [cell.strip() for cell in line.strip("|").split("|")][:5]


@pytest.mark.parametrize("name", ["naive, naive", "LOLA (both factors), naive"])
def test_a_few_runs_agree_with_the_page(name):
    """96 runs from another seed; each measure within 4.5 of both standard errors: false alarms under 1e-4."""
    chosen = [k for k, number in enumerate(NUMBERS) if number.reading.says == name and number.source[0] == "L"]
    for k, found in zip(chosen, compute([NUMBERS[k] for k in chosen], runs=96, seed=7), strict=True):
        value, error = printed(CELLS[k][5])
        assert abs(found.value - value) < 4.5 * np.hypot(found.error, error) + 0.001


def test_a_spread_and_its_error_are_those_of_a_normal_sample():
    sample = np.random.default_rng(0).normal(scale=3, size=40_000)
    value, spread = published._estimate("s.d. over runs, at the end", sample)
    assert value == pytest.approx(3, rel=0.02)
    assert spread == pytest.approx(3 / np.sqrt(2), rel=0.03)  # s.e. of a standard deviation: sigma / sqrt(2 n)
    assert published._estimate("row, at the end", sample)[1] == pytest.approx(3, rel=0.02)


def test_the_command_prints_the_table_and_refuses_a_single_run(monkeypatch, capsys):
    assert main(["theory", "published", "--runs", "1"]) == 2
    assert "runs must be an integer >= 2, got 1" in capsys.readouterr().err
    monkeypatch.setattr(published, "NUMBERS", NUMBERS[:1])
    assert main(["theory", "published", "--runs", "16", "--seed", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[2].startswith("| Lu et al. 2022, table 1 | naive, naive | prisoner's dilemma, gamma 0.96, 100 updates")


@pytest.mark.slow
def test_the_page_is_what_is_computed():
    """Same runs, same seed. Chaotic runs may part by rounding on another machine: half a standard error is allowed."""
    for cells, found in zip(CELLS, compute(NUMBERS), strict=True):
        value, error = printed(cells[5])
        assert found.value == pytest.approx(value, abs=0.001 + 0.5 * error)
        assert found.error == pytest.approx(error, abs=0.001 + 0.2 * error)
        assert found.deviation == pytest.approx(float(cells[6]), abs=0.6, rel=0.2)


#: The readings that the page holds to be those of the papers.
ACCEPTED = [
    k
    for k, number in enumerate(NUMBERS)
    if number.reading.start == "normal"
    and not (number.reading.says.endswith("per step") or "0.5" in number.reading.says)
    and number.reading.updates in (50, 100)
    and ("pennies" not in number.reading.game.name or "both" not in number.reading.says)
    and not (number.source[0] == "L" and "shaping" in number.reading.says)
]


def test_accepted_readings_are_within_sampling_error_and_the_rejected_are_not_all():
    deviations = np.array([float(cells[6]) for cells in CELLS])
    rejected = sorted(set(range(len(NUMBERS))) - set(ACCEPTED))
    assert np.abs(deviations[ACCEPTED]).max() < 2.5
    assert (np.abs(deviations[rejected]) > 2.3).sum() >= 6
    assert {NUMBERS[k].measure for k in ACCEPTED} == set(MEASURES)
