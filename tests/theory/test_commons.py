"""Thresholds of the ecological public good: mixed co-players in closed form, and a learning-aware agent among learners."""

import numpy as np
import pytest

from lapg_theory import general_returns
from lapg_theory.certificate.commons import cooperating_pays_from
from lapg_theory.game import Discounted, ecological_public_good
from lapg_theory.shaping.general import general_course
from lapg_theory.symbolic import ecology

NUMBERS = {"f": 1.2, "c": 5, "m": -5, "q_c": 0.2, "q_r": 0.01}
COMMONS = ecological_public_good()


@pytest.mark.parametrize(("players", "x"), [(2, 0.3), (3, 0.8)])
def test_nobody_gains_at_the_discount_of_indifference(players, x):
    found = ecology.indifferent_at()
    game, numbers = ecological_public_good(players), {**NUMBERS, "n": players}
    others = [np.array([[x, 1 - x], [0.5, 0.5]])] * (players - 1)
    gamma = float(found(x=x, **numbers))
    c, d = (
        general_returns(game, [np.array([own, own]), *others], Discounted(gamma))[0] for own in ([1.0, 0], [0.0, 1])
    )
    assert 0 < gamma < 1 and c == pytest.approx(d, rel=1e-9)
    for pure, statement in ((1, ecology.cooperation_from()), (0, ecology.defection_until())):
        assert found(x=pure, **numbers) == pytest.approx(statement(**numbers), rel=1e-12)


def test_learning_lowers_the_discount():
    alone = cooperating_pays_from(COMMONS, eta=1.0, updates=0)
    assert alone == pytest.approx(float(ecology.indifferent_at()(x=0.5, n=2, **NUMBERS)), abs=1e-8)
    aware = cooperating_pays_from(COMMONS, eta=2.0, updates=3)
    assert aware < alone - 0.02

    def mean(x):  # of the agent's return over the course, by a difference instead of a tangent
        agent = np.array([[x, 1 - x], [0.0, 1.0]])
        seats, learning = [agent, np.zeros((2, 2))], {"naive": [1], "eta": 2.0, "updates": 3}
        return general_course(COMMONS, seats, Discounted(aware), **learning)[0][:, 0].mean()

    assert abs(mean(1e-4) - mean(0.0)) / 1e-4 < 1e-2 < abs(mean(1.0) - mean(0.0))


@pytest.mark.parametrize(
    ("given", "names"),
    [({"state": 2}, "0, ..., 1, got 2"), ({"eta": -1.0}, "eta"), ({"updates": -1}, "updates")],
)
def test_refusals(given, names):
    with pytest.raises(ValueError, match=names):
        cooperating_pays_from(**({"game": COMMONS, "eta": 1.0, "updates": 1} | given))
