"""Stochastic games: enumeration, the repeated game as one of them, and the ecological public good's published thresholds."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from lapg_theory import general_returns
from lapg_theory.exact.stochastic import stochastic_action_values
from lapg_theory.game import (
    Discounted,
    FiniteHorizon,
    NormalFormGame,
    StochasticGame,
    ecological_public_good,
)
from lapg_theory.symbolic.ecology import cooperation_from, defection_until, prosperity_under_defection

RANDOM = np.random.default_rng(4)
COMMONS, ALLC, ALLD = ecological_public_good(), [[1.0, 0.0]] * 2, [[0.0, 1.0]] * 2
NUMBERS = {"n": 2, "f": 1.2, "c": 5, "m": -5, "q_c": 0.2, "q_r": 0.01}


def random_game(states, actions):
    T = RANDOM.dirichlet(np.ones(states), size=(states, *actions))
    R = RANDOM.normal(size=(len(actions), *T.shape))
    return StochasticGame(T, R, RANDOM.dirichlet(np.ones(states)))


def test_a_finite_game_equals_the_enumeration_of_every_history():
    game = random_game(2, (3, 2))
    policies = [RANDOM.dirichlet(np.ones(k), size=2) for k in (3, 2)]
    expected = np.zeros(2)
    for path in itertools.product(range(2), repeat=4):
        for history in itertools.product(itertools.product(range(3), range(2)), repeat=3):
            chance, earned = game.start[path[0]], np.zeros(2)
            for s, then, (a, b) in zip(path, path[1:], history, strict=False):
                chance *= policies[0][s, a] * policies[1][s, b] * game.transitions[s, a, b, then]
                earned += game.rewards[:, s, a, b, then]
            expected += chance * earned
    np.testing.assert_allclose(general_returns(game, policies, FiniteHorizon(3)), expected, rtol=1e-12)


def test_the_repeated_game_is_one_of_them():
    """States: nothing yet, and every joint action; the same policies in the player's own view."""
    one_shot = NormalFormGame(RANDOM.normal(size=(2, 2, 3)))
    T, R = np.zeros((7, 2, 3, 7)), np.zeros((2, 7, 2, 3, 7))
    for a, b in itertools.product(range(2), range(3)):
        T[:, a, b, 1 + 3 * a + b] = 1
        R[:, :, a, b, :] = one_shot.payoffs[:, a, b][:, None, None]
    p, q = RANDOM.dirichlet(np.ones(2), size=(5, 7)), RANDOM.dirichlet(np.ones(3), size=7)
    own_view = np.concatenate([q[:1], q[1:].reshape(2, 3, 3).swapaxes(0, 1).reshape(6, 3)])
    for horizon in (Discounted(0.9), FiniteHorizon(4)):
        found = general_returns(StochasticGame(T, R), [p, q], horizon)
        assert found.shape == (2, 5)
        np.testing.assert_allclose(found, general_returns(one_shot, [p, own_view], horizon), rtol=1e-10)


@pytest.mark.parametrize("player", [0, 1, 2])
def test_action_values_are_returns_of_playing_it_once(player):
    """From each state: a long sum over steps with the action fixed in the first."""
    game = random_game(3, (2, 3, 2))
    policies = [RANDOM.dirichlet(np.ones(k), size=(3,)) for k in (2, 3, 2)]
    joint = np.einsum("sa,sb,sc->sabc", *policies)
    matrix, reward = (
        np.einsum("sabc,sabct->st", joint, game.transitions),
        np.einsum("sabc,isabc->is", joint, game.expected),
    )
    value = sum(0.7**t * np.linalg.matrix_power(matrix, t) @ reward[player] for t in range(120))  # .7^120 = 3e-19
    found = stochastic_action_values(game, policies, player, Discounted(0.7))
    for k in range(game.actions[player]):
        fixed = [np.eye(x.shape[1])[[k] * 3] if i == player else x for i, x in enumerate(policies)]
        joint = np.einsum("sa,sb,sc->sabc", *fixed)
        now = np.einsum("sabc,sabc->s", joint, game.expected[player] + 0.7 * (game.transitions @ value))
        np.testing.assert_allclose(found[:, k], now, rtol=1e-10)


