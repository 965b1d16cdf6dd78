"""The Coin Game: two players on a torus, and one coin that belongs to one of them."""

from typing import Literal, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lapg_rl.config import CoinConfig
from lapg_rl.envs.random_numbers import uniform

RIGHT, LEFT, DOWN, UP = range(4)
#: The names of the actions, in the order of their numbers.
ACTIONS = ("right", "left", "down", "up")
#: What each adds to (row, column).
MOVES = ((0, 1), (0, -1), (1, 0), (-1, 0))


class CoinState(NamedTuple):
    """Where the players are, the coin's cell (cells are numbered by rows), and the player to whom it belongs."""

    row: Int[Array, " 2"]
    column: Int[Array, " 2"]
    coin: Int[Array, ""]
    owner: Int[Array, ""]


class CoinGame(eqx.Module):
    """The Coin Game with one coin (Lerer & Peysakhovich 2017), by the rules of LOLA-DiCE, POLA and LOQA.

    In a step both players move at once to a neighbouring cell of a torus of `size` x `size` cells: to the right, to the left,
    down or up; they may share a cell and swap. Then whoever is on the coin takes it and gains 1; if somebody took it to whom
    it does not belong, its owner loses 2 (so where both are on it, the owner's reward is -1 and the other's 1). A coin that
    is taken is followed by one of the other player's, on a uniformly random cell without a player.

    At the start the players are on two random cells, different ones if `start` is "distinct", and the coin is on a random
    cell without a player and belongs to either with probability 1/2.

    What a player sees are four planes of size x size zeros and ones, flattened one after the other: itself, the other, the
    coin if it is its own, the coin if it is the other's.

    Raises:
        ValueError: as `lapg_rl.config.CoinConfig`.

    Example:
        >>> import jax, lapg_rl as rl
        >>> env = rl.CoinGame(size=3)
        >>> state, seen = env.reset(jax.random.key(0))
        >>> seen.shape
        (2, 36)
    """

    size: int = eqx.field(static=True)
    distinct: bool = eqx.field(static=True)

    num_actions = len(ACTIONS)
    one_hot = False
    binary = True
    shared = ()
    compared = ()
    #: How many uniform numbers a step takes.
    draws = 1

    def __init__(self, size: int = CoinConfig.size, start: Literal["distinct", "independent"] = CoinConfig.start):
        """The game on `size` x `size` cells."""
        config = CoinConfig(size=size, start=start)
        self.size, self.distinct = config.size, config.start == "distinct"

    @property
    def observation_size(self) -> int:
        """Four numbers a cell."""
        return 4 * self.size**2

    def reset(self, key: Array) -> tuple[CoinState, Float[Array, "2 o"]]:
        """The start of an inner episode: `(state, observations)`."""
        drawn, count = uniform(key, (4,)), self.size**2
        first = _below(count, drawn[0])
        second = _below(count - self.distinct, drawn[1])
        cell = jnp.stack([first, second + (second >= first) if self.distinct else second])
        owner = _below(2, drawn[2])
        state = CoinState(cell // self.size, cell % self.size, self._free(cell, drawn[3]), owner)
        return state, self.observe(state)

    def step(
        self, state: CoinState, actions: Int[Array, " 2"], key: Array
    ) -> tuple[CoinState, Float[Array, "2 o"], Float[Array, " 2"]]:
        """Play one joint action: `(state, observations, rewards)`."""
        state, rewards = self.transition(state, actions, uniform(key, (self.draws,)))
        return state, self.observe(state), rewards

    def transition(
        self, state: CoinState, actions: Int[Array, " 2"], drawn: Float[Array, " u"]
    ) -> tuple[CoinState, Float[Array, " 2"]]:
        """A step without a look: `(state, rewards)`, a function of `draws` numbers, uniform in [0, 1)."""
        down = (actions == DOWN).astype(jnp.int32) - (actions == UP)
        right = (actions == RIGHT).astype(jnp.int32) - (actions == LEFT)
        row, column = self._around(state.row + down), self._around(state.column + right)
        cell = row * self.size + column
        there = (cell == state.coin).astype(jnp.int32)
        loses = (state.owner == np.arange(2)).astype(jnp.int32)
        taken = there[0] | there[1]
        coin = jnp.where(taken == 1, self._free(cell, drawn[0]), state.coin)
        rewards = (there - 2 * loses * there[::-1]).astype(jnp.float32)
        return CoinState(row, column, coin, state.owner ^ taken), rewards

    def _around(self, place: Int[Array, " 2"]) -> Int[Array, " 2"]:
        return jnp.where(place < 0, self.size - 1, jnp.where(place == self.size, 0, place))

    def _free(self, cell: Int[Array, " 2"], drawn: Float[Array, ""]) -> Int[Array, ""]:
        """A random cell without a player: its rank among them, and past the players that come before it."""
        low, high = jnp.minimum(cell[0], cell[1]), jnp.maximum(cell[0], cell[1])
        apart = (low != high).astype(jnp.int32)
        free = _below(self.size**2 - 1 - apart, drawn)
        free = free + (free >= low)
        return free + ((free >= high) & (apart == 1))

    def observe(self, state: CoinState) -> Float[Array, "2 o"]:
        """What both players see, as one comparison a number."""
        count = self.size**2
        k = np.arange(self.observation_size, dtype=np.int32)
        cell = state.row * self.size + state.column
        views = []
        for i in (0, 1):
            coin = state.coin + 2 * count + jnp.where(state.owner == i, 0, count)
            views.append((k == cell[i]) | (k == cell[1 - i] + count) | (k == coin))
        return jnp.stack(views).astype(jnp.float32)

    def measures(
        self, observations: Float[Array, "... o"], actions: Int[Array, "..."]
    ) -> dict[str, Float[Array, "..."]]:
        """Coins taken in the step, of one's own and of the other's; the share of own ones is own / (own + other)."""
        me, _, own, other = jnp.moveaxis(observations.reshape(*actions.shape, 4, self.size, self.size), -3, 0)
        taken = {"own_coins": jnp.zeros(actions.shape), "other_coins": jnp.zeros(actions.shape)}
        for action, move in enumerate(MOVES):
            arrives = jnp.roll(me, move, (-2, -1)) * (actions == action)[..., None, None]
            for name, coin in zip(taken, (own, other), strict=True):
                taken[name] = taken[name] + jnp.sum(arrives * coin, axis=(-2, -1))
        return taken


def _below(count: int | Int[Array, ""], drawn: Float[Array, ""]) -> Int[Array, ""]:
    """A number uniform in [0, 1) as an integer from 0 to `count` - 1."""
    return (drawn * count).astype(jnp.int32)
