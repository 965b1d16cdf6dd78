"""The tabular memory-one policy: one row of logits for each observation, no memory."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lapg_rl.config import ModelConfig
from lapg_rl.native import draws


class Tabular(eqx.Module):
    """Action logits and a value for each one-hot observation; logits start at N(0, spread^2), values at zero."""

    logits: Float[Array, "o a"]
    values: Float[Array, " o"]

    def __init__(self, observation_size: int, num_actions: int, *, spread: float = 0.0, key: Array):
        self.logits = spread * draws.normal(key, (observation_size, num_actions))
        self.values = jnp.zeros(observation_size)

    def initial_state(self) -> Float[Array, " 0"]:
        """No memory: an empty array."""
        return jnp.zeros(0, self.logits.dtype)

    def step(
        self, state: Float[Array, " 0"], observation: Float[Array, " o"]
    ) -> tuple[Float[Array, " 0"], tuple[Float[Array, " a"], Float[Array, ""]]]:
        """Advance by one token: `(state, (logits, value))`."""
        return state, self._rows(observation)

    def __call__(self, observations: Float[Array, "t ... o"]) -> tuple[Float[Array, "t ... a"], Float[Array, "t ..."]]:
        """(logits, values) of every token of a sequence."""
        return self._rows(observations)

    def _rows(self, observations: Float[Array, "... o"]) -> tuple[Float[Array, "... a"], Float[Array, "..."]]:
        # no matrix products: on a CPU XLA takes a microsecond for each of many small ones side by side
        logits = jnp.sum(observations[..., None] * self.logits, axis=-2)
        return logits, jnp.sum(observations * self.values, axis=-1)


def memory_one(policy: Any) -> Tabular:
    """Five cooperation probabilities, or a table [observations, actions] of probabilities, as a policy.

    They are kept 1e-6 away from 0 and 1.
    """
    p = jnp.clip(jnp.asarray(policy, float), 1e-6, 1 - 1e-6)
    logits = jnp.stack([jnp.log(p), jnp.log1p(-p)], axis=-1) if p.ndim == 1 else jnp.log(p)
    return eqx.tree_at(lambda table: table.logits, Tabular(*logits.shape, key=jax.random.key(0)), logits)


def from_config(
    observation_size: int, num_actions: int, *, config: ModelConfig, context: int, one_hot: bool, key: Array
) -> Tabular:
    """The table of logits of a config; see `lapg_rl.interfaces.Model`."""
    del context, one_hot
    return Tabular(observation_size, num_actions, spread=config.spread, key=key)
