"""Repeated games of a group in which the number of cooperators counts, as an environment."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from lapg_rl.envs.noise import mistaken
from lapg_rl.native import draws
from lapg_theory.game import COOPERATE, AnonymousGame


class IteratedGroupGame(eqx.Module):
    """A repeated game of n players with the actions C (0) and D (1); all see what they did and how many others cooperated.

    Observations are one-hots of 2 n + 1 entries in the order of a policy of `AnonymousGame`: the start, own C with n - 1,
    ..., 0 cooperating co-players, own D with as many; for n = 2 that is s0, CC, CD, DC, DD. With noise they are of what was
    done, as far as it was seen; the actions that a trajectory holds are those intended.

    Raises:
        ValueError: for a game of one player.

    Example:
        >>> import jax, jax.numpy as jnp, lapg_rl as rl, lapg_theory as lt
        >>> env = rl.IteratedGroupGame(lt.public_goods(3, factor=1.5))
        >>> _, seen, rewards = env.step(None, jnp.array([0, 1, 1]), jax.random.key(0))
        >>> rewards.tolist(), seen.argmax(1).tolist()  # alone, C earns 0.5 - 1; both D see one other cooperate
        ([-0.5, 0.5, 0.5], [3, 5, 5])
    """

    cooperator: Float[Array, " n"]
    defector: Float[Array, " n"]
    group: AnonymousGame = eqx.field(static=True)
    players: int = eqx.field(static=True)
    observation_size: int = eqx.field(static=True)

    num_actions = 2
    one_hot = True
    shared = ()
    compared = ()

    def __init__(self, game: AnonymousGame):
        """Play `game`."""
        if game.players < 2:
            raise ValueError(f"a group has at least 2 players, got {game}")
        self.group, self.players, self.observation_size = game, game.players, 2 * game.players + 1
        self.cooperator, self.defector = (jnp.asarray(x, jnp.float32) for x in (game.cooperator, game.defector))

    def reset(self, key: Array) -> tuple[None, Float[Array, "n o"]]:
        """The start of an inner episode: `(state, observations)`, nobody has acted."""
        del key
        return None, jax.nn.one_hot(jnp.zeros(self.players, int), self.observation_size)

    def step(
        self, state: None, actions: Int[Array, " n"], key: Array
    ) -> tuple[None, Float[Array, "n o"], Float[Array, " n"]]:
        """Play one joint action: `(state, observations, rewards)`."""
        noise, n, look_key = self.group.noise, self.players, key
        if noise is not None:
            slip_key, look_key = draws.split(key)
            actions = mistaken(actions, noise.execution, 2, slip_key)
        cooperates = actions == COOPERATE
        others = cooperates.sum() - cooperates  # of each player's co-players, so many cooperate
        rewards = jnp.where(cooperates, self.cooperator[others], self.defector[others])
        if noise is not None:
            looks = mistaken(jnp.broadcast_to(actions, (n, n)), noise.perception, 2, look_key) == COOPERATE
            others = (looks & ~jnp.eye(n, dtype=bool)).sum(axis=1)
        seen = n - others + jnp.where(cooperates, 0, n)
        return state, jax.nn.one_hot(seen, self.observation_size), rewards

    def measures(self, observations: Float[Array, "... o"], actions: Int[Array, "..."]) -> dict[str, Any]:
        """In a dilemma whether the player cooperates; else whether it takes the first action."""
        del observations
        return {"cooperation" if self.group.is_dilemma else "action_0": actions == COOPERATE}
