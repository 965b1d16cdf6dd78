"""A causal transformer with rotary positions; acting token by token keeps keys and values and never recomputes."""

import copy
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from lapg_rl.config import ModelConfig
from lapg_rl.models.attending import Weights, attended, attended_step, kernels_fit
from lapg_rl.models.attention import apart, attend, rotate, stretch_of
from lapg_rl.models.layers import (
    GatedMLP,
    Readout,
    embedded,
    fan_in,
    folded,
    merged,
    norm_linear,
    normalised,
    split_linear,
)
from lapg_rl.native import draws


class Cache(NamedTuple):
    """Rotated keys, and values, of the tokens so far, block by block; slots from `position` on are empty.

    What is summed over for a token is not the last axis, so a CPU takes many slots, or all numbers of a value, at once.
    """

    keys: list[Float[Array, "heads k c"]]
    values: list[Float[Array, "heads c k"]]
    position: Int[Array, ""]


class TransformerBlock(eqx.Module):
    """One residual block: attention on RMSNorm(x), then a gated MLP."""

    scale: Float[Array, " d"]
    weight_in: Float[Array, "d 3d"]
    weight_out: Float[Array, "d d"]
    mlp: GatedMLP
    heads: int = eqx.field(static=True)

    def __init__(self, width: int, heads: int, mlp_width: int, *, key: Array):
        keys = draws.split(key, 3)
        self.scale = jnp.zeros(width)
        self.weight_in = fan_in(keys[0], width, width, 3 * width)
        self.weight_out = fan_in(keys[1], width, width, width)
        self.mlp = GatedMLP(width, mlp_width, key=keys[2])
        self.heads = heads

    def project(self, x: Float[Array, "... t d"], positions: Int[Array, " t"]) -> tuple[Array, Array, Array]:
        """Rotated queries, rotated keys, and values, each `[..., heads, t, k]`."""
        width = x.shape[-1]
        halves = self.weight_in[:, : 2 * width].reshape(width, 2, self.heads, 2, -1)
        halves = jnp.moveaxis(halves, 2, 3).reshape(width, 2 * width)
        weight = folded(self.scale, jnp.concatenate([halves, self.weight_in[:, 2 * width :]], axis=1))
        q1, q2, k1, k2, values = split_linear(normalised(x), weight, (width // 2,) * 4 + (width,))
        turn = partial(rotate, positions=positions, heads=self.heads)
        return turn(q1, q2), turn(k1, k2), apart(values, self.heads)

    def weights(self) -> Weights:
        """What follows the projections."""
        return Weights(self.weight_out, folded(self.mlp.scale, self.mlp.weight_in), self.mlp.weight_out)


class Transformer(eqx.Module):
    """A transformer policy: linear embedding, residual blocks, zero-initialised policy and value readouts.

    `__call__` runs over a whole sequence, `step` over one token at O(context) each; they agree to rounding. A sequence may
    be no longer than `context`: `__call__` refuses it, `step` returns nan beyond.
    """

    embedding: Float[Array, "o d"]
    blocks: list[TransformerBlock]
    readout: Readout
    context: int = eqx.field(static=True)

    def __init__(
        self,
        observation_size: int,
        num_actions: int,
        *,
        context: int,
        width: int = 32,
        depth: int = 1,
        heads: int = 2,
        mlp_width: int = 32,
        key: Array,
    ):
        """Draw the parameters from `key`. Raises ValueError unless 2 `heads` divides `width`."""
        if width % (2 * heads):
            raise ValueError(f"width must be a multiple of 2 heads, got width {width} and heads {heads}")
        first, *keys = draws.split(key, depth + 1)
        self.embedding = fan_in(first, 1, observation_size, width)
        self.blocks = [TransformerBlock(width, heads, mlp_width, key=k) for k in keys]
        self.readout = Readout(width, num_actions)
        self.context = context

    def with_context(self, context: int) -> "Transformer":
        """The same parameters for sequences of another greatest length."""
        other = copy.copy(self)
        object.__setattr__(other, "context", context)
        return other

    def initial_state(self) -> Cache:
        """The state before the first token: an empty cache."""
        width, heads = self.embedding.shape[1], self.blocks[0].heads
        empty = jnp.zeros((heads, width // heads, self.context), self.embedding.dtype)
        blocks = range(len(self.blocks))
        return Cache([empty for _ in blocks], [jnp.swapaxes(empty, 1, 2) for _ in blocks], jnp.zeros((), jnp.int32))

    def step(
        self, state: Cache, observation: Float[Array, " o"]
    ) -> tuple[Cache, tuple[Float[Array, " a"], Float[Array, ""]]]:
        """Advance by one token: `(state, (logits, value))`."""
        position = state.position
        x = embedded(observation, self.embedding)[0][None]
        all_keys, all_values = [], []
        for block, old_keys, old_values in zip(self.blocks, state.keys, state.values, strict=True):
            query, key, value = block.project(x, position[None])  # [heads, 1, k]
            keys = jax.lax.dynamic_update_slice_in_dim(old_keys, jnp.swapaxes(key, 1, 2), position, axis=2)
            values = jax.lax.dynamic_update_slice_in_dim(old_values, value, position, axis=1)
            x = attended_step(x[0], query[:, 0], keys, values, position + 1, block.weights())[None]
            all_keys.append(keys)
            all_values.append(values)
        x = jnp.where(position < self.context, x, jnp.nan)
        return Cache(all_keys, all_values, position + 1), self.readout(x[0])

    def __call__(self, observations: Float[Array, "t ... o"]) -> tuple[Float[Array, "t ... a"], Float[Array, "t ..."]]:
        """(logits, values) of every token of a sequence. Raises ValueError for one longer than the context."""
        length = len(observations)
        if length > self.context:
            raise ValueError(f"a sequence of {length} tokens exceeds the context of {self.context}; see `with_context`")
        (x,), first = embedded(observations, self.embedding), self.blocks[0]
        if kernels_fit(x, first.weights(), first.heads):
            for block in self.blocks:
                queries, keys, values = norm_linear(x, block.scale, block.weight_in, 3)
                x = attended(x, queries, keys, values, block.weights(), block.heads)
            return self.readout(x)
        x, positions = jnp.moveaxis(x, 0, -2), jnp.arange(length)
        stretch = stretch_of(length, jax.default_backend() == "cpu")
        for block in self.blocks:
            x = merged(x, attend(*block.project(x, positions), stretch), *block.weights())
        logits, values = self.readout(x)
        return jnp.moveaxis(logits, -2, 0), jnp.moveaxis(values, -1, 0)


def from_config(
    observation_size: int, num_actions: int, *, config: ModelConfig, context: int, one_hot: bool, key: Array
) -> Transformer:
    """The transformer policy of a config; see `lapg_rl.interfaces.Model`."""
    del one_hot
    sizes = {name: getattr(config, name) for name in ("width", "depth", "heads", "mlp_width")}
    return Transformer(observation_size, num_actions, **sizes, context=context, key=key)
