"""Credits to losses, on whole sequences; no sampling here, and no estimator's choice either."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Num

from lapg_rl.config import LearnerConfig
from lapg_rl.models import over_sequences
from lapg_rl.play.rollout import log_prob


class Experience(NamedTuple):
    """What one update learns from; leading axes `[k, b, l]` (or any flattening of k and b), l over the meta-episode.

    `credits` are scaled so that the *mean* over k, b and l of credit * grad log pi is the policy gradient per step. `alive`
    tells the steps that were played, where inner episodes may end early, and is None where all were.
    """

    observations: Num[Array, "... l o"]
    actions: Int[Array, "... l"]
    old_log_probs: Float[Array, "... l"]
    old_values: Float[Array, "... l"]
    credits: Float[Array, "... l"]
    targets: Float[Array, "... l"]
    alive: Any = None  # Bool[Array, "... l"]


def loss(policy: Any, batch: Experience, config: LearnerConfig) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Actor-critic loss of the sequences `[n, l]`, mean over n and l, and figures for the analyst.

    PPO: -min(ratio A, clip(ratio, 1 +- clip) A) with A the credits, and a value loss that is clipped alike; A2C:
    -log pi(a) A, with the plain squared error (Schulman et al. 2017; Mnih et al. 2016). Steps after an early end add nothing;
    the mean stays one over all l, so that the gradient stays unbiased. The figures are means over the steps that were played.
    """
    logits, values = over_sequences(policy, batch.observations)
    log_probs = log_prob(logits, batch.actions)
    error = (values - batch.targets) ** 2
    if config.algorithm == "ppo":
        ratio = jnp.exp(log_probs - batch.old_log_probs)
        clipped = jnp.clip(ratio, 1 - config.clip, 1 + config.clip)
        actor = -jnp.minimum(ratio * batch.credits, clipped * batch.credits)
        if config.value_clip:
            near = batch.old_values + jnp.clip(values - batch.old_values, -config.clip, config.clip)
            error = jnp.maximum(error, (near - batch.targets) ** 2)
    else:
        actor = -log_probs * batch.credits
    entropy = -jnp.sum(jax.nn.softmax(logits) * jax.nn.log_softmax(logits), axis=-1)
    if batch.alive is not None:
        error, entropy = error * batch.alive, entropy * batch.alive
    parts = {"policy_loss": actor.mean(), "value_loss": 0.5 * error.mean(), "entropy": entropy.mean()}
    total = parts["policy_loss"] + config.value_coef * parts["value_loss"] - config.entropy_coef * parts["entropy"]
    if batch.alive is not None:
        played = jnp.maximum(batch.alive.mean(), 1 / batch.alive.size)
        parts = {name: value / played for name, value in parts.items()}
    return total, parts
