"""Numbers of every kind, wherever one is taken: accepted or refused when built, and inside of a user's compiled code."""

import dataclasses
import warnings
from decimal import Decimal
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

from lapg_theory import action_values, exact_returns, naive_course, occupancy, shaping_value_and_gradient
from lapg_theory.dynamics import iterate
from lapg_theory.exact.gradients import returns_and_gradients
from lapg_theory.game import (
    ALLD,
    MIRROR,
    TFT,
    Discounted,
    FiniteHorizon,
    MatrixGame,
    battle_of_the_sexes,
    donation_game,
    matching_pennies,
    mirror,
    prisoners_dilemma,
    symmetric_game,
)
from lapg_theory.game.numbers import check_probabilities, check_share
from lapg_theory.learning import Lapg, LolaDice, LookAhead, Naive, Rule, Sos
from lapg_theory.learning.rule import Rate
from lapg_theory.shaping.weighting import effective_p_naive

PD, HORIZON = prisoners_dilemma(), Discounted(0.9)
JOINT = (np.zeros(5), np.array([0.1, 0.2, -0.3, 0.4, 0.5]))
HALVES = [
    Fraction(1, 2),
    Decimal("0.5"),
    sp.Rational(1, 2),
    sp.Float(0.5),
    np.float32(0.5),
    np.array(0.5),
    jnp.float32(0.5),
]
NONE = ["1", True, np.True_, None, 1j, [0.1, 0.2], np.zeros(2), float("nan"), Decimal("NaN"), sp.Symbol("x")]


class Frame:
    """What data frames and series have in common."""

    def __init__(self, values):
        self.values = np.array(values)

    def to_numpy(self):
        return self.values


