"""What every public function of the theory refuses, and that the message names the value and the remedy."""

import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
import sympy

from lapg_theory import (
    MetaGame,
    defection_certificate,
    evolution,
    exact_returns,
    general_returns,
    naive_course,
    occupancy,
    shaping_return,
    train_shaper,
    zd,
)
from lapg_theory.certificate.group import critical_time
from lapg_theory.dynamics import integrate, iterate
from lapg_theory.exact.gradients import returns_and_gradients
from lapg_theory.game import (
    TFT,
    Discounted,
    FiniteHorizon,
    NormalFormGame,
    StochasticGame,
    battle_of_the_sexes,
    chicken,
    matching_pennies,
    prisoners_dilemma,
    public_goods,
    rock_paper_scissors,
    symmetric_game,
)
from lapg_theory.game.converters import to_peer
from lapg_theory.game.numbers import is_positive
from lapg_theory.learning import Naive, sobol_logits
from lapg_theory.metagame import attractor_map, bifurcation, phase_diagram
from lapg_theory.metagame.cooperation import Cooperation

PD, HORIZON = prisoners_dilemma(), Discounted(0.9)
SMALL = {"gamma": 0.9, "p_naive": 0.5, "nodes": 8, "updates": 2}
POOL = MetaGame(PD, **SMALL)
KIND = Cooperation(np.array([1, 1, 0, 0.3, 0]), np.full(5, -0.1), np.full(5, 0.1), 0.05)
TYPES = evolution.Population(("a", "b"), [[1, 2], [3, 4]])
ZEROS = (np.zeros(5), np.zeros(5))
NAN = float("nan")


@pytest.mark.parametrize("gamma", [1, 1.0, 1.5, -0.1, NAN])
@pytest.mark.parametrize(
    "call",
    [
        Discounted,
        lambda gamma: MetaGame(PD, **SMALL | {"gamma": gamma}),
        lambda gamma: defection_certificate(PD, gamma=gamma, eta=1.0, updates=2),
        lambda gamma: attractor_map(POOL, p_naive=[0.5], over="gamma", values=[gamma]),
    ],
    ids=["Discounted", "MetaGame", "defection_certificate", "attractor_map"],
)
def test_a_discount_outside_zero_to_one(call, gamma):
    with pytest.raises(ValueError, match=r"gamma must lie in \[0, 1\), got .*FiniteHorizon"):
        call(gamma)


@pytest.mark.parametrize("gamma", [1.5, -0.1, NAN])
@pytest.mark.parametrize(
    "call",
    [
        lambda gamma: zd.enforce(PD, gamma, baseline=0, chi=3),
        lambda gamma: zd.feasible(PD, gamma, baseline=0, chi=3),
        lambda gamma: zd.fit(PD, TFT, gamma),
    ],
    ids=["enforce", "feasible", "fit"],
)
def test_zero_determinant_strategies_take_the_undiscounted_limit_too(call, gamma):
    with pytest.raises(ValueError, match=r"gamma must lie in \[0, 1\), or be 1 for the undiscounted limit"):
        call(gamma)
    call(1)


@pytest.mark.parametrize("share", [-0.1, 1.2, NAN])
@pytest.mark.parametrize(
    "call",
    [
        lambda share: MetaGame(PD, **SMALL | {"p_naive": share}),
        lambda share: defection_certificate(PD, gamma=0.9, eta=1.0, updates=2, p_naive=share),
        lambda share: attractor_map(POOL, p_naive=[share], over="tau", values=[1.0]),
        lambda share: phase_diagram(POOL, p_naive=[share], over="tau", values=[1.0]),
        lambda share: bifurcation(POOL, over="p_naive", values=[share, 2.0]),
        KIND.basin_boundary,
    ],
    ids=["MetaGame", "certificate", "attractor_map", "phase_diagram", "bifurcation", "basin_boundary"],
)
def test_a_share_outside_zero_to_one(call, share):
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]|rising order"):
        call(share)


@pytest.mark.parametrize("policy", [[0.5] * 4 + [-0.1], [0.5] * 4 + [1.2], [NAN] * 5, [0.5] * 4, 0.5], ids=str)
@pytest.mark.parametrize(
    "call",
    [
        lambda p: exact_returns(PD, TFT, p, HORIZON),
        lambda p: occupancy(p, TFT, HORIZON),
        lambda p: returns_and_gradients(PD, p, TFT, HORIZON),
        lambda p: shaping_return(PD, HORIZON, p, np.zeros(5), 1.0, 2),
        lambda p: train_shaper(PD, HORIZON, eta=1.0, updates=2, starts=[p]),
        lambda p: POOL.field(p, TFT),
        lambda p: POOL.earnings(p),
        lambda p: POOL.best_response(p),
        lambda p: evolution.population(POOL, {"p": p}),
        lambda p: zd.fit(PD, p, 0.9),
        lambda p: zd.extortion_fit(PD, p),
    ],
)
def test_what_is_no_policy(call, policy):
    with pytest.raises(ValueError, match=r"is no probability: every entry must lie in \[0, 1\]|needs five prob"):
        call(policy)


