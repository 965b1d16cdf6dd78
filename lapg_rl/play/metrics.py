"""What happened in play, as figures a step."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lapg_rl.config import Config
from lapg_rl.envs.build import bare_environment
from lapg_rl.play.company import Played
from lapg_rl.play.rollout import Trajectory
from lapg_rl.play.rollout import mean_of_played as mean


def describe_play(config: Config, played: dict[str, Played]) -> dict[str, Float[Array, ""]]:
    """Rewards, and what the environment measures, per step that is played against each kind of co-player.

    A `discrepancy` is the absolute difference between the players' means over a meta-episode, averaged over meta-episodes.
    """
    figures = {}
    env = bare_environment(config.game)
    for name, (own, other, *_) in played.items():
        kind = name.rpartition(":")[2]
        figures |= {
            f"reward_vs_{kind}": mean(own.rewards, own.alive),
            f"{kind}_reward": _if_finite(other, mean(other.rewards, other.alive)),
            f"{kind}_reward_last_episode": mean(*jax.tree.map(lambda x: x[:, :, -1], (other.rewards, other.alive))),
        }
        if own.alive is not None:
            figures[f"length_vs_{kind}"] = own.alive.sum(axis=-1).mean()
        mine, theirs = (measure(env, side) for side in (own, other))
        for measured in mine:
            figures[f"{measured}_vs_{kind}"] = mean(mine[measured], own.alive)
            if measured not in env.shared:
                figures[f"{kind}_{measured}"] = mean(theirs[measured], own.alive)
            if measured in env.compared:
                apart = jnp.abs(
                    mean(mine[measured], own.alive, (1, 2, 3)) - mean(theirs[measured], own.alive, (1, 2, 3))
                )
                figures[f"{measured}_discrepancy_vs_{kind}"] = apart.mean()
    return figures


def _if_finite(other: Trajectory, value: Float[Array, ""]) -> Float[Array, ""]:
    """The figure, or NaN where a co-player's policy became non-finite: its actions and rewards would not tell."""
    return jnp.where(jnp.all(jnp.isfinite(other.log_probs)), value, jnp.nan)


def measure(env: Any, side: Trajectory) -> dict[str, Any]:
    """What the environment measures of one player, per step; a co-player's kind, told after an observation, is left out."""
    return env.measures(side.observations[..., : env.observation_size].astype(jnp.float32), side.actions)
