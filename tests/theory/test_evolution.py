"""The evolutionary layer: replicator dynamics of textbook games, and of aware and naive agents."""

import numpy as np
import pytest
import scipy.integrate
from scipy.special import expit
from scipy.stats import norm, qmc

from lapg_theory import MetaGame
from lapg_theory.evolution import Population, naive_among_themselves, population
from lapg_theory.game import prisoners_dilemma

PD = prisoners_dilemma()
HAWK_DOVE = Population(("hawk", "dove"), np.array([[-1.0, 4.0], [0.0, 2.0]]))  # value 4, cost 6: 2/3 hawks
STAG = Population(("stag", "hare"), np.array([[4.0, 0.0], [3.0, 3.0]]))
CYCLE = Population(("rock", "paper", "scissors"), np.array([[0.0, -1.0, 2.0], [2.0, 0.0, -1.0], [-1.0, 2.0, 0.0]]))


def pool(**given):
    return MetaGame(PD, **({"gamma": 0.99, "p_naive": 0.5, "eta": 1.0, "updates": 20, "nodes": 1024} | given))


def test_rest_points_of_hawk_and_dove():
    mixed, *pure = HAWK_DOVE.rest_points()
    np.testing.assert_allclose(mixed.shares, [2 / 3, 1 / 3], atol=1e-12)
    assert mixed.stable and mixed.payoff == pytest.approx(2 / 3)
    assert not any(point.stable for point in pure) and len(pure) == 2
    assert HAWK_DOVE.verdict("hawk", "dove") == "coexistence: balance at 0.667 hawk"


def test_a_coordination_game_has_two_stable_ends():
    ends = [point for point in STAG.rest_points() if point.stable]
    assert [list(point.shares) for point in ends] == [[1, 0], [0, 1]]
    assert STAG.verdict("stag", "hare") == "bistable: balance at 0.75 stag"
    for share, end in ((0.74, 0), (0.76, 1)):
        _, course = STAG.run([share, 1 - share], 60)
        assert course[-1, 0] == pytest.approx(end, abs=1e-3)


def test_dominance_and_neutrality():
    dilemma = Population(("C", "D"), np.array([[1.0, -1.0], [2.0, 0.0]]))
    assert dilemma.verdict("C", "D") == dilemma.verdict("D", "C") == "D dominates"
    assert Population(("a", "b"), np.ones((2, 2))).verdict("a", "b") == "neutral"
    weak = Population(("a", "b"), np.array([[1.0, 2.0], [1.0, 1.0]]))
    assert weak.verdict("a", "b") == "a dominates"


def test_a_rest_point_is_stable_neutral_or_unstable():
    """Tit-for-tat keeps defectors out but lets cooperators drift in, who fall to defectors; these keep out both."""
    types = Population(("tft", "allc", "alld"), [[1, 1, -0.1], [1, 1, -1], [0.2, 2, 0]])
    found = {tuple(point.shares): point.stability for point in types.rest_points()}
    assert (found[1, 0, 0], found[0, 1, 0], found[0, 0, 1]) == ("neutral", "unstable", "stable")
    second = Population(("a", "b"), [[1, 0], [1, 1]])  # b drifts in, and spreads by what it earns with itself
    assert {point.stability for point in second.rest_points() if point.shares[0] == 1} == {"neutral"}
    assert second.verdict("a", "b") == "b dominates"


@pytest.mark.parametrize("types", [HAWK_DOVE, STAG, CYCLE], ids=lambda types: types.names[0])
def test_modes_are_the_eigenvalues_of_the_dynamics_within_the_simplex(types):
    """Central differences along directions that keep the sum of shares; the velocity is a cubic, so nearly exact."""
    n = len(types.names)
    basis = np.vstack([np.eye(n - 1), -np.ones(n - 1)])  # x_n = 1 - the others
    for point in types.rest_points():
        step = 1e-5
        columns = [
            (types.velocity(point.shares + step * d) - types.velocity(point.shares - step * d)) / (2 * step)
            for d in basis.T
        ]
        expected = np.linalg.eigvals(np.array(columns).T[: n - 1])
        np.testing.assert_allclose(np.sort_complex(point.modes), np.sort_complex(expected), atol=1e-8)


def test_rock_paper_scissors_spirals_into_the_middle():
    """Winning pays 2, losing costs 1: the interior point is stable (Hofbauer & Sigmund 1998, section 7.7)."""
    middle = CYCLE.rest_points()[0]
    np.testing.assert_allclose(middle.shares, 1 / 3, atol=1e-12)
    assert middle.stable and np.abs(middle.modes.imag).min() > 0.5
    times, course = CYCLE.run([0.8, 0.1, 0.1], 120, points=50)
    assert times.shape == (50,) and course.shape == (50, 3)
    np.testing.assert_allclose(course.sum(1), 1, atol=1e-8)
    np.testing.assert_allclose(course[-1], 1 / 3, atol=1e-3)


