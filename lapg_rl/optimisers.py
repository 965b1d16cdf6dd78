"""The optimisers that agents and naive learners use."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from lapg_rl.config import LearnerConfig, NaiveConfig
from lapg_rl.native import calls

DECAY = (0.9, 0.999)  # of the moments of Adam


def make_optimiser(config: LearnerConfig | NaiveConfig) -> optax.GradientTransformation:
    """Clip by the global norm, then Adam or plain gradient descent."""
    if config.optimiser == "adam":
        return _clipped_adam(config.learning_rate, config.adam_eps, config.clip_norm)
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), optax.sgd(config.learning_rate))


def model_optimiser(config: LearnerConfig) -> optax.GradientTransformation:
    """Clip by the global norm, then Adam: of the model of the co-player's choices."""
    return _clipped_adam(config.alignment.q_rate, config.adam_eps, config.clip_norm)


def _clipped_adam(rate: Any, eps: Any, clip: Any) -> optax.GradientTransformation:
    """By a kernel where there is one: XLA compiles some loops for each array of a network."""
    plain = optax.chain(optax.clip_by_global_norm(clip), optax.adam(rate, *DECAY, eps=eps))

    def update(updates, state, params=None):
        leaves, tree = jax.tree.flatten(updates)
        clipped, (adam, rest) = state
        if not (leaves and calls.fits((leaves, adam.mu, adam.nu))):
            return plain.update(updates, state, params)
        count = optax.safe_increment(adam.count)
        moments = [x for decay in DECAY for x in (decay, 1 - decay, 1 - decay**count)]
        numbers = jnp.stack([jnp.asarray(x, jnp.float32) for x in (rate, eps, clip, *moments)])
        found = _steps(leaves, jax.tree.leaves(adam.mu), jax.tree.leaves(adam.nu), numbers)
        step, mu, nu = (tree.unflatten(part) for part in found)
        return step, (clipped, (adam._replace(count=count, mu=mu, nu=nu), rest))

    return optax.GradientTransformation(plain.init, update)


def _native_steps(gradient: list[Array], mu: list[Array], nu: list[Array], numbers: Array) -> tuple[list[Array], ...]:
    k, shapes = len(gradient), tuple(x.shape for x in gradient)
    found = calls.call("adam", shapes * 3, (), (*gradient, *mu, *nu, numbers), (k, *(x.size for x in gradient)))
    return found[:k], found[k : 2 * k], found[2 * k :]


def _plain_steps(gradient: list[Array], mu: list[Array], nu: list[Array], numbers: Array) -> tuple[list[Array], ...]:
    rate, eps, clip, b1, a1, first, b2, a2, second = numbers
    norm = jnp.sqrt(sum(jnp.sum(g * g) for g in gradient))
    gradient = [jnp.where(norm < clip, 1, clip / norm) * g for g in gradient]
    mu = [a1 * g + b1 * m for g, m in zip(gradient, mu, strict=True)]
    nu = [a2 * g * g + b2 * v for g, v in zip(gradient, nu, strict=True)]
    return [-rate * (m / first) / (jnp.sqrt(v / second) + eps) for m, v in zip(mu, nu, strict=True)], mu, nu


_steps = calls.by(_native_steps, _plain_steps)
