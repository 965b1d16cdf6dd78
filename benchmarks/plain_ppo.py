"""The yardstick: a plain recurrent PPO in Equinox and Optax, as one would write it first, on the same task and sizes.

GRU of width 32 against tit-for-tat in the iterated prisoner's dilemma; back-propagation through all steps of a sequence,
4 epochs of 2 minibatches, Adam with clipped gradients. It uses nothing of lapg.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

PAYOFFS = jnp.array([[1.0, -1.0], [2.0, 0.0]])


class Agent(eqx.Module):
    """A GRU with heads for logits and value."""

    cell: eqx.nn.GRUCell
    actor: eqx.nn.Linear
    critic: eqx.nn.Linear

    def __init__(self, key, width=32):
        keys = jax.random.split(key, 3)
        self.cell = eqx.nn.GRUCell(5, width, key=keys[0])
        self.actor = eqx.nn.Linear(width, 2, key=keys[1])
        self.critic = eqx.nn.Linear(width, "scalar", key=keys[2])

    def __call__(self, hidden, observation):
        """One step: hidden state, then logits and value."""
        hidden = self.cell(observation, hidden)
        return hidden, (self.actor(hidden), self.critic(hidden))


class Step(NamedTuple):
    """What one step leaves."""

    observation: jax.Array
    action: jax.Array
    reward: jax.Array
    log_prob: jax.Array
    value: jax.Array


def rollout(agent, key, length, width=32):
    """One sequence against tit-for-tat."""

    def step(carry, key):
        hidden, observation, theirs = carry
        hidden, (logits, value) = agent(hidden, observation)
        action = jax.random.categorical(key, logits)
        record = Step(observation, action, PAYOFFS[action, theirs], jax.nn.log_softmax(logits)[action], value)
        return (hidden, jax.nn.one_hot(1 + 2 * action + theirs, 5), action), record

    start = (jnp.zeros(width), jax.nn.one_hot(0, 5), jnp.array(0))
    return jax.lax.scan(step, start, jax.random.split(key, length))[1]


def loss(agent, batch, advantages, returns):
    """Clipped PPO loss of `[n, t]` sequences, advantages and returns."""

    def sequence(observations):
        return jax.lax.scan(lambda h, o: agent(h, o), jnp.zeros(32), observations)[1]

    logits, values = jax.vmap(sequence)(batch.observation)
    log_probs = jax.nn.log_softmax(logits)
    chosen = jnp.take_along_axis(log_probs, batch.action[..., None], -1)[..., 0]
    ratio = jnp.exp(chosen - batch.log_prob)
    actor = -jnp.minimum(ratio * advantages, jnp.clip(ratio, 0.8, 1.2) * advantages).mean()
    near = batch.value + jnp.clip(values - batch.value, -0.2, 0.2)
    critic = 0.5 * jnp.maximum((values - returns) ** 2, (near - returns) ** 2).mean()
    return actor + 0.5 * critic


def make_iteration(meta_batch, batch, length, epochs=4, minibatches=2):
    """(fresh state, jitted iteration): rollouts of meta_batch * batch sequences, then all epochs."""
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(3e-4, eps=1e-5))
    agent = Agent(jax.random.key(0))
    count = meta_batch * batch

    @eqx.filter_jit(donate="all")
    def iteration(agent, state, key):
        play_key, order_key = jax.random.split(key)
        played = jax.vmap(lambda k: rollout(agent, k, length))(jax.random.split(play_key, count))
        returns = jnp.cumsum(0.05 * played.reward[:, ::-1], axis=1)[:, ::-1]
        advantages = returns - played.value

        def minibatch(carry, chosen):
            agent, state = carry
            data = jax.tree.map(lambda x: x[chosen], (played, advantages, returns))
            gradient = eqx.filter_grad(loss)(eqx.combine(agent, static), *data)
            updates, state = optimiser.update(gradient, state)
            return (eqx.apply_updates(agent, updates), state), None

        agent, static = eqx.partition(agent, eqx.is_array)
        orders = jax.vmap(lambda k: jax.random.permutation(k, count))(jax.random.split(order_key, epochs))
        (agent, state), _ = jax.lax.scan(minibatch, (agent, state), orders.reshape(epochs * minibatches, -1))
        return eqx.combine(agent, static), state

    return (agent, optimiser.init(eqx.filter(agent, eqx.is_array))), iteration
