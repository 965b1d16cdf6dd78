"""Repeated games of two players with a payoff table, as an environment."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from lapg_rl.envs.noise import mistaken
from lapg_rl.native import draws
from lapg_theory.game import MatrixGame, NormalFormGame, state_index


class IteratedMatrixGame(eqx.Module):
    """A repeated game of two players with k actions each; both see the last joint action, own action first, as a one-hot.

    The one-hot has 1 + k^2 entries: the start, then the joint actions (0, 0), (0, 1), ..., own action first; in a 2x2 game
    that is s0, CC, CD, DC, DD. Arrays that concern both players have the player as their first axis: 0 is the row player. With
    noise observations are of what was done, as far as it was seen; the actions that a trajectory holds are those intended.

    Example:
        >>> import jax, jax.numpy as jnp, lapg_rl as rl, lapg_theory as lt
        >>> env = rl.IteratedMatrixGame(lt.stag_hunt())
        >>> _, seen, rewards = env.step(None, jnp.array([0, 1]), jax.random.key(0))
        >>> rewards.tolist()
        [0.0, 2.0]
    """

    payoffs: Float[Array, "2 k k"]
    game: MatrixGame | NormalFormGame = eqx.field(static=True)
    num_actions: int = eqx.field(static=True, default=2)
    observation_size: int = eqx.field(static=True, default=5)
    one_hot: bool = eqx.field(static=True, default=True)

    shared = ()
    compared = ()

    def __init__(self, game: MatrixGame | NormalFormGame):
        """Play `game`: its payoff tables become `payoffs[player, row action, column action]`.

        Raises:
            ValueError: for a game of another number of players than two, or of unequal numbers of actions.
        """
        if isinstance(game, NormalFormGame):
            if game.players != 2 or len(set(game.actions)) != 1:
                raise ValueError(f"an iterated matrix game has two players with the same number of actions, got {game}")
            row, column = game.payoffs.tolist()
            game = MatrixGame(row, column, game.name, game.noise) if game.actions == (2, 2) else game
        self.game = game
        tables = game.payoffs if isinstance(game, NormalFormGame) else [game.row, game.column]
        self.payoffs = jnp.asarray(tables, jnp.float32)
        self.num_actions, self.one_hot = self.payoffs.shape[1], True
        self.observation_size = 1 + self.num_actions**2

    def reset(self, key: Array) -> tuple[None, Float[Array, "2 o"]]:
        """The start of an inner episode: `(state, observations)`, nobody has acted."""
        del key
        return None, jax.nn.one_hot(jnp.zeros(2, int), self.observation_size)

    def step(
        self, state: None, actions: Int[Array, " 2"], key: Array
    ) -> tuple[None, Float[Array, "2 o"], Float[Array, " 2"]]:
        """Play one joint action: `(state, observations, rewards)`."""
        others, noise = actions[::-1], self.game.noise
        if noise is not None:
            slip_key, look_key = draws.split(key)
            actions = mistaken(actions, noise.execution, self.num_actions, slip_key)
            others = mistaken(actions[::-1], noise.perception, self.num_actions, look_key)
        seen = state_index(actions, others, self.num_actions)
        return state, jax.nn.one_hot(seen, self.observation_size), self.payoffs[:, actions[0], actions[1]]

    def measures(self, observations: Float[Array, "... o"], actions: Int[Array, "..."]) -> dict[str, Any]:
        """In a prisoner's dilemma whether the player cooperates; else which action it takes (of two the first tells)."""
        del observations
        if isinstance(self.game, MatrixGame) and self.game.is_dilemma:
            return {"cooperation": actions == 0}
        told = 1 if self.num_actions == 2 else self.num_actions
        return {f"action_{n}": actions == n for n in range(told)}
