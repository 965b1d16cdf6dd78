"""The gated unit against Equinox's cell, and its hand-written derivative against the derived one."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from lapg_rl.models.gated_unit import gated_unit

CELL = eqx.nn.GRUCell(3, 4, key=jax.random.key(0))
TOKENS = jax.random.normal(jax.random.key(1), (6, 2, 3))
WEIGHTS = jax.random.normal(jax.random.key(2), (6, 2, 4))


def states(cell, tokens):
    inputs = tokens @ cell.weight_ih.T + cell.bias
    return gated_unit(inputs, cell.weight_hh.T, cell.bias_n)


def plain_states(cell, tokens):
    def advance(h, x):
        h = jax.vmap(cell)(x, h)
        return h, h

    return jax.lax.scan(advance, jnp.zeros((2, 4)), tokens)[1]


def test_states_are_those_of_equinox():
    np.testing.assert_allclose(states(CELL, TOKENS), plain_states(CELL, TOKENS), atol=1e-6)


def test_the_derivative_is_the_derived_one():
    def summed(function):
        return jax.grad(lambda arguments: (WEIGHTS * function(*arguments)).sum())((CELL, TOKENS))

    for ours, theirs in zip(*map(jax.tree.leaves, map(summed, (states, plain_states))), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
