"""A fixed strategy for matrix games: what it does after each joint action."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from lapg_rl.play.coplayers.unlearning import Unlearning


class FixedStrategy(Unlearning):
    """Never learns; its identity in `init` is its five cooperation probabilities (s0, CC, CD, DC, DD, own view).

    In a game of k actions it is a table [1 + k^2, k]: the probability of each action at the start and after each joint one. In
    an anonymous group of n it is 2 n + 1 cooperation probabilities, in the order of `AnonymousGame`.
    """

    def act(self, state: Float[Array, "*s"], observations: Float[Array, "b o"]):
        """(state, (logits, values)); probabilities are kept 1e-7 away from 0 and 1 to stay finite as logits.

        The state of the game is one-hot in the first numbers of an observation, five in a 2x2 game.
        """
        if state.ndim == 2:
            logits = jnp.log(jnp.clip(observations[:, : len(state)] @ state, 1e-7, 1))
            return state, (logits, jnp.zeros(len(observations)))
        cooperate = jnp.clip(observations[:, : len(state)] @ state, 1e-7, 1 - 1e-7)
        logits = jnp.stack([jnp.log(cooperate), jnp.log1p(-cooperate)], axis=-1)
        return state, (logits, jnp.zeros(len(observations)))
