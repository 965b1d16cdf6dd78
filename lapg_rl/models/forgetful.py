"""A policy that clears its own memory at the end of each inner episode, so that it can meet one that does not."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


class Forgetful(eqx.Module):
    """`policy`, which begins anew every `steps` tokens; only `step` is for it, it doesn't learn."""

    policy: Any
    steps: int = eqx.field(static=True)

    def initial_state(self) -> tuple[Any, Int[Array, ""]]:
        """The policy's, and how many tokens of the inner episode are over."""
        return self.policy.initial_state(), jnp.zeros((), jnp.int32)

    def step(self, state: Any, observation: Float[Array, " o"]) -> tuple[Any, Any]:
        """Advance by one token: `(state, (logits, value))`."""
        memory, done = state
        memory = jax.tree.map(lambda new, old: jnp.where(done == 0, new, old), self.policy.initial_state(), memory)
        memory, outputs = self.policy.step(memory, observation)
        return (memory, (done + 1) % self.steps), outputs
