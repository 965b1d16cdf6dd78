"""The scripts of the Coin Game that agents are measured against: always-cooperate and always-defect."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Num

from lapg_rl.config import Config
from lapg_rl.envs.coin import MOVES
from lapg_rl.interfaces import Kind
from lapg_rl.play.coplayers.unlearning import NEVER, Unlearning


class CoinScript(Unlearning):
    """Plays the Coin Game without learning; its identity in `init` says whether it defects.

    Always-defect goes the shortest way to any coin. Always-cooperate does so if the coin is its own; if it is the other's, it
    goes where it will be farthest from it. Moves that are equally good are equally likely.
    """

    size: int = eqx.field(static=True)

    def act(self, state: Bool[Array, ""], observations: Num[Array, "b o"]):
        """(state, (logits, values)); reads the four planes that an observation begins with."""
        me, _, own, other = jnp.split(observations[:, : 4 * self.size**2], 4, axis=1)
        here, coin = (jnp.stack(jnp.divmod(x.argmax(axis=1), self.size), axis=-1) for x in (me, own + other))
        apart = (here[:, None] + np.array(MOVES) - coin[:, None]) % self.size
        away = jnp.minimum(apart, self.size - apart).sum(axis=-1)  # steps that are left after each move
        bad = jnp.where(state | own.any(axis=1), 1, -1)[:, None] * away
        best = bad == bad.min(axis=1, keepdims=True)
        return state, (jnp.where(best, 0.0, NEVER), jnp.zeros(len(observations)))


def _script(config: Config, defects: bool) -> Kind:
    return Kind(CoinScript(config.game.coin.size), lambda company, count, key: jnp.full(count, defects))


def always_cooperate(config: Config) -> Kind:
    """AC: takes its own coins only."""
    return _script(config, defects=False)


def always_defect(config: Config) -> Kind:
    """AD: takes every coin."""
    return _script(config, defects=True)
