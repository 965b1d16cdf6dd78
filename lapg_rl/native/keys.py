"""Keys of JAX's own kind whose draws a kernel makes, to the bit.

Why: on a CPU XLA draws by loops over the rounds of Threefry, one compiled for every draw of a program: in training two loops of
three were these.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.random import define_prng_impl, threefry_prng_impl
from jaxtyping import Array, UInt32

from lapg_rl.native import calls

Key = UInt32[Array, " 2"]


def _words(key: Key, first: Array, count: int, pairs: bool) -> Array:
    shape = (count, 2) if pairs else (count,)
    return calls.call("threefry", (shape,), (), (key, first[None]), (count, int(pairs)), jnp.uint32)[0]


def _split(key: Key, shape: tuple[int, ...]) -> Array:
    return _words(key, jnp.uint32(0), math.prod(shape), True).reshape(*shape, 2)


def _random_bits(key: Key, bit_width: int, shape: tuple[int, ...]) -> Array:
    if bit_width != 32 or math.prod(shape) > 2**32:  # the kernel counts in one word
        return threefry_prng_impl.random_bits(key, bit_width, shape)
    return _words(key, jnp.uint32(0), math.prod(shape), False).reshape(shape)


def _fold_in(key: Key, data: Any) -> Key:
    return _words(key, jnp.asarray(data, jnp.uint32), 1, True)[0]


_IMPLEMENTATION = define_prng_impl(
    key_shape=(2,),
    seed=threefry_prng_impl.seed,
    split=_split,
    random_bits=_random_bits,
    fold_in=_fold_in,
    name="lapg_threefry",
    tag="fry",
)


def quick(keys: Array) -> Array:
    """The same keys for the same draws, in less time; left as they are without kernels, or if JAX shall draw otherwise."""
    typed = jnp.issubdtype(keys.dtype, jax.dtypes.prng_key)
    usual = typed and jax.random.key_impl(keys) == "threefry2x32" and jax.config.values["jax_threefry_partitionable"]
    if not (usual and calls.fits(())):
        return keys
    return jax.random.wrap_key_data(jax.random.key_data(keys), impl=_IMPLEMENTATION)
