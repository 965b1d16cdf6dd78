"""Shaping in groups: the closed form to first order, the exact components, and two players as a special case."""

from math import comb

import numpy as np
import pytest
from scipy.special import expit

import lapg_theory as lt
from lapg_theory.certificate import defection_certificate
from lapg_theory.certificate.group import _gradient, critical_time, group_components, initial_groups, places
from lapg_theory.game import public_goods
from lapg_theory.symbolic import group


def test_two_players_are_the_default_dilemma():
    """The closed form of two players, and the certificate with the same learners."""
    expected = 32 / ((4 + 1) * (3 * 0.9**2 - 4 * 0.9 + 2) + 2 * 0.9**2)
    assert group.critical_time(1)(N=2, r=4 / 3, c=3, gamma=0.9) == pytest.approx(expected)
    setting = {"gamma": 0.9, "eta": 2.0, "updates": 4}
    found = group_components(public_goods(2, 4 / 3, 3), naive=1, nodes=8, scramblings=2, **setting)
    learners = expit(initial_groups(2, 1, 1.0, 8, 2, 0)).reshape(-1, 5)
    closed = defection_certificate(lt.prisoners_dilemma(), init=learners, **setting).components
    for name, state in (("s0", "s0"), ("D0", "DD"), ("D1", "DC")):
        assert found[name][0] == pytest.approx(closed[state].value, rel=1e-9)


def slope_by_hand(players, naive, factor, gamma, rewarded):
    """d/dt of the component per visit at coin-flip learners by differences of returns: one small step of learning."""
    game, horizon = public_goods(players, factor), lt.Discounted(gamma)
    coin, step, tiny = np.zeros(2 * players + 1), 1e-2, 1e-3
    alld = np.zeros(2 * players + 1)

    def value(answer, time):
        agent = alld.copy()
        agent[places(players, naive)[f"D{rewarded}"]] = answer
        seats = [agent, *[alld] * (players - 1 - naive)]

        def returns(logits):
            return lt.general_returns(game, [*seats, *map(expit, logits)], horizon) / horizon.weight

        def uphill(i):
            shifts = tiny * np.eye(len(coin))
            apart = [[x if k == i else coin for k in range(naive)] for s in shifts for x in (coin + s, coin - s)]
            found = [returns(logits)[players - naive + i] for logits in apart]
            return np.subtract(found[::2], found[1::2]) / (2 * tiny)

        return returns([coin + time * uphill(i) for i in range(naive)])[0]

    def component(time):
        return (value(0.01, time) - value(0.0, time)) / 0.01

    return (component(step) - component(-step)) / (2 * step)


@pytest.mark.parametrize(("players", "naive", "rewarded"), [(3, 2, 1), (4, 2, 2)])
def test_the_first_order_is_exact(players, naive, rewarded):
    factor, gamma = 2.0, 0.8
    chance = gamma * comb(naive, rewarded) / 2**naive
    cost = 1 - factor / players
    time = group.critical_time(naive, rewarded)(N=players, r=factor, c=1.0, gamma=gamma)
    assert slope_by_hand(players, naive, factor, gamma, rewarded) == pytest.approx(2 * chance * cost / time, rel=0.03)


def test_critical_times_of_coin_flip_learners():
    game = public_goods(3, 2)
    found = critical_time(game, gamma=0.9, naive=2, updates=10)
    several = np.zeros((1, 2, 7))
    with lt.float64():
        at = [
            float(_gradient(game, several, 0.9, x * found / 10, naive=2, updates=10)[-1, 0]) for x in (0.99, 1.0, 1.01)
        ]
    assert at[0] < 0 < at[2] and abs(at[1]) < 1e-7
    assert critical_time(public_goods(3, 1.05), gamma=0.9, naive=2, updates=10, longest=30) is None


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"naive": 3}, "at most 2"),
        ({"game": public_goods(3, 4), "naive": 1}, "no dilemma"),
        ({"game": public_goods(3, 2).noisy(0.1), "naive": 1}, "without noise"),
    ],
)
def test_refusals(given, names):
    with pytest.raises(ValueError, match=names):
        group_components(**({"game": public_goods(3, 2), "gamma": 0.9, "eta": 1.0, "updates": 2} | given))
    with pytest.raises(ValueError, match=names):
        critical_time(**({"game": public_goods(3, 2), "gamma": 0.9} | given))
