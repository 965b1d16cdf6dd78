"""What two players' actions do to each other, above counterfactual baselines that are learnt beside the policy (Reciprocator).

The influence of player i on player j in a step is r_j + reach gamma V_j(next), less the mean of that with i's action left out,
given all that the ego saw and the action of the other one, j or i:

    mine_t = r_2 + reach gamma V_2(o_(t+1)) - C_2(o_t, b_t),      its_t = r_1 + reach gamma V_1(o_(t+1)) - C_1(o_t, a_t).

A least-squares fit on what was played is that mean: nobody's policy has to be known, nor the game. One model of the
architecture of the policy holds all four, by what the ego sees: C_1 for each of its actions, C_2 for each of the co-player's,
and the values of the game's own rewards, V_1 and V_2. It learns slowly, so its baselines are those of policies
of the recent past.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Num

from lapg_rl.config import LearnerConfig
from lapg_rl.interfaces import Influences
from lapg_rl.learn.credit import in_sequences, targets_of
from lapg_rl.models import over_sequences
from lapg_rl.play.rollout import Trajectory


class Lessons(NamedTuple):
    """What outputs of the model are to be after each token: C_1 of the own, C_2 of the co-player's action, V_1, V_2."""

    observations: Num[Array, "... l o"]
    actions: Int[Array, "... l 4"]  # places among the outputs
    targets: Float[Array, "... l 4"]
    alive: Any = None  # Bool[Array, "... l"]


def outputs(actions: int) -> int:
    """How many numbers the model gives."""
    return 2 * actions + 2


def _taken(found: Float[Array, "... o"], places: Int[Array, "... q"]) -> Float[Array, "... q"]:
    return jnp.sum(found[..., None, :] * jax.nn.one_hot(places, found.shape[-1]), axis=-1)


def see(model: Any, own: Trajectory, other: Trajectory, config: LearnerConfig) -> tuple[Influences, Lessons]:
    """The influences `[k, b, m, t]`, and what the model learns from, in sequences `[k b, l]`."""
    observed = in_sequences(own.observations, config)
    found, _ = over_sequences(model, observed.reshape(-1, *observed.shape[2:]))
    found = found.reshape(*own.actions.shape, -1)
    actions = (found.shape[-1] - 2) // 2
    ends = [jnp.full_like(own.actions, place) for place in (2 * actions, 2 * actions + 1)]
    places = jnp.stack([own.actions, other.actions + actions, *ends], axis=-1)
    expected = _taken(found, places)
    if own.alive is not None:  # rewards are 0 there, too
        expected = expected * own.alive[..., None]
    rewards = [player.rewards * config.reward_scale for player in (own, other)]
    worth, returns = [], []
    for r, v in zip(rewards, (expected[..., 2], expected[..., 3]), strict=True):
        following = jnp.concatenate([v[..., 1:], jnp.zeros_like(v[..., :1])], axis=-1)
        worth.append(r + config.alignment.reach * config.gamma * following)
        returns.append(targets_of(r, v, config))
    influences = Influences(worth[1] - expected[..., 1], worth[0] - expected[..., 0])
    fields = (own.observations, places, jnp.stack([*worth, *returns], axis=-1), own.alive)
    together = jax.tree.map(lambda x: in_sequences(x, config), fields)
    return influences, Lessons(*jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), together))


def baseline_loss(model: Any, batch: Lessons, config: LearnerConfig) -> tuple[Float[Array, ""], dict[str, Any]]:
    """Half the squared error of baselines and values, summed over the four, mean over steps."""
    del config
    found, _ = over_sequences(model, batch.observations)
    error = jnp.sum((_taken(found, batch.actions) - batch.targets) ** 2, axis=-1)
    total = 0.5 * jnp.mean(error if batch.alive is None else error * batch.alive)
    return total, {"baseline_loss": total}
