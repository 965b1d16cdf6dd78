"""The mixed-pool game: its fixed points, their stability, and best replies."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
from metagame_reference import PD, SMALL, E, K, pool, reference_field, small, small_atlas
from scipy.special import expit
from shaping_reference import returns, shaping

from lapg_theory import MetaGame, float64
from lapg_theory.game import ALLD, TFT


@functools.cache
def atlas(p_naive, nash=False):
    return pool(p_naive=p_naive, nodes=1024).fixed_points(nash=nash)


@pytest.mark.optimised
def test_fixed_points_of_the_pool():
    """Numbers of an independent prototype at gamma .99, eta 1, 20 updates: attractors E, K and A, and a saddle."""
    extort, cooperate = atlas(0.95).labelled("extort"), atlas(0.95).labelled("cooperate")
    np.testing.assert_allclose(extort[0].policy, E, atol=1e-3)
    np.testing.assert_allclose(cooperate[0].policy, K, atol=1e-3)
    saddle = next(point for point in atlas(0.95) if not point.stable)
    np.testing.assert_allclose(saddle.policy, (0.256, 1, 0, 0.294, 0), atol=3e-3)
    assert (extort[0].stability, cooperate[0].stability, saddle.stability) == ("stable", "stable", "grows together")
    earned = [(x.self_play, x.versus_naive, x.naive_gets) for x in (extort[0], cooperate[0])]
    np.testing.assert_allclose(earned, [(0, 0.817, 0.105), (1, 0.801, 0.222)], atol=3e-3)
    (alternate,) = (point for point in atlas(0.25).labelled("alternate") if point.stable)
    np.testing.assert_allclose(alternate.policy, (0, 1, 0, 0.238, 0.348), atol=3e-3)
    assert alternate.self_play == pytest.approx(0.905, abs=2e-3)
    for found in (atlas(0.25), atlas(0.95)):  # E and K do not move with the share
        for label, policy in (("extort", E), ("cooperate", K)):
            point = found.labelled(label)[0]
            assert point.stable
            np.testing.assert_allclose(point.policy, policy, atol=1e-3)


@pytest.mark.optimised
@pytest.mark.parametrize("share", [0.25, 0.95])
def test_fixed_points_satisfy_the_conditions_of_karush_kuhn_and_tucker(share):
    points = small_atlas(share).points
    assert {"cooperate", "extort"} <= {point.label for point in points}
    p = np.array([point.policy for point in points])
    F = reference_field(small(share), p, p)
    inside = (p > 0) & (p < 1)
    np.testing.assert_allclose(F[inside], 0, atol=1e-8)
    multipliers = np.where(inside, 0, np.where(p == 0, -F, F))
    assert (multipliers > -1e-8).all()
    np.testing.assert_allclose([point.multipliers for point in points], multipliers, atol=1e-10)


@pytest.mark.optimised
def test_modes_are_the_eigenvalues_of_the_joint_dynamics_of_two_agents():
    """Central differences of the reference field in both agents' inner coordinates, all at once."""
    meta, step = small(), 1e-5
    assert len({point.stability for point in small_atlas(0.25)}) == 3
    for point in small_atlas(0.25):
        inside = np.flatnonzero((point.policy > 0) & (point.policy < 1))
        joint = np.concatenate([point.policy, point.policy])
        which = [*inside, *(inside + 5)]

        def velocity(x, meta=meta, which=which):
            return reference_field(meta, [x[:5], x[5:]], [x[5:], x[:5]]).reshape(-1)[which]

        shifts = step * np.eye(10)[which]
        J = np.array([(velocity(joint + s) - velocity(joint - s)) / (2 * step) for s in shifts]).T
        modes = np.concatenate([point.symmetric, point.breaking])
        np.testing.assert_allclose(np.sort_complex(modes), np.sort_complex(np.linalg.eigvals(J)), rtol=1e-6, atol=1e-6)


def follow(meta, p, q, time, step=0.1):
    """The pair of policies after projected Euler steps along the field; the mean-field picture of learning."""
    pair = np.array([p, q], float)
    for _ in range(round(time / step)):
        pair = np.clip(pair + step * meta.field(pair, pair[::-1]), 0, 1)
    return pair


def test_cooperation_is_sought_once():
    meta = small()
    found = meta.cooperation()
    assert found is meta.cooperation()
    for values in (found.policy, found.shaping, found.partial):
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 0.5
    assert dataclasses.replace(meta, p_naive=0.5).cooperation() is not meta.cooperation()


