"""The scripts of CleanUp-lite that agents are measured against: one cleans and harvests, the other harvests only."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lapg_rl.config import Config
from lapg_rl.envs.cleanup import DOWN, LEFT, NOTHING, RIGHT, UP, CleanUp
from lapg_rl.interfaces import Kind
from lapg_rl.play.coplayers.unlearning import NEVER, Unlearning

#: The scripts, and from how many dirty cells on they clean; the river has at most 31.
DIRTY = {"cleaner": 2, "harvester": 32}


class CleanUpScript(Unlearning):
    """Plays CleanUp-lite without learning and without zaps; its identity in `init` is how many dirty cells make it clean.

    From so many on it goes to the nearest dirty cell, else to the nearest apple, along its row first; of equally near ones to
    that of the lower row number. Where no apple hangs it waits in the orchard.
    """

    env: CleanUp

    def act(self, state: Int[Array, ""], observations: Float[Array, "b o"]):
        """(state, (logits, values)); the other player is not looked at."""
        rows, columns = self.env.rows, self.env.columns
        look = self.env.look(observations)
        row, column = jnp.divmod(look.own.reshape(-1, rows * columns).argmax(1), columns)
        dirt, apples = look.things[:, :, -1, 1], look.things[:, :, 0, 0]
        cleans = dirt.sum(1) >= state
        wanted = jnp.where(cleans[:, None], dirt, apples)
        far = jnp.abs(np.arange(rows) - row[:, None]) + jnp.where(wanted > 0, 0, 2 * rows)
        goal = jnp.where(wanted.any(1), far.argmin(1), row)
        aside = jnp.where(cleans, columns - 1, 0) - column
        along = jnp.where(goal > row, DOWN, jnp.where(goal < row, UP, NOTHING))
        action = jnp.where(aside > 0, RIGHT, jnp.where(aside < 0, LEFT, along))
        chosen = jax.nn.one_hot(action, self.env.num_actions, dtype=bool)
        return state, (jnp.where(chosen, 0.0, NEVER), jnp.zeros(len(observations)))


def _script(config: Config, name: str) -> Kind:
    return Kind(CleanUpScript(CleanUp(config.game.cleanup)), lambda company, count, key: jnp.full(count, DIRTY[name]))


def cleaner(config: Config) -> Kind:
    """Cleans from two dirty cells on, else harvests."""
    return _script(config, "cleaner")


def harvester(config: Config) -> Kind:
    """Harvests only."""
    return _script(config, "harvester")
