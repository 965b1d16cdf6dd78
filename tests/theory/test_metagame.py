"""The mixed-pool game: its field and closed forms, against the plainest routes."""

import functools

import jax
import numpy as np
import pytest
from metagame_reference import PD, SMALL, E, K, pool, reference_field, small
from scipy.special import expit
from shaping_reference import returns, shaping

from lapg_theory import MetaGame, defection_certificate, exact_returns, float64
from lapg_theory.game import (
    ALLD,
    TFT,
    Discounted,
    chicken,
    donation_game,
    matching_pennies,
    prisoners_dilemma,
    stag_hunt,
)
from lapg_theory.metagame import cooperation as closed_form
from lapg_theory.metagame import project
from lapg_theory.metagame.cooperation import Cooperation
from lapg_theory.metagame.labels import labels


@functools.cache
def kind():
    """The cooperative fixed point with 1024 learners."""
    return pool(nodes=1024).cooperation()


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"gamma": 0.9, "p_naive": 0.05, "weighting": "sum", "updates": 7},
        {"gamma": 0.95, "eta": 0.1, "normalize": False, "updates": 3, "spread": 2.0},
        {"game": stag_hunt(), "gamma": 0.5, "updates": 1, "eta": 4.0},
        {"p_naive": 0.0},
    ],
)
def test_field_equals_automatic_differentiation(given):
    meta = pool(**({"nodes": 16} | given))
    p, q = np.random.default_rng(0).uniform(size=(2, 3, 5))
    p[0], q[0] = TFT, ALLD
    np.testing.assert_allclose(meta.field(p, q), reference_field(meta, p, q), rtol=1e-12, atol=1e-12)
    assert meta.field(p[1], q[1]).shape == (5,)


def test_value_is_what_the_pool_pays():
    meta = pool(nodes=8, updates=4, p_naive=0.3)
    p, q = np.random.default_rng(1).uniform(size=(2, 5))
    reward, learners = np.array(PD.row_payoffs, float), expit(meta.setting().learners)
    column = np.array([1.0, 2.0, -1.0, 0.0])
    course = jax.jit(jax.vmap(lambda x: shaping(reward, column, 0.99, p, x, 1.0, 4, "logit")))
    with float64():
        shaped, own = float(course(learners).mean()), float(returns(reward, column, 0.99, p, q)[0])
    assert meta.value(p, q) == pytest.approx(0.3 * shaped + 0.7 * own, abs=1e-12)
    earned = meta.earnings(p)
    assert earned["versus_naive"] == pytest.approx(shaped, abs=1e-12)
    assert meta.value(p, p) == pytest.approx(0.3 * earned["versus_naive"] + 0.7 * earned["self_play"], abs=1e-12)


def test_a_sum_over_inner_episodes_is_a_mean_with_a_larger_share():
    """M = 20: p .05, .1, .25, .5, .75 weigh .525, .70, .875, .955, .984."""
    shares = [pool(p_naive=p, weighting="sum").share for p in (0.05, 0.1, 0.25, 0.5, 0.75)]
    assert shares == pytest.approx([0.525, 0.70, 0.875, 0.955, 0.984], abs=5e-4)
    p = np.random.default_rng(2).uniform(size=5)
    equal = pool(p_naive=0.05, weighting="sum", nodes=16), pool(p_naive=0.525, nodes=16)
    assert equal[0].share == pytest.approx(equal[1].share)
    np.testing.assert_allclose(equal[0].field(p, p), equal[1].field(p, p), rtol=1e-13)


@pytest.mark.parametrize("gamma", [0.9, 0.99])
def test_tit_for_tat_against_itself_and_against_naive_learners(gamma):
    """Partial gradient (2 gamma - 1) / (1 - gamma^2) in s0, gamma / (1 - gamma) times that in CC, else zero; sums."""
    start = (2 * gamma - 1) / (1 - gamma**2)
    alone = pool(gamma=gamma, p_naive=0.0).field(TFT, TFT) / (1 - gamma)
    np.testing.assert_allclose(alone, [start, gamma / (1 - gamma) * start, 0, 0, 0], atol=1e-10)
    shaped = pool(gamma=gamma, p_naive=1.0, nodes=1024).field(TFT, TFT)
    assert shaped[0] < 0 and (shaped[2:] < 0).all()  # DC alone is unopposed: it breaks tit-for-tat at every share
    held = alone[0] * (1 - gamma)
    bound = {0.9: (0.83, 0.86), 0.99: (0.983, 0.985)}[gamma]
    assert bound[0] < held / (held - shaped[0]) < bound[1]
    if gamma == 0.99:
        np.testing.assert_allclose(shaped, [-0.0077, 0.0723, -0.2628, -0.2511, -0.2826], atol=2e-3)
    assert project(TFT, pool(gamma=gamma, p_naive=0.01, nodes=16).field(TFT, TFT))[3] < 0


