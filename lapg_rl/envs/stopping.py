"""Inner episodes that end at random: the horizon is not known, as in discounted play."""

from typing import Any

import equinox as eqx
from jaxtyping import Array, Bool, Float, Int, Num

from lapg_rl.envs.wrapping import inherited
from lapg_rl.native import draws


class Stopping(eqx.Module):
    """Another environment whose inner episodes end after each step with probability `chance`.

    The number of steps played is geometric, cut at the T steps of an inner episode.
    """

    env: Any
    chance: float = eqx.field(static=True)

    ends = True
    one_hot = False  # after the end players see nothing

    num_actions, observation_size = inherited("num_actions"), inherited("observation_size")
    binary = inherited("binary", False)  # one-hots are zeros and ones, too
    shared, compared, game = inherited("shared"), inherited("compared"), inherited("game", None)
    players, group = inherited("players", 2), inherited("group", None)

    def measures(self, observations: Num[Array, "... o"], actions: Int[Array, "..."]) -> Any:
        """What the environment itself measures."""
        return self.env.measures(observations, actions)

    def reset(self, key: Array) -> tuple[Any, Float[Array, "2 o"]]:
        """The start of an inner episode: `(state, observations)`."""
        return self.env.reset(key)

    def step(
        self, state: Any, actions: Int[Array, " 2"], key: Array
    ) -> tuple[Any, Float[Array, "2 o"], Float[Array, " 2"], Bool[Array, ""]]:
        """Play one joint action: `(state, observations, rewards, done)`."""
        step_key, stop_key = draws.split(key)
        state, seen, rewards, *done = self.env.step(state, actions, step_key)
        stops = draws.bernoulli(stop_key, self.chance)
        return state, seen, rewards, stops | done[0] if done else stops
