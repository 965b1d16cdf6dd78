"""Two sampled estimators of LOLA's gradient against the exact one, with every history enumerated.

Two inner episodes of two steps, the co-player's update between them: LOLA differentiates the return of the second through
the update of the first. The exact gradient puts the expected update into the second episode; both estimators put sampled
updates there, so that they differ from it by half the update's covariance times a second derivative: by c rate^2 / B.
"""

import functools
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lapg_rl.config import Config, LearnerConfig, NaiveConfig, PoolConfig
from lapg_rl.config.schedule import with_numbers
from lapg_rl.estimators import ESTIMATORS, inner_episode
from lapg_rl.learn.algorithms.lola_dice import look_ahead_loss
from lapg_rl.models import Tabular
from lapg_rl.play.rollout import Trajectory
from lapg_theory.exact.precision import float64
from lapg_theory.game import FiniteHorizon, prisoners_dilemma
from lapg_theory.learning import LolaDice

T = M = 2
GAME = np.array([[1.0, -1.0], [2.0, 0.0]])
EGO, LEARNER = np.random.default_rng(0).normal(size=(2, 5))
RATE = 0.05


@functools.cache
def histories(batch):
    """All joint histories: own and the co-player's actions `[h, b, m, t]`, and the states that each of them saw."""
    moves = np.array(list(itertools.product((0, 1), repeat=2 * batch * M * T))).reshape(-1, 2, batch, M, T)
    own, other = moves[:, 0], moves[:, 1]

    def seen(a, b):
        return np.concatenate([np.zeros_like(a[..., :1]), 1 + 2 * a[..., :-1] + b[..., :-1]], axis=-1)

    return own, other, seen(own, other), seen(other, own)


def log_policy(log_odds, states, actions):
    """Log-probabilities of the actions of a player with these log-odds of cooperation."""
    x = log_odds[..., states] if log_odds.ndim == 1 else np.take_along_axis(log_odds, states, axis=-1)
    return jax.nn.log_sigmoid(jnp.where(actions == 0, x, -x))


def chances(batch, rate):
    """P(history), by the definitions: the co-player ascends its return per step with a REINFORCE step from B games."""
    own, other, own_states, other_states = histories(batch)
    first = log_policy(LEARNER, other_states[:, :, 0], other[:, :, 0])
    rewards = GAME[other, own][:, :, 0]
    to_go = np.cumsum(rewards[..., ::-1], axis=-1)[..., ::-1]
    score = (other[:, :, 0] == 0) - 1 / (1 + np.exp(-LEARNER[other_states[:, :, 0]]))
    step = np.zeros((len(own), 5))
    for b, t in itertools.product(range(batch), range(T)):
        step[np.arange(len(own)), other_states[:, b, 0, t]] += score[:, b, t] * to_go[:, b, t] / batch / T
    learnt = LEARNER + rate * step
    second = log_policy(learnt, other_states[:, :, 1].reshape(len(own), -1), other[:, :, 1].reshape(len(own), -1))
    ego = log_policy(EGO, own_states, own)
    return np.exp(np.asarray(ego.sum((1, 2, 3)) + first.sum((1, 2)) + second.sum(1)))


def table(log_odds):
    blank = Tabular(5, 2, key=jax.random.key(0))
    logits = jnp.stack([jnp.asarray(log_odds), jnp.zeros(5)], axis=-1)
    return eqx.tree_at(lambda m: (m.logits, m.values), blank, (logits, jnp.zeros(5)))


def trajectory(states, actions, rewards):
    zeros = jnp.zeros(actions.shape)
    return Trajectory(jax.nn.one_hot(states, 5, dtype=float), jnp.asarray(actions), jnp.asarray(rewards), zeros, zeros)


@functools.cache
def lola_dice_gradients(batch):
    """Gradient of the training code's LOLA-DiCE loss in every history, as a function of the rate."""
    own, other, own_states, other_states = histories(batch)
    naive = NaiveConfig(optimiser="sgd", normalize_advantages=False, reward_scale=1.0, clip_norm=100.0, gamma=1.0)
    learner = LearnerConfig(algorithm="lola_dice", memory="inner_episode", epochs=1, minibatches=1)
    sizes = Config(batch=batch, inner_episodes=M, steps=T, naive=naive, learner=learner, pool=PoolConfig())
    mine = trajectory(own_states, own, GAME[own, other])
    theirs = trajectory(other_states, other, GAME[other, own])

    def one(mine, theirs, rate):
        # a step on two logits moves their difference by twice the rate
        config = with_numbers(sizes, {"naive.learning_rate": rate / 2})
        rewards, values = mine.rewards[:, -1:], mine.values[:, -1:]
        credits = inner_episode(rewards, values, gamma=1.0, gae_lambda=1.0)[:, 0] * batch
        objective = lambda ego: look_ahead_loss(ego, table(LEARNER), mine, theirs, credits, credits, config)[0]  # noqa: E731
        return -jax.grad(objective)(table(EGO)).logits[:, 0]

    gradients = jax.jit(lambda m, t, rate: jax.lax.map(lambda x: one(*x, rate), (m, t), batch_size=4096))
    return functools.partial(gradients, mine, theirs)


def lola_dice(batch, rate):
    """Expected gradient of the training code's LOLA-DiCE loss."""
    return chances(batch, rate) @ np.asarray(lola_dice_gradients(batch)(rate))


def lapg(batch, rate):
    """Expected LAPG gradient over both episodes, less the first episode's own gradient."""
    own, other, own_states, _ = histories(batch)
    rewards = jnp.asarray(GAME[own, other])
    credits = jax.vmap(lambda r: ESTIMATORS["lapg"](r, jnp.zeros(r.shape), gamma=1.0, gae_lambda=1.0))(rewards) / T
    weights = chances(batch, rate)[:, None, None, None] * credits
    both = jax.grad(lambda ego: jnp.sum(weights * log_policy(ego, own_states, own)))(jnp.asarray(EGO))
    return np.asarray(both) - exact(rate, mix=0.0)


def exact(rate, mix=1.0):
    """The theory's gradient of the return per step; with mix 0 the one that ignores the co-player's learning."""
    rule = LolaDice(inner_rate=rate, look_aheads=1, mix=mix)
    return np.asarray(rule.direction(prisoners_dilemma(), FiniteHorizon(T), (EGO, LEARNER))[0])


@pytest.mark.parametrize("estimator", [pytest.param(lola_dice, marks=pytest.mark.slow), lapg])
def test_an_estimator_of_lola_is_right_to_first_order_and_as_the_minibatch_grows(estimator):
    with float64():
        gaps = {(b, rate): estimator(b, rate) - exact(rate) for b, rate in ((1, RATE), (1, RATE / 2), (2, RATE))}
        learning = np.abs(exact(RATE) - exact(RATE, mix=0.0)).max()
        np.testing.assert_allclose(estimator(1, 0.0), exact(0.0), atol=1e-12)
    sizes = {case: np.linalg.norm(gap) for case, gap in gaps.items()}
    assert sizes[1, RATE] < learning / 20
    assert sizes[1, RATE] > 1e-6  # else there is nothing to see below
    assert 3.6 < sizes[1, RATE] / sizes[1, RATE / 2] < 4.4
    assert 1.9 < sizes[1, RATE] / sizes[2, RATE] < 2.1
