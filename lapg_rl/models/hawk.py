"""Hawk: gated linear recurrences with an MLP (De et al. 2024, "Griffin", arXiv 2402.19427, the recurrent half)."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lapg_rl.config import ModelConfig
from lapg_rl.models.layers import GatedMLP, Readout, embedded, fan_in, folded, norm_linear
from lapg_rl.models.mixing import Weights, entered, mixed, mixed_step
from lapg_rl.models.recurrence import Route
from lapg_rl.native import draws

GATE_SHARPNESS = 8.0

State = tuple[tuple[Float[Array, " d"], ...], ...]


class HawkBlock(eqx.Module):
    """One residual block: a gated recurrent branch, then a gated MLP.

    The recurrent branch of a token x, with n = RMSNorm(x): u = conv(n W_u) (causal, depthwise), then the RG-LRU
    r = sigmoid(u W_a + b_a), i = sigmoid(u W_x + b_x), a = exp(-8 softplus(L) r), h' = a h + sqrt(1 - a^2) (i u),
    and the output x + (gelu(n W_g) * h') W_o. W_a and W_x are block-diagonal with `heads` blocks.
    """

    scale: Float[Array, " d"]
    weight_in: Float[Array, "d 2d"]
    conv: Float[Array, "w d"]
    conv_bias: Float[Array, " d"]
    gates: Float[Array, "2 heads k k"]
    gate_bias: Float[Array, " 2d"]
    decay: Float[Array, " d"]
    weight_out: Float[Array, "d d"]
    mlp: GatedMLP

    def __init__(self, width: int, heads: int, conv_width: int, mlp_width: int, *, key: Array):
        keys = draws.split(key, 6)
        block = width // heads
        self.scale = jnp.zeros(width)
        self.weight_in = fan_in(keys[0], width, width, 2 * width)
        self.conv = fan_in(keys[1], conv_width, conv_width, width)
        self.conv_bias = jnp.zeros(width)
        self.gates = fan_in(keys[2], block, 2, heads, block, block)
        self.gate_bias = jnp.zeros(2 * width)
        slowest = jnp.sqrt(draws.uniform(keys[3], (width,), minval=0.9**2, maxval=0.999**2))  # a at r = 1
        self.decay = jnp.log(jnp.expm1(-jnp.log(slowest) / GATE_SHARPNESS))
        self.weight_out = fan_in(keys[4], width, width, width)
        self.mlp = GatedMLP(width, mlp_width, key=keys[5])

    def branches(self, x: Float[Array, "... d"]) -> tuple[Float[Array, "... d"], ...]:
        """The gate and the input of the recurrent branch, before the activation and the convolution."""
        return norm_linear(x, self.scale, self.weight_in, 2)

    def weights(self) -> Weights:
        """What `mixed` needs to know of the block."""
        decay = GATE_SHARPNESS * jax.nn.softplus(self.decay)
        mlp_in = folded(self.mlp.scale, self.mlp.weight_in)
        gates = (self.conv, self.conv_bias, self.gates, self.gate_bias, decay)
        return Weights(*gates, self.weight_out, mlp_in, self.mlp.weight_out)


class Hawk(eqx.Module):
    """A Hawk policy: linear embedding, residual blocks, zero-initialised policy and value readouts.

    `__call__` runs over a whole sequence, `step` over one token; they agree to rounding. The state of `step` holds for each
    block the last conv_width - 1 inputs of the convolution, then the recurrent state.
    """

    embedding: Float[Array, "o d"]
    blocks: list[HawkBlock]
    readout: Readout
    route: Route = eqx.field(static=True)
    one_hot: bool = eqx.field(static=True)

    def __init__(
        self,
        observation_size: int,
        num_actions: int,
        *,
        width: int = 32,
        depth: int = 1,
        heads: int = 2,
        conv_width: int = 4,
        mlp_width: int = 32,
        route: Route = "auto",
        one_hot: bool = False,
        key: Array,
    ):
        """Draw the parameters from `key`; `one_hot` promises that every observation is one, which saves work.

        Raises ValueError unless `heads` divides `width`.
        """
        if width % heads:
            raise ValueError(f"width must be a multiple of heads, got width {width} and heads {heads}")
        first, *keys = draws.split(key, depth + 1)
        self.embedding = fan_in(first, 1, observation_size, width)
        self.blocks = [HawkBlock(width, heads, conv_width, mlp_width, key=k) for k in keys]
        self.readout = Readout(width, num_actions)
        self.route = route
        self.one_hot = one_hot

    def initial_state(self) -> State:
        """The state before the first token: zeros."""
        zeros = jnp.zeros(self.embedding.shape[1], self.embedding.dtype)
        return tuple((zeros,) * len(block.conv) for block in self.blocks)

    def _table(self):
        """What the first block reads for each observation, one-hot: x, gate and value."""
        return jnp.concatenate([self.embedding, *self.blocks[0].branches(self.embedding)], axis=1)

    def _enter(self, observations):
        """The embedded tokens and the branches of the first block: looked up in tables where observations are one-hot."""
        if not self.one_hot:
            (x,) = embedded(observations, self.embedding)
            return x, *self.blocks[0].branches(x)
        return embedded(observations, self._table(), 3)

    def step(
        self, state: State, observation: Float[Array, " o"]
    ) -> tuple[State, tuple[Float[Array, " a"], Float[Array, ""]]]:
        """Advance by one token: `(state, (logits, value))`."""
        x, gate, value = self._enter(observation)
        states = []
        for block, memory in zip(self.blocks, state, strict=True):
            if states:
                gate, value = block.branches(x)
            memory, x = mixed_step(x, gate, value, memory, block.weights())
            states.append(memory)
        return tuple(states), self.readout(x)

    def __call__(self, observations: Float[Array, "t ... o"]) -> tuple[Float[Array, "t ... a"], Float[Array, "t ..."]]:
        """(logits, values) of every token of a sequence that starts in the initial state."""
        first, *others = self.blocks
        if self.one_hot:
            x = entered(observations, self._table(), first.weights(), self.route)
        else:
            x, gate, value = self._enter(observations)
            x = mixed(x, gate, value, first.weights(), self.route)
        for block in others:
            gate, value = block.branches(x)
            x = mixed(x, gate, value, block.weights(), self.route)
        return self.readout(x)


def from_config(
    observation_size: int, num_actions: int, *, config: ModelConfig, context: int, one_hot: bool, key: Array
) -> Hawk:
    """The Hawk policy of a config; see `lapg_rl.interfaces.Model`."""
    del context
    sizes = {name: getattr(config, name) for name in ("width", "depth", "heads", "conv_width", "mlp_width")}
    return Hawk(observation_size, num_actions, **sizes, one_hot=one_hot, key=key)
