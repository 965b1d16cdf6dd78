"""Strategic games in Gambit's format: read as its description says, written so that they are read back, refused in one line."""

import importlib.util

import numpy as np
import pytest

import lapg_theory as lt
from lapg_rl.config import GameConfig

#: The two examples of the format's description, whose tables are written out in the tests.
PAYOFFS = """NFG 1 R "Selten (IJGT, 75), Figure 2, normal form"
{ "Player 1" "Player 2" } { 3 2 }

1 1 0 2 0 2 1 1 0 3 2 0
"""
OUTCOMES = """NFG 1 R "A \\"small\\" game" { "one" "two" }
{ { "U" "M" "D" } { "L" "R" } }
"a comment"
{ { "first" 1, 1 } { "second" 0, 2 } { "" 3/2 -2e-1 } }
1 2 3 1 0 2
"""


def saved(tmp_path, text):
    (tmp_path / "game.nfg").write_text(text)
    return tmp_path / "game.nfg"


def test_both_forms_are_read(tmp_path):
    game = lt.NormalFormGame.from_nfg(saved(tmp_path, PAYOFFS))
    assert game.name == "Selten (IJGT, 75), Figure 2, normal form"
    np.testing.assert_array_equal(game.payoffs, [[[1, 1], [0, 0], [0, 2]], [[1, 1], [2, 3], [2, 0]]])
    game = lt.NormalFormGame.from_nfg(str(saved(tmp_path, OUTCOMES)))
    assert game.name == 'A "small" game'
    np.testing.assert_array_equal(game.payoffs, [[[1, 1], [0, 0], [1.5, 0]], [[1, 1], [2, 0], [-0.2, 2]]])


def test_what_is_written_is_read_back(tmp_path):
    payoffs = np.random.default_rng(0).normal(size=(3, 2, 3, 2))
    game = lt.NormalFormGame(payoffs, 'of "three"')
    again = lt.NormalFormGame.from_nfg(saved(tmp_path, game.to_nfg()))
    assert again == game
    assert again.name == game.name


@pytest.mark.skipif(
    not importlib.util.find_spec("pygambit"), reason="needs pygambit, of which only 17.0.0b2 has wheels"
)
def test_gambit_reads_the_same(tmp_path):
    import pygambit

    game = lt.NormalFormGame(np.random.default_rng(1).integers(-5, 5, size=(2, 2, 3)))
    read = pygambit.read_nfg(str(saved(tmp_path, game.to_nfg())))
    np.testing.assert_array_equal(np.array(read.to_arrays(dtype=float)), game.payoffs)
    assert lt.NormalFormGame.from_nfg(saved(tmp_path, read.to_nfg())) == game


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("EFG 2 R", "expected NFG at token 1, got EFG"),
        ('NFG 1 R "x" { "a" "b" } { 2 2 } 1 2 3', "2 players with 2 x 2 strategies need 8 payoffs, got 3"),
        ('NFG 1 R "x" { "a" "b" } { 2 2 } 1 2 3 4 5 6 7 eight', "'eight' is no number"),
        ('NFG 1 R "x" { "a" "b" } { 2 }', "2 players, but numbers of strategies for 1"),
        ('NFG 1 R "x" { "a" } { 2 } { { "" 1 } } 1 2', "there is no outcome 2; they are 0 to 1"),
        ('NFG 1 R "x" { "a" "b" } { 2 2', "expected more at token"),
        ('NFG 1 R "x" { "a" "b" } { 9999999 2 }', "at most 2.20 in all"),
        ('NFG 1 R "x" { "a" } { 1 } 1/0', "'1/0' is no number"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path, text, message):
    with pytest.raises(ValueError, match=message) as refusal:
        lt.NormalFormGame.from_nfg(saved(tmp_path, text))
    assert "\n" not in str(refusal.value)


def test_a_config_takes_the_file_and_keeps_its_numbers(tmp_path):
    path = saved(tmp_path, HUNT)
    game = GameConfig(kind="matrix", payoffs=str(path))
    path.unlink()
    assert game.payoffs == "[[4,0],[3,2]]"
    with pytest.raises(ValueError, match=r"missing\.nfg cannot be read"):
        GameConfig(kind="matrix", payoffs="missing.nfg")
    with pytest.raises(ValueError, match=r"game\.payoffs must be one k x k table"):
        GameConfig(kind="matrix", payoffs=str(saved(tmp_path, PAYOFFS)))


HUNT = 'NFG 1 R "Hunt" { "a" "b" } { 2 2 } 4 4 3 0 0 3 2 2'
