"""Errors of actions and observations in repeated games, as `lapg_theory.game.noise` defines them."""

import jax.numpy as jnp
from jaxtyping import Array, Int

from lapg_rl.native import draws


def mistaken(actions: Int[Array, "*n"], chance: float, count: int, key: Array) -> Int[Array, "*n"]:
    """Each of some actions, of `count`, or with that chance another one, all others equally likely."""
    if not chance:
        return actions
    errs, which = draws.uniform(key, (2, *actions.shape))
    return jnp.where(
        errs < chance, (actions + 1 + jnp.floor(which * (count - 1)).astype(actions.dtype)) % count, actions
    )
