"""What happened in play, as figures a step."""

from collections.abc import Sequence
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
    """Rewards, and what the environment measures, per step that is played against each kind of co-player, or each group.

    A `discrepancy` is the absolute difference between the players' means over a meta-episode, averaged over meta-episodes.
    Of a group figures are means over its members; of a mixed one there are those of each kind, too.
    """
    figures = {}
    env = bare_environment(config.game)
    for name, side in played.items():
        own, kind = side.own, name.rpartition(":")[2]
        figures |= {
            f"reward_vs_{kind}": mean(own.rewards, own.alive),
            f"{kind}_reward": _over(side.others, lambda x: _if_finite(x, mean(x.rewards, x.alive))),
            f"{kind}_reward_last_episode": _over(
                side.others, lambda x: mean(*jax.tree.map(lambda y: y[:, :, -1], (x.rewards, x.alive)))
            ),
        }
        if own.alive is not None:
            figures[f"length_vs_{kind}"] = own.alive.sum(axis=-1).mean()
        mine, theirs = measure(env, own), [measure(env, other) for other in side.others]
        for measured in mine:
            figures[f"{measured}_vs_{kind}"] = mean(mine[measured], own.alive)
            if measured not in env.shared:
                figures[f"{kind}_{measured}"] = _over(theirs, lambda x, n=measured, a=own.alive: mean(x[n], a))
            if measured in env.compared:
                own_means = mean(mine[measured], own.alive, (1, 2, 3))
                apart = jnp.abs(own_means - _over(theirs, lambda x, n=measured, a=own.alive: mean(x[n], a, (1, 2, 3))))
                figures[f"{measured}_discrepancy_vs_{kind}"] = apart.mean()
        members = config.groups[name]
        for member in dict.fromkeys(members) if len(set(members)) > 1 else ():
            these = [n for n, m in enumerate(members) if m == member]
            label = f"{member.rpartition(':')[2]}_in_{kind}"
            figures[f"{label}_reward"] = _over([side.others[n] for n in these], lambda x: mean(x.rewards, x.alive))
            for measured in (m for m in mine if m not in env.shared):
                figures[f"{label}_{measured}"] = _over(
                    [theirs[n] for n in these], lambda x, n=measured, a=own.alive: mean(x[n], a)
                )
    return figures


def _over(sides: Sequence[Any], figure: Any) -> Any:
    """The mean of a figure over co-players."""
    found = [figure(side) for side in sides]
    return found[0] if len(found) == 1 else sum(found) / len(found)


def _if_finite(other: Trajectory, value: Float[Array, ""]) -> Float[Array, ""]:
    """The figure, or NaN where a co-player's policy became non-finite: its actions and rewards would not tell."""
    return jnp.where(jnp.all(jnp.isfinite(other.log_probs)), value, jnp.nan)


def measure(env: Any, side: Trajectory) -> dict[str, Any]:
    """What the environment measures of one player, per step; a co-player's kind, told after an observation, is left out."""
    return env.measures(side.observations[..., : env.observation_size].astype(jnp.float32), side.actions)
