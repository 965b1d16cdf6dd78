"""Returns of any game against the fast 2x2 chain, enumeration of all histories, numbers worked out by hand, and Akin."""

import itertools
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lapg_theory import exact_returns, float64, general_returns, occupancy
from lapg_theory.game import (
    AnonymousGame,
    Discounted,
    FiniteHorizon,
    MatrixGame,
    NormalFormGame,
    group_strategy,
    normal_form,
    prisoners_dilemma,
    public_goods,
    symmetric_game,
)

RANDOM = np.random.default_rng(5)
UNEVEN = MatrixGame(((3, -2), (5, 1)), ((2, 4), (-1, 0.5)))
HORIZONS = [Discounted(0.93), FiniteHorizon(1), FiniteHorizon(7)]


def random_policy(rows, actions):
    return RANDOM.dirichlet(np.ones(actions), size=rows)


@pytest.mark.parametrize("horizon", HORIZONS, ids=str)
@pytest.mark.parametrize("form", ["matrix", "table", "distributions"])
def test_two_by_two_equals_the_chain_eliminated_by_hand(form, horizon):
    p, q = RANDOM.uniform(size=(2, 50, 5))
    game = UNEVEN if form == "matrix" else normal_form(UNEVEN)
    policies = [np.stack([x, 1 - x], -1) for x in (p, q)] if form == "distributions" else [p, q]
    found = general_returns(game, policies, horizon)
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, exact_returns(UNEVEN, p, q, horizon), rtol=1e-10)


@pytest.mark.parametrize("horizon", [Discounted(0.93), FiniteHorizon(7)], ids=str)
def test_two_anonymous_players_equal_the_chain_eliminated_by_hand(horizon):
    game, dilemma = public_goods(2, 4 / 3, 3.0), prisoners_dilemma()
    p, q = RANDOM.uniform(size=(2, 50, 5))
    np.testing.assert_allclose(
        general_returns(game, [p, q], horizon), exact_returns(dilemma, p, q, horizon), atol=1e-10
    )
    np.testing.assert_allclose(
        general_returns(game, [p, p], horizon), exact_returns(dilemma, p, p, horizon), atol=1e-10
    )


def chance_of(game, policies, last, joint):
    """Chance of a joint action after the last one (None at the start); rows are found by the words of the docstring."""
    chance, n = 1.0, game.players
    for i in range(n):
        row = 0
        if last is not None:
            for j in (i, *(j for j in range(n) if j != i)):
                row = row * game.actions[j] + last[j]
            row += 1
        chance *= policies[i][row, joint[i]]
    return chance


@pytest.mark.parametrize("actions", [(3, 2), (2, 3, 2)], ids=str)
def test_a_finite_game_equals_the_enumeration_of_every_history(actions):
    game = NormalFormGame(RANDOM.normal(size=(len(actions), *actions)))
    policies = [random_policy(1 + np.prod(actions), k) for k in actions]
    expected = np.zeros(len(actions))
    for history in itertools.product(itertools.product(*map(range, actions)), repeat=3):
        steps = zip((None, *history), history, strict=False)
        chance = np.prod([chance_of(game, policies, last, joint) for last, joint in steps])
        expected += chance * sum(game.payoffs[:, *joint] for joint in history)
    np.testing.assert_allclose(general_returns(game, policies, FiniteHorizon(3)), expected, rtol=1e-12)


def test_a_discounted_game_of_three_equals_a_long_product():
    actions = (2, 3, 2)
    game = NormalFormGame(RANDOM.normal(size=(3, *actions)))
    policies = [random_policy(13, k) for k in actions]
    joints = list(itertools.product(*map(range, actions)))
    matrix = np.array([[chance_of(game, policies, last, joint) for joint in joints] for last in joints])
    now, expected = np.array([chance_of(game, policies, None, joint) for joint in joints]), np.zeros(3)
    for t in range(400):  # .9^400 = 5e-19
        expected += 0.9**t * sum(share * game.payoffs[:, *joint] for share, joint in zip(now, joints, strict=True))
        now = now @ matrix
    np.testing.assert_allclose(general_returns(game, policies, Discounted(0.9)), expected, rtol=1e-10)


