"""Trajectories: the steps they take, why they stop, optimisers, the continuous-time limit."""

import jax.numpy as jnp
import numpy as np
import pytest

from lapg_theory.dynamics import integrate, iterate
from lapg_theory.game import ALLD, Discounted, MatrixGame, matching_pennies, prisoners_dilemma
from lapg_theory.learning import LolaDice, LolaTaylor, Match, Naive

GAME, HORIZON = prisoners_dilemma(), Discounted(0.9)
RANDOM = np.random.default_rng(31)
JOINT = tuple(RANDOM.normal(size=(2, 5)))
#: One round of matching pennies in logits: x' = (1 - X^2) Y / 2, y' = -(1 - Y^2) X / 2 with X = tanh(x / 2).
PENNIES, ONCE = matching_pennies(), Discounted(0.0)


def first_moves(x, y):
    return tuple(np.array([z, 0.3, -0.2, 0.1, 0.6]) for z in (x, y))


def test_a_trajectory_is_the_repetition_of_steps():
    rule, joint = Naive(rate=0.7), JOINT
    path = iterate(rule, GAME, HORIZON, JOINT, 7, record_every=3)
    np.testing.assert_array_equal(path.times, [0, 3, 6, 7])
    for step in range(1, 8):
        before, joint = joint, rule.step(GAME, HORIZON, joint)
        if step in path.times:
            record = list(path.times).index(step)
            np.testing.assert_allclose((path.row[record], path.column[record]), joint, rtol=1e-12)
    assert path.row.dtype == np.float64
    assert path.reason == "max steps"
    assert path.residual == pytest.approx(np.abs(np.subtract(joint, before)).max(), rel=1e-9)
    np.testing.assert_array_equal(path.last, (path.row[-1], path.column[-1]))
    p, q = (1 / (1 + np.exp(-theta)) for theta in JOINT)
    first = p[0] * q[0] - p[0] * (1 - q[0]) + 2 * (1 - p[0]) * q[0]  # the payoff of the first step, by hand
    alone = iterate(rule, GAME, Discounted(0.0), JOINT, 1)
    assert alone.rewards[0, 0] == pytest.approx(first, rel=1e-12)


def test_runs_of_a_batch_stop_for_their_own_reasons():
    """At the centre of matching pennies nothing moves, beside it naive steps go on, and beyond numbers nothing is one."""
    row = np.stack([first_moves(0.0, 0)[0], first_moves(0.5, 0)[0], np.full(5, np.nan)])
    path = iterate(Naive(rate=0.5), PENNIES, ONCE, (row, np.stack([first_moves(0, 0.0)[1]] * 3)), 5, tolerance=1e-9)
    assert list(path.reason) == ["converged", "max steps", "not finite"]
    with pytest.raises(ValueError, match=r"2 of 3 runs .*1 not finite, 1 max steps.* by 5 .*more steps"):
        path.require_convergence()


def test_iteration_ends_early_once_every_run_has_converged():
    path = iterate(Naive(space="probability", rate=0.5), GAME, HORIZON, (np.full(5, 0.3),) * 2, 1000, record_every=10)
    assert path.reason == "converged"
    assert path.times[-1] < 1000
    assert path.row[-1, 0] == path.row[-1, 4] == 0  # mutual defection
    np.testing.assert_allclose(path.rewards[-1], 0, atol=1e-12)
    assert path.require_convergence() is path


def test_adamw_steps_by_its_formula():
    """Decoupled weight decay 1e-4, betas 0.9 and 0.999, epsilon 1e-8, uphill."""
    rule, rate = Naive(rate=0.05), 0.05
    path = iterate(rule, GAME, HORIZON, JOINT, 3, optimizer="adamw", record_every=1)
    theta, mean, square = np.stack(JOINT), 0.0, 0.0
    for t in range(1, 4):
        slope = np.stack(rule.direction(GAME, HORIZON, tuple(theta)))
        mean, square = 0.9 * mean + 0.1 * slope, 0.999 * square + 0.001 * slope**2
        scaled = (mean / (1 - 0.9**t)) / (np.sqrt(square / (1 - 0.999**t)) + 1e-8)
        theta = theta + rate * (scaled - 1e-4 * theta)
        np.testing.assert_allclose((path.row[t], path.column[t]), theta, rtol=1e-9)