def test_the_commons_in_numbers():
    for gamma in (0.3, 0.9):
        J = general_returns(COMMONS, [ALLC, ALLC], Discounted(gamma)) * (1 - gamma)
        np.testing.assert_allclose(J, [1, 1], rtol=1e-12)
    assert COMMONS.transitions[0, 0, 0, 0] == 1
    worth_of_prosperity = StochasticGame(COMMONS.transitions, [[np.ones((2, 2, 2)), np.zeros((2, 2, 2))]] * 2)
    long = general_returns(worth_of_prosperity, [ALLD, ALLD], Discounted(1 - 1e-8))[0] * 1e-8
    assert long == pytest.approx(0.047619, abs=1e-6)
    assert prosperity_under_defection()(**NUMBERS) == pytest.approx(1 / 21)


@pytest.mark.parametrize(
    ("everybody", "edge", "published"), [(ALLC, cooperation_from, 0.671141), (ALLD, defection_until, 0.911002)]
)
def test_thresholds_of_the_commons(everybody, edge, published):
    """One deviation pays on one side of the closed form and not on the other, for other numbers too."""
    assert edge()(**NUMBERS) == pytest.approx(published, abs=5e-7)
    for game, numbers in (
        (COMMONS, NUMBERS),
        (
            ecological_public_good(3, 1.5, 2.0, -4.0, 0.3, 0.02),
            {"n": 3, "f": 1.5, "c": 2, "m": -4, "q_c": 0.3, "q_r": 0.02},
        ),
    ):
        gamma, played = float(edge()(**numbers)), int(everybody is ALLD)
        assert 0 < gamma < 1
        gains = []
        for side in (-1e-4, 1e-4):
            Q = stochastic_action_values(game, [everybody] * game.players, 0, Discounted(gamma + side))
            gains.append(Q[0, 1 - played] - Q[0, played])
        assert gains[0] * gains[1] < 0
        assert (gains[0] > 0) == (everybody is ALLC)


def test_a_game_is_a_value():
    assert ecological_public_good() == COMMONS
    assert hash(ecological_public_good()) == hash(COMMONS)
    assert ecological_public_good(recovery=0.02) != COMMONS
    assert repr(COMMONS) == "<StochasticGame: 2 players, actions (2, 2), states prosperous, degraded>"


T = np.full((2, 2, 2, 2), 0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: StochasticGame(T, np.zeros((2, 2, 2, 2))), r"got \(2, 2, 2, 2\) and \(2, 2, 2, 2\)"),
        (lambda: StochasticGame(T * 0.9, np.zeros((2, *T.shape))), "transitions must hold chances >= 0 that sum to 1"),
        (lambda: StochasticGame(T, np.full((2, *T.shape), np.nan)), "rewards must be finite numbers, but holds nan"),
        (lambda: StochasticGame(T, np.zeros((2, *T.shape)), [1.0]), r"start must hold .* of shape \(2,\)"),
        (lambda: StochasticGame(T, np.zeros((2, *T.shape)), names=("one",)), "one for each of the 2 states"),
        (lambda: ecological_public_good(collapse=1.2), r"collapse must be a finite number in \[0, 1\], got 1.2"),
        (lambda: ecological_public_good(cost=float("nan")), "cost must be a finite number"),
        (lambda: general_returns(COMMONS, [ALLC] * 3, Discounted(0.9)), "one for each of the 2 players, got 3"),
        (
            lambda: general_returns(COMMONS, [[0.5] * 5] * 2, Discounted(0.9)),
            r"policy 0 must have the shape \[..., 2, 2\], got \(5,\)",
        ),
        (lambda: stochastic_action_values(COMMONS, [ALLC] * 2, 2, Discounted(0.9)), "and 2$"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_jax_arrays_stay_what_they_are():
    found = general_returns(COMMONS, [jnp.array(ALLC), jnp.array(ALLD)], Discounted(0.5))
    assert found.dtype == jnp.float32