def told_apart(policy, n):
    """An anonymous policy as one that looks at the whole joint action, own view."""
    rows = [policy[0]]
    for own, *others in itertools.product((0, 1), repeat=n):
        rows.append(policy[1 + own * n + others.count(1)])
    return np.array(rows)


@pytest.mark.parametrize("horizon", [Discounted(0.9), FiniteHorizon(6)], ids=str)
@pytest.mark.parametrize("groups", ["aaaa", "abaa", "abab", "abcd"])
def test_counting_equals_telling_apart(groups, horizon):
    game = AnonymousGame(RANDOM.normal(size=4), RANDOM.normal(size=4))
    known = dict(zip("abcd", RANDOM.uniform(size=(4, 9)), strict=True))
    policies = [known[letter] for letter in groups]
    found = general_returns(game, policies, horizon)
    expected = general_returns(normal_form(game), [told_apart(p, 4) for p in policies], horizon)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    np.testing.assert_allclose(general_returns(game, [p.copy() for p in policies], horizon), expected, rtol=1e-10)


@pytest.mark.parametrize(
    ("name", "conditional", "defector"), [("tft", 0.060606, 0.242424), ("grim", 0.033333, 0.133333)]
)
def test_two_who_reciprocate_and_one_who_defects(name, conditional, defector):
    """By hand: a share x of two cooperates, x = 1, 1/2, 1/4, ... (tft) or 1, 0, 0, ...; they earn x / 3, the third 4 x / 3."""
    policy, alld = group_strategy(name, 3), group_strategy("alld", 3)
    J = general_returns(public_goods(3, 2), [policy, policy, alld], Discounted(0.9)) / 10
    np.testing.assert_allclose(J, [conditional, conditional, defector], atol=5e-7)


@pytest.mark.parametrize(("n", "r"), [(3, 2.0), (10, 3.0), (40, 12.0)])
def test_grim_sustains_cooperation_from_a_discount_on(n, r):
    game, grim, alld = public_goods(n, r), group_strategy("grim", n), group_strategy("alld", n)
    edge = (n - r) / (r * (n - 1))
    for gamma, holds in ((edge - 1e-3, False), (edge + 1e-3, True)):
        together = general_returns(game, [grim] * n, Discounted(gamma))
        left = general_returns(game, [grim] * (n - 1) + [alld], Discounted(gamma))
        np.testing.assert_allclose(together, (r - 1) / (1 - gamma), rtol=1e-10)
        assert (together[-1] > left[-1]) is np.bool_(holds)


def test_a_crowd_equals_many_sampled_games():
    """200 players, N(0, sigma / sqrt(games)) at five sigma: false alarm 6e-7."""
    n, games, steps = 200, 4000, 3
    policy = RANDOM.uniform(0.2, 0.8, size=2 * n + 1)
    exactly = general_returns(public_goods(n, 20.0), [policy] * n, FiniteHorizon(steps))[0]
    cooperated, mean = None, np.zeros(games)
    for _ in range(steps):
        if cooperated is None:
            chance = np.full((games, n), policy[0])
        else:
            others = cooperated.sum(1, keepdims=True) - cooperated
            chance = policy[np.where(cooperated == 1, n - others, 2 * n - others)]
        cooperated = (RANDOM.uniform(size=(games, n)) < chance).astype(int)
        mean += 19 * cooperated.mean(1)
    assert abs(mean.mean() - exactly) < 5 * mean.std() / games**0.5


def test_derivatives_equal_finite_differences():
    game = AnonymousGame([0.3, -1, 2.0], [1.5, 0.2, 0.7])
    p, q = RANDOM.uniform(0.1, 0.9, size=(2, 7))
    with float64():
        both = jnp.array(np.concatenate([p, q]))

        def first(x, gamma):
            a, b = x[:7], x[7:]
            return general_returns(game, [a, a, b], Discounted(gamma))[0]

        slope, by_gamma = jax.jit(jax.grad(first, argnums=(0, 1)))(both, 0.8)
        for k in range(14):
            step = 1e-6 * np.eye(14)[k]
            assert slope[k] == pytest.approx(float(first(both + step, 0.8) - first(both - step, 0.8)) / 2e-6, rel=1e-6)
        assert by_gamma == pytest.approx(float(first(both, 0.8 + 1e-6) - first(both, 0.8 - 1e-6)) / 2e-6, rel=1e-6)
        at_the_edge = jax.grad(lambda x: general_returns(game, [x] * 3, Discounted(0.8))[0])
        assert np.isfinite(at_the_edge(jnp.array(group_strategy("grim", 3)))).all()


