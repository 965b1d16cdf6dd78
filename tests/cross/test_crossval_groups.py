"""Cross-validation in groups and with noise: exact parts by a second route, honest training confirmed, refusals."""

import dataclasses
import json

import numpy as np
import pytest

from lapg_rl.commands.main import main
from lapg_rl.crossval.ladder import LEVELS
from lapg_rl.crossval.levels import l0_play, l1_coplayer, l2_exact, l3_sampled
from lapg_rl.crossval.sabotage import SABOTAGES
from lapg_rl.crossval.setting import EGO, NAIVE, Setting
from lapg_theory import oracle
from lapg_theory.game import Discounted, FiniteHorizon, normal_form, prisoners_dilemma, public_goods

PAIR = public_goods(2, 1.5)
#: The same game of two players by both routes: as a 2x2 game, which is plain, and as an anonymous group.
AS_TABLE = Setting(game=prisoners_dilemma(PAIR.defector[1], PAIR.cooperator[1], 0.0, PAIR.cooperator[0]), steps=3)
AS_GROUP = Setting(game=PAIR, steps=3, ego=EGO, naive=NAIVE, alpha=AS_TABLE.rate)
GROUP = Setting(game=public_goods(3, 2.0), steps=2, batch=2, gamma=0.5, budget=0.25)
NOISY = Setting(game=prisoners_dilemma().noisy(0.1, 0.2), steps=2, batch=2, gamma=0.5, budget=0.25)


def test_a_group_of_two_is_the_game_of_two():
    assert not AS_GROUP.plain and AS_TABLE.plain
    for horizon in (FiniteHorizon(3), Discounted(0.9)):
        for found in (l0_play.exact_rewards, l0_play.exact_shares):
            both = [found(setting, setting.players, horizon) for setting in (AS_TABLE, AS_GROUP)]
            np.testing.assert_allclose(*both, atol=1e-12)
    for found in (
        lambda s: l1_coplayer.exact_gradient(s, 3),
        lambda s: l1_coplayer.exact_covariance(s, 3),
        l3_sampled.limit,
        l3_sampled.unclipped_rate,
    ):
        np.testing.assert_allclose(found(AS_TABLE), found(AS_GROUP), rtol=1e-9, atol=1e-12)
    rational, floating = (l2_exact.expectations(setting, 2) for setting in (AS_TABLE, AS_GROUP))
    assert float(rational.J) == pytest.approx(floating.J, abs=1e-12)
    for name in ("gradient", "lapg", "batch_unaware", "mfos", "inner_episode"):
        told = l2_exact.vector(getattr(rational, name))
        np.testing.assert_allclose(getattr(floating, name), told, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("game", [GROUP.game, prisoners_dilemma().noisy(execution=0.1)], ids=("group", "noise"))
def test_among_several_learners_and_with_noise_lapg_is_the_slope_of_the_return(game):
    """The slope by central differences of J; the other estimators miss it."""
    setting = Setting(game=game, steps=2)
    learners, kind = [setting.players[1]] * (setting.players_count - 1), {"steps": 2, "batch": 2, "rate": 0.1}
    start = np.log(setting.players[0] / (1 - setting.players[0]))

    def value(theta):
        return oracle.general_expectations(game, 1 / (1 + np.exp(-theta)), learners, **kind).J

    ways = 1e-4 * np.eye(len(start))
    slope = np.array([(value(start + way) - value(start - way)) / 2e-4 for way in ways])
    told = oracle.general_expectations(game, setting.players[0], learners, **kind)
    np.testing.assert_allclose(told.gradient, slope, atol=1e-7)
    np.testing.assert_allclose(told.lapg, slope, atol=1e-7)
    for name in ("batch_unaware", "mfos", "inner_episode"):
        assert np.abs(getattr(told, name) - slope).max() > 1e-3


def test_branches_of_a_noisy_group_are_what_may_happen():
    """Chances sum to 1, rewards are the table's where nothing slips, and a wrong glance shows as one more or less."""
    game = public_goods(3, 2.0).noisy(execution=0.0, perception=0.25)
    policies = np.random.default_rng(0).uniform(0.1, 0.9, (3, 7))
    found = oracle.general.branches(game, list(policies), 2)
    assert found.chance.sum() == pytest.approx(1)
    table = normal_form(game).payoffs
    np.testing.assert_allclose(found.rewards[:, 0, 0], table[0][tuple(found.actions[:, :, 0].T)])
    first, seen = found.actions[:, :, 0], found.states[:, 0, 1]
    actual = 1 + 3 * first[:, 0] + first[:, 1:].sum(1)
    off = [found.chance[seen - actual == k].sum() for k in (-1, 0, 1)]
    right = found.chance[seen == actual].sum()
    both = first[:, 1] != first[:, 2]  # two errors that cancel, or none
    assert right == pytest.approx(0.75**2 + 0.25**2 * found.chance[both].sum(), abs=1e-12)
    assert off[0] > 0 and off[2] > 0


@pytest.mark.parametrize("setting", [GROUP, NOISY], ids=("group", "noise"))
def test_honest_play_is_not_refuted_and_a_wrong_view_is(setting):
    assert LEVELS["L0"].run(setting).verdict != "refuted"
    wrong = dataclasses.replace(
        setting, budget=0.1, steps=6
    )  # noise hides a wrong view, and a view needs a step before it
    assert LEVELS["L0"].run(wrong, SABOTAGES["player-view"][1]).verdict == "refuted"


@pytest.mark.slow
@pytest.mark.parametrize(
    "setting", [GROUP, dataclasses.replace(NOISY, game=prisoners_dilemma().noisy(0.1))], ids=("group", "noise")
)
@pytest.mark.parametrize("code", ["L1", "L3"])
def test_honest_training_is_not_refuted(setting, code):
    """At false-alarm rate 0.001 a level, with a fixed key."""
    assert LEVELS[code].run(setting).verdict != "refuted"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["batch-factor", "learner-sum"])
def test_mistakes_are_noticed_in_groups(kind):
    assert LEVELS["L3"].run(dataclasses.replace(GROUP, budget=1.0), SABOTAGES[kind][1]).verdict == "refuted"


@pytest.mark.slow
def test_a_group_is_named_on_the_command_line(tmp_path, capsys):
    line = ["crossval", "--level", "L0", "--players", "3", "--factor", "2", "--execution", "0.1", "--budget", "0.1"]
    assert main([*line, "--gamma", "0.5", "--steps", "2", "--out", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["setting"]
    assert (told["players"], told["execution"], len(told["ego"])) == (3, 0.1, 7)
    assert "3 players, with Noise(execution=0.1" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--players", "3", "--factor", "4"], "--factor must be between 1 and --players = 3"),
        (["--players", "40"], "--players must be an integer <= 16, got 40"),
        (["--players", "3", "--game", "chicken"], "--players 3 is about a public goods game, got --game as well"),
        (["--factor", "2"], "--factor 2 is of a public goods game"),
        (["--players", "3", "--level", "L2"], "L2 is about 2x2 games without noise, but this is public goods of 3 players"),
        (["--execution", "0.7"], "execution is a chance of an error in [0, 1/2)"),
        (["--players", "3", "--ego", "1/2,1/2"], "--ego needs 7 numbers"),
    ],
)  # fmt: skip
def test_what_is_no_group_is_refused_in_one_line(options, says, capsys):
    assert main(["crossval", *options]) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1