def test_the_logistic_solution_of_two_types_with_a_constant_advantage():
    """One type earns a more than the other against everyone: the log-odds of its share grow like a t."""
    types = Population(("better", "worse"), np.array([[1.3, 1.3], [1.0, 1.0]]))
    times, course = types.run([0.1, 0.9], 20)
    np.testing.assert_allclose(course[:, 0], expit(np.log(1 / 9) + 0.3 * times), atol=1e-7)


def test_naive_learners_among_themselves_against_a_plain_loop():
    meta = pool(updates=4, nodes=8, gamma=0.9, eta=3.0, seed=5)
    theta = meta.spread * norm.ppf(qmc.Sobol(10, rng=np.random.default_rng(5)).random(8)).reshape(8, 2, 5)

    def payoffs(theta):
        p, q = expit(theta[0]), expit(theta[1])[[0, 1, 3, 2, 4]]
        both = np.stack([p * q, p * (1 - q), (1 - p) * q, (1 - p) * (1 - q)], axis=1)
        visits = np.linalg.solve(np.eye(4) - 0.9 * both[1:].T, both[0])
        return 0.1 * np.array([visits @ [1, -1, 2, 0], visits @ [1, 2, -1, 0]])

    earned = []
    for pair in theta:
        for update in range(5):
            earned.append(payoffs(pair).mean())
            if update < 4:
                slope = np.empty((2, 5))
                for i, k in np.ndindex(2, 5):
                    shift = np.zeros((2, 5))
                    shift[i, k] = 1e-6
                    slope[i, k] = (payoffs(pair + shift)[i] - payoffs(pair - shift)[i]) / 2e-6
                pair = pair + 3.0 * slope
    assert naive_among_themselves(meta) == pytest.approx(np.mean(earned), abs=1e-8)


def test_awareness_dominates_where_it_cooperates_and_coexists_where_it_extorts():
    """Numbers of an independent prototype, gamma .99, eta 1, 20 updates: K dominates, E is in balance at 80%."""
    types = population(pool(), {"K": (1, 1, 0, 0.293, 0), "E": (0, 0.970, 0, 0.301, 0)})
    assert types.names == ("K", "E", "naive")
    expected = [[1, None, 0.80], [None, 0, 0.82], [0.22, 0.105, 0.385]]
    for i, j in np.ndindex(3, 3):
        if expected[i][j] is not None:
            assert types.payoffs[i, j] == pytest.approx(expected[i][j], abs=3e-3)
    assert types.verdict("K", "naive") == "K dominates"
    assert types.verdict("E", "naive").startswith("coexistence: balance at 0.80")
    stable = [point.shares for point in types.rest_points() if point.stable]
    assert any(np.allclose(shares, [1, 0, 0]) for shares in stable)
    two = Population(("E", "naive"), types.payoffs[1:, 1:])
    _, course = two.run([0.01, 0.99], 400)
    assert course[-1, 0] == pytest.approx(0.80, abs=0.01)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda: Population(("a", "b"), np.ones((2, 3))), "payoffs must be 2 x 2 finite numbers"),
        (lambda: Population(("a",), np.array([[np.nan]])), "finite numbers"),
        (lambda: HAWK_DOVE.run([0.5, 0.6], 1), "sum to 1"),
        (lambda: HAWK_DOVE.run([1.5, -0.5], 1), "numbers >= 0"),
        (lambda: HAWK_DOVE.run([1.0], 1), "shares must be 2 numbers"),
        (lambda: HAWK_DOVE.verdict("hawk", "owl"), "no type 'owl' among hawk, dove"),
        (lambda: population(pool(nodes=2), {"naive": (0,) * 5}), 'the name "naive" is taken'),
        (lambda: population(pool(nodes=2), {"bad": (2, 0, 0, 0, 0)}), "bad holds 2.0"),
        (lambda: population(pool(nodes=2), {}), "at least one"),
    ],
)
def test_refusals(action, message):
    with pytest.raises(ValueError, match=message):
        action()


def test_an_integration_that_fails_says_where(monkeypatch):
    def stopped(velocity, x, times, **options):
        return np.zeros((len(times), 2)), {"message": "Step too small.", "tcur": np.array([1.5, 0.0])}

    monkeypatch.setattr(scipy.integrate, "odeint", stopped)
    with pytest.raises(ValueError, match=r"the integration stopped at t = 1.5: Step too small. Try a shorter time"):
        HAWK_DOVE.run([0.3, 0.7], 10)


def test_stiff_payoffs_take_no_longer():
    _, course = Population(("a", "b"), 1e7 * HAWK_DOVE.payoffs).run([0.3, 0.7], 100)
    np.testing.assert_allclose(course[-1], [2 / 3, 1 / 3], atol=1e-6)
