"""A gated recurrent unit policy."""

from typing import cast

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from lapg_rl.config import ModelConfig
from lapg_rl.models.gated_unit import gated_unit, next_state
from lapg_rl.models.layers import Readout, embedded, fan_in, linear
from lapg_rl.native import draws


class GRU(eqx.Module):
    """Linear embedding, one GRU layer (Cho et al. 2014, `equinox.nn.GRUCell`), zero-initialised readouts."""

    embedding: Float[Array, "o d"]
    cell: eqx.nn.GRUCell
    readout: Readout
    one_hot: bool = eqx.field(static=True)

    def __init__(self, observation_size: int, num_actions: int, *, width: int = 32, one_hot: bool = False, key: Array):
        """Draw the parameters from `key`; `one_hot` promises that every observation is one, which saves work."""
        first, second = draws.split(key)
        self.embedding = fan_in(first, 1, observation_size, width)
        self.cell = eqx.nn.GRUCell(width, width, key=second)
        self.readout = Readout(width, num_actions)
        self.one_hot = one_hot

    def initial_state(self) -> Float[Array, " d"]:
        """The state before the first token: zeros."""
        return jnp.zeros(self.cell.hidden_size, self.embedding.dtype)

    def _enter(self, observations):
        """What the observations add to the gates: looked up in a table where they are one-hot."""
        weight, bias = self.cell.weight_ih.T, cast(Array, self.cell.bias)
        if self.one_hot:
            return embedded(observations, linear(self.embedding, weight) + bias)[0]
        return linear(embedded(observations, self.embedding)[0], weight) + bias

    def _recurrent(self):
        return self.cell.weight_hh.T, cast(Array, self.cell.bias_n)

    def step(
        self, state: Float[Array, " d"], observation: Float[Array, " o"]
    ) -> tuple[Float[Array, " d"], tuple[Float[Array, " a"], Float[Array, ""]]]:
        """Advance by one token: `(state, (logits, value))`."""
        state = next_state(state, self._enter(observation), *self._recurrent())
        return state, self.readout(state)

    def __call__(self, observations: Float[Array, "t ... o"]) -> tuple[Float[Array, "t ... a"], Float[Array, "t ..."]]:
        """(logits, values) of every token of a sequence that starts in the initial state."""
        return self.readout(gated_unit(self._enter(observations), *self._recurrent()))


def from_config(
    observation_size: int, num_actions: int, *, config: ModelConfig, context: int, one_hot: bool, key: Array
) -> GRU:
    """The GRU policy of a config; see `lapg_rl.interfaces.Model`."""
    del context
    return GRU(observation_size, num_actions, width=config.width, one_hot=one_hot, key=key)
