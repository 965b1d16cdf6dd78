"""Advantage Alignment and LOQA: published numbers, all histories of tiny games, and what happens at defection."""

import itertools

import numpy as np
import pytest
import sympy as sp

from lapg_theory import defection_certificate
from lapg_theory.game import NAMED, Discounted, FiniteHorizon, MatrixGame, mirror, prisoners_dilemma
from lapg_theory.learning import AdvantageAlignment, Lapg, Loqa, Naive, sobol_logits
from lapg_theory.symbolic.alignment import near_defection, symbolic_alignment

PD = prisoners_dilemma()
UNEVEN = MatrixGame(((3, -2), (5, 1)), ((2, 4), (-1, 0.5)))
RANDOM = np.random.default_rng(8)
LOGITS = RANDOM.normal(size=(2, 5))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_numbers_at_even_play():
    """(T, R, P, S) = (2, 1, 0, -1), gamma .96, sums of rewards, both players toss a coin."""
    zeros, horizon = (np.zeros(5), np.zeros(5)), Discounted(0.96)
    own, _ = AdvantageAlignment(beta=0, normalize=False).direction(PD, horizon, zeros)
    both, _ = AdvantageAlignment(beta=2, normalize=False).direction(PD, horizon, zeros)
    np.testing.assert_allclose(own, [-0.25, -1.5, -1.5, -1.5, -1.5], rtol=1e-12)
    np.testing.assert_allclose((both - own) / 2, [0, 1.5, -4.5, 4.5, -1.5], atol=1e-11)
    M, direction = symbolic_alignment([sp.Rational(1, 2)] * 5, [sp.Rational(1, 2)] * 5, PD)
    numbers = {symbol: sp.Rational(24, 25) for symbol in M.free_symbols}
    np.testing.assert_array_equal(list(M.subs(numbers)), [0, 3, -9, 9, -3])
    np.testing.assert_array_equal(list(direction.subs(numbers)), [0, 6, -18, 18, -6])


def plays(game, steps, p, q):
    """Every history of a finite game, with its chance: [(state, a, b, own reward, other's reward), ...]."""
    other_view = (0, 1, 3, 2, 4)
    for history in itertools.product(itertools.product((0, 1), repeat=2), repeat=steps):
        state, chance, record = 0, 1.0, []
        for a, b in history:
            y = q[other_view[state]]
            chance *= (p[state], 1 - p[state])[a] * (y, 1 - y)[b]
            record.append((state, a, b, game.row[a][b], game.column[a][b]))
            state = 1 + 2 * a + b
        yield chance, record


def enumerated(game, steps, gamma, logits, weigh, kappa):
    """E sum_k gamma^k [A1_k, sum_{t<k} w_t kappa^(k-t-1) A1_t A2_k] grad log pi_1: own and alignment part.

    Advantages are conditional expectations of what is seen in the histories, so nothing is solved for.
    """
    p, q = sigmoid(logits)
    histories = list(plays(game, steps, p, q))

    def given(condition, what):
        chance, total = 0.0, np.zeros(2)
        for weight, record in histories:
            if condition(record):
                chance += weight
                total += weight * what(record)
        return total / chance

    def return_from(k):
        return lambda record: sum(gamma ** (t - k) * np.array(record[t][3:]) for t in range(k, steps))

    advantage = {}
    for k in range(steps):
        for state in range(5):
            if (state == 0) != (k == 0):
                continue
            value = given(lambda r, k=k, s=state: r[k][0] == s, return_from(k))
            for a, b in itertools.product((0, 1), repeat=2):
                at = given(lambda r, k=k, at=(state, a, b): r[k][:3] == at, return_from(k))
                advantage[k, state, a, b] = at - value
    own, alignment = np.zeros(5), np.zeros(5)
    for chance, record in histories:
        past = 0.0
        for k, (state, a, b, *_) in enumerate(record):
            score = (1 - p[state]) if a == 0 else -p[state]
            mine, its = advantage[k, state, a, b]
            own[state] += chance * gamma**k * mine * score
            alignment[state] += chance * gamma**k * past * its * score
            y = q[(0, 1, 3, 2, 4)[state]]
            past = kappa * past + weigh(y if b == 0 else 1 - y) * mine
    return own, alignment


RULES = {
    "advantage alignment": (AdvantageAlignment(beta=0.7, normalize=False), 0.7, lambda chance: 1.0, 1.0),
    "loqa": (Loqa(temperature=2.0, decay=0.6, weight=3.0, normalize=False), 1.5, lambda chance: 1 - chance, 0.6),
}


@pytest.mark.parametrize("case", RULES)
def test_all_histories_of_a_finite_game(case):
    rule, strength, weigh, kappa = RULES[case]
    for game in (PD, UNEVEN):
        found, _ = rule.direction(game, FiniteHorizon(4), tuple(LOGITS))
        own, alignment = enumerated(game, 4, 1.0, LOGITS, weigh, kappa)
        np.testing.assert_allclose(found, own + strength * alignment, atol=1e-12)


def test_the_column_player_sees_the_game_from_its_own_side():
    other_seat = MatrixGame(tuple(zip(*UNEVEN.column, strict=True)), tuple(zip(*UNEVEN.row, strict=True)))
    for rule, *_ in RULES.values():
        first = rule.direction(UNEVEN, Discounted(0.8), tuple(LOGITS))
        second = rule.direction(other_seat, Discounted(0.8), tuple(LOGITS[::-1]))
        np.testing.assert_allclose(first, second[::-1], rtol=1e-12)


