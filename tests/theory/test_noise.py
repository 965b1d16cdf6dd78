"""Execution and perception errors, against chains and histories in which every private view is kept."""

import dataclasses
import itertools
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from noise_reference import histories, played, sixteen_states, slopes

import lapg_theory as lt
from lapg_rl.commands.main import main
from lapg_theory import zd
from lapg_theory.certificate import defection_certificate
from lapg_theory.exact.gradients import returns_and_gradients
from lapg_theory.exact.returns import determinant_returns, solved_returns
from lapg_theory.game import TFT, Discounted, FiniteHorizon, MatrixGame, normal_form, prisoners_dilemma, public_goods
from lapg_theory.game.noise import Noise
from lapg_theory.learning import ActorCritic, AdvantageAlignment, Loqa, Naive
from lapg_theory.shaping.general import general_course
from lapg_theory.symbolic import noise as derived
from lapg_theory.symbolic import symbolic_returns

SLIP, GLANCE = 0.07, 0.11
PLAIN = MatrixGame(((1.0, -1.0), (2.0, 0.25)), ((1.5, 2.0), (-1.0, 0.5)))
NOISY = PLAIN.noisy(SLIP, GLANCE)
P, Q = np.random.default_rng(0).uniform(size=(2, 5))
HORIZON = Discounted(0.9)


def test_returns_are_those_of_the_chain_of_private_views(gamma=0.97):
    expected = sixteen_states(PLAIN, P, Q, gamma, SLIP, GLANCE)
    for route in (lt.exact_returns, solved_returns, determinant_returns):
        np.testing.assert_allclose(route(NOISY, P, Q, Discounted(gamma)), expected, rtol=1e-11)
    np.testing.assert_allclose(lt.general_returns(NOISY, [P, Q], Discounted(gamma)), expected, rtol=1e-11)


def test_short_games_are_sums_over_all_histories():
    p, q = (
        (1, Fraction(1, 3), 0, Fraction(4, 5), Fraction(1, 7)),
        (Fraction(1, 2), 1, Fraction(1, 9), 0, Fraction(2, 3)),
    )
    expected = [float(x) for x in histories(PLAIN, p, q, 3, "1/20", "1/8")]
    floats = [tuple(map(float, policy)) for policy in (p, q)]
    game = PLAIN.noisy(0.05, 0.125)
    np.testing.assert_allclose(lt.exact_returns(game, *floats, FiniteHorizon(3)), expected, rtol=1e-13)
    np.testing.assert_allclose(lt.general_returns(game, floats, FiniteHorizon(3)), expected, rtol=1e-13)
    exact = symbolic_returns((1, 0, 1, 0, 1), (0, 1, 1, 0, 0), PLAIN.noisy(0.05, 0.125)).function(0.9)
    np.testing.assert_allclose(
        exact, np.array(lt.exact_returns(game, (1, 0, 1, 0, 1), (0, 1, 1, 0, 0), HORIZON)) * 0.1, rtol=1e-10
    )


def test_simulated_games_earn_it():
    """40,000 games; false alarm at four standard errors, on two means: 1 in 8000."""
    found, error = played(PLAIN, P, Q, 12, 40_000, SLIP, GLANCE, seed=1)
    assert (np.abs(found - lt.exact_returns(NOISY, P, Q, FiniteHorizon(12))) < 4 * error).all()