def test_error_bars_are_the_spread_over_other_learners():
    given = SMALL | {"updates": 4, "nodes": 16, "p_naive": 0.5}
    found, others = (
        MetaGame(PD, **given).errors(2),
        [MetaGame(PD, **given, seed=1000 * k).cooperation() for k in range(3)],
    )
    assert found["p_critical"] == pytest.approx(np.std([x.p_critical for x in others], ddof=1), rel=1e-4)
    assert found["basin_boundary"] == pytest.approx(np.std([x.basin_boundary(0.5) for x in others], ddof=1), rel=1e-4)


def test_what_the_fate_of_a_cooperator_depends_on():
    """At a policy that cooperates after DD too, as K does in other games: the references at both ends of the edge."""
    policy = np.array([1, 1, 0.2, 0.5, 0.4])
    found = closed_form.at(small(1.0).setting(), policy)
    np.testing.assert_allclose(found.shaping, reference_field(small(1.0), policy, policy)[0], rtol=1e-11, atol=1e-13)
    closed = policy * [0, 1, 1, 1, 1]
    twice = reference_field(small(0.0), [policy, closed], [policy, closed])
    np.testing.assert_allclose(found.partial, twice[0], rtol=1e-11, atol=1e-13)
    assert found.temptation == pytest.approx(twice[1, 0], rel=1e-11)


def test_basins_without_a_boundary():
    """Where the field falls as the opening rises, or CC gives way before s0, no opening is a boundary."""
    one = np.ones(5)
    falling = Cooperation(np.array(K), -one, 2 * one, temptation=3.0)
    assert falling.p_critical == pytest.approx(2 / 3)
    assert (falling.basin_boundary(0.6), falling.basin_boundary(0.7)) == (-np.inf, np.inf)
    early = Cooperation(np.array(K), np.array([-1.0, -1, 0, 0, 0]), np.array([2, 0.5, 0, 0, 0]), temptation=1.0)
    assert early.p_critical == pytest.approx(1 / 3)
    assert early.basin_boundary(0.3) == pytest.approx(3 / 7 - 1)
    assert early.basin_boundary(0.5) == np.inf


def test_cooperation_persists_up_to_the_critical_share():
    """Just below p_K* the field presses K's opening against 1, just above it pulls it down."""
    found, critical = kind(), kind().p_critical
    assert critical == pytest.approx(0.987, abs=1e-3)
    np.testing.assert_allclose(found.policy, K, atol=2e-3)
    for shift, sign in ((-1e-4, 1), (1e-4, -1)):
        beside = pool(p_naive=critical + shift, nodes=1024)
        F = reference_field(beside, found.policy, found.policy)[0]
        assert np.sign(F[0]) == sign and F[1] > 0
    cheap = {"updates": 4, "nodes": 16}
    one, summed, other = (pool(**cheap, **x).p_critical() for x in ({}, {"weighting": "sum"}, {"p_naive": 0.9}))
    assert one == pool(**cheap).cooperation().p_critical
    assert pool(**cheap, p_naive=summed, weighting="sum").share == pytest.approx(one, rel=1e-12)
    assert other == pytest.approx(one, rel=1e-12)


def test_what_a_cooperator_does_after_defection_is_best_against_naive_learners():
    policy = small().cooperation().policy
    F = reference_field(small(1.0), policy, policy)[0]
    assert abs(F[3]) < 1e-5 and F[2] < 0 and F[4] < 0 and 0 < policy[3] < 1


