"""The words of `lapg_theory.game.words`: a table of cases written by hand, the edges, other units, refusals."""

from fractions import Fraction

import numpy as np
import pytest

from lapg_theory.game import prisoners_dilemma, symmetric_game
from lapg_theory.game.words import WORDS, words

PD = prisoners_dilemma()


@pytest.mark.parametrize(
    ("left", "more", "word"),
    [
        (0.9, {}, "cooperate"),
        (0.9, {"opening": 0.2}, "alternate"),
        (0.9, {"own": -0.9}, "other"),  # is exploited
        (0.9, {"own": 0.9, "gain": 0.4}, "cooperate"),
        (0.5, {"gain": 0.4}, "other"),
        (0.0, {}, "defect"),
        (0.0, {"gain": 0.0}, "defect"),
        (0.0, {"gain": 0.4}, "extort"),
        (-0.1, {"own": 0.3, "cooperation": 0.01}, "defect"),
        (-0.1, {"own": 0.9, "cooperation": 0.3}, "extort"),
        (-0.1, {"own": 0.9, "cooperation": 0.05}, "defect"),  # naive learners who cooperate with a defector
        (-0.1, {"own": 0.5, "cooperation": 0.3}, "other"),
        (-0.1, {"own": 0.5, "cooperation": 0.3, "gain": 0.1}, "extort"),
        (-0.1, {"own": 0.9, "cooperation": 0.3, "gain": 0.01}, "defect"),
        (-0.1, {"own": 0.9, "cooperation": 0.3, "gain": np.nan}, "extort"),
    ],
)
@pytest.mark.parametrize("unit", [1e-9, 1, 1e9, Fraction(3, 7)])
@pytest.mark.parametrize("constant", [0, -5])
def test_every_word_in_every_unit(left, more, word, unit, constant):
    rewards = {name: value * float(unit) for name, value in more.items() if name == "gain"}
    rewards |= {name: (value + constant) * float(unit) for name, value in more.items() if name == "own"}
    game = prisoners_dilemma(*((payoff + constant) * unit for payoff in (2, 1, 0, -1)))
    found = words(game, (left + constant) * float(unit), **(more | rewards))
    assert found.shape == () and found.item() == word


def test_payoffs_that_are_fractions_and_rewards_that_are_arrays():
    exact = symmetric_game(Fraction(2), Fraction(1), Fraction(0), Fraction(-1))
    rewards = np.array([0.9, 0.0])
    assert words(exact, rewards, gain=np.array([0.4, 0.4])).tolist() == ["cooperate", "extort"]


def test_words_begin_at_their_thresholds():
    """Payoffs 0 and 1 for P and R, so a reward is its share."""
    game = symmetric_game(2.0, 1.0, 0.0, -1.0)
    assert words(game, [0.75 - 1e-12, 0.75]).tolist() == ["other", "cooperate"]
    assert words(game, [0.25, 0.25 + 1e-12]).tolist() == ["defect", "other"]
    assert words(game, 0.0, gain=[0.05 - 1e-12, 0.05]).tolist() == ["defect", "extort"]
    assert words(game, 0.0, own=[0.75 - 1e-12, 0.75], cooperation=0.1).tolist() == ["other", "extort"]
    assert words(game, 0.0, own=0.75, cooperation=[0.1 - 1e-12, 0.1]).tolist() == ["defect", "extort"]
    assert words(game, 0.75, opening=[0.5 - 1e-12, 0.5]).tolist() == ["alternate", "cooperate"]
    assert set(WORDS) == {"cooperate", "alternate", "extort", "defect", "other"}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: words(PD, np.nan), "rewards must be finite, got surplus shares nan left"),
        (lambda: words(PD, 0.0, own=np.inf), "inf own"),
        (lambda: words(symmetric_game(2, 1, 1, 0, "my game"), 1), "R must exceed P; my game has R = 1, P = 1"),
    ],
)
def test_what_has_no_word_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
