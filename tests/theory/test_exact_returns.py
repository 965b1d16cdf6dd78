"""Exact returns against long products, brute enumeration, hand calculation, published values and finite differences."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lapg_theory import exact_returns, occupancy
from lapg_theory.exact.returns import solved_returns
from lapg_theory.game import (
    ALLC,
    ALLD,
    TFT,
    Discounted,
    FiniteHorizon,
    battle_of_the_sexes,
    chicken,
    mirror,
    prisoners_dilemma,
)

GAMES = [prisoners_dilemma(), prisoners_dilemma(3, 2, 1, -5), chicken(), battle_of_the_sexes()]
RANDOM = np.random.default_rng(0)
PAIRS = RANDOM.uniform(size=(6, 2, 5))


def transitions(p, q):
    """Start distribution and 4x4 matrix over CC, CD, DC, DD in the row player's view, from scratch."""
    rows = [
        [x * y, x * (1 - y), (1 - x) * y, (1 - x) * (1 - y)]
        for x, y in zip(p, (q[0], q[1], q[3], q[2], q[4]), strict=True)
    ]
    return np.array(rows[0]), np.array(rows[1:])


def long_product(game, p, q, gamma, steps):
    state, matrix = transitions(p, q)
    row, column = np.array(game.row).ravel(), np.array(game.column).ravel()
    total = np.zeros(2)
    for t in range(steps):
        total += gamma**t * np.array([state @ row, state @ column])
        state = state @ matrix
    return total


@pytest.mark.parametrize("game", GAMES, ids=lambda g: g.name)
@pytest.mark.parametrize("pair", range(3))
def test_discounted_returns_equal_a_long_product(game, pair):
    p, q = PAIRS[pair]
    expected = long_product(game, p, q, 0.9, 400)  # 0.9^400 = 5e-19
    np.testing.assert_allclose(exact_returns(game, p, q, Discounted(0.9)), expected, rtol=1e-12)


@pytest.mark.parametrize("game", GAMES, ids=lambda g: g.name)
def test_finite_returns_equal_the_enumeration_of_every_history(game):
    p, q = PAIRS[3]
    expected = np.zeros(2)
    for history in itertools.product(range(4), repeat=3):
        probability, own, other = 1.0, 0, 0
        for outcome in history:
            x, y = p[own], q[other]
            first, second = divmod(outcome, 2)
            probability *= (x if first == 0 else 1 - x) * (y if second == 0 else 1 - y)
            own, other = 1 + outcome, 1 + 2 * second + first
        for outcome in history:
            first, second = divmod(outcome, 2)
            expected += probability * np.array([game.row[first][second], game.column[first][second]])
    np.testing.assert_allclose(exact_returns(game, p, q, FiniteHorizon(3)), expected, rtol=1e-12)


def test_published_value_of_tit_for_tat_against_a_defector():
    """pax, unit test of the infinite matrix game: payoffs (T, R, P, S) = (3, 2, 1, 0), gamma 0.99, times 1 - gamma."""
    game, horizon = prisoners_dilemma(3, 2, 1, 0), Discounted(0.99)
    found = {
        (name, other): [round((1 - 0.99) * float(x), 10) for x in exact_returns(game, p, q, horizon)]
        for (name, p), (other, q) in itertools.product({"tft": TFT, "alld": ALLD, "allc": ALLC}.items(), repeat=2)
    }
    assert found["tft", "alld"] == [0.99, 1.02]
    assert found["alld", "allc"] == [3, 0]
    assert found["tft", "tft"] == found["allc", "allc"] == [2, 2]
    assert found["alld", "alld"] == [1, 1]


def test_swapping_the_players_swaps_the_returns():
    game = prisoners_dilemma(3, 2, 1, -5)
    for horizon in (Discounted(0.97), FiniteHorizon(7)):
        one = exact_returns(game, PAIRS[:, 0], PAIRS[:, 1], horizon)
        other = exact_returns(game, PAIRS[:, 1], PAIRS[:, 0], horizon)
        np.testing.assert_allclose(one, other[::-1], rtol=1e-13)


def test_batches_broadcast():
    game, horizon = prisoners_dilemma(), Discounted(0.9)
    row, column = exact_returns(game, PAIRS[:, None, 0], PAIRS[None, :, 1], horizon)
    assert row.shape == column.shape == (6, 6)
    np.testing.assert_allclose(row[2, 4], exact_returns(game, PAIRS[2, 0], PAIRS[4, 1], horizon)[0], rtol=1e-13)