def test_payoffs_of_a_matrix_game_may_be_differentiated():
    """The slope in T is the discounted number of times that the row player defects against C."""
    p, q = RANDOM.uniform(size=(2, 5))
    with float64():
        slope = jax.grad(lambda T: general_returns(symmetric_game(T, 1, 0, -1), [p, q], Discounted(0.9))[0])(2.0)
    assert slope == pytest.approx(10 * occupancy(p, q, Discounted(0.9))[2], rel=1e-10)


def test_batches_broadcast():
    game = NormalFormGame(RANDOM.normal(size=(3, 2, 2, 2)))
    p, q, z = RANDOM.uniform(size=(4, 1, 9)), RANDOM.uniform(size=(5, 9)), RANDOM.uniform(size=9)
    found = general_returns(game, [p, q, z], Discounted(0.9))
    assert found.shape == (3, 4, 5)
    np.testing.assert_allclose(found[:, 2, 3], general_returns(game, [p[2, 0], q[3], z], Discounted(0.9)), rtol=1e-12)
    with float64():
        mapped = jax.vmap(lambda x: general_returns(game, [x, q[3], z], Discounted(0.9)))(jnp.array(p[:, 0]))
    np.testing.assert_allclose(np.asarray(mapped).T, found[:, :, 3], rtol=1e-12)


HALF, NAN = np.full(9, 0.5), float("nan")
THREE, TABLE = public_goods(3, 2), normal_form(public_goods(3, 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: general_returns(TABLE, [HALF] * 2, Discounted(0.9)), "one for each of the 3 players, got 2"),
        (lambda: general_returns(THREE, [HALF] * 4, Discounted(0.9)), "one for each of the 3 players, got 4"),
        (
            lambda: general_returns(TABLE, [HALF[:5]] * 3, Discounted(0.9)),
            r"policy 0 must have the shape \[..., 9, 2\], or",
        ),
        (lambda: general_returns(THREE, [HALF] * 3, Discounted(0.9)), "policy 0 must hold 7 chances of cooperating"),
        (
            lambda: general_returns(TABLE, [HALF, HALF, HALF * NAN], Discounted(0.9)),
            "policy 2 holds nan, which is no prob",
        ),
        (lambda: general_returns(THREE, [HALF[:7] * 3] * 3, Discounted(0.9)), "policy 0 holds 1.5, which is no prob"),
        (
            lambda: general_returns(TABLE, [np.full((9, 2), 0.6)] * 3, Discounted(0.9)),
            "policy 0 must hold distributions",
        ),
        (
            lambda: general_returns(TABLE, [HALF, np.full((2, 9), 0.5), np.full((3, 9), 0.5)], Discounted(0.9)),
            r"leading axes \[\(\), \(2,\), \(3,\)\] of the policies do not broadcast",
        ),
        (lambda: general_returns((2, 1, 0, -1), [HALF] * 2, Discounted(0.9)), "game must be a MatrixGame, NormalForm"),
        (
            lambda: general_returns(public_goods(40, 2), list(np.full((40, 81), 0.5)), Discounted(0.9)),
            r"40 players with 40 different policies make 1099511627776 states, more than 4096: give .* \[tft\] \* 40",
        ),
        (
            lambda: general_returns(NormalFormGame(np.zeros((13, *(2,) * 13))), [HALF] * 13, Discounted(0.9)),
            "make 8192 joint actions, more than 4096",
        ),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.slow
def test_twelve_named_players_say_nothing_on_standard_error():
    code = (
        "import numpy as np, lapg_theory as lt; players = [np.full(25, x) for x in np.linspace(0.1, 0.9, 12)];"
        "print(lt.general_returns(lt.public_goods(12, 2.0), players, lt.Discounted(0.9)).sum())"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0 and ran.stderr == ""
    assert float(ran.stdout) == pytest.approx(10 * 12 * 0.5 * (2 - 1))  # contributions double, for ever
