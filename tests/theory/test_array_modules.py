"""The formulas give in NumPy what they give in JAX; what stands in for SciPy gives the same; small answers load no JAX."""

import importlib
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.stats import qmc

from lapg_theory import float64
from lapg_theory.certificate import verdicts
from lapg_theory.certificate.certificate import defection_certificate
from lapg_theory.exact.chain import (
    Discount,
    from_logits,
    from_probabilities,
    outcome_values,
    payoffs,
    visit_distribution,
)
from lapg_theory.exact.slopes import slopes, uphill
from lapg_theory.game import FiniteHorizon, prisoners_dilemma, symmetric_game
from lapg_theory.game.noise import Noise
from lapg_theory.metagame import MetaGame
from lapg_theory.metagame.objective import against_naive, partial, shaping
from lapg_theory.shaping.course import learning_path, path_returns, value_and_slope
from lapg_theory.shaping.sobol import sobol

enforce = importlib.import_module("lapg_theory.zd.enforce")  # the package has a function of that name
RNG = np.random.default_rng(0)
P, THETA = RNG.random((5, 7)), RNG.normal(scale=3, size=(5, 7))
REWARDS = payoffs(prisoners_dilemma()), payoffs(prisoners_dilemma(), 1)
DISCOUNT, NOISY = Discount(0.96, 25.0), Discount(0.96, 25.0, Noise(0.02, 0.03))


def course(p, theta):
    ego, found = from_probabilities(p), []
    for horizon in (DISCOUNT, NOISY):
        path = learning_path(ego, theta, REWARDS[1], horizon, 2.0, 4)
        found += [path, *path_returns(ego, path, REWARDS, horizon)]
        found += value_and_slope(ego, theta, REWARDS, horizon, 2.0, 4)
    return found


def chain(p, theta):
    row, column = from_probabilities(p), from_logits(theta).mirrored()
    found = []
    for horizon in (DISCOUNT, NOISY, FiniteHorizon(1), FiniteHorizon(6)):
        found += [*visit_distribution(row, column, horizon), *outcome_values(row, column, REWARDS[0], horizon)]
    (by,) = slopes(row, column, REWARDS[1:], DISCOUNT)
    assert all((a == b).all() for a, b in zip(by.column, uphill(row, column, REWARDS[1], DISCOUNT), strict=True))
    return [*found, by.value, *by.row, *by.column, *row.defect, *column.cooperate, *column.defect]


@pytest.mark.parametrize("formulas", [chain, course])
def test_both_array_modules_give_the_same(formulas):
    here = formulas(P, THETA)
    with float64():
        there = formulas(jnp.asarray(P), jnp.asarray(THETA))
    assert all(isinstance(x, np.ndarray) for x in here)
    for a, b in zip(here, there, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)


def test_a_pool_gives_the_same_with_and_without_a_compiler():
    setting = MetaGame(prisoners_dilemma(), gamma=0.9, p_naive=0.5, updates=3, nodes=8).setting()
    for function, arguments in ((shaping, (P.T,)), (against_naive, (P.T,)), (partial, (P.T, P.T[::-1]))):
        for compiled, plain in zip(
            function(setting, *arguments), function(setting._replace(compiled=False), *arguments), strict=True
        ):
            np.testing.assert_allclose(plain, compiled, rtol=1e-11, atol=1e-13)


def test_a_certificate_gives_the_same_with_and_without_a_compiler(monkeypatch):
    def best():
        return defection_certificate(prisoners_dilemma(), gamma=0.9, eta=1.0, updates=3, nodes=16).nash

    plain = best()
    monkeypatch.setattr(verdicts, "COMPILED", 0)
    compiled = best()
    assert plain.is_nash == compiled.is_nash
    np.testing.assert_allclose([plain.gain, *plain.deviation], [compiled.gain, *compiled.deviation], atol=1e-6)


def test_logits_far_out_keep_both_probabilities():
    play = from_logits(np.array([-700.0, -40, 0, 40, 700]))
    np.testing.assert_allclose(play.cooperate, np.exp([-700.0, -40, np.log(0.5), 0, 0]), rtol=1e-13)
    np.testing.assert_allclose(play.defect, np.exp([0.0, 0, np.log(0.5), -40, -700]), rtol=1e-13)


@pytest.mark.parametrize("dimensions", [1, 3, 5, 10])
def test_sobol_points_are_those_of_scipy(dimensions):
    for n in (1, 2, 64, 1024):
        ours, theirs = (np.random.default_rng(n) for _ in range(2))
        np.testing.assert_array_equal(sobol(n, dimensions, ours), qmc.Sobol(dimensions, rng=theirs).random(n))


def test_sobol_refuses_what_it_has_no_numbers_for():
    with pytest.raises(ValueError, match="dimensions must be at least 1 and at most 10, got 11"):
        sobol(2, 11, np.random.default_rng(0))


@pytest.mark.parametrize("slip", [0.0, 0.05])
def test_the_lines_that_can_be_enforced_are_those_that_a_linear_program_finds(slip):
    one, none, keeps = np.ones(4), np.zeros(4), 1 - 2 * slip
    for _ in range(15):
        game = symmetric_game(*RNG.normal(size=4)).noisy(execution=slip)
        _, tilt, _ = enforce._tilt(game, RNG.uniform(-0.5, 1.2), None, RNG.normal())
        lost = tuple(sorted(RNG.uniform(size=2)))
        rows = np.stack([-tilt, one, none - slip], 1), np.stack([tilt, -one, slip + keeps * one], 1)
        rows = np.concatenate([*rows, [[0, 1, -slip - keeps], [0, -1, slip]]])
        limits = np.concatenate([enforce.COOPERATED - slip, slip + keeps - enforce.COOPERATED, [0, 0]])
        for variable in range(3):
            ends = [
                linprog(sign * np.eye(3)[variable], rows, limits, bounds=[(-1e6, 1e6), (0, 1), lost])
                for sign in (1, -1)
            ]
            found = enforce._extreme(game, tilt, variable, lost)
            assert (found is None) == (not ends[0].success)
            if found is not None:
                np.testing.assert_allclose(found, [ends[0].x[variable], ends[1].x[variable]], atol=1e-7)


def test_small_answers_load_no_jax():
    lines = ["zd --gamma 0.9 --chi 3", "thresholds --gamma 0.9 --updates 2 --nodes 8", "evolution --type tft --nodes 8"]
    lines += ["metagame --gamma 2 --p-naive 0.5"]
    code = f"""
import sys
from lapg_rl.commands.main import main
status = [main(["theory", *line.split()]) for line in {lines}]
assert status == [0, 0, 0, 2], status
assert not {{"jax", "scipy.stats"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