def test_gradients_are_those_of_the_chain_of_private_views():
    found = returns_and_gradients(NOISY, P, Q, HORIZON)
    for k in (0, 1):
        by_p = slopes(lambda x, k=k: sixteen_states(PLAIN, x, Q, 0.9, SLIP, GLANCE)[k], P)
        by_q = slopes(lambda x, k=k: sixteen_states(PLAIN, P, x, 0.9, SLIP, GLANCE)[k], Q)
        np.testing.assert_allclose(found[2 + 2 * k], by_p, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(found[3 + 2 * k], by_q, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("horizon", [HORIZON, pytest.param(FiniteHorizon(4), marks=pytest.mark.slow)])
def test_naive_courses_and_shaping_gradients(horizon):
    """The course by differentiation through the linear solve, the gradient by differences of the course."""
    theta = np.random.default_rng(1).normal(size=5)
    setting = {"eta": 2.0, "updates": 4}
    path, row, column = lt.naive_course(NOISY, horizon, P, theta, **setting)
    returns, (last,) = general_course(NOISY, [P, theta], horizon, naive=[1], **setting)
    np.testing.assert_allclose(np.stack([row, column], 1), returns, rtol=1e-10)
    np.testing.assert_allclose(path[-1], last, rtol=1e-10)
    value, gradient = lt.shaping_value_and_gradient(NOISY, horizon, P, theta, **setting)
    assert value == pytest.approx(row.mean())
    differences = slopes(lambda x: lt.shaping_return(NOISY, horizon, x, theta, **setting), P)
    np.testing.assert_allclose(gradient, differences, rtol=1e-6, atol=1e-8)


def test_temporal_difference_learners_follow_the_natural_gradient():
    game = PLAIN.noisy(SLIP)
    logits = tuple(np.log(x / (1 - x)) for x in (P, Q))
    move = ActorCritic(normalize=False).direction(game, HORIZON, logits)[0]
    gradient = returns_and_gradients(game, P, Q, HORIZON).row_by_p
    visits = np.append(1.0, 0.9 * 10 * lt.occupancy(*(game.noise.acted(x) for x in (P, Q)), HORIZON))
    np.testing.assert_allclose(move, gradient / visits, rtol=1e-10)
    values = lt.action_values(game, P, Q, HORIZON)
    np.testing.assert_allclose(values[:, 0] - values[:, 1], move, rtol=1e-10)
    naive = Naive(normalize=False, space="probability").direction(game, HORIZON, (P, Q))[0]
    np.testing.assert_allclose(naive, gradient, rtol=1e-12)


def test_more_actions_and_private_views_of_each_other():
    """Rock-paper-scissors over 81 states: what was done, and what either saw."""
    rng, k, gamma = np.random.default_rng(2), 3, 0.8
    game = lt.game.rock_paper_scissors(win=2)
    policies = rng.dirichlet(np.ones(k), size=(2, 10))
    states = list(itertools.product(range(k), repeat=4))

    def done(intended):
        return (1 - SLIP) * intended + SLIP / (k - 1) * (1 - intended)

    def see(actual, seen):
        return 1 - GLANCE if actual == seen else GLANCE / (k - 1)

    def row(first, second):
        return [done(first)[a] * done(second)[b] * see(b, x) * see(a, y) for a, b, x, y in states]

    p, q = policies
    M = np.array([row(p[1 + k * a + x], q[1 + k * b + y]) for a, b, x, y in states])
    seen = np.linalg.solve(np.eye(81) - gamma * M.T, row(p[0], q[0]))
    expected = [seen @ [table[a, b] for a, b, *_ in states] for table in game.payoffs]
    found = lt.general_returns(game.noisy(SLIP, GLANCE), list(policies), Discounted(gamma))
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_groups_counted_and_told_apart():
    game = public_goods(3, 2).noisy(SLIP, GLANCE)
    policies = np.random.default_rng(3).uniform(size=(3, 7))

    def told_apart(policy):  # own action, then the others by seat
        others = [pair.count(0) for pair in itertools.product((0, 1), repeat=2)]
        return np.array([policy[0], *(policy[1 + 3 * own + 2 - j] for own in (0, 1) for j in others)])

    found = lt.general_returns(game, list(policies), HORIZON)
    apart = lt.general_returns(normal_form(game), [told_apart(policy) for policy in policies], HORIZON)
    np.testing.assert_allclose(found, apart, rtol=1e-11)
    assert np.abs(found - lt.general_returns(public_goods(3, 2), list(policies), HORIZON)).max() > 0.1


def test_slips_in_a_stochastic_game():
    game = lt.game.ecological_public_good()
    policies = [np.array([[0.9, 0.1], [0.3, 0.7]]), np.array([[0.6, 0.4], [0.5, 0.5]])]
    slipped = [0.9 * policy + 0.1 * policy[:, ::-1] for policy in policies]
    found = lt.general_returns(game.noisy(0.1), policies, HORIZON)
    np.testing.assert_allclose(found, lt.general_returns(game, slipped, HORIZON), rtol=1e-12)


def test_no_noise_is_the_same_game():
    assert PLAIN.noisy() == PLAIN and PLAIN.noisy().noise is None and hash(PLAIN.noisy()) == hash(PLAIN)
    assert PLAIN.noisy(SLIP) != PLAIN and PLAIN.noisy(SLIP).noisy() == PLAIN
    np.testing.assert_allclose(Noise(SLIP, GLANCE).intended(Noise(SLIP, GLANCE).acted(P)), P, rtol=1e-12)


def test_mutual_tit_for_tat():
    """Published: however rare errors are, in the long run it earns the mean of the payoffs. (Molander 1985, J. Confl. Res.)"""
    found = derived.mutual_tit_for_tat()
    numbers = {"T": 5.0, "R": 3.0, "P": 1.0, "S": 0.2, "gamma": 0.9, "e": SLIP, "k": (1 - 2 * SLIP) * (1 - 2 * GLANCE)}
    expected = sixteen_states(prisoners_dilemma(5, 3, 1, 0.2), TFT, TFT, 0.9, SLIP, GLANCE)[0] * 0.1
    assert found(**numbers) == pytest.approx(expected, rel=1e-12)
    T, R, P, S = sp.symbols("T R P S", real=True)
    gamma = next(x for x in found.expression.free_symbols if x.name == "gamma")
    assert sp.simplify(found.expression.subs(gamma, 1) - (T + R + P + S) / 4) == 0
    rare = prisoners_dilemma(5, 3, 1, 0).noisy(1e-5)
    assert lt.exact_returns(rare, TFT, TFT, Discounted(1 - 1e-8))[0] * 1e-8 == pytest.approx(9 / 4, abs=0.01)


@pytest.mark.parametrize(("execution", "perception"), [(0.01, 0.0), (0.0, 0.03), (0.02, 0.03)])
def test_zero_determinant_lines_under_noise(execution, perception):
    game, gamma = prisoners_dilemma().noisy(execution, perception), 0.95
    p = zd.enforce(game, gamma, baseline=0.5, slope=0.5)
    own, other = np.array(
        [sixteen_states(game, p, q, gamma, execution, perception) for q in np.random.default_rng(4).uniform(size=(6, 5))]
    ).T * (1 - gamma)  # fmt: skip
    np.testing.assert_allclose(other - 0.5, 0.5 * (own - 0.5), atol=1e-10)
    fit = zd.fit(game, p, gamma)
    assert fit.residual < 1e-10 and fit.slope == pytest.approx(0.5)
    assert zd.fit(prisoners_dilemma(), p, gamma).slope > 0.51
    for chi in (1.2, 2.0, 5.0):
        without = (chi + 2) / (2 * chi + 1)
        least = derived.least_discount(sp.Float(without))(e=execution, d=perception)
        found = zd.gamma_min(game, chi=chi, baseline=0.5)
        assert found == (pytest.approx(least, rel=1e-8) if least < 1 else np.inf)
    assert not zd.feasible(game, 1, baseline=0.0, chi=2.0) and not zd.feasible(game, 1, baseline=1.0, chi=2.0)


def test_a_line_enforced_in_a_group_under_noise():
    game = public_goods(3, 2).noisy(0.01, 0.02)
    p = zd.enforce_in_group(game, 0.95, baseline=0.5, slope=0.6, phi=0.3, p0=0.5)
    own, *others = lt.general_returns(game, [p, [0.9] * 7, [0.4] * 7], Discounted(0.95)) * 0.05
    assert np.mean(others) - 0.5 == pytest.approx(0.6 * (own - 0.5), abs=1e-10)


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda: PLAIN.noisy(0.5), r"execution.*\[0, 1/2\).*0.5"),
        (lambda: PLAIN.noisy(0.0, -0.1), "perception.*-0.1"),
        (lambda: lt.action_values(NOISY, P, Q, HORIZON), "perception must be 0"),
        (lambda: ActorCritic().direction(NOISY, HORIZON, (P, Q)), "perception must be 0"),
        (lambda: AdvantageAlignment().direction(PLAIN.noisy(0.1), HORIZON, (P, Q)), "without noise"),
        (lambda: Loqa().direction(PLAIN.noisy(0.1), HORIZON, (P, Q)), "without noise"),
        (lambda: lt.game.extortioner(prisoners_dilemma().noisy(0.1), 2), "without noise"),
    ],
)
def test_refusals(call, names):
    with pytest.raises(ValueError, match=names):
        call()