@pytest.mark.parametrize("half", HALVES, ids=lambda half: type(half).__name__)
def test_every_kind_of_number_is_taken_when_built(half):
    assert Naive(rate=half) == Naive(rate=0.5) and isinstance(Naive(rate=half).rate, float)
    assert Lapg(p_naive=half, eta=half, learners=[[0.0] * 5]).p_naive == LolaDice(mix=half).mix == 0.5
    assert float(Discounted(half).weight) == 2 and effective_p_naive(half, 3, "mean") == 0.5
    for found, expected in zip(
        Naive(rate=half).step(PD, HORIZON, JOINT), Naive(rate=0.5).step(PD, HORIZON, JOINT), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(
        exact_returns(PD, TFT, ALLD, Discounted(half)), exact_returns(PD, TFT, ALLD, Discounted(0.5))
    )


@pytest.mark.parametrize("value", NONE, ids=str)
@pytest.mark.parametrize(
    ("build", "message"),
    [
        (Discounted, r"gamma must lie in \[0, 1\)"),
        (lambda value: Naive(rate=value), "rate must be a finite number >= 0"),
        (lambda value: Sos(a=value), "a must be a finite number >= 0"),
        (lambda value: symmetric_game(value, 1, 0, -1), "payoffs must be|JAX|symbol"),
    ],
    ids=["Discounted", "Naive", "Sos", "game"],
)
def test_what_is_no_number_is_refused_when_built(build, message, value):
    if isinstance(value, sp.Symbol) and build is not Discounted and "payoffs" in message:
        return  # a game may have symbols
    if isinstance(value, list | np.ndarray) and "payoffs" in message:
        message = "payoffs"
    with pytest.raises(ValueError, match=message):
        build(value)


@pytest.mark.parametrize("share", ["0.5", True, np.True_, ["0.5"], 1.5, np.nan])
def test_what_is_no_share_is_refused(share):
    with pytest.raises(ValueError, match=r"p must lie in \[0, 1\]"):
        check_share("p", share)


def test_text_is_no_probability():
    with pytest.raises(ValueError, match="p must hold probabilities, got the text"):
        check_probabilities("p", ["0.5"])


def test_unsigned_numbers_have_their_negatives():
    assert matching_pennies(np.uint8(1)) == matching_pennies(1)
    assert donation_game(np.uint8(2), np.uint8(1)) == donation_game()
    assert MatrixGame(np.array([[1, 0], [0, 1]], np.uint8), np.eye(2)).row == ((1, 0), (0, 1))


@pytest.mark.parametrize("kind", [list, np.array, jnp.array, Frame], ids=["list", "numpy", "jax", "frame"])
def test_tables_of_any_kind_are_the_game_of_tuples(kind):
    nested = battle_of_the_sexes()
    game = MatrixGame(*(kind([list(line) for line in table]) for table in (nested.row, nested.column)), nested.name)
    assert game == nested and hash(game) == hash(nested)
    found, expected = (iterate(Naive(), g, HORIZON, JOINT, 3).row[-1] for g in (game, nested))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("table", [3, [1, 2], [[1, 2, 3], [4, 5, 6]], "ab", None, [[1, None], [0, 0]]], ids=str)
def test_what_is_no_table_is_refused(table):
    with pytest.raises(ValueError, match="row payoffs must be"):
        MatrixGame(table, ((0, 0), (0, 0)))


def test_a_series_is_mirrored():
    np.testing.assert_array_equal(mirror(Frame(np.arange(5))), MIRROR)


def test_mixtures_of_policies_are_policies():
    parts = np.random.default_rng(0).dirichlet(np.ones(4), size=(300, 5))
    mixtures = [parts[..., 0]]
    for k in (1, 2, 3):
        mixtures.append(mixtures[-1] + parts[..., k])
    assert (mixtures[-1] > 1).any()
    np.testing.assert_allclose(exact_returns(PD, mixtures[-1], ALLD, HORIZON)[0], -10, rtol=1e-12)
    single = jnp.array([1 + 1.2e-7, 1, 1, 1, 1], jnp.float32)
    assert exact_returns(PD, single, single, HORIZON)[0] == pytest.approx(10, rel=1e-6)
    assert effective_p_naive(1 + 2e-16, 3, "sum") == 1 and effective_p_naive(np.float32(1.0000001), 3, "mean") == 1
    with pytest.raises(ValueError, match=r"holds 1\.0000001"):
        exact_returns(PD, [1.0000001] * 5, ALLD, HORIZON)


def test_strategies_by_name():
    assert exact_returns(PD, "tft", "alld", HORIZON) == exact_returns(PD, TFT, ALLD, HORIZON)
    with pytest.raises(ValueError, match="unknown strategy 'tff'; did you mean tft"):
        exact_returns(PD, "tff", "alld", HORIZON)
    with pytest.raises(ValueError, match=r"depends on the game; .*named_policy\(game, 'zd-extort-3'\)"):
        exact_returns(PD, "zd-extort-3", "alld", HORIZON)
    with pytest.raises(ValueError, match="p must hold probabilities, got"):
        exact_returns(PD, ["tft", "alld"], "alld", HORIZON)


@pytest.mark.parametrize("joint", [np.zeros(5), 0.0, (np.zeros(5),)], ids=["one", "number", "single"])
def test_one_policy_is_no_pair(joint):
    for call in (lambda: Naive().step(PD, HORIZON, joint), lambda: iterate(Naive(), PD, HORIZON, joint, 2)):
        with pytest.raises(ValueError, match=r"a joint policy is a pair \(row, column\)"):
            call()


def test_lists_as_logits():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        row, _ = Naive().step(PD, HORIZON, ([0.0] * 5, [0.0] * 5))
        naive_course(PD, HORIZON, list(TFT), [0.0] * 5, 1.0, 2)
    np.testing.assert_array_equal(row, Naive().step(PD, HORIZON, (np.zeros(5), np.zeros(5)))[0])


CONSTANTS = {
    "exact_returns": lambda: exact_returns(PD, TFT, ALLD, HORIZON)[0],
    "finite": lambda: exact_returns(PD, TFT, ALLD, FiniteHorizon(7))[0],
    "occupancy": lambda: occupancy(TFT, ALLD, HORIZON)[2],
    "action_values": lambda: action_values(PD, TFT, ALLD, HORIZON)[1, 0],
    "returns_and_gradients": lambda: returns_and_gradients(PD, TFT, (0.5,) * 5, HORIZON).row_by_p[1],
    "shaping": lambda: shaping_value_and_gradient(PD, HORIZON, TFT, np.zeros(5), 1.0, 2)[1][3],
    "course": lambda: naive_course(PD, HORIZON, TFT, np.zeros(5), 1.0, 2)[1][2],
    "step": lambda: Lapg(learners=[[0.0] * 5], updates=2).step(PD, HORIZON, JOINT)[0][1],
    "direction": lambda: Naive().direction(PD, HORIZON, JOINT)[1][3],
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_constants_inside_of_compiled_code(name):
    constant = CONSTANTS[name]
    expected = constant()
    assert jax.jit(lambda x: x * constant())(2.0) == pytest.approx(2 * expected, rel=1e-6)
    total, _ = jax.lax.scan(lambda x, _: (x + constant(), None), 0.0, length=3)
    assert total == pytest.approx(3 * expected, rel=1e-6)
    assert jax.grad(lambda x: x * constant())(1.0) == pytest.approx(expected, rel=1e-6)


def test_a_discount_is_an_argument_of_compiled_code():
    p, q = np.array(TFT), np.full(5, 0.5)

    def value(horizon):
        return exact_returns(PD, p, q, horizon)[0]

    with jax.enable_x64(True):
        step = float(value(Discounted(0.9 + 1e-6)) - value(Discounted(0.9 - 1e-6))) / 2e-6
        assert float(jax.jit(value)(HORIZON)) == pytest.approx(exact_returns(PD, TFT, (0.5,) * 5, HORIZON)[0], rel=1e-6)
        assert float(jax.grad(value)(HORIZON).gamma) == pytest.approx(step, rel=1e-4)
    assert jax.tree.map(lambda x: x, HORIZON) == HORIZON


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Naive, "rate"),
        *(
            pytest.param(*pair, marks=pytest.mark.slow)
            for pair in ((LookAhead, "inner_rate"), (LolaDice, "mix"), (Lapg, "eta"), (Lapg, "p_naive"))
        ),
    ],
)
def test_gradients_in_the_numbers_of_a_rule(kind, name):
    fixed = {"learners": [[0.1] * 5], "updates": 2} if kind is Lapg else {}

    def reach(x):
        return kind(**fixed, **{name: x}).step(PD, HORIZON, JOINT)[0].sum()

    with jax.enable_x64(True):
        found, compiled = float(jax.grad(reach)(0.7)), jax.jit(reach)
        slope = float(compiled(0.7 + 1e-5) - compiled(0.7 - 1e-5)) / 2e-5
    assert found == pytest.approx(slope, rel=1e-6, abs=1e-10) and found != 0
    assert kind(**fixed, **{name: 0.7}).step(PD, HORIZON, JOINT)[0].sum() == pytest.approx(
        float(compiled(0.7)), rel=1e-5
    )


def test_a_rule_of_ones_own_checks_its_numbers():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Consensus(Rule):
        penalty: float = 1.0
        strength: Rate = 1.0

        def ascent(self, stage, own, other):
            return own

    for bad in ({"penalty": np.nan}, {"penalty": np.inf}, {"strength": -1.0}, {"strength": np.nan}, {"rate": -1.0}):
        with pytest.raises(ValueError, match=f"{next(iter(bad))} must be a finite number"):
            Consensus(**bad)
    assert Consensus(penalty=-1.0).penalty == -1
