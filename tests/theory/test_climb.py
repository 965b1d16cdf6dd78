"""Ascents from several starts at once are the ascents made one after the other."""

import numpy as np
import pytest

from lapg_theory.shaping.climb import climb, climb_abreast

TOP = np.array([0.2, 0.9, 1.4])
STARTS = [(0.5, 0.5, 0.5), (0.2, 0.9, 1.0), (0.0, 0.0, 0.0), (0.9, 0.1, 0.3)]


def hill(p):
    """Highest at TOP, of which the cube reaches (.2, .9, 1); steeper in some directions than in others."""
    return -(((p - TOP) ** 4).sum(-1)) - (p[..., 0] - TOP[0]) ** 2, -4 * (p - TOP) ** 3 - 2 * (p - TOP) * [1, 0, 0]


def test_abreast_is_one_after_the_other_in_as_many_calls_as_the_longest_takes():
    alone, together, asked = [], [], []

    def one(p):
        asked.append(1)
        return hill(p)

    def many(p):
        together.append(len(p))
        return hill(p)

    for start in STARTS:
        asked.clear()
        alone.append((climb(one, [start])[0], len(asked)))
    found = climb_abreast(many, STARTS)
    for (end, _), other in zip(alone, found, strict=True):
        assert end.policy.tobytes() == other.policy.tobytes() and end[1:] == other[1:]
    calls = [count for _, count in alone]
    assert len(set(calls)) > 1  # some end before others
    assert together == [sum(count > n for count in calls) for n in range(max(calls))]
    assert climb_abreast(many, []) == []


def test_a_function_that_fails_ends_every_ascent():
    def failing(p):
        if len(p) < len(STARTS):
            raise ZeroDivisionError("the third call")
        return hill(p)

    with pytest.raises(ZeroDivisionError, match="the third call"):
        climb_abreast(failing, STARTS)
