"""A causal transformer with rotary positions; acting token by token keeps keys and values and never recomputes."""

import copy
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from lapg_rl.config import ModelConfig
from lapg_rl.models.layers import GatedMLP, Readout, fan_in, linear, norm_linear

#: Base of the rotary frequencies: pair i of a head of width w turns by position / BASE^(2 i / w).
BASE = 10_000.0


class Cache(NamedTuple):
    """Rotated keys, and values, of the tokens so far; slots from `position` on are empty."""

    keys: Float[Array, "blocks c heads k"]
    values: Float[Array, "blocks c heads k"]
    position: Int[Array, ""]


def rotate(x: Float[Array, "... heads k"], positions: Int[Array, "..."]) -> Float[Array, "... heads k"]:
    """Turn the pairs (i, i + k/2) of each head by an angle in proportion to the position (Su et al. 2021, RoFormer)."""
    half = x.shape[-1] // 2
    angle = positions[..., None, None] * BASE ** (-jnp.arange(half) / half)
    sine, cosine = jnp.sin(angle).astype(x.dtype), jnp.cos(angle).astype(x.dtype)
    first, second = x[..., :half], x[..., half:]
    return jnp.concatenate([first * cosine - second * sine, first * sine + second * cosine], axis=-1)


def attend(
    queries: Float[Array, "q heads k"],
    keys: Float[Array, "c heads k"],
    values: Float[Array, "c heads k"],
    seen: Int[Array, " q"],
) -> Float[Array, "q heads*k"]:
    """Softmax attention of each query over the first `seen` keys, scores scaled by 1 / sqrt(k)."""
    scores = jnp.einsum("qhk,chk->hqc", queries, keys) / jnp.sqrt(queries.shape[-1]).astype(queries.dtype)
    visible = jnp.arange(len(keys)) < seen[:, None]
    weights = jax.nn.softmax(jnp.where(visible, scores, -jnp.inf), axis=-1)
    return jnp.einsum("hqc,chk->qhk", weights, values).reshape(len(queries), -1)


class TransformerBlock(eqx.Module):
    """One residual block: attention on RMSNorm(x), then a gated MLP."""

    scale: Float[Array, " d"]
    weight_in: Float[Array, "d 3d"]
    weight_out: Float[Array, "d d"]
    mlp: GatedMLP
    heads: int = eqx.field(static=True)

    def __init__(self, width: int, heads: int, mlp_width: int, *, key: Array):
        keys = jax.random.split(key, 3)
        self.scale = jnp.zeros(width)
        self.weight_in = fan_in(keys[0], width, width, 3 * width)
        self.weight_out = fan_in(keys[1], width, width, width)
        self.mlp = GatedMLP(width, mlp_width, key=keys[2])
        self.heads = heads

    def project(self, x: Float[Array, "t d"], positions: Int[Array, " t"]) -> tuple[Array, Array, Array]:
        """Rotated queries, rotated keys, and values, each `[t, heads, k]`."""
        split = norm_linear(x, self.scale, self.weight_in, 3)
        queries, keys, values = (y.reshape(len(x), self.heads, -1) for y in split)
        return rotate(queries, positions), rotate(keys, positions), values

    def merge(self, x: Float[Array, "t d"], attended: Float[Array, "t d"]) -> Float[Array, "t d"]:
        """The block's output from its input and what was attended to."""
        return self.mlp(x + linear(attended, self.weight_out))


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
        first, *keys = jax.random.split(key, depth + 1)
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
        empty = jnp.zeros((len(self.blocks), self.context, heads, width // heads), self.embedding.dtype)
        return Cache(empty, empty, jnp.zeros((), jnp.int32))

    def step(
        self, state: Cache, observation: Float[Array, " o"]
    ) -> tuple[Cache, tuple[Float[Array, " a"], Float[Array, ""]]]:
        """Advance by one token: `(state, (logits, value))`."""
        position = state.position
        here = (jnp.arange(self.context) == position)[:, None, None]
        x = (observation @ self.embedding)[None]
        all_keys, all_values = [], []
        for block, old_keys, old_values in zip(self.blocks, state.keys, state.values, strict=True):
            query, key, value = block.project(x, position[None])
            keys, values = jnp.where(here, key, old_keys), jnp.where(here, value, old_values)
            x = block.merge(x, attend(query, keys, values, position[None] + 1))
            all_keys.append(keys)
            all_values.append(values)
        x = jnp.where(position < self.context, x, jnp.nan)
        return Cache(jnp.stack(all_keys), jnp.stack(all_values), position + 1), self.readout(x[0])

    def __call__(self, observations: Float[Array, "t ... o"]) -> tuple[Float[Array, "t ... a"], Float[Array, "t ..."]]:
        """(logits, values) of every token of a sequence. Raises ValueError for one longer than the context."""
        if observations.ndim > 2:
            return jax.vmap(lambda o: self(o), in_axes=1, out_axes=1)(observations)
        length = len(observations)
        if length > self.context:
            raise ValueError(f"a sequence of {length} tokens exceeds the context of {self.context}; see `with_context`")
        positions = jnp.arange(length)
        x = linear(observations, self.embedding)
        for block in self.blocks:
            x = block.merge(x, attend(*block.project(x, positions), positions + 1))
        return self.readout(x)


def from_config(
    observation_size: int, num_actions: int, *, config: ModelConfig, context: int, one_hot: bool, key: Array
) -> Transformer:
    """The transformer policy of a config; see `lapg_rl.interfaces.Model`."""
    del one_hot
    sizes = {name: getattr(config, name) for name in ("width", "depth", "heads", "mlp_width")}
    return Transformer(observation_size, num_actions, **sizes, context=context, key=key)
