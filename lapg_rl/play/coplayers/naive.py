"""A naive learner: improves its own return from inner episode to inner episode, unaware that the ego may shape it."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from lapg_rl.config import NaiveConfig
from lapg_rl.estimators import inner_episode, normalised, value_targets
from lapg_rl.models import over_sequences
from lapg_rl.play.rollout import Trajectory, broadcast_state, log_prob


class NaiveState(NamedTuple):
    """A naive learner in the middle of a meta-episode."""

    policy: Any
    optimiser: Any
    memory: Any
    start: Any = None  # where its steps are proximal: the policy that they stay near


def divergence(before: Float[Array, "... a"], after: Float[Array, "... a"]) -> Float[Array, "..."]:
    """KL(before || after) of two policies' choices, by their logits."""
    old = jax.nn.log_softmax(before)
    return jnp.sum(jnp.exp(old) * (old - jax.nn.log_softmax(after)), axis=-1)


def a2c_loss(policy: Any, batch: Trajectory, config: NaiveConfig, start: Any = None) -> Float[Array, ""]:
    """Advantage actor-critic loss on complete inner episodes (axes b, t), no bootstrapping at the end, mean over b and t.

    Steps after an early end count in the number of steps only: they add nothing. With `start` it stays near that policy, by
    `config.proximal`.
    """
    logits, values = over_sequences(policy, batch.observations)
    played = 1.0 if batch.alive is None else batch.alive
    values = values if batch.alive is None else values * played
    fixed = jax.lax.stop_gradient(values)[:, None]
    rewards = batch.rewards[:, None]
    advantages = inner_episode(rewards, fixed, gamma=config.gamma, gae_lambda=config.gae_lambda)[:, 0] * len(rewards)
    targets = value_targets(rewards, fixed, gamma=config.gamma, td_lambda=config.td_lambda, episodic=True)[:, 0]
    if config.normalize_advantages:
        advantages = normalised(advantages, batch.alive)
    entropy = -jnp.sum(jax.nn.softmax(logits) * jax.nn.log_softmax(logits), axis=-1)
    entropy = entropy if batch.alive is None else entropy * played
    actor = -jnp.mean(log_prob(logits, batch.actions) * advantages)
    total = actor + config.value_coef * 0.5 * jnp.mean((values - targets) ** 2) - config.entropy_coef * entropy.mean()
    if start is None:
        return total
    far = divergence(over_sequences(start, batch.observations)[0], logits)
    return total + config.proximal * jnp.mean(far * played)


class NaiveLearner(eqx.Module):
    """A2C on the current inner episode only: memory reset, then one update from all b at every boundary.

    Its identity in `init` is its initial policy; what it learns is discarded with the meta-episode.
    """

    optimiser: optax.GradientTransformation = eqx.field(static=True)
    config: NaiveConfig = eqx.field(static=True)

    def init(self, identity: Any, batch: int) -> NaiveState:
        """Start a meta-episode with the policy `identity` and a fresh optimiser."""
        memory = broadcast_state(identity.initial_state(), batch)
        optimiser = self.optimiser.init(eqx.filter(identity, eqx.is_inexact_array))
        return NaiveState(identity, optimiser, memory, identity if self.config.proximal else None)

    def act(self, state: NaiveState, observations: Float[Array, "b o"]) -> tuple[NaiveState, Any]:
        """(state, (logits, values)) for the b parallel observations."""
        memory, outputs = jax.vmap(lambda s, o: state.policy.step(s, o))(state.memory, observations)
        return state._replace(memory=memory), outputs

    def end_of_inner_episode(self, state: NaiveState, batch: Trajectory) -> NaiveState:
        """Learn from the minibatch (axes b, t), then forget the episode."""
        policy, optimiser, _, start = state
        batch = batch._replace(rewards=batch.rewards * self.config.reward_scale)
        gradient = eqx.filter_grad(a2c_loss)(policy, batch, self.config, start)
        updates, optimiser = self.optimiser.update(gradient, optimiser)
        fresh = broadcast_state(policy.initial_state(), len(batch.rewards))
        return NaiveState(eqx.apply_updates(policy, updates), optimiser, fresh, start)
