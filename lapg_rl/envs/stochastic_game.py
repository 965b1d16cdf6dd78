"""Stochastic games, in which what is at stake changes with what is done, as an environment."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from lapg_rl.envs.noise import mistaken
from lapg_rl.native import draws
from lapg_theory.game import StochasticGame


class IteratedStochasticGame(eqx.Module):
    """A game of n players with k actions each that moves among s states; all see the state, as a one-hot, and nothing else.

    So a policy without memory is one distribution over own actions a state, as `lapg_theory.general_returns` takes it for these
    games. With noise the actions that a trajectory holds are those intended.

    Args:
        game: the game.
        first: what taking the first action is called among the measures.

    Raises:
        ValueError: where the players have unequal numbers of actions, or there is only one of them.

    Example:
        >>> import jax, jax.numpy as jnp, lapg_rl as rl
        >>> from lapg_theory.game import ecological_public_good
        >>> env = rl.IteratedStochasticGame(ecological_public_good())
        >>> state, seen, rewards = env.step(jnp.array(0), jnp.array([0, 0]), jax.random.key(0))
        >>> seen.tolist(), rewards.tolist()  # all cooperate: it stays prosperous
        ([[1.0, 0.0], [1.0, 0.0]], [1.0, 1.0])
    """

    below: Float[Array, "s joint s"]
    rewards: Float[Array, "n s joint s"]
    stochastic: StochasticGame = eqx.field(static=True)
    first: str = eqx.field(static=True)
    players: int = eqx.field(static=True)
    num_actions: int = eqx.field(static=True)
    observation_size: int = eqx.field(static=True)

    one_hot = True
    compared = ()

    def __init__(self, game: StochasticGame, first: str = "action_0"):
        """Play `game`."""
        if game.players < 2 or len(set(game.actions)) != 1:
            raise ValueError(f"two or more players must have the same number of actions, got {game}")
        n, s = game.players, len(game.names)
        self.stochastic, self.first = game, first
        self.players, self.num_actions, self.observation_size = n, game.actions[0], s
        self.below = jnp.asarray(game.transitions.reshape(s, -1, s).cumsum(-1), jnp.float32)
        self.rewards = jnp.asarray(game.rewards.reshape(n, s, -1, s), jnp.float32)

    @property
    def shared(self) -> tuple[str, ...]:
        """The states, all but the last."""
        return self.stochastic.names[:-1]

    def reset(self, key: Array) -> tuple[Int[Array, ""], Float[Array, "n o"]]:
        """The start of an inner episode: `(state, observations)`."""
        state = _drawn(jnp.asarray(self.stochastic.start.cumsum(), jnp.float32), key)
        return state, self._seen(state)

    def step(
        self, state: Int[Array, ""], actions: Int[Array, " n"], key: Array
    ) -> tuple[Int[Array, ""], Float[Array, "n o"], Float[Array, " n"]]:
        """Play one joint action: `(state, observations, rewards)`."""
        noise = self.stochastic.noise
        if noise is not None:
            slip_key, key = draws.split(key)
            actions = mistaken(actions, noise.execution, self.num_actions, slip_key)
        joint = jnp.ravel_multi_index(tuple(actions), (self.num_actions,) * self.players, mode="clip")
        after = _drawn(self.below[state, joint], key)
        return after, self._seen(after), self.rewards[:, state, joint, after]

    def _seen(self, state: Int[Array, ""]) -> Float[Array, "n o"]:
        return jnp.tile(jax.nn.one_hot(state, self.observation_size), (self.players, 1))

    def measures(self, observations: Float[Array, "... o"], actions: Int[Array, "..."]) -> dict[str, Any]:
        """Whether the player takes the first action, and for each state but the last whether the game is in it."""
        states = {name: observations[..., n] for n, name in enumerate(self.stochastic.names[:-1])}
        return {self.first: actions == 0, **states}


def _drawn(below: Float[Array, " s"], key: Array) -> Int[Array, ""]:
    """An index by cumulative chances; the last of them need not be exactly one."""
    return jnp.sum(draws.uniform(key) >= below[:-1])
