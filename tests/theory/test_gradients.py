"""Gradients, Hessians and action values against automatic differentiation of plain code, Bellman and differences."""

import itertools

import jax
import jax.numpy as jnp
import learning_reference as reference
import numpy as np
import pytest

from lapg_theory import action_values, exact_returns, float64
from lapg_theory.exact.gradients import hessians, returns_and_gradients
from lapg_theory.exact.returns import determinant_returns, solved_returns
from lapg_theory.game import TFT, Discounted, FiniteHorizon, MatrixGame, mirror, prisoners_dilemma, symmetric_game

RANDOM = np.random.default_rng(21)
UNEVEN = MatrixGame(((3, -2), (5, 1)), ((2, 4), (-1, 0.5)))
HORIZONS = [Discounted(0.93), FiniteHorizon(3)]
PAIRS = RANDOM.uniform(0.05, 0.95, size=(4, 2, 5))


def logits(p):
    return np.log(p / (1 - p))


@pytest.mark.parametrize("space", ["probability", "logit"])
@pytest.mark.parametrize("horizon", HORIZONS, ids=str)
def test_gradients_and_hessians_equal_automatic_differentiation(horizon, space):
    x, y = PAIRS[0] if space == "probability" else logits(PAIRS[0])
    with float64():
        seat = jnp.array([UNEVEN.row, UNEVEN.column], float).reshape(2, 4)
        both = jnp.array([x, y])

        def returns(joint):
            return jnp.stack([f(*joint) for f in reference.seat(seat, horizon, horizon.weight, space)])

        expected = (returns(both), jax.jacrev(returns)(both), jax.jit(jax.hessian(returns))(both))
    found = returns_and_gradients(UNEVEN, x, y, horizon, space)
    np.testing.assert_allclose(found[:2], expected[0], rtol=1e-12)
    np.testing.assert_allclose(found[2:], expected[1].reshape(4, 5), rtol=1e-12, atol=1e-12)
    second = hessians(UNEVEN, x, y, horizon, space)
    np.testing.assert_allclose(second, expected[2].reshape(2, 10, 10), rtol=1e-12, atol=1e-11)


def test_batches_of_gradients_are_those_of_their_pairs():
    row, column = PAIRS[:, None, 0], PAIRS[None, :3, 1]
    found = returns_and_gradients(UNEVEN, row, column, HORIZONS[0])
    second = hessians(UNEVEN, row, column, HORIZONS[0])
    assert found.J_row.shape == (4, 3)
    assert second[0].shape == (4, 3, 10, 10)
    alone = returns_and_gradients(UNEVEN, PAIRS[3, 0], PAIRS[1, 1], HORIZONS[0])
    for batch, one in zip(found, alone, strict=True):
        np.testing.assert_allclose(batch[3, 1], one, rtol=1e-13)
    one = hessians(UNEVEN, PAIRS[3, 0], PAIRS[1, 1], HORIZONS[0])
    np.testing.assert_allclose(second[1][3, 1], one[1], rtol=1e-11, atol=1e-11)


@pytest.mark.optimised
@pytest.mark.parametrize("gamma", [0.99, 0.9999, 0.99999])
def test_single_precision_gradients_stay_accurate_near_gamma_one(gamma):
    p, q = RANDOM.uniform(0.05, 0.95, size=(2, 200, 5))
    double = returns_and_gradients(prisoners_dilemma(), p, q, Discounted(gamma))
    single = returns_and_gradients(
        prisoners_dilemma(), *(jnp.asarray(x, jnp.float32) for x in (p, q)), Discounted(gamma)
    )
    assert single.row_by_p.dtype == jnp.float32
    for one, other in zip(single[2:], double[2:], strict=True):
        size = np.linalg.norm(other, axis=-1)
        assert (np.linalg.norm(np.asarray(one) - other, axis=-1) / size).max() < 1e-5


@pytest.mark.parametrize("route", [solved_returns, determinant_returns])
def test_three_routes_to_the_returns_agree(route):
    for gamma in (0.0, 0.5, 0.99):
        expected = exact_returns(UNEVEN, PAIRS[:, 0], PAIRS[:, 1], Discounted(gamma))
        np.testing.assert_allclose(route(UNEVEN, PAIRS[:, 0], PAIRS[:, 1], Discounted(gamma)), expected, rtol=1e-12)