def test_naive_learning_of_matching_pennies_circles_in_continuous_time():
    """cosh x + cosh y is conserved: x' sinh x = XY (1 - X^2) / (1 - X^2) = XY = -y' sinh y, as sinh x = 2X / (1 - X^2)."""
    path = integrate(Naive(), PENNIES, ONCE, first_moves(0.9, -0.4), 40.0, records=21, rtol=1e-10, atol=1e-12)
    x, y = path.row[:, 0], path.column[:, 0]
    assert x.min() < 0 < x.max()  # it has gone round
    np.testing.assert_allclose(np.cosh(x) + np.cosh(y), np.cosh(0.9) + np.cosh(0.4), rtol=1e-7)
    assert path.reason == "max steps"
    np.testing.assert_allclose(path.times, np.linspace(0, 40, 21))


def test_small_steps_follow_the_continuous_limit():
    limit = integrate(LolaTaylor(), GAME, HORIZON, JOINT, 1.0, records=2).last
    errors = []
    for steps in (100, 200):
        end = iterate(LolaTaylor(rate=1 / steps), GAME, HORIZON, JOINT, steps).last
        errors.append(np.abs(np.subtract(end, limit)).max())
    assert errors[1] < 1e-2
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.1)  # Euler's method is of first order


def test_integration_stops_where_nothing_moves():
    start = first_moves(1e-3, 1e-3)
    path = integrate(LolaTaylor(), PENNIES, ONCE, start, 1000.0, tolerance=1e-6)  # a stable spiral, rate 2/16
    assert path.reason == "converged"
    assert path.times[-1] < 200
    assert path.residual == pytest.approx(1e-6, rel=0.05)


def test_single_precision_stays_single():
    path = iterate(Naive(), GAME, HORIZON, tuple(jnp.asarray(x, jnp.float32) for x in JOINT), 2)
    assert path.row.dtype == np.float32


def test_a_match_in_its_own_spaces():
    joint = (np.full(5, 0.4), np.zeros(5))
    path = iterate(Match(Naive(space="probability", rate=0.1), Naive()), GAME, HORIZON, joint, 50)
    assert (path.row[-1] >= 0).all()
    assert path.rewards[0, 1] > path.rewards[0, 0] - 1
    assert path.column[-1, 0] < 0


REFUSALS = {
    "no steps": (lambda: iterate(Naive(), GAME, HORIZON, JOINT, 0), "steps must be an integer >= 1, got 0"),
    "unknown optimiser": (lambda: iterate(Naive(), GAME, HORIZON, JOINT, 1, optimizer="sgd"), "'sgd'"),
    "records": (lambda: iterate(Naive(), GAME, HORIZON, JOINT, 1, record_every=0), "record_every"),
    "four logits": (lambda: iterate(Naive(), GAME, HORIZON, (np.zeros(4),) * 2, 1), "axis of five"),
    "negative tolerance": (lambda: iterate(Naive(), GAME, HORIZON, JOINT, 1, tolerance=-1.0), "tolerance must be >= 0"),
    "symbolic payoffs": (
        lambda: iterate(Naive(), MatrixGame((("a", 1), (1, 1)), ((1, 1), (1, 1))), HORIZON, JOINT, 1),
        "a",
    ),
    "adamw of a match": (
        lambda: iterate(Match(Naive(), Naive()), GAME, HORIZON, JOINT, 1, optimizer="adamw"),
        "two rates",
    ),
    "no time": (lambda: integrate(Naive(), GAME, HORIZON, JOINT, 0.0), "duration must be positive and finite, got 0.0"),
    "projected flow": (
        lambda: integrate(Naive(space="probability"), GAME, HORIZON, (np.array(ALLD),) * 2, 1.0),
        "use iterate with a small rate",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_bad_input_is_refused(case):
    call, message = REFUSALS[case]
    with pytest.raises(ValueError, match=message):
        call()


#: Look-aheads, naive rate, and mean reward of the row player at step 2000 over other seeds by another implementation.
LOOK_AHEADS = [(1, 10.0, 0.818), (2, 5.0, 0.832), (3, 5.0, 0.682), (10, 5.0, 0.284), (20, 5.0, 0.110)]


@pytest.mark.slow
@pytest.mark.parametrize(("look_aheads", "rate", "expected"), LOOK_AHEADS)
def test_few_look_aheads_cooperate_and_many_extort(look_aheads, rate, expected):
    """LOLA with L exact look-aheads, AdamW 0.005, gamma 0.95, 64 seeds, naive steps on returns per step.

    Both means have a standard error of about 0.04: the band of 0.17 is three of the difference's (false alarms: 0.3 %).
    """
    joint = tuple(np.random.default_rng(5).normal(size=(2, 64, 5)))
    rule = LolaDice(rate=0.005, inner_rate=rate, look_aheads=look_aheads)
    path = iterate(rule, GAME, Discounted(0.95), joint, 2000, optimizer="adamw", record_every=2000)
    assert path.rewards[-1, :, 0].mean() == pytest.approx(expected, abs=0.17)
