"""Laws that hold for every game, policy and convention, tried on drawn ones."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lapg_theory.game import (
    MIRROR,
    PEERS,
    MatrixGame,
    cell_table,
    extortioner,
    from_peer,
    mirror,
    nearest_extortioner,
    state_index,
    symmetric_game,
    to_peer,
)
from lapg_theory.game.conventions import own_view
from lapg_theory.game.numbers import check_number, check_probabilities
from lapg_theory.game.strategies import check_policy
from lapg_theory.game.units import normalised
from lapg_theory.game.words import WORDS, words

bounded = settings(max_examples=50, deadline=None, derandomize=True, database=None)
payoff = (
    st.integers(-1000, 1000) | st.floats(-1e6, 1e6).map(lambda x: x + 0.0) | st.fractions(-100, 100, max_denominator=50)
)
tables = st.tuples(st.tuples(payoff, payoff), st.tuples(payoff, payoff))
probability = st.floats(0, 1)
policies = st.tuples(*[probability] * 5)
dilemmas = st.lists(st.integers(-50, 50), min_size=4, max_size=4, unique=True).map(sorted)


@bounded
@given(tables, tables)
def test_a_game_is_its_tables(row, column):
    game = MatrixGame(row, column)
    assert game == MatrixGame([list(line) for line in row], [list(line) for line in column])
    assert hash(game) == hash(MatrixGame(row, column)) and game.row_payoffs == own_view(row)
    swapped = MatrixGame(tuple(zip(*column, strict=True)), tuple(zip(*row, strict=True)))  # the players trade places
    assert (swapped.row_payoffs, swapped.column_payoffs) == (game.column_payoffs, game.row_payoffs)


@bounded
@given(payoff, payoff, payoff, payoff)
def test_symmetric_games_tell_their_payoffs(T, R, P, S):
    game = symmetric_game(T, R, P, S)
    assert game.is_symmetric and game.trps == (T, R, P, S) and game.row == cell_table(T, R, P, S)


@bounded
@given(tables, tables)
def test_own_units_lose_nothing(row, column):
    scaled, *scales = normalised(MatrixGame(row, column))
    for given_table, table, scale in zip((row, column), (scaled.row, scaled.column), scales, strict=True):
        back = [float(scale.level(x)) for x in own_view(table)]
        largest = max(abs(float(x)) for x in own_view(given_table))
        np.testing.assert_allclose(back, [float(x) for x in own_view(given_table)], rtol=0, atol=1e-15 * largest)
        assert math.frexp(scale.unit)[0] == 0.5  # a power of two
        assert len({float(x) for x in own_view(given_table)}) == 1 or 2 <= np.ptp(own_view(table)) * (1 + 1e-9) <= 4.1


@bounded
@given(policies)
def test_mirror_is_its_own_inverse(policy):
    assert mirror(mirror(policy)) == policy and mirror(policy) == tuple(policy[s] for s in MIRROR)
    np.testing.assert_array_equal(mirror(np.array(policy)), mirror(policy))


@bounded
@given(st.integers(0, 1), st.integers(0, 1))
def test_states_of_both_players_are_mirrored(own, other):
    assert MIRROR[state_index(own, other)] == state_index(other, own)


@bounded
@given(
    st.lists(st.tuples(*[st.floats(1e-6, 1 - 1e-6)] * 5), min_size=1, max_size=3),
    st.sampled_from(sorted(PEERS)),
    st.integers(0, 1),
)
def test_conventions_are_inverted(batch, peer, player):
    there = to_peer(batch, peer, player)
    expected, first = np.array(batch), None
    if peer == "pycrld":  # its policies have no start
        expected[:, 0] = first = 0.25
    np.testing.assert_allclose(from_peer(there, peer, player, first), expected, atol=1e-9)
    assert there.shape == (len(batch), 4 if peer == "pycrld" else 5)


@bounded
@given(dilemmas, st.floats(1, 1e4), st.floats(1e-3, 1))
def test_extortioners_are_policies_and_found_again(ordered, factor, part):
    S, P, R, T = ordered
    game = symmetric_game(T, R, P, S)
    member = extortioner(game, factor)
    used = 2 * np.abs(np.subtract(member, (0, 1, 1, 0, 0))).max()  # at twice the default scale
    check_policy("member", member)
    found = nearest_extortioner(game, member)
    assert found.loss < 1e-12 and found.scale >= 0 and found.factor >= 1 and used == pytest.approx(1)
    assert found.factor == pytest.approx(factor, rel=1e-3)
    near = nearest_extortioner(game, np.clip(np.array(member) + part * np.array([0, -0.1, 0.1, -0.1, 0.1]), 0, 1))
    check_policy("nearest", (0, *near.policy))


@bounded
@given(st.floats(-1, 2), st.floats(-1, 2), st.floats(0, 1), dilemmas, st.sampled_from([1e-9, 1.0, 3e8]))
def test_words_need_no_units(left, gain, opening, ordered, unit):
    """In shares of a dilemma in whole numbers, rounded to where no threshold is."""
    S, P, R, T = ordered
    left, gain = (round(x, 3) + 0.0004 for x in (left, gain))
    plain, game = symmetric_game(2, 1, 0, -1), symmetric_game(*(unit * x for x in (T, R, P, S)))
    word = words(plain, left, gain=gain, opening=opening).item()
    assert word in WORDS
    level = unit * (P + left * (R - P))
    assert words(game, level, gain=unit * gain * (R - P), opening=opening).item() == word


@bounded
@given(
    st.fractions(0, 1)
    | st.decimals(0, 1, allow_nan=False)
    | st.integers(-5, 5)
    | st.floats(allow_nan=False, allow_infinity=False)
)
def test_numbers_are_kept(value):
    assert check_number("x", value) == float(value) and check_number("x", np.float64(value)) == float(value)


@bounded
@given(
    st.text(max_size=5)
    | st.none()
    | st.booleans()
    | st.complex_numbers()
    | st.sampled_from([math.nan, math.inf, [], [1], {}])
)
def test_what_is_no_number_gives_one_line(value):
    with pytest.raises(ValueError, match=r"^x must be a finite number, got ") as error:
        check_number("x", value)
    assert "\n" not in str(error.value)


@bounded
@given(
    st.lists(st.fractions(0, 1, max_denominator=10), min_size=1, max_size=4), st.sampled_from([np.float32, np.float64])
)
def test_rounded_sums_of_shares_are_probabilities(weights, kind):
    total = sum(weights, Fraction(0)) or Fraction(1)
    shares = np.array([float(w / total) for w in weights], kind)
    found = check_probabilities("x", [shares.sum(dtype=kind), *shares])
    assert ((found >= 0) & (found <= 1)).all()