@pytest.mark.parametrize("game", [chicken(), battle_of_the_sexes(), matching_pennies(), symmetric_game(0, 0, 0, 0)])
def test_no_dilemma_where_one_is_needed(game):
    with pytest.raises(ValueError, match=r"is no dilemma: it needs P > S, T > P and R > P"):
        defection_certificate(game, gamma=0.9, eta=1.0, updates=2)


WRONG_TYPES = """
from lapg_theory import MetaGame, defection_certificate, exact_returns, zd
from lapg_theory.game import TFT, Discounted, prisoners_dilemma
from lapg_theory.learning import Naive

bare, game, zeros = (2, 1, 0, -1), prisoners_dilemma(), ([0.0] * 5, [0.0] * 5)
for call in (
    lambda: exact_returns(bare, TFT, TFT, Discounted(0.9)),
    lambda: defection_certificate(bare, gamma=0.9, eta=1.0, updates=2),
    lambda: MetaGame(bare, gamma=0.9, p_naive=0.5),
    lambda: zd.gamma_min(bare, chi=3),
    lambda: Naive().direction(bare, Discounted(0.9), zeros),
    lambda: exact_returns(game, TFT, TFT, 0.9),
    lambda: Naive().direction(game, 0.9, zeros),
    lambda: MetaGame(game, gamma="0.9", p_naive=0.5),
    lambda: MetaGame(game, gamma=0.9, p_naive=[0.1, 0.2]),
    lambda: defection_certificate(game, gamma=None, eta=1.0, updates=2),
):
    try:
        call()
    except ValueError as error:
        print(error)
"""