def test_certificate_by_the_adjoint_pass_and_in_the_limit():
    learners = np.random.default_rng(5).uniform(0.1, 0.9, size=(8, 5))
    setting = {"gamma": 0.95, "eta": 1.0, "updates": 6, "init": learners, "p_naive": 0.3}
    game = prisoners_dilemma(3, 2, 0.5, -1)
    found = defection_certificate(game.noisy(0.03, 0.02), **setting)
    logits = np.log(learners / (1 - learners))
    _, slope = lt.shaping_value_and_gradient(game.noisy(0.03, 0.02), Discounted(0.95), np.zeros(5), logits, 1.0, 6)
    np.testing.assert_allclose([x.value for x in found.components.values()], 0.05 * slope.mean(0), rtol=1e-9)
    among = returns_and_gradients(game.noisy(0.03, 0.02), np.zeros(5), np.zeros(5), Discounted(0.95)).row_by_p
    np.testing.assert_allclose(
        list(found.local.gradient.values()), 0.05 * (0.3 * slope.mean(0) + 0.7 * among), rtol=1e-8
    )
    plain, nearly = (defection_certificate(g, **setting) for g in (game, game.noisy(1e-9)))
    for state in ("s0", "DC", "DD"):
        assert nearly.components[state].via_learning == pytest.approx(plain.components[state].via_learning, rel=1e-6)
    assert nearly.window == pytest.approx(plain.window, rel=1e-5)
    assert nearly.tau_star == pytest.approx(plain.tau_star, rel=1e-5)


