"""Random numbers by a native kernel against those of JAX, to the bit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from kernels import needed

import lapg_rl as rl
import lapg_theory as lt
from lapg_rl import models
from lapg_rl.native import calls, draws
from lapg_rl.play.coplayers import FixedStrategy

DRAWS = {
    "split": lambda random, key: random.split(key, (3, 7)),
    "fold_in": lambda random, key: random.fold_in(key, 123),
    "uniform": lambda random, key: random.uniform(key, (17, 3)),
    "one": lambda random, key: random.uniform(key),
    "none": lambda random, key: random.uniform(key, (0,)),
    "normal": lambda random, key: random.normal(key, (100,)),
    "bernoulli": lambda random, key: random.bernoulli(key, 0.3, (50,)),
    "permutation": lambda random, key: random.permutation(key, 33),
    "randint": lambda random, key: random.randint(key, (9,), 0, 7),
    "of keys": lambda random, key: jax.vmap(lambda k: random.uniform(k, (5,)))(random.split(key, 6)),
    "of keys of keys": lambda random, key: jax.vmap(jax.vmap(random.uniform))(random.split(key, (6, 2))),
    "of numbers": lambda random, key: jax.vmap(lambda n: random.fold_in(key, n))(jnp.arange(6)),
}


@needed
@pytest.mark.parametrize("kind", DRAWS)
def test_draws_are_those_of_jax_to_the_bit(kind):
    by_kernel = jax.jit(lambda key: DRAWS[kind](draws, key))
    assert "lapg_threefry" in by_kernel.lower(jax.random.key(7)).as_text()
    expected, found = DRAWS[kind](jax.random, jax.random.key(7)), by_kernel(jax.random.key(7))
    assert found.dtype == expected.dtype  # keys, too, are JAX's own again
    if jnp.issubdtype(expected.dtype, jax.dtypes.prng_key):
        expected, found = jax.random.key_data(expected), jax.random.key_data(found)
    np.testing.assert_array_equal(found, expected)


def test_other_keys_and_ways_to_draw_are_left_to_jax():
    def drawn(key):
        assert "lapg_threefry" not in jax.jit(lambda key: draws.uniform(key, (3,))).lower(key).as_text()

    drawn(jax.random.key(0, impl="rbg"))
    drawn(jax.random.PRNGKey(0))
    with jax.threefry_partitionable(False):
        drawn(jax.random.key(0))
    with calls.left_out():
        drawn(jax.random.key(0))


@needed
def test_users_environments_get_keys_of_jaxs_own():
    """Others than its own `jax.random.poisson` refuses, and a loop can't carry both."""

    class Counting(rl.IteratedMatrixGame):
        def reset(self, key):
            return (super().reset(key)[0], key), super().reset(key)[1]

        def step(self, state, actions, key):
            inner, own = state
            inner, seen, rewards = super().step(inner, actions, key)
            return (inner, jax.random.fold_in(own, 1)), seen, rewards + jax.random.poisson(key, 2.0)

    env, sizes = Counting(lt.prisoners_dilemma()), {"batch": 2, "inner_episodes": 2, "steps": 3}
    met, ego = jnp.array([lt.TFT]), models.memory_one(jnp.full(5, 0.5))
    play = jax.jit(lambda key: rl.meta_batch(env, ego, FixedStrategy(), met, key, **sizes)[0].rewards)
    assert "lapg_threefry" in play.lower(jax.random.key(0)).as_text()
    found = play(jax.random.key(0))
    with calls.left_out():
        np.testing.assert_array_equal(found, jax.jit(lambda key: play.__wrapped__(key))(jax.random.key(0)))
