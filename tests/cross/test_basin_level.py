"""Level L7: sampled agents under schedules, the exact ends of the same schedules, and the verdicts on both."""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from lapg_rl import config
from lapg_rl.crossval.levels import l7_basin, l7_sequence
from lapg_rl.crossval.phases import PHASES
from lapg_rl.crossval.sabotage import SABOTAGES
from lapg_rl.crossval.setting import Setting
from lapg_rl.crossval.simulation import HONEST
from lapg_rl.crossval.tabular_runs import Sweep, sampled_spread, train
from lapg_theory.basin import Stage
from lapg_theory.game import prisoners_dilemma

PD, BACKWARDS = prisoners_dilemma(), SABOTAGES["schedule-order"][1]


def sweep(**changes):
    sizes = {"steps": 2, "naive_updates": 1, "batch": 2, "meta_batch": 2, "games": 4, "updates": 4, "every": 2}
    start = np.array([[[3.0, -3.0, 3.0, -3.0, 3.0]] * 2] * 2)
    return Sweep("tiny", start, **({"share": np.zeros(2), "eta": np.ones(2), "rate": 1.0} | sizes | changes))


def test_a_bonus_pulls_towards_chance_in_the_updates_that_have_it(tmp_path):
    """The opening is half of the decisions: its entropy has the slope -theta p (1 - p) / 2 in log-odds."""
    bonus, rate = np.repeat([[500.0], [500.0], [0.0], [0.0]], 2, axis=1), 0.002
    path = train(sweep(entropy=bonus, rate=rate), PD, tmp_path, quiet=True)[..., 0]
    theta = 3.0
    for _ in range(2):
        theta -= rate * 500 * theta / (2 * np.cosh(theta / 2)) ** 2 / 2
    assert np.allclose(np.abs(path[1]), theta, atol=0.01), "the rewards move it by less than that"
    assert np.abs(path[2] - path[1]).max() < 0.01


def test_shares_are_those_of_the_update_and_can_be_gone_through_backwards(tmp_path):
    share = np.repeat([[1.0], [1.0], [0.0], [0.5]], 2, axis=1)
    there, back = sweep(share=share, seed=3), sweep(share=share[::-1], seed=3)
    one = train(there, PD, tmp_path / "one", BACKWARDS, quiet=True)
    other = train(back, PD, tmp_path / "other", quiet=True)
    assert one.tobytes() == other.tobytes()
    assert not np.array_equal(one, train(there, PD, tmp_path / "honest", quiet=True))


def test_a_share_that_never_changes_is_the_share_of_every_update(tmp_path):
    constant = train(sweep(share=np.array([0.3, 0.6])), PD, tmp_path / "a", quiet=True)
    spelt_out = train(sweep(share=np.tile([0.3, 0.6], (4, 1))), PD, tmp_path / "b", quiet=True)
    assert constant.tobytes() == spelt_out.tobytes()


ORDERED = ("each other with a bonus, then naive learners", "naive learners, then each other with a bonus")


@pytest.mark.parametrize("noise", [None, pytest.param((0.4, 0.02), marks=pytest.mark.slow)])
def test_the_order_of_stages_decides_the_predicted_end(noise):
    order = {name: l7_basin.SCHEDULES[name] for name in ORDERED}
    cells = l7_basin.cells(Setting(), order, runs=4)
    chances = l7_basin.predicted(cells, PD, noise, order)
    assert [PHASES[k] for k in chances.argmax(1)] == ["cooperate"] * 4 + ["extort"] * 4
    assert np.allclose(chances.sum(1), 1)
    assert (chances.max(1) > 0.7).all()
    assert cells.sweep.share.shape == (l7_basin.UPDATES, 8)
    assert cells.sweep.share[[0, -1]].tolist() == [[0.25] * 4 + [1.0] * 4, [1.0] * 4 + [0.25] * 4]
    assert (cells.sweep.entropy[[0, -1]] > 0).tolist() == [[True] * 4 + [False] * 4, [False] * 4 + [True] * 4]


def test_the_spread_of_sampled_slopes_is_that_of_a_score_times_what_follows():
    """One step, one game: opening has the slope (a - p) x (reward - mean of the others), whose spread is known."""
    one = dataclasses.replace(sweep(), steps=1, games=4096, batch=2, meta_batch=2)
    theta = np.zeros((1, 2, 5))
    _, among = sampled_spread(one, PD, theta, 64)
    # Action a and reward r are (C, 1), (C, -1), (D, 2), (D, 0), equally likely; the baseline is the mean, 1/2.
    terms = np.array([0.5, 0.5, -0.5, -0.5]) * (np.array([1, -1, 2, 0]) - 0.5)
    assert among[0, 0] == pytest.approx(terms.std() / np.sqrt(4096), rel=0.35), "7 standard errors of 64 samples: 4e-12"
    assert (among[0, 1:] == 0).all()


def test_every_schedule_lasts_as_long_as_a_run():
    assert {sum(n for n, *_ in stages) for stages in l7_basin.SCHEDULES.values()} == {l7_basin.UPDATES}