def test_where_the_basin_of_cooperation_begins():
    """x* .009, .018, .044, .123, .254 at shares .25, .5, .75, .9, .95; at the last Newton's saddle is at .256."""
    shares = (0.25, 0.5, 0.75, 0.9, 0.95)
    found = [kind().basin_boundary(share) for share in shares]
    assert small(0.5).basin_boundary() == pytest.approx(small().cooperation().basin_boundary(0.5), rel=1e-12)
    np.testing.assert_allclose(found, (0.009, 0.018, 0.044, 0.123, 0.254), atol=2e-3)
    for share, boundary in zip(shares, found, strict=True):
        for factor, sign in (
            (0.999, -1),
            (1.001, 1),
        ):  # K's pull in s0, whatever the opening, and the reference for the rest
            opening = np.append(factor * boundary, kind().policy[1:])
            alone = reference_field(pool(p_naive=0.0, nodes=1), opening, opening)[0, 0]
            assert np.sign(share * kind().shaping[0] + (1 - share) * alone) == sign
    assert pool(p_naive=1.0).basin_boundary() == np.inf


def test_defection_is_left_where_the_certificate_says():
    """The field of the pool at defection changes sign with the naive rate where the certificate's window begins."""
    lower, upper = defection_certificate(PD, gamma=0.95, eta=1.0, updates=20).window
    for rate, inwards in ((0.93 * lower, False), (1.07 * lower, True), (0.93 * upper, True), (1.07 * upper, False)):
        F = pool(gamma=0.95, eta=rate, p_naive=0.3, nodes=1024).field(ALLD, ALLD)
        assert (F[3] > 0) == inwards and (F[[0, 4]] < 0).all()


def test_leaving_from_near_defection_takes_a_share_of_the_order_of_the_noise():
    """At P(C) = eps everywhere DC turns positive at a share of about eps / (G + eps): .023 to .038 for eps .01."""
    noisy = np.full(5, 0.01)
    alone, shaped = (pool(gamma=g, p_naive=p, eta=2.0).field(noisy, noisy)[3] for g, p in ((0.95, 0.0), (0.95, 1.0)))
    assert 0.02 < -alone / (shaped - alone) < 0.04


def test_labels_say_what_a_policy_does():
    setting = pool().setting()
    p = np.array([K, E, ALLD, (0, 1, 0, 0.238, 0.348), (0.5,) * 5], float)
    expected = ["cooperate", "extort", "defect", "alternate", "other"]
    assert labels(setting, p, p) == expected
    shifted = pool(prisoners_dilemma(7, 5, 3, 1), eta=0.5).setting()  # the same game in other units
    assert labels(shifted, p, p) == expected


def test_cooperation_begins_at_three_quarters_of_its_reward():
    faithful = np.array([(1, x, 0, 0, 0) for x in np.linspace(0.995, 1, 21)])
    level = exact_returns(PD, faithful, faithful, Discounted(0.99))[0] / 100
    assert (level > 0.75).sum() > 3 and ((level > 0.75) & (level < 0.85)).any() and (level < 0.75).any()
    assert labels(small().setting(), faithful, faithful) == np.where(level > 0.75, "cooperate", "other").tolist()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"gamma": 1.0}, r"gamma must lie in \[0, 1\), got 1.0"),
        ({"gamma": -0.1}, r"gamma must lie in \[0, 1\)"),
        ({"p_naive": 1.5}, r"p_naive must lie in \[0, 1\], got 1.5"),
        ({"p_naive": float("nan")}, r"p_naive must lie in \[0, 1\], got nan"),
        ({"eta": -1.0}, "eta must be a learning rate >= 0"),
        ({"updates": 2.5}, "updates must be an integer >= 0, got 2.5"),
        ({"nodes": 100}, "power of two"),
        ({"spread": -1.0}, "spread must be >= 0"),
        ({"weighting": "median"}, 'weighting must be "mean" or "sum"'),
        ({"game": matching_pennies()}, "in a pool everyone plays either seat; choose a symmetric game"),
        ({"game": donation_game(2, 1), "updates": -1}, "updates"),
    ],
)
def test_pools_that_are_none_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        pool(**given)


def test_policies_that_are_none_are_refused():
    meta = pool(nodes=8)
    with pytest.raises(ValueError, match=r"p holds 1.1, which is no probability"):
        meta.field((1.1, 0, 0, 0, 0), TFT)
    with pytest.raises(ValueError, match="q needs five probabilities"):
        meta.field(TFT, (1, 0))
    with pytest.raises(ValueError, match="best_response takes one policy"):
        meta.best_response([TFT, TFT])
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        meta.basins([[TFT, TFT]])
    assert chicken().is_symmetric and MetaGame(chicken(), gamma=0.9, p_naive=0.5).share == 0.5
