"""Rollouts: play against exact returns, memory across and within inner episodes, learning co-players."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lapg_rl.config import NaiveConfig
from lapg_rl.envs import IteratedMatrixGame
from lapg_rl.models import Hawk, Tabular
from lapg_rl.play import company
from lapg_rl.play.coplayers import FixedStrategy, MetaAgent, NaiveLearner
from lapg_rl.play.coplayers.naive import a2c_loss
from lapg_rl.play.rollout import Trajectory, choose, log_prob, meta_batch
from lapg_theory.game import prisoners_dilemma

make_hawk = eqx.filter_jit(lambda: Hawk(5, 2, width=8, mlp_width=8, key=jax.random.key(0)))
SIZES = {"batch": 3, "inner_episodes": 4, "steps": 5}


def memory_one(p):
    logits = jnp.log(jnp.asarray(p)) - jnp.log1p(-jnp.asarray(p))
    policy = Tabular(5, 2, key=jax.random.key(0))
    return eqx.tree_at(lambda m: m.logits, policy, jnp.stack([logits, jnp.zeros(5)], axis=1))


def play(ego, coplayer, identities, **sizes):
    env = IteratedMatrixGame(prisoners_dilemma())
    return jax.jit(lambda k: meta_batch(env, ego, coplayer, identities, k, **(SIZES | sizes)))(jax.random.key(7))


def test_both_players_see_the_same_history_from_their_own_side():
    own, other = play(memory_one([0.5] * 5), FixedStrategy(), jnp.full((6, 5), 0.4))
    swap = np.array([0, 1, 3, 2, 4])
    np.testing.assert_array_equal(own.observations[..., swap], other.observations)
    states = own.observations.argmax(-1)
    assert np.all(states[..., 0] == 0)
    np.testing.assert_array_equal(states[..., 1:], (1 + 2 * own.actions + other.actions)[..., :-1])


def test_rewards_are_the_payoffs_of_the_actions():
    own, other = play(memory_one([0.5] * 5), FixedStrategy(), jnp.full((6, 5), 0.4))
    table = np.array([[1.0, -1.0], [2.0, 0.0]])
    np.testing.assert_array_equal(own.rewards, table[own.actions, other.actions])
    np.testing.assert_array_equal(other.rewards, table[other.actions, own.actions])


def test_ego_memory_runs_through_the_meta_episode():
    """What the rollout recorded token by token is what the policy says of the whole sequence at once."""
    ego = make_hawk()
    ego = eqx.tree_at(lambda m: m.readout.weight, ego, jax.random.normal(jax.random.key(1), (8, 3)))
    own, _ = play(ego, FixedStrategy(), jnp.full((2, 5), 0.4))
    sequences = own.observations.reshape(6, 20, 5)
    logits, values = jax.jit(jax.vmap(lambda o: ego(o)))(sequences)
    np.testing.assert_allclose(values, own.values.reshape(6, 20), atol=1e-5)
    np.testing.assert_allclose(log_prob(logits, own.actions.reshape(6, 20)), own.log_probs.reshape(6, 20), atol=1e-5)


class Counter(eqx.Module):
    """A co-player whose state begins as a number, and says how many steps it has seen: it cooperates every other time."""

    def init(self, identity, batch):
        return identity, 0

    def act(self, state, observations):
        logits = jnp.where(state[1] % 2 == 0, 30.0, -30.0) * jnp.ones((len(observations), 2)) * jnp.array([1, 0])
        return (state[0], state[1] + 1), (logits, jnp.zeros(len(observations)))

    def end_of_inner_episode(self, state, batch):
        return state


def test_a_state_may_begin_as_a_number():
    _, other = play(memory_one([0.5] * 5), Counter(), jnp.zeros(2), steps=4)
    assert (np.asarray(other.actions) == [0, 1, 0, 1]).all()


def test_another_meta_agent_remembers_and_does_not_learn():
    ego = memory_one([0.5] * 5)
    other = make_hawk()
    other = eqx.tree_at(lambda m: m.readout.weight, other, jax.random.normal(jax.random.key(1), (8, 3)))
    agents = jax.tree.map(lambda x: jnp.stack([x, x]), other)
    _, seen = play(ego, MetaAgent(), agents)
    _, values = jax.jit(jax.vmap(lambda o: other(o)))(seen.observations.reshape(6, 20, 5))
    np.testing.assert_allclose(values, seen.values.reshape(6, 20), atol=1e-5)


def naive_and_identities(**settings):
    learner = company.naive_learner(NaiveConfig(**settings))
    policy = make_hawk()
    return learner, policy, jax.tree.map(lambda x: jnp.stack([x, x]), policy)


def test_naive_learner_resets_its_memory_and_learns_from_the_whole_minibatch():
    learner, policy, identities = naive_and_identities()
    _, seen = play(memory_one([0.5] * 5), learner, identities)
    assert isinstance(learner, NaiveLearner)
    first, second = (jax.tree.map(lambda x, m=m: x[0, :, m], seen) for m in (0, 1))
    _, values = jax.jit(jax.vmap(lambda o: policy(o)))(first.observations)
    np.testing.assert_allclose(values, first.values, atol=1e-6)  # starts as its identity says, with empty memory
    learn = eqx.filter_jit(lambda p, batch: learner.end_of_inner_episode(learner.init(p, SIZES["batch"]), batch))
    state = learn(policy, first)
    logits, values = jax.jit(jax.vmap(lambda o: state.policy(o)))(second.observations)
    np.testing.assert_allclose(values, second.values, atol=1e-6)  # the updated policy, with empty memory again
    np.testing.assert_allclose(log_prob(logits, second.actions), second.log_probs, atol=1e-6)
    assert np.any(np.abs(np.asarray(state.policy.readout.weight)) > 0)


def test_naive_learner_comes_to_defect_against_unconditional_cooperation():
    learner, _, identities = naive_and_identities(learning_rate=0.02)
    _, seen = play(memory_one([0.999] * 5), learner, identities, batch=16, inner_episodes=60)
    cooperation = 1 - np.asarray(seen.actions).mean(axis=(0, 1, 3))
    assert abs(cooperation[0] - 0.5) < 0.15  # 160 draws of probability 1/2: about 4 standard errors
    assert cooperation[-5:].mean() < 0.1


def test_a2c_loss_of_the_naive_learner_equals_a_literal_computation():
    config = NaiveConfig(gamma=0.9, entropy_coef=0.1)
    rng = np.random.default_rng(0)
    policy = eqx.tree_at(
        lambda m: (m.logits, m.values),
        Tabular(5, 2, key=jax.random.key(0)),
        (jnp.asarray(rng.normal(size=(5, 2)), jnp.float32), jnp.asarray(rng.normal(size=5), jnp.float32)),
    )
    states, actions = rng.integers(0, 5, (3, 4)), rng.integers(0, 2, (3, 4))
    rewards = rng.normal(size=(3, 4)).astype(np.float32)
    batch = Trajectory(
        jax.nn.one_hot(states, 5), jnp.asarray(actions), jnp.asarray(rewards), jnp.zeros((3, 4)), jnp.zeros((3, 4))
    )
    logits, values = np.asarray(policy.logits)[states], np.asarray(policy.values)[states]
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    returns = np.array([[sum(0.9 ** (k - t) * rewards[b, k] for k in range(t, 4)) for t in range(4)] for b in range(3)])
    advantages = returns - values
    advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    chosen = np.take_along_axis(log_p, actions[..., None], -1)[..., 0]
    entropy = -(np.exp(log_p) * log_p).sum(-1).mean()
    expected = -(chosen * advantages).mean() + 0.25 * ((values - returns) ** 2).mean() - 0.1 * entropy
    assert float(eqx.filter_jit(a2c_loss)(policy, batch, config)) == pytest.approx(expected, rel=1e-5)


def test_choose_inverts_the_categorical_distribution():
    logits = jnp.log(jnp.array([[0.2, 0.5, 0.3]]))
    for uniform, action in ((0.0, 0), (0.19, 0), (0.21, 1), (0.69, 1), (0.71, 2), (0.9999, 2)):
        drawn, log_probability = choose(logits, jnp.array([uniform]))
        assert int(drawn[0]) == action
        assert float(log_probability[0]) == pytest.approx(float(logits[0, action]), abs=1e-6)
