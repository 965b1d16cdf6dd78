"""Policies that know the inner episode or the last outcome: their value by another route, and published optima."""

import itertools

import numpy as np
import pytest
from basin_reference import play, reward
from metagame_reference import PD
from scipy.special import expit

from lapg_theory import train_shaper
from lapg_theory.game import FiniteHorizon
from lapg_theory.shaping.episode_optimum import train_informed_shaper

SHORT = {"eta": 3.0, "updates": 2, "learners": np.array([[0.3, -0.5, 0.2, 0.8, -0.1]])}
STEP = 1e-5 * np.eye(5)
SMALL = {"eta": 2.7088, "updates": 19, "learners": np.zeros((1, 5))}


def value(policies, steps=2):
    """What policies [episodes, kinds, 5] earn in SHORT, every course of play listed."""
    theta, chance, total = SHORT["learners"][0].copy(), np.eye(policies.shape[1])[0], 0.0
    for kinds in policies:
        q, climb, last = expit(theta), np.zeros(5), np.zeros(4)
        for weight, p in zip(chance, kinds, strict=True):
            total += weight * reward(PD, p, q, steps) / len(policies)
            rises = [
                reward(PD, p, expit(theta + h), steps, 1) - reward(PD, p, expit(theta - h), steps, 1) for h in STEP
            ]
            climb += weight * np.array(rises) / 2e-5
            for c, own, other, _ in play(p, q, steps):
                last[2 * own[-1] + other[-1]] += weight * c
        theta = theta + SHORT["eta"] * climb
        chance = np.append(0, last) if len(chance) > 1 else chance
    return total


@pytest.mark.parametrize("outcome", [False, True])
def test_no_policy_that_knows_as_much_earns_more(outcome):
    found = train_informed_shaper(PD, FiniteHorizon(2), outcome=outcome, **SHORT)
    assert value(found.policies) == pytest.approx(found.value, abs=1e-8)
    random = np.random.default_rng(0)
    for k in range(12):
        other = np.clip(found.policies + random.normal(0, 0.3 if k % 2 else 0.02, found.policies.shape), 0, 1)
        assert value(other) <= found.value + 1e-8
    corners = [np.broadcast_to(p, found.policies.shape) for p in itertools.product((0.0, 1.0), repeat=5)]
    assert max(map(value, corners[::4])) <= found.value + 1e-8


def test_what_knows_neither_is_the_memory_one_optimum():
    found = train_informed_shaper(PD, FiniteHorizon(2), episode=False, **SHORT)
    wanted = train_shaper(PD, FiniteHorizon(2), **SHORT)
    assert found.value == pytest.approx(wanted.value, abs=1e-8)
    assert found.naive_value == pytest.approx(wanted.naive_value, abs=1e-4)
    assert found.residual < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("episode", "outcome", "earns"), [(False, False, 0.97267), (False, True, 1.00896), (True, False, 1.11714)]
)
def test_optima_that_an_independent_kernel_found(episode, outcome, earns):
    starts = [(0.5,) * 5, (0.02, 0.98, 0.02, 0.38, 0.02)]
    found = train_informed_shaper(PD, FiniteHorizon(10), episode=episode, outcome=outcome, starts=starts, **SMALL)
    assert found.value == pytest.approx(earns, abs=1e-5)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"starts": []}, "starts is empty"),
        ({"updates": 0}, "updates must be an integer >= 1"),
        ({"eta": -1.0}, "eta must be"),
        ({"learners": np.zeros((2, 4))}, "learners must be"),
    ],
)
def test_refusals(given, text):
    with pytest.raises(ValueError, match=text):
        train_informed_shaper(PD, FiniteHorizon(2), **(SHORT | given))