def test_payoffs_and_discounts_of_the_wrong_type():
    """In a process of its own, because the types that the tests check would refuse them first."""
    done = subprocess.run([sys.executable, "-c", WRONG_TYPES], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 10
    game = "game must be a MatrixGame, such as symmetric_game(T, R, P, S), got (2, 1, 0, -1)"
    assert lines[:5] == [game] * 5
    assert lines[5:7] == ["horizon must be Discounted(gamma) or FiniteHorizon(steps), got 0.9"] * 2
    assert lines[7].startswith("gamma must lie in [0, 1), got '0.9'")
    assert lines[8].startswith("p_naive must be one share")
    assert lines[9].startswith("gamma must lie in [0, 1), got None")


REFUSALS = {
    "batches that do not fit": (
        lambda: exact_returns(PD, np.full((2, 5), 0.5), np.full((3, 5), 0.5), HORIZON),
        r"leading axes of p \(2, 5\) and q \(3, 5\) do not broadcast",
    ),
    "the same for gradients": (
        lambda: returns_and_gradients(PD, np.full((2, 5), 0.5), np.full((3, 5), 0.5), HORIZON),
        "do not broadcast",
    ),
    "payoff not a number": (lambda: symmetric_game(1, np.float32(NAN), 0, 0), "payoffs must be finite numbers, got"),
    "payoff in words": (lambda: symmetric_game("a", 1, 0, 0), "payoffs must be finite numbers, got 'a'"),
    "complex payoff": (lambda: prisoners_dilemma(2 + 1j, 1, 0, -1), r"T must be a finite number, got \(2\+1j\)"),
    "complex table": (
        lambda: NormalFormGame(np.full((2, 2, 2), 1j)),
        "payoffs must be finite numbers, but holds complex",
    ),
    "complex rewards": (
        lambda: StochasticGame(np.ones((1, 2, 1)), np.full((1, 1, 2, 1), 1j)),
        "rewards must be finite",
    ),
    "complex stake": (lambda: matching_pennies(1j), "stake must be a finite number"),
    "complex win": (lambda: rock_paper_scissors(1j), "win must be a finite number"),
    "public goods that always pay": (
        lambda: critical_time(public_goods(3, 4), gamma=0.9, naive=1),
        r"public goods \(no dilemma: factor 4 of 3 players\) is no dilemma",
    ),
    "dilemma not a number": (lambda: prisoners_dilemma(NAN, 1, 0, -1), "is no prisoner's dilemma"),
    "negative rate": (lambda: shaping_return(PD, HORIZON, TFT, np.zeros(5), -1.0, 2), "eta must be a finite .*got -1"),
    "infinite rate": (lambda: naive_course(PD, HORIZON, TFT, np.zeros(5), np.inf, 2), "eta must be a finite .*got inf"),
    "logits not numbers": (lambda: shaping_return(PD, HORIZON, TFT, np.full(5, NAN), 1.0, 2), "q0 holds nan"),
    "infinite spread": (lambda: sobol_logits(8, spread=np.inf), "spread must be >= 0 and finite, got inf"),
    "negative seed": (lambda: sobol_logits(8, seed=-1), "seed must be an integer >= 0, got -1"),
    "no starts": (lambda: POOL.best_response(TFT, starts=0), "starts must be an integer >= 1, got 0"),
    "negative AdamW rate": (lambda: POOL.basins(2, steps=1, rate=-1.0), "rate must be a finite .*got -1"),
    "AdamW rate not a number": (
        lambda: phase_diagram(POOL, p_naive=[0.5], over="tau", values=[1.0], rate=NAN),
        "rate must be a finite .*got nan",
    ),
    "for ever": (lambda: integrate(Naive(), PD, HORIZON, ZEROS, np.inf), "duration must be positive and finite"),
    "backwards": (lambda: TYPES.run([0.5, 0.5], -1), "time must be positive and finite, got -1"),
    "phi not a number": (lambda: zd.enforce(PD, 0.9, baseline=0, chi=3, phi=NAN), "phi must be finite, got nan"),
    "infinite phi": (lambda: zd.enforce(PD, 0.9, baseline=0, chi=3, phi=np.inf), "phi must be finite, got inf"),
    "chi not a number": (lambda: zd.gamma_min(PD, chi=NAN), "must be numbers"),
    "infinite baseline": (lambda: zd.feasible(PD, 0.9, baseline=np.inf, slope=0), "the baseline finite"),
    "giving in": (lambda: zd.extortionate(PD, 0.9, chi=0.5), "chi must be at least 1 .*got 0.5"),
    "a negative factor": (lambda: zd.generous(PD, 0.9, chi=-2), "chi must be at least 1 .*got -2"),
    "two policies to fit": (lambda: zd.fit(PD, [TFT, TFT], 0.9), r"one policy of shape \(5,\), got shape \(2, 5\)"),
    "not converged": (
        lambda: iterate(Naive(), PD, HORIZON, ZEROS, 3).require_convergence(),
        r"1 of 1 runs did not converge \(1 max steps\) by 3 .*largest residual .*Try more steps",
    ),
    "too many updates": (
        lambda: defection_certificate(PD, gamma=0.9, eta=1.0, updates=10**12),
        "at most 100,000, got 1,000,000,000,000",
    ),
    "updates of a pool": (
        lambda: MetaGame(PD, gamma=0.9, eta=1.0, updates=10**6, p_naive=0.5),
        "updates must be at most 100,000",
    ),
    "too many nodes": (
        lambda: defection_certificate(PD, gamma=0.9, eta=1.0, updates=2, nodes=2**60),
        "nodes must be at most 4,194,304",
    ),
    "too many logits": (lambda: sobol_logits(2**40), "n must be at most 4,194,304"),
    "too many players": (lambda: public_goods(10**9, 2.0), "players must be at most 1,000,000, got 1,000,000,000"),
    "too many steps": (lambda: FiniteHorizon(10**9), "steps must be at most 10,000,000, got 1,000,000,000"),
    "policy by name": (
        lambda: general_returns(PD, ["tft", "alld"], HORIZON),
        "a policy must hold probabilities .* got 'tft'; names",
    ),
    "payoffs of text": (
        lambda: NormalFormGame([["a", "b"], ["c", "d"]]),
        r"a full table of numbers, .* got \[\['a', 'b'\]",
    ),
    "no payoffs": (lambda: NormalFormGame(None), "payoffs must be a full table of numbers, got None"),
    "unknown convention": (lambda: to_peer(TFT, "pyCLRD"), "unknown convention 'pyCLRD'; known: lola"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_other_bad_input(case):
    call, message = REFUSALS[case]
    with pytest.raises(ValueError, match=message):
        call()


def test_positive_numbers_are_told_from_all_else():
    good, bad = (1, 0.5, Fraction(1, 3), np.float32(2), sympy.pi), (0, -1, NAN, np.inf, "1", None, True, [1], 1j)
    assert all(is_positive(x) for x in good) and not any(is_positive(x) for x in bad)


def test_conventions_are_found_in_any_case():
    np.testing.assert_array_equal(to_peer(TFT, "pyCRLD"), to_peer(TFT, "pycrld"))
