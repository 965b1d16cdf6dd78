"""Causal softmax attention with rotary positions."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

#: Base of the rotary frequencies: pair i of a head of width w turns by position / BASE^(2 i / w).
BASE = 10_000.0
#: On a CPU queries attend in stretches, each of which leaves out later keys: so many at most, of at least so many tokens.
STRETCHES, STRETCH = 8, 50


def turns(positions: Int[Array, " t"], pairs: int, heads: int = 1) -> tuple[Float[Array, "t k"], Float[Array, "t k"]]:
    """Cosine and sine of the angles, in proportion to the position, of the pairs of one head after the other."""
    angle = positions[:, None] * jnp.tile(BASE ** (-jnp.arange(pairs) / pairs), heads)
    return jnp.cos(angle), jnp.sin(angle)


def rotate(
    first: Float[Array, "... t e"], second: Float[Array, "... t e"], positions: Int[Array, " t"], heads: int
) -> Float[Array, "... heads t k"]:
    """Turn the pairs (i, i + k/2) of each head (Su et al. 2021, RoFormer).

    The two halves of all heads come apart, so that they are turned in long rows.
    """
    cosine, sine = (x.astype(first.dtype) for x in turns(positions, first.shape[-1] // heads, heads))
    turned = first * cosine - second * sine, first * sine + second * cosine
    return jnp.concatenate([apart(x, heads) for x in turned], axis=-1)


def apart(x: Float[Array, "... t d"], heads: int) -> Float[Array, "... heads t k"]:
    """The heads apart from each other."""
    return jnp.swapaxes(x.reshape(*x.shape[:-1], heads, -1), -3, -2)


def attend_to_cache(
    query: Float[Array, "heads k"],
    keys: Float[Array, "heads k c"],
    values: Float[Array, "heads c k"],
    seen: Int[Array, ""],
) -> Float[Array, " d"]:
    """Softmax attention of one query over the first `seen` slots, scores scaled by 1 / sqrt(k)."""
    scores = jnp.sum(query[..., None] * keys, axis=1) / jnp.sqrt(query.shape[-1]).astype(query.dtype)
    weights = jax.nn.softmax(jnp.where(jnp.arange(keys.shape[-1]) < seen, scores, -jnp.inf), axis=-1)
    return jnp.sum(weights[..., None] * values, axis=1).reshape(-1)


def attend(
    queries: Float[Array, "... heads t k"],
    keys: Float[Array, "... heads t k"],
    values: Float[Array, "... heads t k"],
    stretch: int,
) -> Float[Array, "... t d"]:
    """Causal softmax attention, scores scaled by 1 / sqrt(k), in stretches of queries."""
    length, k = queries.shape[-2:]
    attended = []
    for start in range(0, length, stretch):
        end = min(start + stretch, length)
        before = keys[..., :end, :]
        scores = jnp.einsum("...qk,...ck->...qc", queries[..., start:end, :], before) / jnp.sqrt(k).astype(
            queries.dtype
        )
        visible = jnp.arange(end) <= jnp.arange(start, end)[:, None]
        weights = jax.nn.softmax(jnp.where(visible, scores, -jnp.inf), axis=-1)
        attended.append(jnp.einsum("...qc,...ck->...qk", weights, values[..., :end, :]))
    found = jnp.swapaxes(jnp.concatenate(attended, axis=-2), -3, -2)
    return found.reshape(*found.shape[:-2], -1)


def stretch_of(length: int, on_cpu: bool) -> int:
    """How many queries attend at once: all on an accelerator."""
    return max(STRETCH, -(-length // STRETCHES)) if on_cpu else length
