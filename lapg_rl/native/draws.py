"""What `jax.random` draws under the same names, by a kernel where there is one: the same numbers to the bit, and the same keys.

Why: on a CPU XLA draws by loops over the rounds of Threefry, one compiled for every draw of a program: in training two loops of
three were these.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

import jax
import jax.numpy as jnp
from jax.extend.random import define_prng_impl, threefry_prng_impl
from jaxtyping import Array, UInt32

from lapg_rl.native import calls

P = ParamSpec("P")
USUAL = "threefry2x32"
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
    tag="lapg",
)


def _is_key(x: Any) -> bool:
    return jnp.issubdtype(x.dtype, jax.dtypes.prng_key)


def _by_kernel(draw: Callable[Concatenate[Any, P], Array]) -> Callable[Concatenate[Any, P], Array]:
    """A function of `jax.random` whose first argument is a key; keys of other kinds than JAX's own are left to it."""

    @functools.wraps(draw)
    def drawn(key: Any, *args: P.args, **more: P.kwargs) -> Array:
        own = _is_key(key) and jax.random.key_impl(key) == USUAL and jax.config.values["jax_threefry_partitionable"]
        if not (own and calls.fits(())):
            return draw(key, *args, **more)
        found = draw(jax.random.wrap_key_data(jax.random.key_data(key), impl=_IMPLEMENTATION), *args, **more)
        return jax.random.wrap_key_data(jax.random.key_data(found), impl=USUAL) if _is_key(found) else found

    return drawn


split = _by_kernel(jax.random.split)
fold_in = _by_kernel(jax.random.fold_in)
bernoulli = _by_kernel(jax.random.bernoulli)
normal = _by_kernel(jax.random.normal)
permutation = _by_kernel(jax.random.permutation)
randint = _by_kernel(jax.random.randint)
uniform = _by_kernel(jax.random.uniform)