def bellman(p, q, gamma, after):
    """Q(s, a) of the row player from the values V(CC), V(CD), V(DC), V(DD) of what comes after each outcome."""
    cells = np.array(UNEVEN.row) + gamma * np.reshape(after, (2, 2))
    return np.stack([cells @ [q, 1 - q] for q in mirror(q)])


def test_action_values_solve_the_bellman_equation():
    p, q = PAIRS[1]
    Q = action_values(UNEVEN, p, q, Discounted(0.93))
    values = (Q * np.stack([p, 1 - p], axis=1)).sum(1)
    np.testing.assert_allclose(Q, bellman(p, q, 0.93, values[1:]), rtol=1e-12)
    np.testing.assert_allclose(values[0], exact_returns(UNEVEN, p, q, Discounted(0.93))[0], rtol=1e-12)


def test_finite_action_values_follow_by_backward_induction():
    p, q = PAIRS[1]
    Q = action_values(UNEVEN, p, q, FiniteHorizon(4))
    after = np.zeros(5)
    for t in reversed(range(4)):
        np.testing.assert_allclose(Q[t], bellman(p, q, 1.0, after[1:]), rtol=1e-12, atol=1e-13)
        after = (Q[t] * np.stack([p, 1 - p], axis=1)).sum(1)


def test_gradients_in_the_discount_and_in_the_payoffs_equal_finite_differences():
    p, q = PAIRS[2]

    def returns(gamma, payoffs):
        return jnp.stack(exact_returns(symmetric_game(*payoffs), p, q, Discounted(gamma)))

    at = 0.93, np.array([2.0, 1.0, 0.0, -1.0])
    with float64():
        by_gamma, by_payoffs = jax.jacfwd(returns, argnums=(0, 1))(*map(jnp.asarray, at))
        reverse = jax.jacrev(returns, argnums=1)(*map(jnp.asarray, at))

    def difference(step_gamma, step_payoffs):
        ahead, behind = (
            exact_returns(symmetric_game(*(at[1] + s * step_payoffs)), p, q, Discounted(at[0] + s * step_gamma))
            for s in (1, -1)
        )
        return (np.array(ahead) - np.array(behind)) / 2e-6

    np.testing.assert_allclose(by_gamma, difference(1e-6, np.zeros(4)), rtol=1e-6)
    np.testing.assert_allclose(by_payoffs.T, [difference(0, s) for s in 1e-6 * np.eye(4)], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(reverse, by_payoffs, rtol=1e-12)


def test_discounts_may_be_mapped_over():
    p, q = (jnp.asarray(x, jnp.float32) for x in PAIRS[2])
    gammas = np.array([0.5, 0.9, 0.99], np.float32)
    mapped = jax.vmap(lambda gamma: returns_and_gradients(UNEVEN, p, q, Discounted(gamma)).row_by_p)(gammas)
    for gamma, found in zip(gammas, mapped, strict=True):
        expected = returns_and_gradients(UNEVEN, *PAIRS[2], Discounted(float(gamma))).row_by_p
        np.testing.assert_allclose(found, expected, rtol=2e-4)


def test_a_discount_that_is_a_number_is_checked_in_jax_too():
    with pytest.raises(ValueError, match=r"gamma must lie in \[0, 1\)"):
        Discounted(jnp.float32(1.5))


def test_no_traced_probability_outside_its_bounds_is_taken_for_a_number():
    """Compiled code cannot refuse them; uncompiled code does, JAX arrays included."""
    with pytest.raises(ValueError, match=r"p holds 1.5"):
        exact_returns(UNEVEN, jnp.full(5, 1.5), jnp.full(5, 0.5), Discounted(0.9))
    assert np.isfinite(jax.jit(lambda p: exact_returns(UNEVEN, p, p, Discounted(0.9))[0])(jnp.full(5, 0.5)))


def test_the_partial_gradient_at_mutual_tit_for_tat_by_hand():
    """dJ/dp_0 = [R (1 + g) - T - g S] / (1 - g^2), dJ/dp_CC that times g / (1 - g); the other states are not visited."""
    for (T, R, P, S), g in itertools.product([(2, 1, 0, -1), (5, 3, 1, 0)], [0.3, 0.9]):
        found = returns_and_gradients(prisoners_dilemma(T, R, P, S), TFT, TFT, Discounted(g)).row_by_p
        first = (R * (1 + g) - T - g * S) / (1 - g**2)
        np.testing.assert_allclose(found, [first, first * g / (1 - g), 0, 0, 0], rtol=1e-12, atol=1e-13)
