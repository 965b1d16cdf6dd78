"""Games beyond 2x2: what they are made of, when they are equal, what is refused."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

from lapg_theory.game import (
    NAMED,
    AnonymousGame,
    NormalFormGame,
    graded_dilemma,
    group_strategy,
    normal_form,
    prisoners_dilemma,
    public_goods,
    rock_paper_scissors,
)
from lapg_theory.game.matrix_game import donation_game

NAN = float("nan")


def test_a_game_is_a_value():
    table = np.arange(24.0).reshape(2, 3, 4)
    game = NormalFormGame(table)
    assert (game.players, game.actions) == (2, (3, 4))
    assert game == NormalFormGame(table.tolist(), "other name")
    assert hash(game) == hash(NormalFormGame(table.tolist()))
    assert NormalFormGame([[-0.0, 1.0]]) == NormalFormGame([[0.0, 1.0]])
    assert len({NormalFormGame([[-0.0, 1.0]]), NormalFormGame([[0.0, 1.0]])}) == 1
    assert game != NormalFormGame(-table)
    assert game != "game"
    assert len(repr(game)) < 100
    table[0] = 7
    assert game.payoffs[0, 0, 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        game.payoffs[0, 0, 0] = 1


def test_public_goods_by_counting_coins():
    """N = 3, r = 2, c = 1, and by hand: everybody puts a coin in or keeps it, and the pot is doubled and shared."""
    game = public_goods(3, 2)
    np.testing.assert_allclose(game.cooperator, [-1 / 3, 1 / 3, 1])
    np.testing.assert_allclose(game.defector, [0, 2 / 3, 4 / 3])
    table = normal_form(game).payoffs
    for joint in itertools.product((0, 1), repeat=3):
        given = [1 - a for a in joint]
        expected = [Fraction(2 * sum(given), 3) - x for x in given]
        np.testing.assert_allclose(table[:, *joint], [float(x) for x in expected], atol=1e-15)


def test_two_players_are_the_default_dilemma():
    np.testing.assert_allclose(
        normal_form(public_goods(2, 4 / 3, 3.0)).payoffs, normal_form(prisoners_dilemma()).payoffs, atol=1e-15
    )
    for name in ("allc", "alld", "random", "tft", "grim"):
        assert group_strategy(name, 2) == NAMED[name]


@pytest.mark.parametrize(("factor", "dilemma"), [(0.9, False), (1, False), (1.1, True), (3.9, True), (4, False)])
def test_public_goods_are_a_dilemma_between_one_and_n(factor, dilemma):
    assert public_goods(4, factor).is_dilemma is dilemma


def test_what_co_players_earn():
    """The mean over the others from the full table."""
    game = AnonymousGame([3, -1, 2.5, 7], [0.5, 4, -2, 6])
    table, others = normal_form(game).payoffs, game.others()
    for own, *rest in itertools.product((0, 1), repeat=4):
        assert others[own][rest.count(0)] == pytest.approx(table[1:, own, *rest].mean())


def test_graded_dilemma_and_rock_paper_scissors():
    for a, b in itertools.product(range(3), repeat=2):
        x, y = 1 - a / 2, 1 - b / 2
        np.testing.assert_allclose(graded_dilemma().payoffs[:, a, b], [2 * y - x, 2 * x - y])
    assert graded_dilemma(2, 3, 1) == normal_form(donation_game(3, 1))
    table = rock_paper_scissors(win=2, loss=3, tie=0.5).payoffs
    for first, second in ((1, 0), (2, 1), (0, 2)):  # paper beats rock, scissors paper, rock scissors
        assert tuple(table[:, first, second]) == (2, -3)
        assert tuple(table[:, second, first]) == (-3, 2)
        assert tuple(table[:, first, first]) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: NormalFormGame([[1, NAN]]), "must be finite numbers, but holds nan"),
        (lambda: NormalFormGame(np.zeros((3, 2, 2))), r"shape \[n, k1, ..., kn\].* got \(3, 2, 2\)"),
        (lambda: NormalFormGame(np.zeros((2, 0, 2))), r"got \(2, 0, 2\)"),
        (lambda: NormalFormGame(3), r"got \(1,\)"),
        (lambda: NormalFormGame([[[1, 2], [3]], [[1, 2], [3, 4]]]), "full table of numbers"),
        (lambda: NormalFormGame([["a", "b"]]), "full table of numbers"),
        (lambda: AnonymousGame([1, 2], [1, 2, 3]), r"got shapes \(2,\) and \(3,\)"),
        (lambda: AnonymousGame([1, float("inf")], [1, 2]), "cooperator must be finite numbers, but holds inf"),
        (lambda: AnonymousGame([1], [2]).others(), "at least 2 players"),
        (lambda: public_goods(2.5, 2), "players must be an integer >= 2, got 2.5"),
        (lambda: public_goods(1, 2), "players must be an integer >= 2, got 1"),
        (lambda: public_goods(3, NAN), "factor must be a positive and finite number, got nan"),
        (lambda: public_goods(3, 2, 0), "cost must be a positive"),
        (lambda: normal_form(public_goods(40, 2)), r"40 x 2\^40 entries.*AnonymousGame"),
        (lambda: normal_form((2, 1, 0, -1)), "game must be a MatrixGame, NormalFormGame or AnonymousGame, got"),
        (lambda: graded_dilemma(1), "levels must be an integer >= 2"),
        (lambda: graded_dilemma(3, 1, 2), "benefit > cost > 0"),
        (lambda: rock_paper_scissors(win=-1), "win > tie > -loss"),
        (lambda: group_strategy("wsls", 3), "unknown strategy 'wsls' for a group; known: allc"),
        (lambda: group_strategy("tft", 1), "players must be an integer >= 2"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