@pytest.mark.parametrize("horizon", [Discounted(0.95), FiniteHorizon(6)], ids=str)
def test_derivatives_equal_finite_differences(horizon):
    game = prisoners_dilemma()
    p, q = PAIRS[5]
    with jax.enable_x64(True):
        jacobian = jax.jacobian(lambda both: jnp.stack(exact_returns(game, both[0], both[1], horizon)))(
            jnp.asarray([p, q])
        )
    for player, state in np.ndindex(2, 5):
        step = np.zeros((2, 5))
        step[player, state] = 1e-6
        ahead, behind = (np.array(exact_returns(game, *([p, q] + s * step), horizon)) for s in (1, -1))
        np.testing.assert_allclose(jacobian[:, player, state], (ahead - behind) / 2e-6, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("gamma", [0.9, 0.999, 0.99999])
def test_single_precision_stays_accurate_near_gamma_one(gamma):
    game = prisoners_dilemma()
    p, q = RANDOM.uniform(0.05, 0.95, size=(2, 200, 5))
    double = np.array(exact_returns(game, p, q, Discounted(gamma)))
    single = exact_returns(game, jnp.asarray(p, jnp.float32), jnp.asarray(q, jnp.float32), Discounted(gamma))
    assert single[0].dtype == jnp.float32
    scale = 1 / (1 - gamma)  # the return of a reward of 1 at every step
    np.testing.assert_allclose(np.array(single) / scale, double / scale, atol=5e-6)


def test_single_precision_gradients_near_gamma_one_and_what_a_solve_loses():
    """Relative errors over 100 pairs: 1e-6 here; .02 or more by the textbook solve, whose condition number is 2e5."""
    game, horizon = prisoners_dilemma(), Discounted(0.99999)
    p, q = RANDOM.uniform(0.05, 0.95, size=(2, 100, 5))

    def slopes(returns, dtype):
        slope = jax.jit(jax.vmap(jax.grad(lambda x, y: returns(game, x, y, horizon)[0])))
        return np.asarray(slope(jnp.asarray(p, dtype), jnp.asarray(q, dtype)), float)

    with jax.enable_x64(True):
        double = slopes(exact_returns, jnp.float64)
    scale = np.linalg.norm(double, axis=1, keepdims=True)
    here, solved = (np.abs((slopes(f, jnp.float32) - double) / scale).max() for f in (exact_returns, solved_returns))
    assert here < 2e-5
    assert solved > 100 * here


def test_condition_numbers_of_the_chain():
    """Infinity norm: at most (1 + gamma) / (1 - gamma), attained at mutual defection; 2-norm there by its two invariants."""
    for gamma in (0.9, 0.99, 0.999):
        p, q = RANDOM.uniform(size=(2, 500, 5))
        p[0] = q[0] = 0
        M = np.stack([occupancy_after(x, y) for x, y in zip(p, q, strict=True)])
        A = np.eye(4) - gamma * M
        bound = (1 + gamma) / (1 - gamma)
        found = np.linalg.cond(A, np.inf)
        assert found.max() <= bound * (1 + 1e-9) and found[0] == pytest.approx(bound)
        squares = np.roots([1, -(2 * (1 - gamma) + 4 * gamma**2), (1 - gamma) ** 2])
        assert np.linalg.cond(A[0]) == pytest.approx(np.sqrt(squares.max() / squares.min()), rel=1e-6)
        assert np.median(np.linalg.cond(A)) == pytest.approx(1.6 / (1 - gamma), rel=0.1)


def occupancy_after(p, q):
    """Rows: where play goes from CC, CD, DC, DD, as the occupancy of the one round after a game of one round."""
    chances = []
    for state in (1, 2, 3, 4):
        start = np.array([p[state], 0, 0, 0, 0]), np.array([mirror(q)[state], 0, 0, 0, 0])
        chances.append(occupancy(*start, FiniteHorizon(1)))
    return np.array(chances)


def test_occupancy_gives_the_returns():
    game = chicken()
    p, q = PAIRS[1]
    for horizon in (Discounted(0.9), FiniteHorizon(5)):
        visits = np.asarray(occupancy(p, q, horizon))
        mirrored = np.asarray(occupancy(q, p, horizon))
        assert visits.sum() == pytest.approx(1, rel=1e-12)
        np.testing.assert_allclose(visits[[0, 2, 1, 3]], mirrored, rtol=1e-12)
        returns = exact_returns(game, p, q, horizon)
        assert float(visits @ np.array(game.row_payoffs)) * horizon.weight == pytest.approx(
            float(returns[0]), rel=1e-12
        )


def test_mirror_exchanges_the_views():
    assert mirror(("s0", "CC", "CD", "DC", "DD")) == ("s0", "CC", "DC", "CD", "DD")
    np.testing.assert_array_equal(mirror(np.arange(10).reshape(2, 5)), [[0, 1, 3, 2, 4], [5, 6, 8, 7, 9]])


REFUSALS = {
    "probability above one": (lambda: exact_returns(GAMES[0], [0, 0, 0, 0, 1.2], TFT, Discounted(0.9)), "1.2"),
    "not a number": (lambda: exact_returns(GAMES[0], TFT, [np.nan] * 5, Discounted(0.9)), "nan"),
    "four probabilities": (lambda: exact_returns(GAMES[0], [0.5] * 4, TFT, Discounted(0.9)), r"five .*shape \(4,\)"),
    "gamma of one": (lambda: Discounted(1.0), r"gamma must lie in \[0, 1\), got 1.0"),
    "negative gamma": (lambda: Discounted(-0.1), r"gamma must lie in \[0, 1\), got -0.1"),
    "fractional steps": (lambda: FiniteHorizon(2.5), "steps must be an integer >= 1, got 2.5"),
    "no dilemma": (lambda: prisoners_dilemma(1, 2, 0, -1), r"\(1, 2, 0, -1\) is no prisoner's dilemma"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_bad_input_is_refused(case):
    call, message = REFUSALS[case]
    with pytest.raises(ValueError, match=message):
        call()
