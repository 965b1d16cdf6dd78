"""The cross-validation itself: it agrees where it should, and notices classical mistakes where it should, and only there."""

import dataclasses
import json
from fractions import Fraction as Q

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lapg_rl
from lapg_rl.commands.main import main
from lapg_rl.crossval import page
from lapg_rl.crossval.figures import FIGURES
from lapg_rl.crossval.ladder import LEVELS, chosen
from lapg_rl.crossval.levels import l0_play, l1_coplayer, l2_exact, l3_sampled
from lapg_rl.crossval.sabotage import EXPECTED, SABOTAGES
from lapg_rl.crossval.setting import EGO, NAIVE, Setting
from lapg_rl.crossval.simulation import HONEST
from lapg_rl.play.coplayers import ReinforceLearner
from lapg_rl.play.rollout import Trajectory
from lapg_theory import float64, oracle
from lapg_theory.game import prisoners_dilemma, state_index, symmetric_game
from lapg_theory.oracle.episodes import swap

SMALL = Setting(steps=3, budget=0.25)
TINY = Setting(steps=3, budget=0.1, gamma=0.5)


@pytest.mark.parametrize("clip", [Q(1, 50), Q(2, 5)], ids=str)
def test_the_reinforce_learner_steps_as_the_oracle_does(clip):
    """The same minibatch gives the same rationals, with and without clipping."""
    rule = oracle.Reinforce(prisoners_dilemma(), Q(1, 20), clip)
    episodes = [((0, 1), (1, 0), (1, 1)), ((1, 0), (0, 0), (0, 1)), ((0, 0), (1, 1), (0, 1))]
    expected = rule(NAIVE, tuple(episodes))
    actions = np.array(episodes)
    own, other = actions[..., 0], actions[..., 1]
    states = np.concatenate([np.zeros((3, 1), int), state_index(own, other)[:, :-1]], axis=1)
    payoffs = np.array([[1.0, -1.0], [2.0, 0.0]])
    zeros = jnp.zeros((3, 3))
    with float64():
        batch = Trajectory(jax.nn.one_hot(states, 5), jnp.asarray(own), jnp.asarray(payoffs[own, other]), zeros, zeros)
        player = ReinforceLearner(0.05, float(clip))
        found = player.end_of_inner_episode(player.init(jnp.array(NAIVE, float), 3), batch)
    np.testing.assert_allclose(found, np.array(expected, float), atol=1e-14)


def test_the_exact_covariance_is_that_of_single_trajectories():
    """Against the literal definition on all episodes in the oracle's units: the step of one trajectory in probabilities."""
    steps, p, q = 2, EGO, NAIVE
    rule = oracle.Reinforce(SMALL.game, Q(1, 10**9), Q(1, 10**6))
    moves, chances = [], []
    for episode in oracle.episodes.episodes(steps):
        step = [(new - old) * 10**9 for new, old in zip(rule(q, (episode,)), q, strict=True)]
        moves.append([float(s * old * (1 - old)) / steps for s, old in zip(step, q, strict=True)])
        chances.append(float(oracle.episodes.probability(q, episode) * oracle.episodes.probability(p, swap(episode))))
    covariance = np.cov(np.array(moves).T, aweights=chances, ddof=0)
    np.testing.assert_allclose(l1_coplayer.exact_covariance(SMALL, steps), covariance, atol=1e-12)


def test_the_limit_in_b_is_where_the_oracle_goes():
    """While nothing is clipped, B (gradient_B - limit) is the same for every B."""
    gaps = [
        b * (l2_exact.vector(l2_exact.expectations(SMALL, b).gradient) - l3_sampled.limit(SMALL)) for b in (1, 2, 3)
    ]
    np.testing.assert_allclose(gaps[1], gaps[0], atol=1e-12)
    np.testing.assert_allclose(gaps[2], gaps[0], atol=1e-12)
    assert np.abs(gaps[0]).min() > 1e-5


@pytest.mark.parametrize("payoffs", [(2, 1, 0, -1), (5, 3, 1, 0)], ids=str)
def test_clipping_sets_in_at_the_rate_that_is_named(payoffs):
    """The c of c / B is the same for B = 1 and 2 just below that rate, and not above it."""
    T, R, P, S = map(Q, payoffs)
    setting = dataclasses.replace(SMALL, game=symmetric_game(T, R, P, S))
    most = Q(l3_sampled.unclipped_rate(setting))
    for alpha, constant in ((most * Q(999, 1000), True), (most * Q(11, 10), False)):
        tried = dataclasses.replace(setting, alpha=alpha)
        c = [b * (l2_exact.vector(l2_exact.expectations(tried, b).gradient) - l3_sampled.limit(tried)) for b in (1, 2)]
        assert np.allclose(c[0], c[1], rtol=0, atol=1e-11) == constant