@pytest.mark.slow
def test_forgiveness_begins_where_the_expansion_says():
    """To first order in the chance of a slip: at twice the chance the relative gap doubles."""
    setting = {"gamma": 0.99, "p_naive": 0.75, "eta": 4.0, "updates": 5, "nodes": 16}
    gaps = []
    for slip in (1e-5, 2e-5):
        meta = lt.MetaGame(prisoners_dilemma().noisy(slip), **setting)
        share = meta.forgiving_below()
        K = dataclasses.replace(meta, p_naive=share).cooperation()
        numbers = {"T": 2, "R": 1, "P": 0, "S": -1, "gamma": 0.99, "p_DC": K.policy[3], "G": K.shaping[2]}
        gaps.append(derived.forgiving_from()(**numbers, share=share) / slip - 1)
        assert (1 - share) * K.partial[2] + share * K.shaping[2] == pytest.approx(0, abs=1e-9)
    assert abs(gaps[1]) < 0.02 and gaps[1] == pytest.approx(2 * gaps[0], rel=0.05)
    assert lt.MetaGame(prisoners_dilemma(), **setting).forgiving_below() == 0


@pytest.mark.slow
def test_thresholds_of_a_noisy_game_on_the_command_line(capsys):
    assert (
        main(["theory", "thresholds", "--gamma", "0.9", "--noise", "0.01,0.02", "--nodes", "16", "--updates", "3"]) == 0
    )
    said = capsys.readouterr().out
    assert "execution error 0.01, perception error 0.02" in said and "\n  CC  " in said


def test_commands_take_noise(capsys):
    assert main(["theory", "zd", "--gamma", "0.9", "--chi", "3", "--noise", "0.01"]) == 1  # nothing through P
    assert "no gamma" in capsys.readouterr().out
    assert main(["theory", "zd", "--gamma", "0.9", "--chi", "3", "--noise", "many"]) == 2
