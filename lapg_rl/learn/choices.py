"""Models of the co-player, learnt beside the policy: its action values, by whose softmax it chooses (LOQA), or chances.

The model of action values has the architecture of the policy and reads what the ego sees; its logits are the co-player's
action values Q2, in the agents' scale of rewards. It learns from the co-player's returns after the actions that it took. That
of chances is the same, but its logits are log-chances, and it learns to predict the actions (PPI).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Num

from lapg_rl.config import LearnerConfig
from lapg_rl.interfaces import Others
from lapg_rl.learn.credit import in_sequences, targets_of
from lapg_rl.learn.losses import Experience
from lapg_rl.models import over_sequences
from lapg_rl.play.rollout import Trajectory, log_prob


def modelled(model: Any, own: Trajectory, other: Trajectory, config: LearnerConfig) -> Others:
    """What the co-player got, `[k, 1, b, m, t]`; values and chances are the model's: V2 = sum pi_2 Q2, pi_2 ~ exp(Q2 / tau)."""
    seen = in_sequences(own.observations, config)
    found, _ = over_sequences(model, seen.reshape(-1, *seen.shape[2:]))
    action_values = found.reshape(*other.actions.shape, -1)
    chances = jax.nn.softmax(action_values / (config.alignment.temperature * config.reward_scale))
    taken = jnp.sum(chances * jax.nn.one_hot(other.actions, chances.shape[-1]), axis=-1)
    values = jnp.sum(chances * action_values, axis=-1)
    values = values if other.alive is None else values * other.alive
    parts = (other.rewards * config.reward_scale, values, taken)
    return Others(*(x[:, None] for x in parts))


def lessons(own: Trajectory, other: Trajectory, seen: Others, config: LearnerConfig) -> Experience:
    """What the model learns from, in sequences: what the ego saw, what the co-player did, and its TD(lambda) returns."""
    targets = targets_of(seen.rewards[:, 0], seen.values[:, 0], config)
    fields = (own.observations, other.actions, other.log_probs, other.values, targets, targets, own.alive)
    together = jax.tree.map(lambda x: in_sequences(x, config), fields)
    return Experience(*jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), together))


def model_loss(model: Any, batch: Experience, config: LearnerConfig) -> tuple[Float[Array, ""], dict[str, Any]]:
    """Half the mean squared error of the action values of what the co-player did."""
    del config
    found, _ = over_sequences(model, batch.observations)
    taken = jnp.sum(found * jax.nn.one_hot(batch.actions, found.shape[-1]), axis=-1)
    error = (taken - batch.targets) ** 2
    total = 0.5 * jnp.mean(error if batch.alive is None else error * batch.alive)
    return total, {"model_loss": total}


def outputs(actions: int) -> int:
    """How many numbers the model gives."""
    return actions


def see(model: Any, own: Trajectory, other: Trajectory, config: LearnerConfig) -> tuple[Others, Experience]:
    """What the estimator reads, and what the model is to learn; see `modelled` and `lessons`."""
    seen = modelled(model, own, other, config)
    return seen, lessons(own, other, seen, config)


class Predictions(NamedTuple):
    """What a model that predicts the co-player learns, in sequences: what the ego sees, what the co-player does."""

    observations: Num[Array, "n l o"]
    actions: Int[Array, "n l"]


def prediction_loss(model: Any, batch: Predictions, config: LearnerConfig) -> tuple[Float[Array, ""], dict[str, Any]]:
    """Mean -log of the predicted chance of what the co-player did."""
    del config
    logits, _ = over_sequences(model, batch.observations)
    total = -log_prob(logits, batch.actions).mean()
    return total, {"model_loss": total}


def predict(
    model: Any, own: Trajectory, other: Trajectory, config: LearnerConfig
) -> tuple[Float[Array, "k s l a"], Predictions]:
    """The predicted logits of the co-player's actions, and what the model is to learn."""
    seen, done = (in_sequences(x, config) for x in (own.observations, other.actions))
    lessons = Predictions(seen.reshape(-1, *seen.shape[2:]), done.reshape(-1, done.shape[2]))
    return over_sequences(model, lessons.observations)[0].reshape(*done.shape, -1), lessons
