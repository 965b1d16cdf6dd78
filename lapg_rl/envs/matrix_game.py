"""Iterated 2x2 games as an environment."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from lapg_theory.game import MatrixGame, state_index
from lapg_theory.game.noise import refuse_noise


class IteratedMatrixGame(eqx.Module):
    """An iterated two-player, two-action game; each player sees the last joint action, own action first, as a one-hot.

    Arrays that concern both players have the player as their first axis: 0 is the row player.

    Example:
        >>> import jax, jax.numpy as jnp, lapg_rl as rl, lapg_theory as lt
        >>> env = rl.IteratedMatrixGame(lt.stag_hunt())
        >>> _, seen, rewards = env.step(None, jnp.array([0, 1]), jax.random.key(0))
        >>> rewards.tolist()
        [0.0, 2.0]
    """

    payoffs: Float[Array, "2 2 2"]
    game: MatrixGame = eqx.field(static=True)
    num_actions: int = eqx.field(static=True, default=2)
    observation_size: int = eqx.field(static=True, default=5)
    one_hot: bool = eqx.field(static=True, default=True)

    shared = ()
    compared = ()

    def __init__(self, game: MatrixGame):
        """Play `game`: its payoff tables become `payoffs[player, row action, column action]`."""
        refuse_noise(game, "agents are trained", "lapg_theory derives what noise does")
        self.game = game
        self.payoffs = jnp.asarray([game.row, game.column], jnp.float32)
        self.num_actions, self.observation_size, self.one_hot = 2, 5, True

    def reset(self, key: Array) -> tuple[None, Float[Array, "2 5"]]:
        """The start of an inner episode: `(state, observations)`, both players in s0."""
        del key
        return None, jax.nn.one_hot(jnp.zeros(2, int), 5)

    def step(
        self, state: None, actions: Int[Array, " 2"], key: Array
    ) -> tuple[None, Float[Array, "2 5"], Float[Array, " 2"]]:
        """Play one joint action: `(state, observations, rewards)`."""
        del key
        seen = state_index(actions, actions[::-1])
        return state, jax.nn.one_hot(seen, 5), self.payoffs[:, actions[0], actions[1]]

    def measures(self, observations: Float[Array, "... o"], actions: Int[Array, "..."]) -> dict[str, Any]:
        """Whether the player cooperates."""
        del observations
        return {"cooperation": actions == 0}
