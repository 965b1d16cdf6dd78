"""An environment that tells both players what kind of co-player they face."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Num

from lapg_rl.envs.wrapping import inherited


class Reveal(eqx.Module):
    """Another environment, with a constant one-hot of `kinds` entries after what each player sees.

    The first entries of an observation are those of the environment itself. The row player, the ego, is told `kind`; its
    co-player is told `ego_kind`.
    """

    env: Any
    kind: int = eqx.field(static=True)
    ego_kind: int = eqx.field(static=True)
    kinds: int = eqx.field(static=True)

    one_hot = False  # what it adds is a second one-hot
    num_actions, binary, ends = inherited("num_actions"), inherited("binary", False), inherited("ends", False)
    shared, compared, game = inherited("shared"), inherited("compared"), inherited("game", None)

    @property
    def observation_size(self) -> int:
        """That of the environment itself and `kinds`."""
        return self.env.observation_size + self.kinds

    def measures(self, observations: Num[Array, "... o"], actions: Int[Array, "..."]) -> Any:
        """What the environment itself measures."""
        return self.env.measures(observations[..., : self.env.observation_size], actions)

    def _told(self, seen: Float[Array, "2 o"]) -> Float[Array, "2 p"]:
        told = jax.nn.one_hot(jnp.array([self.kind, self.ego_kind]), self.kinds, dtype=seen.dtype)
        return jnp.concatenate([seen, told], axis=1)

    def reset(self, key: Array) -> tuple[Any, Float[Array, "2 o"]]:
        """The start of an inner episode: `(state, observations)`."""
        state, seen = self.env.reset(key)
        return state, self._told(seen)

    def step(self, state: Any, actions: Int[Array, " 2"], key: Array) -> tuple[Any, ...]:
        """Play one joint action: `(state, observations, rewards)`, and whether that was the last where the environment says."""
        state, seen, *rest = self.env.step(state, actions, key)
        return state, self._told(seen), *rest