def test_the_law_in_b_is_not_judged_where_minibatches_are_clipped(tmp_path, monkeypatch):
    """A prisoner's dilemma with large payoffs at a large rate: nothing is refuted, and the remedy is named.

    Two defections against a cooperator move q_0 = 1/2 by 10 alpha / (1 - q_0), which exceeds 0.48 from alpha 0.024 on.
    """
    monkeypatch.setattr(l3_sampled, "_against_oracle", lambda *_: ([], []))  # is as ever
    game = symmetric_game(Q(5), Q(3), Q(1), Q(0))
    found = l3_sampled.level(dataclasses.replace(SMALL, game=game, alpha=Q(1, 20)))
    assert found.verdict == "underpowered"
    assert "none predicted where minibatches are clipped" in found.checks[-1].name
    assert "nothing is clipped up to --alpha 0.024." in found.notes[0]
    assert found.data["coefficient"] is None
    FIGURES["L3"](found).savefig(tmp_path / "L3.svg")


def test_the_same_game_in_other_units_is_the_same_comparison():
    """Ten times the payoffs, a tenth of the rate and of the time; so steps, payoff times rate, are the same."""
    usual = Setting()
    large = Setting(game=symmetric_game(Q(20), Q(10), Q(0), Q(-10)))
    assert (usual.rate, usual.time, large.rate, large.time) == (Q(1, 20), 8, Q(1, 200), 0.8)
    other = dataclasses.replace(usual, game=symmetric_game(Q(5), Q(3), Q(1), Q(0)))
    assert other.rate == Q(1, 50) < l3_sampled.unclipped_rate(other)
    assert dataclasses.replace(other, alpha=Q(1, 7)).rate == Q(1, 7)


def test_play_agrees():
    """All comparisons of the level together raise a false alarm in one key of a thousand."""
    level = l0_play.level(SMALL)
    assert level.verdict == "confirmed"


def test_enumerated_estimators_agree():
    assert l2_exact.level(SMALL).verdict == "confirmed"


#: kind -> what turns red in L2, where one part of the training code after the other is enumerated.
RED = {
    "batch-factor": ["lapg"],
    "episode-boundary": ["lapg"],
    "payoff-sign": ["play: total chance, J", "lapg", "batch_unaware", "mfos", "inner_episode"],
    "player-view": ["play: total chance, J", "lapg", "batch_unaware", "mfos", "inner_episode"],
    "learner-sum": ["play: total chance, J", "lapg", "batch_unaware", "mfos", "inner_episode"],
    "schedule-order": [],
}


@pytest.mark.parametrize("kind", SABOTAGES)
def test_enumeration_notices_every_mistake(kind):
    rows = l2_exact.level(SMALL, SABOTAGES[kind][1]).rows()
    assert [row["name"] for row in rows if row["verdict"] == "refuted"] == [f"enumerated {name}" for name in RED[kind]]


@pytest.mark.parametrize("kind", ["payoff-sign", "player-view", "learner-sum"])
def test_play_notices_mistakes_of_the_environment_only(kind):
    """Where nothing is wrong, red in one key of a thousand."""
    level = l0_play.level(TINY, SABOTAGES[kind][1])
    red = [row["verdict"] == "refuted" for row in level.rows()]
    assert (level.verdict == "refuted") == any(red) == ("L0" in EXPECTED[kind])
    if kind == "payoff-sign":  # changes what is earned, not what is played
        assert red == [True, False, True, False]


@pytest.mark.slow
@pytest.mark.parametrize("code", LEVELS)
def test_theory_and_simulation_agree(code):
    """At the default setting; a false alarm in one key of a thousand."""
    assert LEVELS[code].run(Setting(), HONEST).verdict == "confirmed"


@pytest.mark.slow
@pytest.mark.parametrize("kind", SABOTAGES)
def test_the_right_levels_notice_a_mistake(kind):
    """At the default setting; a level that should stay green turns red in one key of a thousand."""
    setting = Setting()
    verdicts = {code: LEVELS[code].run(setting, SABOTAGES[kind][1]).verdict for code in LEVELS}
    assert verdicts == {code: "refuted" if code in EXPECTED[kind] else "confirmed" for code in LEVELS}


def test_too_few_samples_are_called_too_few():
    rows = l0_play.level(dataclasses.replace(SMALL, budget=0.001)).rows()
    assert {row["verdict"] for row in rows} == {"underpowered"}
    assert all(row["needed"] > row["samples"] for row in rows)


