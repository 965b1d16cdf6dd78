"""The gradient balance: parts against automatic differentiation, the noise correction, and how ratios change with B."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from folders import logits

import lapg_rl as rl
from lapg_rl import config
from lapg_rl.config import Config, LearnerConfig, ModelConfig, NaiveConfig, PoolConfig
from lapg_rl.models import Tabular
from lapg_rl.play.rollout import Trajectory
from lapg_rl.study import balance

CONFIG = Config(
    batch=3,
    inner_episodes=2,
    steps=4,
    model=ModelConfig(kind="tabular"),
    learner=LearnerConfig(reward_scale=0.5),
    naive=NaiveConfig(
        optimiser="sgd", learning_rate=4.0, normalize_advantages=False, reward_scale=1.0, clip_norm=100.0
    ),
    pool=PoolConfig(naive_population=2),
)


def policy():
    return eqx.tree_at(lambda m: m.logits, Tabular(5, 2, key=jax.random.key(0)), logits((0.5, 0.7, 0.4, 0.6, 0.3)))


@pytest.mark.parametrize("memory", ["meta_episode", "inner_episode"])
def test_both_parts_add_up_to_the_gradient_of_the_estimator_and_the_current_one_is_that_of_a_single_episode(memory):
    rng = np.random.default_rng(0)
    shape = (2, 3, 2, 4)
    draw = lambda: jnp.asarray(rng.normal(size=shape), jnp.float32)  # noqa: E731
    states, actions = rng.integers(0, 5, shape), rng.integers(0, 2, shape)
    played = Trajectory(jax.nn.one_hot(states, 5), jnp.asarray(actions), draw(), draw(), draw())
    cfg = dataclasses.replace(CONFIG, learner=dataclasses.replace(CONFIG.learner, memory=memory))
    found = eqx.filter_jit(balance.gradient_parts)(policy(), played, cfg)
    cooperate = np.asarray(jax.nn.sigmoid(policy().logits @ np.array([1.0, -1.0])))
    for name, estimator in balance.ESTIMATORS.items():
        for k in range(2):
            credits = np.asarray(estimator(0.5 * played.rewards[k], played.values[k], gamma=1.0, gae_lambda=1.0))
            values = np.asarray(played.values[k])
            following = np.zeros((3, 2, 1))
            if name != "inner_episode":
                following[:, 0] = values[:, 1, :1]
            current = (0.5 * np.asarray(played.rewards[k]))[..., ::-1].cumsum(-1)[..., ::-1] + following - values
            current = current if name == "mfos" else current / 3
            slope = np.where(actions[k] == 0, 1 - cooperate[states[k]], -cooperate[states[k]])  # of log pi in logit C
            for part, weights in zip(found[name][k], (current, credits - current), strict=True):
                expected = np.zeros((5, 2))
                np.add.at(expected, (states[k], 0), slope * weights)
                np.add.at(expected, (states[k], 1), -slope * weights)
                np.testing.assert_allclose(part[:10].reshape(5, 2), expected, rtol=1e-3, atol=1e-4)


def test_norms_are_corrected_for_noise_and_the_error_is_the_spread():
    """400 trials of 256 samples of known mean norms 0.6 and 0.3: the mean ratio within 3 %, the error within 15 %."""
    rng = np.random.default_rng(1)
    means = np.zeros((2, 20))
    means[0, 0], means[1, 1] = 0.6, 0.3
    found = [balance.describe("lapg", 4, means + rng.normal(size=(256, 2, 20)) * 0.5) for _ in range(400)]
    ratios, errors = np.array([f.ratio for f in found]), np.array([f.error for f in found])
    assert ratios.mean() == pytest.approx(0.5, rel=0.03)
    assert np.median(errors) == pytest.approx(ratios.std(), rel=0.15)
    assert np.mean([f.sampled for f in found]) > 0.51
    exact = balance.describe("lapg", 4, np.broadcast_to(means, (5, 2, 20)))
    assert (exact.ratio, exact.error, exact.sampled) == pytest.approx((0.5, 0, 0.5))
    assert balance.describe("lapg", 4, np.stack([means, -means, means, -means])).ratio is None


@pytest.mark.slow
def test_the_future_part_keeps_up_with_the_minibatch_for_lapg_alone():
    """Without memory the others' ratio is LAPG's over B; five standard errors, so a false alarm once in a million keys.

    LAPG's own ratio is 0.55, 0.72, 0.98 at B = 1, 4, 16 (errors 0.05, 0.07, 0.12): a smaller minibatch teaches less.
    """
    cfg, batches = dataclasses.replace(CONFIG, inner_episodes=3), (1, 4, 16)
    naive = jax.tree.map(lambda x: jnp.stack([x, x]), policy())
    rows = balance.balance(cfg, policy(), naive, batches, 4096, jax.random.key(0))
    table = {(row.estimator, row.batch): row for row in rows}
    for batch in batches:
        lapg, mfos, unaware = (table[name, batch] for name in ("lapg", "mfos", "batch_unaware"))
        assert mfos.ratio == pytest.approx(lapg.ratio / batch, rel=1e-3)
        assert abs(unaware.ratio - lapg.ratio / batch) < 5 * np.hypot(unaware.error, lapg.error / batch)
        assert 0.4 < lapg.ratio < 1.6
    assert table["mfos", 16].ratio < 0.1


TOLD = ["pool.reveal=true", "pool.reveal_kinds=naive,meta"]
LOLA = ["learner.algorithm=lola_dice", "learner.memory=inner_episode", "learner.epochs=1", "learner.minibatches=1"]


@pytest.mark.parametrize("changes", [TOLD, LOLA], ids=["told", "lola"])
def test_runs_that_are_told_whom_they_meet_and_other_algorithms_have_a_balance(changes):
    cfg = config.override(CONFIG, changes)
    state = rl.fresh_state(cfg)
    agent = jax.tree.map(lambda x: x[0], state.agents)
    rows = balance.balance(cfg, agent, state.naive_policies, [2], 3, jax.random.key(0))
    assert sorted(row.estimator for row in rows) == ["batch_unaware", "lapg", "mfos"]
