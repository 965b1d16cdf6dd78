"""Whom the agents meet: shares, starts, memory, what they are told, and who learns by which estimator."""

import dataclasses
import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from folders import logits

from lapg_rl.config import Config, LearnerConfig, ModelConfig, NaiveConfig, PoolConfig
from lapg_rl.config.tables import KEYED
from lapg_rl.estimators import ESTIMATORS
from lapg_rl.learn import credit, training_step
from lapg_rl.models import GRU, Hawk, Tabular
from lapg_rl.play import company
from lapg_rl.play.rollout import Trajectory, log_prob
from lapg_theory.game import ALLC, ALLD

POOL = Config(
    meta_batch=40,
    batch=2,
    inner_episodes=2,
    steps=3,
    model=ModelConfig(kind="tabular"),
    learner=LearnerConfig(minibatches=1),
)


def tables(policies):
    """Tabular agents that play the given memory-one policies."""
    one = Tabular(5, 2, key=jax.random.key(0))
    many = jax.tree.map(lambda x: jnp.stack([x] * len(policies)), one)
    return eqx.tree_at(lambda m: m.logits, many, jnp.stack([logits(p) for p in policies]))


@functools.cache
def player(cfg):
    return eqx.filter_jit(lambda me, others, key: company.play_pool(cfg, me, others, key))


def play(cfg, agents, index=0, naive=None, seed=0):
    """What agent `index` meets: kind -> (own, other's) trajectories."""
    others = company.Company(jnp.array(index), agents, agents if naive is None else naive)
    me = jax.tree.map(lambda x: x[index], agents)
    return {kind: sides[:2] for kind, sides in player(cfg)(me, others, jax.random.key(seed)).items()}


def pool(cfg=POOL, **settings):
    return dataclasses.replace(cfg, pool=PoolConfig(**settings))


def test_dynamic_naive_learners_start_as_the_other_agents_and_learn():
    """Agent 1 of 3 cooperates, the others defect: its naive co-players defect first, and never cooperate as it does."""
    cfg = pool(agents=3, naive_population=2, naive_start="dynamic")
    agents = tables([ALLD, ALLC, ALLD])
    _, other = play(cfg, agents, 1, naive=tables([ALLC, ALLC]))["naive"]
    assert np.all(other.actions == 1)
    _, other = play(cfg, agents, 0, naive=tables([ALLC, ALLC]))["naive"]
    first = np.asarray(other.actions[:, 0, 0, 0])
    assert set(first) == {0, 1}  # copies of agents 1 and 2, each with probability 1/2: alike with probability 2 / 2^40
    _, other = play(cfg, tables([ALLC, (0.5,) * 5, (0.5,) * 5]))["naive"]
    assert np.all(np.asarray(other.values)[:, :, 0] == 0)
    assert np.any(np.asarray(other.values)[:, :, 1] != 0)


def test_fixed_strategies_are_met_equally_often_and_play_what_they_are():
    cfg = pool(p_naive=0.0, p_fixed=1.0, fixed="tft,alld,allc")
    own, other = play(cfg, tables([(0.5,) * 5]))["fixed"]
    own, other = np.asarray(own.actions), np.asarray(other.actions)
    copies = np.concatenate([np.zeros_like(own[..., :1]), own[..., :-1]], axis=-1)
    met = [np.all(other == wanted, axis=(1, 2, 3)) for wanted in (copies, np.ones_like(own), np.zeros_like(own))]
    assert np.all(np.sum(met, axis=0) == 1)
    assert sorted(m.sum() for m in met) == [13, 13, 14]


def test_random_memory_one_strategies_are_uniform_on_the_cube():
    """Kolmogorov-Smirnov distance of 2,000 draws of each entry below 0.05: a false alarm once in 2,000 keys."""
    cfg = pool(p_naive=0.0, p_memory_one=1.0)
    drawn = company.memory_one(cfg).draw(company.Company(jnp.array(0), None, None), 2000, jax.random.key(0))
    uniform = (np.arange(2000) + 0.5) / 2000
    assert np.abs(np.sort(np.asarray(drawn), axis=0) - uniform[:, None]).max() < 0.05
    assert np.abs(np.corrcoef(np.asarray(drawn).T) - np.eye(5)).max() < 0.1
    own, other = play(cfg, tables([(0.5,) * 5]))["memory_one"]
    assert len(own.actions) == 40
    assert 0 < np.asarray(other.actions).mean() < 1


def test_every_agent_learns_by_its_own_estimator():
    rng = np.random.default_rng(0)
    shape = (2, 3, 2, 4)
    draw = lambda: jnp.asarray(rng.normal(size=shape), jnp.float32)  # noqa: E731
    played = Trajectory(jnp.zeros((*shape, 5)), jnp.zeros(shape, int), draw(), draw(), draw())
    settings = LearnerConfig(estimator="mfos,lapg,mfos,inner_episode", reward_scale=1.0)
    for agent, name in enumerate(settings.estimators):
        found = eqx.filter_jit(credit.experience)(played, True, settings, jnp.array(agent))
        for k in range(2):
            credits = ESTIMATORS[name](played.rewards[k], played.values[k], gamma=1.0, gae_lambda=1.0)
            np.testing.assert_allclose(found.credits[k], 3 * credits.reshape(3, 8), rtol=1e-4, atol=1e-5)
        rewards = np.asarray(played.rewards)
        ends = rewards[..., ::-1].cumsum(-1)[..., ::-1]
        if name != "inner_episode":
            ends = ends + np.stack([rewards[:, :, 1].sum(-1), np.zeros((2, 3))], axis=-1)[..., None]
        np.testing.assert_allclose(found.targets, ends.reshape(2, 3, 8), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["meta", "fixed", "memory_one"])
