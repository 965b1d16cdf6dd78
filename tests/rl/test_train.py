"""Losses, pools and the training step."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lapg_rl as rl
from lapg_rl import config
from lapg_rl.config import Config, LearnerConfig, ModelConfig, PoolConfig
from lapg_rl.estimators import ESTIMATORS
from lapg_rl.learn import credit, training_step
from lapg_rl.learn.algorithms.policy_gradient import _gradient, sequences_at_once
from lapg_rl.learn.losses import Experience, loss
from lapg_rl.models import Tabular
from lapg_rl.play import company
from lapg_rl.play.rollout import Trajectory

TINY = Config(
    updates=2,
    meta_batch=4,
    batch=2,
    inner_episodes=2,
    steps=3,
    model=ModelConfig(kind="tabular"),
    pool=PoolConfig(p_naive=0.5, agents=3, naive_population=2),
)


def trajectory(k=3, seed=0):
    rng = np.random.default_rng(seed)
    shape = (k, 2, 3, 4)
    return Trajectory(
        jax.nn.one_hot(rng.integers(0, 5, shape), 5),
        jnp.asarray(rng.integers(0, 2, shape)),
        jnp.asarray(rng.normal(size=shape), jnp.float32),
        jnp.asarray(rng.normal(size=shape), jnp.float32),
        jnp.asarray(rng.normal(size=shape), jnp.float32),
    )


def policy(seed=0):
    rng = np.random.default_rng(seed)
    numbers = jnp.asarray(rng.normal(size=(5, 2)), jnp.float32), jnp.asarray(rng.normal(size=5), jnp.float32)
    return eqx.tree_at(lambda m: (m.logits, m.values), Tabular(5, 2, key=jax.random.key(0)), numbers)


def some_experience(n=6, length=8, seed=1):
    rng = np.random.default_rng(seed)
    draw = lambda: jnp.asarray(rng.normal(size=(n, length)), jnp.float32)  # noqa: E731
    states, actions = rng.integers(0, 5, (n, length)), jnp.asarray(rng.integers(0, 2, (n, length)))
    return Experience(jax.nn.one_hot(states, 5), actions, draw() - 1, draw(), draw(), draw()), states


@pytest.mark.parametrize("value_clip", [False, True])
def test_ppo_loss_equals_a_literal_computation(value_clip):
    settings = LearnerConfig(clip=0.3, value_coef=0.7, entropy_coef=0.2, value_clip=value_clip)
    batch, states = some_experience()
    model = policy()
    logits, values = np.asarray(model.logits)[states], np.asarray(model.values)[states]
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    total = []
    for i, j in np.ndindex(states.shape):
        ratio = np.exp(log_p[i, j, int(batch.actions[i, j])] - batch.old_log_probs[i, j])
        credit, target, old = (float(x[i, j]) for x in (batch.credits, batch.targets, batch.old_values))
        actor = -min(ratio * credit, np.clip(ratio, 0.7, 1.3) * credit)
        error = (values[i, j] - target) ** 2
        if value_clip:
            error = max(error, (old + np.clip(values[i, j] - old, -0.3, 0.3) - target) ** 2)
        entropy = -(np.exp(log_p[i, j]) * log_p[i, j]).sum()
        total.append(actor + 0.7 * 0.5 * error - 0.2 * entropy)
    assert float(loss(model, batch, settings)[0]) == pytest.approx(np.mean(total), rel=1e-5)


def test_ppo_and_a2c_have_the_same_policy_gradient_at_the_policy_that_played():
    batch, _ = some_experience()
    model = policy()
    logits, _ = jax.vmap(lambda o: model(o))(batch.observations)
    played = jnp.take_along_axis(jax.nn.log_softmax(logits), batch.actions[..., None], -1)[..., 0]
    batch = batch._replace(old_log_probs=played)
    ppo = LearnerConfig(value_coef=0.0)
    a2c = LearnerConfig(algorithm="a2c", epochs=1, minibatches=1, value_coef=0.0)
    one, other = (eqx.filter_grad(lambda m, c=c: loss(m, batch, c)[0])(model).logits for c in (ppo, a2c))
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_the_gradient_is_the_same_whatever_the_chunk():
    batch, _ = some_experience(n=34)  # 34 sequences: chunks of 2 on a CPU
    settings = LearnerConfig()
    assert sequences_at_once(34, on_cpu=True) == 2
    chunked, parts = eqx.filter_jit(_gradient)(policy(), batch, settings)
    (_, expected_parts), whole = eqx.filter_value_and_grad(loss, has_aux=True)(policy(), batch, settings)
    for one, other in zip(jax.tree.leaves((chunked, parts)), jax.tree.leaves((whole, expected_parts)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("estimator", [name for name, e in ESTIMATORS.items() if not credit.reads(e)])
@pytest.mark.parametrize("kind", ["naive", "meta"])
def test_experience_holds_the_credits_of_each_meta_episode_times_b(estimator, kind):
    played, settings = trajectory(), LearnerConfig(estimator=estimator, reward_scale=0.5)
    found = credit.experience(played, kind == "naive", settings)
    name = "batch_unaware" if (estimator, kind) == ("lapg", "meta") else estimator
    for k in range(3):
        expected = 2 * ESTIMATORS[name](0.5 * played.rewards[k], played.values[k], gamma=1.0, gae_lambda=1.0)
        np.testing.assert_allclose(found.credits[k], expected.reshape(2, 12), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found.observations, played.observations.reshape(3, 2, 12, 5))


def test_credits_are_centred_and_normalised_apart_for_each_kind():
    for how, spread in (("centred", None), ("normalised", 1.0)):
        settings = LearnerConfig(advantages=how)
        for seed in (0, 1):
            credits = np.asarray(credit.experience(trajectory(seed=seed), True, settings).credits)
            assert credits.mean() == pytest.approx(0, abs=1e-5)
            assert spread is None or credits.std() == pytest.approx(spread, rel=1e-4)


def test_the_pool_has_exact_shares_and_nobody_meets_itself():
    """Agent i always plays action i of 3 agents: 0 cooperates, 1 defects, 2 mixes; agent 0 must never meet a cooperator."""
    always = jnp.array([[[30.0, 0.0]] * 5, [[0.0, 30.0]] * 5, [[0.0, 30.0]] * 5])
    agents = eqx.tree_at(lambda m: m.logits, jax.tree.map(lambda x: jnp.stack([x] * 3), policy()), always)
    naive = jax.tree.map(lambda x: jnp.stack([x] * 2), policy())
    cfg = dataclasses.replace(TINY, meta_batch=40)
    me = jax.tree.map(lambda x: x[0], agents)
    run = eqx.filter_jit(lambda k: company.play_pool(cfg, me, company.Company(jnp.array(0), agents, naive), k))
    played = run(jax.random.key(0))
    assert {kind: len(own.rewards) for kind, (own, *_) in played.items()} == {"naive": 20, "meta": 20}
    assert np.all(played["meta"][1].actions == 1)
    assert np.all(played["meta"][0].actions == 0)


def words(name):
    """What a preset names; presets that name the same differ in numbers only."""
    cfg = config.preset(name)
    sections = (cfg.game, cfg.model, cfg.naive, cfg.learner, cfg.pool)
    return [value for section in sections for value in vars(section).values() if isinstance(value, str)]


def traced_elsewhere(name):
    large = name.removesuffix("-small")
    return large != name and large in config.PRESETS and words(large) == words(name)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * traced_elsewhere(name)) for name in config.PRESETS],
)
def test_presets_build_a_step(name):
    """Shapes only: nothing is computed."""
    cfg = config.preset(name)
    key = training_step.run_key(cfg)
    state = eqx.filter_eval_shape(lambda k: training_step.initial_state(cfg, k), key)
    after, metrics = eqx.filter_eval_shape(training_step.make_train_step(cfg), state, key)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert {metrics[f"reward_vs_{kind}"].shape for kind in cfg.shares} == {(cfg.pool.agents,)}


def test_an_accelerator_s_program_makes_the_same_update(monkeypatch):
    """All agents and sequences at once there, one after the other here."""
    cfg = dataclasses.replace(TINY, model=ModelConfig(kind="gru", width=4), meta_batch=40, batch=2)
    key = training_step.run_key(cfg)
    ends = []
    for backend in ("cpu", "gpu"):
        monkeypatch.setattr(jax, "default_backend", lambda name=backend: name)
        ends.append(training_step.make_train_step(cfg)(training_step.initial_state(cfg, key), key))
    for here, there in zip(jax.tree.leaves(ends[0]), jax.tree.leaves(ends[1]), strict=True):
        np.testing.assert_allclose(here, there, rtol=1e-3, atol=1e-5)


def test_a_loop_of_ones_own_is_the_run(tmp_path):
    """From `fresh_state` on, with the run's key folded with the number of the update, it gives the same numbers."""
    state, key, step = rl.fresh_state(TINY), rl.run_key(TINY), rl.make_train_step(TINY)
    entropies = []
    for n in range(TINY.updates):
        state, metrics = step(state, jax.random.fold_in(key, n))
        entropies.append(np.asarray(metrics["entropy"]).tolist())
    end = rl.train(TINY, tmp_path / "run", quiet=True)
    assert rl.collect(tmp_path / "run").by_agent["entropy"].tolist() == entropies
    assert all(
        np.array_equal(a, b) for a, b in zip(jax.tree.leaves(state.agents), jax.tree.leaves(end.agents), strict=True)
    )
