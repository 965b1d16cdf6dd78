"""Cross-validation in any 2x2 game: how it is named, what a page says of it, and that honest training is not refuted."""

import json

import numpy as np
import pytest

from lapg_rl.commands.main import main
from lapg_rl.crossval import page
from lapg_rl.crossval.ladder import LEVELS, chosen
from lapg_rl.crossval.levels.l1_coplayer import exact_gradient
from lapg_rl.crossval.sabotage import SABOTAGES
from lapg_rl.crossval.setting import Setting
from lapg_theory.game import battle_of_the_sexes, chicken, matching_pennies


def test_levels_may_be_separated_by_commas():
    assert chosen(["L0,L1", "L3"]) == chosen(["L0", "L1", "L3"]) == ["L0", "L1", "L3"]
    assert chosen(["L0, L2-L3"]) == ["L0", "L2", "L3"]
    with pytest.raises(ValueError, match="unknown level ''"):
        chosen(["L0,"])


def test_the_play_of_a_game_whose_seats_differ_is_confirmed_and_a_wrong_payoff_refuted(tmp_path, capsys):
    line = [
        "crossval",
        "--level",
        "L0",
        "--game",
        "matching_pennies",
        "--budget",
        "0.5",
        "--gamma",
        "0.5",
        "--steps",
        "2",
    ]
    assert main([*line, "--out", str(tmp_path / "a"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["setting"]["payoffs"] == [["1", "-1", "-1", "1"], ["-1", "1", "1", "-1"]]
    assert told["levels"]["L0"]["verdict"] == "confirmed"
    assert "of the agent 1, -1, -1, 1, of the co-player -1, 1, 1, -1" in (tmp_path / "a/report.html").read_text()
    wrong = Setting(game=battle_of_the_sexes(), budget=0.25, gamma=0.5, steps=2)
    assert LEVELS["L0"].run(wrong, SABOTAGES["payoff-sign"][1]).verdict == "refuted"


@pytest.mark.slow
@pytest.mark.parametrize("game", [matching_pennies(), battle_of_the_sexes(), chicken()], ids=lambda game: game.name)
@pytest.mark.parametrize("code", ["L0", "L1", "L3"])
def test_honest_training_is_not_refuted(game, code):
    """At false-alarm rate 0.001 a level, with a fixed key."""
    assert LEVELS[code].run(Setting(game=game, budget=0.25)).verdict != "refuted"


def test_the_co_player_climbs_its_own_payoffs():
    """Its slope in matching pennies, by central differences of the return after an even first step: the column's payoffs."""
    setting = Setting(game=matching_pennies(), steps=2)
    p, q = setting.players

    def earned(q):
        first = np.outer([p[0], 1 - p[0]], [q[0], 1 - q[0]])
        total = (first * [[-1, 1], [1, -1]]).sum()
        for (a, b), chance in np.ndenumerate(first):
            own, other = p[1 + 2 * a + b], q[1 + 2 * b + a]
            total += chance * (np.outer([own, 1 - own], [other, 1 - other]) * [[-1, 1], [1, -1]]).sum()
        return total / 2

    moved = [np.log(q / (1 - q)) + step * np.eye(5) for step in (1e-5, -1e-5)]
    up, down = ([earned(1 / (1 + np.exp(-row))) for row in rows] for rows in moved)
    np.testing.assert_allclose(exact_gradient(setting, 2), (np.array(up) - down) / 2e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--game", "stag"], "unknown name 'stag' in game.name; did you mean stag_hunt"),
        (
            ["--game", "rock_paper_scissors", "--level", "L2"],
            "L2 is about 2x2 games without noise, but this is rock-paper-sci",
        ),
        (["--game", "chicken", "--payoffs", "2,1,0,-1"], "give one of the two"),
        (["--payoffs", "[[1,2],[3]]"], "game.payoffs must be one k x k table"),
    ],
)
def test_what_is_no_2x2_game_is_refused_in_one_line(options, says, capsys):
    assert main(["crossval", *options]) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1


def test_symmetric_tables_are_told_as_before():
    assert page.plain(Setting(game=chicken()))["payoffs"] == ["3", "2", "0", "1"]
