"""A fixed strategy for matrix games: a memory-one vector of cooperation probabilities."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from lapg_rl.play.rollout import Trajectory


class FixedStrategy(eqx.Module):
    """Never learns; its identity in `init` is its five cooperation probabilities (s0, CC, CD, DC, DD, own view)."""

    def init(self, identity: Float[Array, " 5"], batch: int) -> Float[Array, " 5"]:
        """The strategy is the whole state."""
        del batch
        return identity

    def act(self, state: Float[Array, " 5"], observations: Float[Array, "b o"]):
        """(state, (logits, values)); probabilities are kept 1e-7 away from 0 and 1 to stay finite as logits.

        The state of the game is one-hot in the first five numbers of an observation.
        """
        cooperate = jnp.clip(observations[:, :5] @ state, 1e-7, 1 - 1e-7)
        logits = jnp.stack([jnp.log(cooperate), jnp.log1p(-cooperate)], axis=-1)
        return state, (logits, jnp.zeros(len(observations)))

    def end_of_inner_episode(self, state: Float[Array, " 5"], batch: Trajectory) -> Float[Array, " 5"]:
        """Nothing changes."""
        del batch
        return state