def test_lapg_needs_no_other_trajectory_where_nobody_learns(kind):
    rewards = jnp.asarray(np.random.default_rng(1).normal(size=(1, 3, 2, 4)), jnp.float32)
    zeros = jnp.zeros(rewards.shape)
    played = Trajectory(jnp.zeros((*rewards.shape, 5)), zeros.astype(int), rewards, zeros, zeros)
    changed = played._replace(rewards=rewards.at[0, 1].add(5.0))
    cfg = pool(p_naive=0.0, p_fixed=1.0, fixed="alld", agents=2)
    learns = company.kind_of(cfg, kind).learns
    credits = eqx.filter_jit(lambda t, learns: credit.experience(t, learns, LearnerConfig()).credits)
    one, other = credits(played, learns), credits(changed, learns)
    np.testing.assert_array_equal(one[0, 0], other[0, 0])
    assert np.all(one[0, 0, :4] != credits(changed, True)[0, 0, :4])


def test_reveal_tells_the_kind_and_nothing_else():
    shares = {"p_naive": 0.25, "agents": 2, "p_fixed": 0.25, "fixed": "alld", "p_memory_one": 0.25}
    agents = tables([ALLC, (0.5,) * 5])
    plain = play(pool(**shares), agents)
    wide = eqx.tree_at(
        lambda m: (m.logits, m.values), agents, (jnp.pad(agents.logits, ((0, 0), (0, 4), (0, 0))), jnp.zeros((2, 9)))
    )
    told = play(pool(reveal=True, **shares), wide)
    kinds = [kind for kind in KEYED if kind != "frozen"]
    assert set(plain) == set(told) == set(kinds)
    for n, kind in enumerate(kinds):
        for player, expected in ((0, n), (1, KEYED.index("meta"))):
            seen = np.asarray(told[kind][player].observations)
            np.testing.assert_array_equal(seen[..., 5:], np.broadcast_to(np.eye(4)[expected], (*seen.shape[:-1], 4)))
        first = [x[kind][0] for x in (plain, told)]
        np.testing.assert_array_equal(first[0].observations[:, :, 0], first[1].observations[:, :, 0, :, :5])
        np.testing.assert_array_equal(first[0].actions, first[1].actions)


def test_without_memory_each_inner_episode_is_a_sequence_of_its_own():
    """What the rollout recorded token by token is what the policies say of single inner episodes, ego and other alike."""
    agents = eqx.filter_jit(eqx.filter_vmap(lambda key: GRU(5, 2, width=3, key=key)))(
        jax.random.split(jax.random.key(0))
    )
    agents = eqx.tree_at(lambda m: m.readout.weight, agents, jax.random.normal(jax.random.key(2), (2, 3, 3)))
    learner = LearnerConfig(minibatches=1, memory="inner_episode", reward_scale=1.0)
    cfg = pool(dataclasses.replace(POOL, meta_batch=2, learner=learner), p_naive=0.0, agents=2)
    sides = play(cfg, agents)["meta"]
    evaluate = eqx.filter_jit(lambda policy, seen: jax.vmap(lambda o: policy(o))(seen))
    for n, side in enumerate(sides):
        out, values = evaluate(jax.tree.map(lambda x, n=n: x[n], agents), side.observations.reshape(-1, 3, 5))
        np.testing.assert_allclose(values, side.values.reshape(-1, 3), atol=1e-5)
        np.testing.assert_allclose(log_prob(out, side.actions.reshape(-1, 3)), side.log_probs.reshape(-1, 3), atol=1e-5)
    experience = eqx.filter_jit(lambda side, settings: credit.experience(side, False, settings))
    found = experience(sides[0], cfg.learner)
    np.testing.assert_array_equal(found.observations, sides[0].observations.reshape(2, 4, 3, 5))
    whole = experience(sides[0], dataclasses.replace(learner, memory="meta_episode"))
    np.testing.assert_array_equal(found.credits.ravel(), whole.credits.ravel())


@pytest.mark.parametrize("kind", ["tabular", "gru"])
def test_naive_learners_may_be_of_another_kind(kind):
    cfg = dataclasses.replace(POOL, model=ModelConfig(width=4, mlp_width=4, spread=1.0), naive=NaiveConfig(model=kind))
    state = training_step.initial_state(cfg, training_step.run_key(cfg))
    assert type(state.naive_policies).__name__.lower() == kind
    assert isinstance(state.agents, Hawk)
    if kind == "tabular":
        assert np.asarray(state.naive_policies.logits).std() == pytest.approx(1, abs=0.35)  # 100 draws: 5 sigma