@pytest.mark.optimised
def test_stable_points_attract_and_a_saddle_repels():
    meta, rng = small(0.95), np.random.default_rng(4)
    for label in ("extort", "cooperate"):
        point = next(x for x in small_atlas(0.95) if x.label == label and x.stable)
        near = np.clip(point.policy + rng.uniform(-0.02, 0.02, (2, 5)), 0, 1)
        end = follow(meta, *near, time=15)
        assert np.abs(end - point.policy).max() < 0.2 * np.abs(near - point.policy).max()
    (saddle,) = (x for x in small_atlas(0.95) if x.stability == "grows together")
    for sign in (-1, 1):
        near = saddle.policy + sign * 0.01 * np.eye(5)[0]
        end = follow(meta, near, near, time=15)
        assert (sign * (end[:, 0] - saddle.policy[0]) > 0.017).all()  # exp(0.049 * 15) = 2.1


@pytest.mark.optimised
def test_best_replies_beat_every_try():
    meta, extort = small(), small_atlas(0.25).labelled("extort")[0].policy
    reply = meta.best_response(extort)
    tries = np.random.default_rng(3).uniform(size=(400, 5)) ** 3
    tries[::2] = 1 - tries[::2]
    assert reply.value > meta.value(tries, extort).max() > meta.value(extort, extort) + 0.1
    assert reply.gain == pytest.approx(meta.value(reply.policy, extort) - meta.value(extort, extort), abs=1e-12)
    assert (reply.policy[:3] > 0.9).all()  # nearly unconditional cooperation
    kind = meta.cooperation().policy
    assert small(0.9).best_response(kind).gain < 1e-5 < small(0.995).best_response(kind).gain


@pytest.mark.optimised
def test_extortion_is_no_best_reply_until_its_gain_is_within_the_error():
    """A cooperator earns more against E up to a share of about .7; ascents that start elsewhere do not find it."""
    extort, cooperator = small_atlas(0.25).labelled("extort")[0].policy, (1, 1, 0.958, 0.01, 0)
    found = {share: small(share).best_response(extort) for share in (0.6, 0.7, 0.8)}
    assert [reply.nash for reply in found.values()] == [False, None, True]
    for share, reply in found.items():
        gain = small(share).value([cooperator, extort], extort) @ [1, -1]
        assert reply.gain >= gain - 1e-12 or (share == 0.8 and gain < 0 == reply.gain)
    assert abs(found[0.7].gain) < 2 * found[0.7].error < 0.02
    unlike = [MetaGame(PD, **SMALL, p_naive=0.7, seed=1000 * k).value([cooperator, extort], extort) for k in range(5)]
    assert found[0.7].error == pytest.approx(np.std(np.array(unlike) @ [1, -1], ddof=1), rel=0.2)


@pytest.mark.slow
def test_best_replies():
    """Gains .40 against E at a share of .25; K is its own best reply at .95 and not at .985 (gain .0013)."""
    gains = [pool(p_naive=share).best_response(E).gain for share in (0.05, 0.25, 0.5, 0.75)]
    np.testing.assert_allclose(gains, (0.66, 0.40, 0.16, 0), atol=0.01)
    exact = pool(nodes=1024).cooperation().policy
    gains = [pool(p_naive=share, nodes=1024).best_response(exact).gain for share in (0.95, 0.985)]
    assert gains[0] < 1e-5 and gains[1] == pytest.approx(0.0013, abs=2e-4)
    assert pool(p_naive=0.5).best_response(ALLD).gain == pytest.approx(0.12, abs=0.005)
    assert pool(p_naive=0.5).best_response(TFT).gain == pytest.approx(0.08, abs=0.005)


@pytest.mark.slow
def test_extortion_is_a_nash_equilibrium_for_large_shares_only():
    """From a share of .762 on. At .75 the plainest route agrees that this cooperator earns .0056 more than E."""
    assert [atlas(share, nash=True).labelled("extort")[0].nash for share in (0.5, 0.8)] == [False, True]
    pools, extort = (
        [pool(p_naive=share, nodes=1024) for share in (0.755, 0.77)],
        atlas(0.8, nash=True).labelled("extort")[0],
    )
    assert [x.best_response(extort.policy).nash for x in pools] == [False, True]
    reward, learners = np.array(PD.row_payoffs, float), expit(pools[0].setting().learners)
    column = np.array([1.0, 2.0, -1.0, 0.0])
    earned = []
    for p in (np.array([1, 1, 0.896, 0.034, 0]), extort.policy):
        course = jax.jit(jax.vmap(lambda x, p=p: shaping(reward, column, 0.99, p, x, 1.0, 20, "logit")))
        with float64():
            alone = returns(reward, column, 0.99, p, extort.policy)[0]
            earned.append(0.75 * float(course(learners).mean()) + 0.25 * float(alone))
    assert earned[0] - earned[1] == pytest.approx(0.0056, abs=2e-4)
    assert atlas(0.5, nash=True).labelled("cooperate")[0].nash