def test_other_agents_are_refused(tmp_path):
    with pytest.raises(ValueError, match="L7 trains tabular agents, not hawk"):
        l7_basin.level(Setting(), HONEST, tmp_path, agents="hawk")


@pytest.mark.slow
@pytest.mark.parametrize("simulation", [HONEST, BACKWARDS])
def test_sampled_agents_end_where_theory_says_unless_the_order_is_wrong(simulation, tmp_path):
    """A false alarm has probability 0.01 for all schedules together; the key is fixed."""
    setting = dataclasses.replace(Setting(), budget=0.25)
    level = l7_basin.level(setting, simulation, tmp_path, quiet=True)
    told = {check.name: check.verdict(level.each) for check in level.checks}
    if simulation is HONEST:
        assert "refuted" not in told.values()
        assert "confirmed" in told.values()
    else:
        assert {"refuted"} == {verdict for name, verdict in told.items() if "then" in name}


def test_the_number_of_cooperating_runs_is_judged_by_its_exact_distribution():
    """Against SciPy's binomial for equal chances; runs of two kinds by listing all outcomes."""
    half = l7_basin.compared("x", 1, np.full(8, 0.5))
    assert half.p_value == pytest.approx(2 * stats.binom.cdf(1, 8, 0.5))
    p = (np.array([0.25, 0.25, 1.0]) * l7_basin.COPIES + 0.5) / (l7_basin.COPIES + 1)
    listed = sum(np.prod(np.where(ends, p, 1 - p)) for ends in itertools.product((0, 1), repeat=3) if sum(ends) >= 3)
    assert l7_basin.compared("x", 3, np.array([0.25, 0.25, 1.0])).p_value == pytest.approx(2 * listed)
    assert l7_basin.compared("x", 3, np.ones(3)).verdict(0.01) != "refuted"
    assert l7_basin.compared("x", 2, np.ones(16)).verdict(1e-6) == "refuted"


def schedule(text, **pool):
    return config.override(
        config.preset("ipd-mixed-small"), [f"schedule={text}", *(f"pool.{k}={v}" for k, v in pool.items())]
    )


def test_a_runs_schedule_becomes_stages_of_the_exact_pool():
    cfg = schedule(
        "reward_vs_naive>=0.6: p_naive=0.25 learner.entropy_coef=0.01; reward_vs_meta>=0.9: learner.entropy_coef=0",
        p_naive=1,
    )
    bonus = 0.01 / 0.05
    assert l7_sequence.stages_of(cfg) == [Stage(1.0, naive=0.6), Stage(0.25, entropy=bonus, among=0.9), Stage(0.25)]
    assert l7_sequence.stages_of(schedule("30: p_naive=0.5", p_naive=1)) == [Stage(1.0, until=81), Stage(0.5)]
    assert l7_sequence.stages_of(schedule("", p_naive=0.5)) == [Stage(0.5)]
    copied = "reward_vs_naive>=0.6: p_naive=0.25; 150: p_naive=0.25; reward_vs_meta>=0.5: agents=max(SUM) p_naive=0.5"
    most = ("reward_vs_naive", "cooperation_vs_meta")
    assert l7_sequence.stages_of(schedule(copied.replace("SUM", "+".join(most)), p_naive=1)) == [
        Stage(1.0, naive=0.6), Stage(0.25, until=405), Stage(0.25, among=0.5), Stage(0.5, copies=most),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "pool", "message"),
    [
        ("30: learner.entropy_coef=0.01..0@50", {}, "knows no ramps"),
        ("30: agents=max(entropy+reward_vs_meta)", {}, "copies of the agent with the most of reward_vs_naive, "),
        ("30: agents=max(reward_vs_meta+reward_vs_meta)", {}, "copies of the agent with the most of reward_vs_naive, "),
        ("30: agents=min(reward_vs_meta)", {}, "copies of the agent with the most of reward_vs_naive, "),
        ("", {"p_naive": 0.5, "agents_from": "runs/first"}, "began from runs/first; the exact pool starts anew"),
        ("reward_vs_naive<=0.6: p_naive=0.5", {}, "reward_vs_naive or reward_vs_meta >= a number only"),
        ("", {"p_naive": 0.5, "p_fixed": 0.25, "fixed": "tft"}, "naive learners and agents only"),
    ],
)
def test_what_the_exact_pool_does_not_know_is_refused(text, pool, message):
    with pytest.raises(ValueError, match=message):
        l7_sequence.stages_of(schedule(text, **pool))


@pytest.mark.slow
def test_the_kept_runs_end_where_the_exact_pool_does(tmp_path):
    """A false alarm has probability 0.01."""
    level = l7_basin.level(Setting(), HONEST, tmp_path, runs=[Path("docs/results/ipd-steering/runs.zip")])
    recipe = next(cell for cell in level.data["schedules"] if "entropy_coef=0.01" in cell["schedule"])
    assert recipe["told"] == "cooperate"
    assert recipe["agree"] >= 0.95 * recipe["runs"]
    assert level.verdict != "refuted"
