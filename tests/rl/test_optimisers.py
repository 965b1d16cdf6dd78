"""Adam by a native kernel against optax: its steps, their derivatives, and what is left to optax."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from kernels import needed

from lapg_rl.config import LearnerConfig
from lapg_rl.optimisers import make_optimiser


@needed
@pytest.mark.parametrize("clip", [0.1, 1e5])
def test_adam_steps_are_those_of_optax(clip):
    config = dataclasses.replace(LearnerConfig(), clip_norm=clip, learning_rate=0.1)
    plain = optax.chain(optax.clip_by_global_norm(clip), optax.adam(0.1, eps=config.adam_eps))

    def climb(optimiser, kernels):
        step = jax.jit(lambda x, state: jax.vmap(optimiser.update)(jax.vmap(jax.grad(far))(x), state))
        x, state = start, jax.vmap(optimiser.init)(start)
        assert ("lapg_adam" in step.lower(x, state).as_text()) == kernels
        for _ in range(5):
            move, state = step(x, state)
            x = optax.apply_updates(x, move)
        return x, state

    # sizes below and above the kernel's lanes, among them one number, and a place that holds nothing
    shapes = {"one": (), "some": (3, 5), "many": (40,)}
    keys = dict(zip(shapes, jax.random.split(jax.random.key(0), 3), strict=True))
    start = {name: jax.random.normal(keys[name], (4, *shape)) for name, shape in shapes.items()} | {"nothing": None}
    far = lambda x: sum(jnp.sum((y - 3) ** 4) for y in jax.tree.leaves(x))  # noqa: E731
    found, expected = climb(make_optimiser(config), True), climb(plain, False)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-7)


@needed
def test_adam_steps_are_derived_as_in_optax():
    plain = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.1, eps=1e-5))
    ours = make_optimiser(dataclasses.replace(LearnerConfig(), clip_norm=1.0, learning_rate=0.1, adam_eps=1e-5))

    def moved(optimiser, gradient):
        state = optimiser.init(gradient)
        for power in (1, 2):
            move, state = optimiser.update(jax.tree.map(lambda g: g**power, gradient), state)  # noqa: B023
        return jnp.sum(move["some"] * jnp.arange(3.0)) + move["one"] ** 2

    gradient = {"one": jnp.array(2.0), "some": jnp.array([0.1, -0.3, 0.2])}

    def squared(optimiser, gradient):
        return sum(jnp.sum(g**2) for g in jax.tree.leaves(jax.grad(moved, argnums=1)(optimiser, gradient)))

    for function in (moved, squared):
        found, expected = (jax.grad(function, argnums=1)(optimiser, gradient) for optimiser in (ours, plain))
        largest = max(np.abs(x).max() for x in jax.tree.leaves(expected))
        assert largest > 1e-3
        for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3 * largest)


@needed
def test_adam_with_moments_of_another_precision_is_left_to_optax():
    optimiser, gradient = make_optimiser(LearnerConfig()), {"some": jnp.arange(3.0)}
    state = jax.tree.map(lambda x: x.astype(jnp.bfloat16) if eqx.is_inexact_array(x) else x, optimiser.init(gradient))
    assert np.isfinite(optimiser.update(gradient, state)[0]["some"]).all()