def test_levels_are_chosen_by_name_and_range():
    assert chosen([]) == list(LEVELS)
    assert chosen(["L2", "L0-L1"]) == ["L0", "L1", "L2"]


MISTAKES = {
    "--level L9": "unknown level 'L9'; known: L0, L1",
    "--level L2-L0": "the range 'L2-L0' runs backwards; write L0-L2",
    "--payoffs 1,2,3": "--payoffs needs 4 numbers",
    "--payoffs 1,1,1,1": "all payoffs of the ego are 1: nothing depends on play",
    "--ego 0,1/2,1/2,1/2,1/2": "ego needs five probabilities strictly between 0 and 1",
    "--steps 1": "steps must be an integer >= 2, got 1",
    "--budget huge": "--budget must be small, medium, large or a number, got 'huge'",
    "--budget 0": "budget must lie strictly between 0 and",
    "--alpha nothing": "'nothing' is no number",
    "--seed 4294967296": "seed must be below 2^32 = 4,294,967,296, got 4294967296",
    "--gamma 1": "gamma must lie strictly between 0 and 1, got 1.0",
    "--false-alarms 0": "false_alarms must lie in (0, 0.5], got 0.0",
    "--calibrate 0": "--calibrate must be an integer >= 2, got 0",
    "--calibrate 9 --level L4-L5": "L5 trains, which is too much for many seeds; --calibrate takes L0, L1",
    "--calibrate 9 --sabotage player-view": "leave out --sabotage",
    "--level L0 --out /dev/null/here": "cannot write to /dev/null/here: Not a directory; name another folder with --out",
    "--sabotage typo": "unknown sabotage 'typo'; known: batch-factor",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_gets_one_line_and_status_2(line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["crossval", *line.split()]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert MISTAKES[line] in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_an_interrupt_leaves_the_report_of_the_finished_levels(tmp_path, capsys, monkeypatch):
    def interrupted(setting, simulation):
        raise KeyboardInterrupt

    monkeypatch.setattr("lapg_rl.crossval.levels.l1_coplayer.level", interrupted)
    done = l2_exact.level(SMALL)
    monkeypatch.setattr("lapg_rl.crossval.levels.l0_play.level", lambda setting, simulation: done)
    monkeypatch.setattr("lapg_rl.crossval.page.FIGURES", {"L2": FIGURES["L2"]})
    assert main(["crossval", "--level", "L0-L2", "--out", str(tmp_path / "some")]) == 130
    assert "interrupted after 1 of 3 levels" in capsys.readouterr().err
    assert list(json.loads((tmp_path / "some" / "results.json").read_text())["levels"]) == ["L2"]
    assert main(["crossval", "--level", "L1", "--out", str(tmp_path / "none")]) == 130
    assert not list((tmp_path / "none").iterdir())


def test_a_level_that_refuses_leaves_the_report_of_the_finished_levels(tmp_path, monkeypatch):
    done = l2_exact.level(SMALL)
    monkeypatch.setattr("lapg_rl.crossval.levels.l0_play.level", lambda setting, simulation: done)
    monkeypatch.setattr("lapg_rl.crossval.page.FIGURES", {"L2": FIGURES["L2"]})
    assert main(["crossval", "--level", "L0,L6", "--out", str(tmp_path)]) == 2  # L6 needs --run
    assert list(json.loads((tmp_path / "results.json").read_text())["levels"]) == ["L2"]


def test_the_report_is_written_and_a_refutation_is_an_exit_status(tmp_path, capsys):
    line = ["crossval", "--level", "L2", "--out", str(tmp_path / "honest"), "--json"]
    assert main(line) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "honest" / "results.json").read_text())
    assert printed["levels"]["L2"]["verdict"] == "confirmed"
    assert {p.name for p in (tmp_path / "honest").iterdir()} == {"report.html", "results.json", "L2.svg"}
    assert main(["crossval", "--level", "L2", "--out", str(tmp_path / "bad"), "--sabotage", "batch-factor"]) == 1
    assert "refuted       enumerated lapg" in capsys.readouterr().out
    assert "Negative control" in (tmp_path / "bad" / "report.html").read_text()


def test_other_games_have_levels_too():
    game = symmetric_game(Q(3), Q(5, 2), Q(1), Q(1, 2))
    assert l2_exact.level(dataclasses.replace(SMALL, game=game)).verdict == "confirmed"


def test_source_that_is_not_installed_tells_its_own_version(monkeypatch):
    installed = page.importlib.metadata.version
    monkeypatch.setattr(
        page.importlib.metadata,
        "version",
        {name: installed(name) for name in ("jax", "jaxlib", "numpy", "scipy")}.__getitem__,
    )
    assert page.versions()["lapg"] == lapg_rl.__version__
