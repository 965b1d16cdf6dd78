"""Estimators that read the co-players' rewards: literal sums, limits, and what training passes to whom."""

import dataclasses
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lapg_rl import config, estimators
from lapg_rl.config import AlignmentConfig, LearnerConfig
from lapg_rl.estimators import advantage_alignment, inner_episode
from lapg_rl.interfaces import Others
from lapg_rl.learn import credit
from lapg_rl.learn.training_step import initial_state, run_key
from lapg_rl.play import company
from lapg_rl.play.rollout import Trajectory
from lapg_theory.exact.precision import float64

GAMMA, LAM, SCALE = 0.9, 0.7, 0.5
N, B, M, T = 2, 2, 2, 4
RNG = np.random.default_rng(0)
OWN = RNG.normal(size=(2, B, M, T))  # rewards, values
THEIRS = RNG.normal(size=(2, N, B, M, T))
CHANCES = RNG.uniform(0.1, 0.9, size=(N, B, M, T))
OTHERS = Others(*THEIRS, CHANCES)


def advantage(rewards, values, k, lam):
    """Of one inner episode [t] at step k."""
    after = np.append(values[1:], 0)
    delta = rewards + GAMMA * after - values
    return sum((GAMMA * lam) ** (n - k) * delta[n] for n in range(k, T))


def literal(past_weight, past_lambda, mean=False):
    """The definitions as sums over steps; `past_weight(j, b, m, t, k)` is what own advantage t counts for j at step k."""
    found = np.zeros((B, M, T))
    for b, m, k in np.ndindex(found.shape):
        own = OWN[:, b, m]
        found[b, m, k] = advantage(*own, k, LAM)
        for j, t in itertools.product(range(N), range(k)):
            weight = past_weight(j, b, m, t, k) / (k if mean else 1)
            found[b, m, k] += weight * advantage(*own, t, past_lambda) * advantage(*THEIRS[:, j, b, m], k, LAM)
    return found / B


def called(estimator, **settings):
    with float64():
        return estimator(
            *map(jnp.asarray, OWN), gamma=GAMMA, gae_lambda=LAM, reward_scale=SCALE, **settings,
            others=Others(*map(jnp.asarray, OTHERS)),
        )  # fmt: skip


@pytest.mark.parametrize("past_lambda", [0.0, 0.6])
def test_advantage_alignment_is_its_double_sum(past_lambda):
    found = called(advantage_alignment, alignment=AlignmentConfig(beta=3.0, past_lambda=past_lambda))
    expected = literal(lambda j, b, m, t, k: 3 / SCALE * GAMMA ** (k - t), past_lambda)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_the_form_for_many_players_takes_means_of_the_past():
    found = called(advantage_alignment, alignment=AlignmentConfig(beta=3.0, past="mean", past_lambda=LAM))
    np.testing.assert_allclose(found, literal(lambda *_: 3 / SCALE, LAM, mean=True), atol=1e-12)


def test_without_shaping_it_is_independent_learning():
    with float64():
        expected = inner_episode(*map(jnp.asarray, OWN), gamma=GAMMA, gae_lambda=LAM)
    np.testing.assert_array_equal(called(advantage_alignment, alignment=AlignmentConfig(beta=0.0)), expected)


@pytest.mark.parametrize("how", [{"past_lambda": 1.5}, {"past_lambda": float("nan")}, {"beta": -1.0}])
def test_settings_that_make_no_sense_are_refused(how):
    (key,) = how
    with pytest.raises(ValueError, match=rf"learner.alignment.{key} must be"):
        config.from_dict({"learner": {"alignment": how}})


SMALL = ["updates=1", "meta_batch=4", "batch=2", "inner_episodes=2", "steps=3", "model.kind=tabular"]
POOL = ["pool.agents=2", "pool.coplayers=naive=0.5,fixed=0.25", "pool.fixed=tft"]
NAIVE = ["naive.reward_scale=0.25", "naive.learning_rate=0"]


def test_training_passes_the_co_players_rewards_to_those_that_read_them():
    """The credits of every kind of co-player are those of the recorded play; values in the scale of the agents."""
    cfg = config.override(config.preset("ipd-mixed"), [*SMALL, *POOL, *NAIVE, "estimator=advantage_alignment"])
    cfg = dataclasses.replace(cfg, learner=dataclasses.replace(cfg.learner, reward_scale=0.5))
    state = initial_state(cfg, run_key(cfg))
    agents = jax.tree.map(lambda x: x + 0.3, state.agents)  # values that are not 0
    met = company.Company(jnp.array(0), agents, jax.tree.map(lambda x: x + 0.3, state.naive_policies))
    play = eqx.filter_jit(lambda agent, key: company.play_pool(cfg, agent, met, key))
    played = play(jax.tree.map(lambda x: x[0], agents), jax.random.key(0))
    for kind, side in played.items():
        others = credit.others_of(side.other, cfg.learner, side.value_scale)
        found = credit.experience(side.own, side.learns, cfg.learner, 0, seen={"others": others})
        scale = {"naive": 2.0, "fixed": 0.0, "meta": 1.0}[kind]
        np.testing.assert_allclose(others.values, scale * 0.3 * np.ones(others.values.shape), rtol=1e-6)
        for k in range(len(side.own.rewards)):
            seen = Others(0.5 * side.other.rewards[k][None], others.values[k], others.chances[k])
            expected = advantage_alignment(
                0.5 * side.own.rewards[k], side.own.values[k], gamma=1.0, gae_lambda=1.0, reward_scale=0.5,
                others=seen, alignment=cfg.learner.alignment,
            )  # fmt: skip
            np.testing.assert_allclose(found.credits[k], 2 * expected.reshape(2, 6), rtol=1e-4, atol=1e-5)


def test_an_estimator_of_the_user_s_may_read_them_and_no_other_gets_them():
    class Kind:
        reads = ("others", "clip")

        def __call__(self, rewards, values, *, gamma, gae_lambda, others, clip):
            return rewards + clip * others.rewards.sum(0)

    def selfish(rewards, values, *, gamma, gae_lambda):
        return rewards

    shape = (3, 2, 2, 4)
    own, other = (
        Trajectory(
            jnp.zeros((*shape, 5)), jnp.zeros(shape, int), *jnp.asarray(RNG.normal(size=(3, *shape)), jnp.float32)
        )
        for _ in range(2)
    )
    table = {"mine:Kind": Kind(), "mine:selfish": selfish}
    settings = LearnerConfig(estimator="mine:Kind,mine:selfish", reward_scale=1.0, clip=0.2)
    others = credit.others_of(other, settings)
    for agent, shared in enumerate((0.2, 0.0)):
        found = credit.experience(own, True, settings, agent, table, {"others": others})
        expected = 2 * (own.rewards + shared * other.rewards).reshape(3, 2, 8)
        np.testing.assert_allclose(found.credits, expected, rtol=1e-5)


def test_every_estimator_is_called_with_what_it_reads():
    assert {name for name, found in estimators.ESTIMATORS.items() if "others" in credit.reads(found)} == {
        "advantage_alignment"
    }
