"""POLA's sampled gradient against that of the exact penalised returns, with every history of three inner episodes enumerated.

Two steps each, one game, and two proximal updates of the co-player between them. The exact gradient puts expected updates
where sampled ones stand in the estimate, so they differ by half the updates' covariance times a second derivative: by
c rate^2, while rate * naive.proximal stays the same.
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
from lapg_rl.estimators import inner_episode
from lapg_rl.learn.algorithms.lola_dice import look_ahead_loss
from lapg_rl.models import Tabular
from lapg_rl.play.rollout import Trajectory
from lapg_theory.exact.precision import float64

T, M = 2, 3
GAME = np.array([[1.0, -1.5], [2.0, 0.5]])
EGO, BEFORE, LEARNER = np.random.default_rng(0).normal(size=(3, 5))
RATE, INNER, OUTER = 0.05, 4.0, 0.7  # rate, rate * naive.proximal, learner.proximal
MOVES = np.array(list(itertools.product((0, 1), repeat=2 * M * T))).reshape(-1, 2, M, T)


def seen(a, b):
    return np.concatenate([np.zeros_like(a[..., :1]), 1 + 2 * a[..., :-1] + b[..., :-1]], axis=-1)


OWN, OTHER = MOVES[:, 0], MOVES[:, 1]
STATES, ITS_STATES = seen(OWN, OTHER), seen(OTHER, OWN)


def log_policy(x, states, actions):
    return jax.nn.log_sigmoid(jnp.where(actions == 0, x[states], -x[states]))


def chance(rate, proximal, own, other, states, its_states):
    """P(history), by the definitions: REINFORCE on returns per step, less the slope of the divergence from the start."""
    y = jnp.asarray(LEARNER)
    total = log_policy(jnp.asarray(EGO), states, own).sum()
    for m in range(M):
        s, a = its_states[m], other[m]
        total += log_policy(y, s, a).sum()
        rewards = jnp.asarray(GAME)[a, own[m]]
        cooperate = jax.nn.sigmoid(y[s])
        pull = ((a == 0) - cooperate) * jnp.array([rewards.sum(), rewards[1]])
        pull -= proximal * (cooperate - jax.nn.sigmoid(jnp.asarray(LEARNER)[s]))
        y = y + rate / T * jnp.zeros(5).at[s].add(pull)
    return jnp.exp(total)


def table(log_odds):
    blank = Tabular(5, 2, key=jax.random.key(0))
    logits = jnp.stack([jnp.asarray(log_odds), jnp.zeros(5)], axis=-1)
    return eqx.tree_at(lambda m: (m.logits, m.values), blank, (logits, jnp.zeros(5)))


def sampled(rate):
    """The expected gradient of the training code's loss."""
    naive = NaiveConfig(
        optimiser="sgd", normalize_advantages=False, reward_scale=1.0, clip_norm=100.0, gamma=1.0, value_coef=0.0,
        proximal=INNER / rate,
    )  # fmt: skip
    learner = LearnerConfig(algorithm="pola", memory="inner_episode", minibatches=1, proximal=OUTER)
    config = Config(batch=1, inner_episodes=M, steps=T, naive=naive, learner=learner, pool=PoolConfig())
    config = with_numbers(
        config, {"naive.learning_rate": rate / 2}
    )  # a step on two logits moves their difference twice

    def one(own, other, states, its_states):
        def trajectory(s, a, r):
            return Trajectory(jax.nn.one_hot(s, 5, dtype=float)[None], a[None], r[None], jnp.zeros((1, M, T)), None)

        game = jnp.asarray(GAME)
        mine, theirs = trajectory(states, own, game[own, other]), trajectory(its_states, other, game[other, own])
        rewards = mine.rewards[:, -1:]
        credits = inner_episode(rewards, jnp.zeros_like(rewards), gamma=1.0, gae_lambda=1.0)[:, 0]
        objective = lambda ego: look_ahead_loss(  # noqa: E731
            ego, table(LEARNER), mine, theirs, credits, credits, config, table(BEFORE)
        )[0]
        weight = chance(rate, INNER / rate, own, other, states, its_states)
        return weight, -jax.grad(objective)(table(EGO)).logits[:, 0]

    weights, gradients = jax.jit(jax.vmap(one))(*map(jnp.asarray, (OWN, OTHER, STATES, ITS_STATES)))
    np.testing.assert_allclose(weights.sum(), 1, rtol=1e-12)
    return np.asarray(weights @ gradients)


def played(x, y):
    """Returns per step of both players, and how often each is in which of its states, from the two steps' chances."""
    p, q = jax.nn.sigmoid(x), jax.nn.sigmoid(y)
    first = jnp.outer(jnp.stack([p[0], 1 - p[0]]), jnp.stack([q[0], 1 - q[0]]))
    game, totals = jnp.asarray(GAME), []
    for payoffs in (game, game.T):
        total = (first * payoffs).sum()
        for a, b in itertools.product((0, 1), repeat=2):
            c, d = p[1 + 2 * a + b], q[1 + 2 * b + a]
            total += first[a, b] * (jnp.outer(jnp.stack([c, 1 - c]), jnp.stack([d, 1 - d])) * payoffs).sum()
        totals.append(total / 2)
    visits = [jnp.concatenate([jnp.ones(1), view.ravel()]) / 2 for view in (first, first.T)]
    return totals, visits


def divergence(old, new):
    p = jax.nn.sigmoid(old)
    return p * (jax.nn.log_sigmoid(old) - jax.nn.log_sigmoid(new)) + (1 - p) * (
        jax.nn.log_sigmoid(-old) - jax.nn.log_sigmoid(-new)
    )


@functools.partial(jax.jit, static_argnames=("inner", "outer"))
def exact(rate, inner=INNER, outer=OUTER):
    """The gradient of J_1 after two expected updates, less that of the divergence, which leaves alone who is visited."""

    def value(x):
        y, far = jnp.asarray(LEARNER), 0.0
        for m in range(M):
            visits = jax.lax.stop_gradient(played(x, y)[1][0])
            far += (visits * divergence(jnp.asarray(BEFORE), x)).sum() / M
            if m + 1 < M:
                slope = jax.grad(lambda z, x=x: played(x, z)[0][1])(y)
                pull = played(x, y)[1][1] * (jax.nn.sigmoid(y) - jax.nn.sigmoid(jnp.asarray(LEARNER)))
                y = y + rate * slope - inner * pull
        return played(x, y)[0][0] - outer * far

    return jax.grad(value)(jnp.asarray(EGO))


def gap(rate):
    with float64():
        return np.linalg.norm(sampled(rate) - np.asarray(exact(rate)))


def test_the_sampled_gradient_is_near_that_of_the_penalised_returns():
    """Nearer by far than what either penalty does."""
    found = gap(RATE)
    with float64():
        for less in ({"inner": 0.0}, {"outer": 0.0}):
            assert found < np.abs(np.asarray(exact(RATE)) - np.asarray(exact(RATE, **less))).max() / 5


@pytest.mark.slow
def test_what_parts_them_is_of_second_order():
    assert 3.6 < gap(RATE) / gap(RATE / 2) < 4.4
