"""Every learning rule against automatic differentiation of a plain re-implementation, and against closed forms."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import learning_reference as reference
import numpy as np
import pytest

from lapg_theory import float64
from lapg_theory.exact.chain import traceable
from lapg_theory.game import Discounted, FiniteHorizon, MatrixGame, matching_pennies, prisoners_dilemma
from lapg_theory.learning import (
    Cgd,
    Lapg,
    LolaDice,
    LolaFoerster,
    LolaTaylor,
    LookAhead,
    Match,
    Naive,
    Sga,
    Sos,
    effective_p_naive,
    sobol_logits,
)

RANDOM = np.random.default_rng(11)
UNEVEN = MatrixGame(((3, -2), (5, 1)), ((2, 4), (-1, 0.5)))
JOINTS = RANDOM.normal(size=(3, 2, 5))
LEARNERS = RANDOM.normal(size=(4, 5))

#: rule -> the plain function of (own return, other's return, own, other).
RULES = {
    Naive(): lambda *z: reference.naive(*z),
    LookAhead(inner_rate=0.7): lambda *z: reference.look_ahead(*z, 0.7),
    LolaFoerster(inner_rate=0.7): lambda *z: reference.foerster(*z, 0.7),
    LolaTaylor(inner_rate=0.7): lambda *z: reference.taylor(*z, 0.7),
    LolaDice(inner_rate=0.7): lambda *z: reference.dice(*z, 0.7, 1, 1.0),
    LolaDice(inner_rate=0.7, look_aheads=3, mix=0.6): lambda *z: reference.dice(*z, 0.7, 3, 0.6),
    Sga(strength=0.4): lambda *z: reference.sga(*z, 0.4),
    Sos(inner_rate=0.7): lambda *z: reference.sos(*z, 0.7, 0.5, 0.1),
    Sos(inner_rate=0.7, a=0.05, b=30.0): lambda *z: reference.sos(*z, 0.7, 0.05, 30.0),
    Lapg(eta=1.5, updates=3, learners=LEARNERS, p_naive=0.3): lambda *z: pooled(*z, 1.5, 3, "mean", 0.3),
    Lapg(eta=1.5, updates=3, learners=LEARNERS, p_naive=0.3, weighting="sum"): lambda *z: pooled(
        *z, 1.5, 3, "sum", 0.3
    ),
}


def pooled(mine, its, own, other, eta, updates, weighting, p_naive):
    """p times the shaping gradient plus 1 - p times the partial gradient; for a sum, scaled to weights that sum to 1."""
    shaped = jax.vmap(lambda learner: reference.shaping(mine, its, own, learner, eta, updates, weighting))
    games = p_naive * (updates + 1 if weighting == "sum" else 1) + 1 - p_naive
    return (
        p_naive * shaped(jnp.array(LEARNERS)).mean(0) + (1 - p_naive) * reference.naive(mine, its, own, other)
    ) / games


def payoffs_by_seat(game):
    """[seat, own or other's, outcome of the own view]."""
    row, column = np.array(game.row, float), np.array(game.column, float)
    return np.stack([[row, column], [column.T, row.T]]).reshape(2, 2, 4)


@functools.partial(jax.jit, static_argnames="rule")
def seat_direction(payoffs, horizon, own, other, *, rule):
    unit = 1.0 if rule.normalize else horizon.weight
    known = RULES[dataclasses.replace(rule, normalize=True)]
    return known(*reference.seat(payoffs, horizon, unit), own, other)


@functools.partial(jax.jit, static_argnames="space")
def naive_direction(payoffs, horizon, own, other, *, space):
    return reference.naive(*reference.seat(payoffs, horizon, 1.0, space), own, other)


@jax.jit
def best_reply(payoffs, horizon, own, other, move):
    """What the bilinear approximation of the return makes a player do if the other does `move`, at rate .3."""
    mine, its = reference.seat(payoffs, horizon, 1.0)
    _, mixed = jax.jvp(lambda y: jax.grad(mine)(own, y), (other,), (move,))
    return reference.naive(mine, its, own, other) + 0.3 * mixed


def plain(rule, game, horizon, joint):
    """Both players' directions by the reference."""
    with float64():
        seats, thetas = jnp.array(payoffs_by_seat(game)), jnp.array(joint)
        return [
            np.asarray(seat_direction(seats[k], traceable(horizon), thetas[k], thetas[1 - k], rule=rule))
            for k in (0, 1)
        ]


def named(rule):
    return "-".join(
        [type(rule).__name__, *(f"{k}={v}" for k, v in vars(rule).items() if k not in ("learners", "rate"))]
    )


def cases():
    """Every rule on sums, one on returns per step too; the dear ones that differ in a number only are slow tests."""
    for k, rule in enumerate(RULES):
        slow = k in (4, 8, 9)
        yield pytest.param(dataclasses.replace(rule, normalize=False), marks=[pytest.mark.slow] * slow, id=named(rule))
    yield pytest.param(LolaTaylor(inner_rate=0.7), id="per step")


@pytest.mark.parametrize("rule", list(cases()))
def test_directions_equal_automatic_differentiation(rule):
    for game, joint in ((prisoners_dilemma(), JOINTS[0]), (UNEVEN, JOINTS[1])):
        found = rule.direction(game, Discounted(0.9), tuple(joint))
        for move, expected in zip(found, plain(rule, game, Discounted(0.9), joint), strict=True):
            np.testing.assert_allclose(move, expected, rtol=1e-12, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("horizon", [Discounted(0.9), FiniteHorizon(3)], ids=str)
def test_naive_learning_in_probabilities_and_in_a_finite_game(horizon):
    p = RANDOM.uniform(0.1, 0.9, size=(2, 5))
    seats = payoffs_by_seat(UNEVEN)
    for space, joint in (("probability", p), ("logit", np.log(p / (1 - p)))):
        found = Naive(space=space, rate=0.1).direction(UNEVEN, horizon, tuple(joint))
        for k in (0, 1):
            with float64():
                pair = jnp.array(joint[k]), jnp.array(joint[1 - k])
                expected = naive_direction(jnp.array(seats[k]), traceable(horizon), *pair, space=space)
            np.testing.assert_allclose(found[k], expected, rtol=1e-12, atol=1e-13)


def test_look_ahead_rules_hold_in_a_finite_game():
    horizon, rule = FiniteHorizon(2), LolaTaylor(inner_rate=0.7)
    found = rule.direction(UNEVEN, horizon, tuple(JOINTS[2]))
    for move, expected in zip(found, plain(rule, UNEVEN, horizon, JOINTS[2]), strict=True):
        np.testing.assert_allclose(move, expected, rtol=1e-12, atol=1e-13)


# One round of matching pennies: J_row = XY = -J_column with X = tanh(x / 2), x and y the logits of the first move.
X_AT, Y_AT, RATE = 0.8, -0.5, 0.7
X, Y = np.tanh(X_AT / 2), np.tanh(Y_AT / 2)
DX, DY = (1 - X**2) / 2, (1 - Y**2) / 2
ONCE = (np.array([X_AT, 0.3, -0.2, 0.1, 0.6]), np.array([Y_AT, -0.4, 0.2, 0.9, -0.1]))


def sga_by_hand(strength=0.4):
    xi = np.array([-DX * Y, X * DY])
    H = np.array([[X * DX * Y, -DX * DY], [DX * DY, -X * Y * DY]])  # d DX / dx = -X DX
    antisymmetric = (H - H.T) / 2
    slope, adjustment = H.T @ xi, antisymmetric.T @ xi
    return -(xi + strength * np.sign((xi @ slope) * (adjustment @ slope) / 10 + 0.1) * adjustment)


def cgd_by_hand():
    g, k = (DX * Y, -X * DY), RATE * DX * DY
    return (g[0] + k * g[1]) / (1 + k**2), (g[1] - k * g[0]) / (1 + k**2)


def ahead_to_first_order():
    return DX * Y - RATE * DX * DY * X * DY, -X * DY - RATE * DX * DY * Y * DX


def foerster_by_hand():  # the shaping term equals the look-ahead term, as the game is zero-sum
    return ahead_to_first_order()


# On sums, as in the first tests, whose compiled rules serve here too; for one round it makes no difference.
PLAY_ONCE = {"inner_rate": RATE, "normalize": False}
SGA = Sga(strength=0.4, normalize=False)
CLOSED = {
    "naive": (Naive(normalize=False), lambda: (DX * Y, -X * DY)),
    "look-ahead": (
        LookAhead(**PLAY_ONCE),
        lambda: (DX * np.tanh((Y_AT - RATE * X * DY) / 2), -np.tanh((X_AT + RATE * DX * Y) / 2) * DY),
    ),
    "lola, foerster": (LolaFoerster(**PLAY_ONCE), foerster_by_hand),
    "lola, taylor": (
        LolaTaylor(**PLAY_ONCE),
        lambda: (DX * Y - 2 * RATE * X * DX * DY**2, -X * DY - 2 * RATE * Y * DY * DX**2),
    ),
    "sga": (SGA, sga_by_hand),
    "cgd": (Cgd(inner_rate=RATE), cgd_by_hand),
    # b = 0 and a large a leave the shaping term whole: then it is LOLA by the expansion; a = 0, look-ahead
    "sos, whole": (Sos(inner_rate=RATE, a=1e9, b=0.0), lambda: CLOSED["lola, taylor"][1]()),
}


@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms_in_one_round_of_matching_pennies(name):
    rule, closed = CLOSED[name]
    row, column = rule.direction(matching_pennies(), Discounted(0.0), ONCE)
    np.testing.assert_allclose((row[0], column[0]), closed(), rtol=1e-12)
    np.testing.assert_array_equal((row[1:], column[1:]), 0)


@pytest.mark.parametrize("joint", [JOINTS[0], JOINTS[1]])
def test_competitive_gradient_descent_is_the_equilibrium_of_the_bilinear_approximation(joint):
    """Each player's step is its best reply to the other's: d = grad J_own + rate (d2J_own / down dother) d_other."""
    game, horizon = UNEVEN, Discounted(0.9)
    found = Cgd(inner_rate=0.3).direction(game, horizon, tuple(joint))
    for k in (0, 1):
        with float64():
            vectors = (jnp.array(x) for x in (joint[k], joint[1 - k], found[1 - k]))
            reply = best_reply(jnp.array(payoffs_by_seat(game)[k]), traceable(horizon), *vectors)
        np.testing.assert_allclose(found[k], reply, rtol=1e-12, atol=1e-13)


def test_around_the_equilibrium_of_matching_pennies_only_naive_learning_spirals_out():
    """Linearised at 0, one round: z is turned by k = 1/4 and scaled; inner rate r. Naive steps grow by sqrt(1 + k^2)."""
    start, k, r = tuple(np.array([s, 0, 0, 0, 0]) * 1e-3 for s in (1.0, 0.0)), 1 / 4, RATE

    def growth(rule):
        end = start
        for _ in range(4):
            end = rule.step(matching_pennies(), Discounted(0.0), end)
        return (np.hypot(end[0][0], end[1][0]) / 1e-3) ** 0.25

    along = 1 + (r * k) ** 2
    expected = {
        Naive(normalize=False): np.hypot(1, k),
        LookAhead(**PLAY_ONCE): np.hypot(1 - r * k**2, k),
        LolaTaylor(**PLAY_ONCE): np.hypot(1 - 2 * r * k**2, k),
        SGA: np.hypot(1 - 0.4 * k**2, k),
        Cgd(inner_rate=r): np.hypot(1 - r * k**2 / along, k / along),
    }
    assert [growth(rule) for rule in expected] == pytest.approx(list(expected.values()), rel=1e-5)


def test_the_two_players_may_learn_by_different_rules():
    rules, game, horizon, joint = (LolaTaylor(**PLAY_ONCE), Naive(rate=0.5)), UNEVEN, Discounted(0.9), tuple(JOINTS[0])
    match = Match(*rules)
    for k, rule in enumerate(rules):
        np.testing.assert_array_equal(match.direction(game, horizon, joint)[k], rule.direction(game, horizon, joint)[k])
        expected = joint[k] + rule.rate * rule.direction(game, horizon, joint)[k]
        np.testing.assert_allclose(match.step(game, horizon, joint)[k], expected, rtol=1e-14)
    np.testing.assert_allclose(match.probabilities(joint)[1], 1 / (1 + np.exp(-joint[1])), rtol=1e-14)


def test_directions_of_a_batch_are_those_of_its_pairs():
    row, column = JOINTS[:, None, 0], JOINTS[None, :2, 1]  # broadcast to [3, 2, 5]
    moves = LolaTaylor(**PLAY_ONCE).direction(UNEVEN, Discounted(0.9), (row, column))
    assert moves[0].shape == moves[1].shape == (3, 2, 5)
    alone = LolaTaylor(**PLAY_ONCE).direction(UNEVEN, Discounted(0.9), (JOINTS[2, 0], JOINTS[1, 1]))
    np.testing.assert_allclose([move[2, 1] for move in moves], alone, rtol=1e-12)


def test_a_naive_step_in_probabilities_stays_inside():
    p = (np.full(5, 0.9), np.full(5, 0.05))
    row, column = Naive(space="probability", rate=50.0).step(prisoners_dilemma(), Discounted(0.9), p)
    assert row[0] == column[0] == 0
    assert ((row >= 0) & (row <= 1)).all()


def test_effective_share_of_naive_learners():
    """The weights of a sum over 21 inner episodes against one game with another agent; the five published shares."""
    shares = [round(float(effective_p_naive(p, 20, "sum")), 3) for p in (0.05, 0.1, 0.25, 0.5, 0.75)]
    assert shares == [0.525, 0.7, 0.875, 0.955, 0.984]
    assert effective_p_naive(0.25, 20, "mean") == 0.25
    assert effective_p_naive(1.0, 20, "sum") == 1.0


def test_sobol_logits_are_balanced_and_reproducible():
    points = sobol_logits(256)
    np.testing.assert_array_equal(points, sobol_logits(256))
    assert (points != sobol_logits(256, seed=1)).all()
    quarters = np.sort(points, axis=0).reshape(4, 64, 5)
    np.testing.assert_array_less(quarters[0], -0.6744)  # every quarter of the normal law holds a quarter of the points
    np.testing.assert_array_less(-0.6745, quarters[1])
    np.testing.assert_allclose(sobol_logits(8, spread=3.0), 3 * sobol_logits(8), rtol=1e-15)


REFUSALS = {
    "share above one": (lambda: Lapg(p_naive=1.2), r"p_naive must lie in \[0, 1\], got 1.2"),
    "negative updates": (lambda: Lapg(updates=-1), "updates must be an integer >= 0, got -1"),
    "four logits": (lambda: Lapg(learners=np.zeros((3, 4))), r"\[n, 5\], got \(3, 4\)"),
    "no look-ahead": (lambda: LolaDice(look_aheads=0), "look_aheads must be an integer >= 1, got 0"),
    "mix above one": (lambda: LolaDice(mix=1.5), r"mix must lie in \[0, 1\], got 1.5"),
    "negative rate": (lambda: Naive(rate=-1.0), "rate must be a finite number >= 0, got -1.0"),
    "infinite inner rate": (lambda: LolaTaylor(inner_rate=np.inf), "inner_rate must be a finite number >= 0, got inf"),
    "wrong shape": (
        lambda: Naive().direction(prisoners_dilemma(), Discounted(0.9), (np.zeros(4), np.zeros(5))),
        "row policy needs a last axis of five",
    ),
    "probability above one": (
        lambda: Naive(space="probability").step(prisoners_dilemma(), Discounted(0.9), (np.full(5, 1.2), np.zeros(5))),
        "row.*1.2",
    ),
    "points no power of two": (lambda: sobol_logits(100), "power of two .* got 100; take 128"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_bad_input_is_refused(case):
    call, message = REFUSALS[case]
    with pytest.raises(ValueError, match=message):
        call()
