"""Horizons and noise as JAX knows them: numbers may be traced, a number of steps is a constant."""

from collections.abc import Sequence
from typing import Any

import jax

from lapg_theory.exact.chain import NoisySteps
from lapg_theory.game import Discounted, FiniteHorizon
from lapg_theory.game.noise import Noise


def _as_discounted(_: None, children: Sequence[Any]) -> Discounted:
    """A discount put together again, unchecked: JAX puts all sorts of things where numbers were."""
    horizon = object.__new__(Discounted)
    object.__setattr__(horizon, "gamma", children[0])
    return horizon


def _as_noise(_: None, children: Sequence[Any]) -> Noise:
    """Noise put together again, unchecked likewise."""
    noise = object.__new__(Noise)
    for name, value in zip(("execution", "perception"), children, strict=True):
        object.__setattr__(noise, name, value)
    return noise


jax.tree_util.register_static(FiniteHorizon)
jax.tree_util.register_pytree_node(NoisySteps, lambda h: ((h.noise,), h.steps), lambda n, x: NoisySteps(n, *x))
jax.tree_util.register_pytree_node(Noise, lambda noise: ((noise.execution, noise.perception), None), _as_noise)
jax.tree_util.register_pytree_node(Discounted, lambda horizon: ((horizon.gamma,), None), _as_discounted)
