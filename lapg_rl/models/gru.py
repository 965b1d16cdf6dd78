"""A gated recurrent unit policy."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lapg_rl.config import ModelConfig
from lapg_rl.models.layers import Readout, fan_in, linear


class GRU(eqx.Module):
    """Linear embedding, one GRU layer (Cho et al. 2014, `equinox.nn.GRUCell`), zero-initialised readouts."""

    embedding: Float[Array, "o d"]
    cell: eqx.nn.GRUCell
    readout: Readout

    def __init__(self, observation_size: int, num_actions: int, *, width: int = 32, key: Array):
        first, second = jax.random.split(key)
        self.embedding = fan_in(first, 1, observation_size, width)
        self.cell = eqx.nn.GRUCell(width, width, key=second)
        self.readout = Readout(width, num_actions)

    def initial_state(self) -> Float[Array, " d"]:
        """The state before the first token: zeros."""
        return jnp.zeros(self.cell.hidden_size, self.embedding.dtype)

    def step(
        self, state: Float[Array, " d"], observation: Float[Array, " o"]
    ) -> tuple[Float[Array, " d"], tuple[Float[Array, " a"], Float[Array, ""]]]:
        """Advance by one token: `(state, (logits, value))`."""
        state = self.cell(observation @ self.embedding, state)
        return state, self.readout(state)

    def __call__(self, observations: Float[Array, "t ... o"]) -> tuple[Float[Array, "t ... a"], Float[Array, "t ..."]]:
        """(logits, values) of every token of a sequence that starts in the initial state."""
        cell = self.cell
        for _ in observations.shape[1:-1]:
            cell = jax.vmap(cell)

        def advance(state, x):
            state = cell(x, state)
            return state, state

        inputs = linear(observations, self.embedding)
        return self.readout(jax.lax.scan(advance, jnp.zeros_like(inputs[0]), inputs)[1])


def from_config(
    observation_size: int, num_actions: int, *, config: ModelConfig, context: int, one_hot: bool, key: Array
) -> GRU:
    """The GRU policy of a config; see `lapg_rl.interfaces.Model`."""
    del context, one_hot
    return GRU(observation_size, num_actions, width=config.width, key=key)
