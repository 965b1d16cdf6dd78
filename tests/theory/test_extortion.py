"""The extortion family: members against printed ones and the chain, the fit against a grid, missing states, refusals."""

import itertools
import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from lapg_theory import exact_returns
from lapg_theory.game import (
    TFT,
    Discounted,
    battle_of_the_sexes,
    chicken,
    extortioner,
    nearest_extortioner,
    prisoners_dilemma,
    stag_hunt,
    symmetric_game,
)

PD, AXELROD, STAG = prisoners_dilemma(), prisoners_dilemma(5, 3, 1, 0), stag_hunt(2, 10, 1, 0)
FLAT = prisoners_dilemma(3, 2, 1, -2)  # T - P < P - S
STEEP = stag_hunt(3, 10, 1, 0)  # p_CC runs out first


def member(game, x, f):
    T, R, P, S = map(float, game.trps)
    a, c = (R - P) / (P - S), (T - P) / (P - S)
    return np.array([1 - f * (x - 1) * a, 1 - f * (1 + x * c), f * (x + c), 0.0])


def test_the_default_scale_leaves_every_state_a_probability():
    np.testing.assert_allclose(extortioner(STAG, 2), (0, 1 / 2, 5 / 6, 1 / 6, 0))
    for game, x in itertools.product((PD, AXELROD, STAG, FLAT, stag_hunt(2, 3, 2, 0)), (1, 1.5, 4, 1e6)):
        p = np.array(extortioner(game, x))
        assert (p >= 0).all() and (p <= 1).all()
        assert np.isclose(2 * (1 - p[1:3]), 1).any() or np.isclose(2 * p[3], 1)  # half of the way to the bound


@pytest.mark.parametrize("game", [PD, AXELROD, STAG])
def test_extortioners_hold_their_surplus_at_the_factor(game):
    own, other = exact_returns(game, extortioner(game, 3), (0.5, 0.7, 0.2, 0.6, 0.4), Discounted(1 - 1e-7))
    P = float(game.trps[2])
    assert own / 1e7 - P == pytest.approx(3 * (other / 1e7 - P), rel=1e-4)


@pytest.mark.parametrize("factor", [Fraction(2), Decimal(2), np.float32(2), np.uint8(2), np.array(2.0)])
def test_numbers_of_any_kind(factor):
    assert extortioner(PD, factor) == extortioner(PD, 2)


def grid(game):
    """Members of the family, fine in factor and scale, as far as all four are probabilities."""
    found = []
    for x in np.geomspace(1, 1e4, 300):
        used = np.abs(member(game, x, 1.0) - [1, 1, 0, 0])
        found.append(member(game, x, 0.0) + np.linspace(0, 1 / used.max(), 601)[:, None] * (used * [-1, -1, 1, 0]))
    return np.concatenate(found)


@pytest.mark.parametrize("game", [PD, STAG, FLAT, STEEP], ids=["dilemma", "stag hunt", "flat", "steep"])
def test_the_fit_is_the_nearest_of_a_grid_whatever_states_are_known(game):
    family = grid(game)
    draws = np.random.default_rng(5).uniform(size=(5, 5))
    for p, missing in itertools.product([(0, 0, 0.3, 0.4, 0), *draws], ([], [0], [2], [3], [1, 3])):
        p = np.array(p)
        p[np.array(missing, int) + 1] = np.nan
        seen = ~np.isnan(p[1:])
        found = nearest_extortioner(game, p)
        nearest = ((family - p[1:])[:, seen] ** 2).sum(1).min()
        assert nearest - 5e-3 < found.loss <= nearest + 1e-9
        if math.isfinite(found.factor):
            np.testing.assert_allclose(found.policy, member(game, found.factor, found.scale), atol=1e-9)
        assert found.loss == pytest.approx(((np.array(found.policy) - p[1:])[seen] ** 2).sum())
        assert found.distance == pytest.approx(math.sqrt(found.loss / seen.sum())) and found.states == seen.sum()
        assert (np.array(found.policy) >= -1e-12).all() and (np.array(found.policy) <= 1 + 1e-12).all()


@pytest.mark.parametrize("unit", [1e-9, 1, 1e9])
def test_the_fit_knows_no_units(unit):
    game = prisoners_dilemma(*(unit * (payoff + 3) for payoff in (2, 1, 0, -1)))
    p = (0.1, 0.8, 0.2, 0.4, 0.1)
    ours, theirs = nearest_extortioner(game, p), nearest_extortioner(PD, p)
    assert (ours.factor, ours.scale, ours.loss) == pytest.approx((theirs.factor, theirs.scale, theirs.loss), rel=1e-6)


def test_where_nothing_tells_factor_from_scale():
    assert nearest_extortioner(PD, (0, 0.5, None, None, 0.2)) is None
    found = nearest_extortioner(PD, (0, 0.0, None, 1.0, None))  # an equaliser: scale 0
    assert (found.factor, found.scale, found.states) == (math.inf, 0, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: extortioner(chicken(), 2), r"divides by P - S .* game of chicken has \(T, R, P, S\) = \(3, 2, 0, 1\)"),
        (lambda: extortioner(chicken(), 3), "divides by P - S"),
        (lambda: extortioner(symmetric_game(3, 2, 0, 0), 2), "divides by P - S"),
        (lambda: extortioner(symmetric_game(3, -1, 0, -1), 2), "needs R >= P > S"),
        (lambda: nearest_extortioner(symmetric_game(-0.5, 2, 0, -1), TFT), "T >= P"),
        (lambda: extortioner(battle_of_the_sexes(), 2), "not symmetric"),
        (lambda: extortioner(PD, "2"), "factor must be a finite number, got '2'"),
        (lambda: extortioner(PD, True), "factor must be a finite number, got True"),
        (lambda: extortioner(PD, 1j), "factor must be a finite number, got 1j"),
        (lambda: extortioner(PD, [2, 3]), "factor must be a finite number"),
        (lambda: extortioner(PD, math.inf), "factor must be a finite number, got inf"),
        (lambda: extortioner(PD, 0.9), "factor must be at least 1"),
        (lambda: extortioner(STAG, 2, 0.12), r"scale must lie in \(0, 0.111111\] at factor 2, got 0.12"),
        (lambda: extortioner(PD, 3, 0), r"scale must lie in"),
        (lambda: extortioner(PD, 3, "x"), r"scale must be a finite number"),
        (lambda: nearest_extortioner(PD, (1, 0, 0, 0)), "five probabilities"),
        (lambda: nearest_extortioner(PD, (1, 0, 0, 0, 1.1)), "five probabilities"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