@pytest.mark.parametrize("case", RULES)
def test_discounted_credits_by_a_long_sum(case):
    """The definition step by step, with advantages from plain linear solves; .5^80 = 8e-25."""
    rule, strength, weigh, kappa = RULES[case]
    gamma, game = 0.5, UNEVEN
    p, q = sigmoid(LOGITS[0]), mirror(sigmoid(LOGITS[1]))
    chances = np.stack([p * q, p * (1 - q), (1 - p) * q, (1 - p) * (1 - q)], 1)
    P = np.concatenate([np.zeros((5, 1)), chances], 1)
    r = np.array([np.ravel(game.row), np.ravel(game.column)], float)
    V = [np.linalg.solve(np.eye(5) - gamma * P, chances @ reward) for reward in r]
    A1, A2 = (reward + gamma * v[1:] - v[:, None] for reward, v in zip(r, V, strict=True))
    weights = np.stack([weigh(y) * np.ones(5) for y in (q, 1 - q, q, 1 - q)], 1)
    B = np.concatenate([np.zeros((1, 5)), (chances * weights * A1).T])
    gain = q * (A2[:, 0] - A2[:, 2]) + (1 - q) * (A2[:, 1] - A2[:, 3])
    mine = q * (A1[:, 0] - A1[:, 2]) + (1 - q) * (A1[:, 1] - A1[:, 3])
    seen, past, expected = np.eye(5)[0], np.zeros(5), np.zeros(5)
    for k in range(80):
        expected += gamma**k * p * (1 - p) * (seen * mine + strength * past * gain)
        seen, past = P.T @ seen, kappa * P.T @ past + B @ seen
    found, _ = rule.direction(game, Discounted(gamma), tuple(LOGITS))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_returns_per_step_scale_both_advantages():
    horizon = Discounted(0.9)
    sums = [AdvantageAlignment(beta=b, normalize=False).direction(PD, horizon, tuple(LOGITS))[0] for b in (0, 0.1)]
    found, _ = AdvantageAlignment(beta=1).direction(PD, horizon, tuple(LOGITS))
    np.testing.assert_allclose(found, 0.1 * sums[1], rtol=1e-12)
    naive, _ = Naive().direction(PD, horizon, tuple(LOGITS))
    np.testing.assert_allclose(0.1 * sums[0], naive, rtol=1e-12)


@pytest.mark.parametrize(
    "pair", [("alld", "alld"), ("allc", "alld"), ("tft", "wsls"), ("grim", "alld"), ("tft", "grim")]
)
def test_nothing_is_aligned_where_play_is_deterministic(pair):
    """For any payoffs and discount: M = 0 in symbols."""
    M, direction = symbolic_alignment(*[[sp.Integer(int(x)) for x in NAMED[name]] for name in pair])
    assert sp.zeros(5, 1) == M
    assert direction == sp.zeros(5, 1)


def test_alignment_comes_back_in_proportion_to_the_distance_from_defection():
    """In probabilities, against the closed forms for any payoffs; the own gradient stays what it is."""
    game, gamma, eps = prisoners_dilemma(3, 2, 0.5, -1), 0.8, 1e-6
    x, y = RANDOM.uniform(0.5, 1.5, size=(2, 5))
    p = eps * x
    logits = tuple(np.log(z) - np.log1p(-z) for z in (p, eps * y))
    found = [AdvantageAlignment(beta=b, normalize=False).direction(game, Discounted(gamma), logits)[0] for b in (0, 1)]
    alignment = (found[1] - found[0]) / (p * (1 - p)) / eps
    numbers = {"T": 3, "R": 2, "P": 0.5, "S": -1, "gamma": gamma, "x_0": x[0], "x_DD": x[4], "y_0": y[0], "y_DD": y[4]}
    np.testing.assert_allclose(alignment[2:], [s(**numbers) for s in near_defection()], rtol=1e-4)
    np.testing.assert_allclose(alignment[:2], 0, atol=1e-4)
    np.testing.assert_allclose(found[0][[0, 4]] / p[[0, 4]], [-1.5, -1.5 * gamma / (1 - gamma)], rtol=1e-4)


@pytest.mark.parametrize("rule", [AdvantageAlignment(beta=3), Loqa()], ids=["advantage alignment", "loqa"])
def test_awareness_leaves_defection_where_alignment_cannot(rule):
    """P(C | DC) rises for the learning-aware agent inside its window of learning rates, but not for the aligned one."""
    gamma, learners, eps = 0.95, sobol_logits(64), 1e-7
    logits = np.full(5, np.log(eps))
    aligned, _ = rule.direction(PD, Discounted(gamma), (logits, logits))
    aware, _ = Lapg(eta=1.0, updates=20, learners=learners).direction(PD, Discounted(gamma), (logits, logits))
    expected = (
        defection_certificate(PD, gamma=gamma, eta=1.0, updates=20, nodes=64, scramblings=2).components["DC"].value
    )
    assert expected > 0.05
    assert (aware / eps)[3] == pytest.approx(expected, rel=0.1)
    assert (aligned / eps < 1e-4).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: AdvantageAlignment(beta=float("nan")), "beta must be a finite number >= 0, got nan"),
        (lambda: AdvantageAlignment(beta=-1.0), "beta must be a finite number >= 0, got -1"),
        (lambda: AdvantageAlignment(rate=-1.0), "rate must be a finite number >= 0"),
        (lambda: Loqa(temperature=0.0), "temperature must be > 0, got 0.0"),
        (lambda: Loqa(decay=1.5), r"decay must lie in \[0, 1\], got 1.5"),
        (lambda: Loqa(weight=float("inf")), "weight must be a finite number"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
