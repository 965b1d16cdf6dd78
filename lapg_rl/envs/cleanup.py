"""CleanUp-lite: two players on a grid, a river that gets dirty and an orchard that bears only while the river is clean."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from lapg_rl.config import CleanUpConfig
from lapg_rl.envs.random_numbers import uniform
from lapg_rl.native import draws

RIGHT, LEFT, UP, DOWN, ZAP, NOTHING = range(6)
#: The names of the actions, in the order of their numbers.
ACTIONS = ("right", "left", "up", "down", "zap", "nothing")


class CleanUpState(NamedTuple):
    """Where the players and things are; the first axis of what concerns the players is the player.

    `frozen` counts the steps for which a player still does nothing. Bit r of `dirt` is the river's cell in row r (the river is
    the last column), bit r of `apples` the orchard's (the first).
    """

    row: Int[Array, " 2"]
    column: Int[Array, " 2"]
    frozen: Int[Array, " 2"]
    dirt: Int[Array, ""]
    apples: Int[Array, ""]


class CleanUp(eqx.Module):
    """The sequential social dilemma CleanUp-lite (Meulemans et al. 2025, appendix).

    A step, in this order: (1) with probability `dirt_rate` dirt appears on a uniformly random clean river cell, if there is
    one; (2) with probability 1 - min(1, dirt / dirt_limit), dirt being the number of dirty cells now, an apple appears on a
    uniformly random orchard cell without one; (3) an unfrozen player on an apple harvests it, for a reward of 1; (4) an
    unfrozen player on dirt removes it; (5) an unfrozen player that zaps hits with probability `hit_rate` if the other is at
    most `zap_range` cells away and not frozen: the other is then frozen for the rest of this step and the next
    `freeze_steps`; both may be hit at once; (6) who is not frozen moves.

    Walls stop a move. Unless `overlap`, so does the other player if it stays or comes the other way, and where both enter
    one free cell a fair coin says who does. With `overlap` nothing does, and a fair coin says who gets an apple on which
    both stand. With `alone` there is no player 1: its seat sees the game, but whatever it does changes nothing.

    What a player sees, flattened: one-hot of its own cell, one-hot of the other's (zeros if it is not there), for each cell
    a one-hot of apple, dirt, nothing, then whether it and whether the other is frozen. Cells are numbered by rows.

    The float fields and the counts `zap_range` and `freeze_steps` are arrays: they can be traced, mapped and swept.

    Example:
        >>> import jax, lapg_rl as rl
        >>> env = rl.CleanUp(rl.Config().game.cleanup)
        >>> state, seen = env.reset(jax.random.key(0))
        >>> seen.shape == (2, env.observation_size)
        True
    """

    dirt_rate: Float[Array, ""]
    dirt_limit: Float[Array, ""]
    hit_rate: Float[Array, ""]
    zap_range: Int[Array, ""]
    freeze_steps: Int[Array, ""]
    rows: int = eqx.field(static=True)
    columns: int = eqx.field(static=True)
    initial_dirt: int = eqx.field(static=True)
    diagonal: bool = eqx.field(static=True)
    overlap: bool = eqx.field(static=True)
    alone: bool = eqx.field(static=True)

    num_actions = len(ACTIONS)
    one_hot = False
    binary = True
    shared = ("pollution", "apples")
    compared = ("cleaning",)

    def __init__(self, config: CleanUpConfig = CleanUpConfig()):  # noqa: B008 (frozen)
        """The game that `config` describes."""
        self.dirt_rate, self.dirt_limit, self.hit_rate = (
            jnp.asarray(x, jnp.float32) for x in (config.dirt_rate, config.dirt_limit, config.hit_rate)
        )
        self.zap_range, self.freeze_steps = (jnp.asarray(x, jnp.int32) for x in (config.zap_range, config.freeze_steps))
        self.rows, self.columns, self.initial_dirt = config.rows, config.columns, config.initial_dirt
        self.diagonal, self.overlap, self.alone = config.distance == "chebyshev", config.overlap, config.alone

    @property
    def observation_size(self) -> int:
        """Five numbers a cell and two flags."""
        return 5 * self.rows * self.columns + 2

    @property
    def draws(self) -> int:
        """How many uniform numbers a step takes."""
        return 4 + self.overlap

    def reset(self, key: Array) -> tuple[CleanUpState, Float[Array, "2 o"]]:
        """The start of an inner episode: `(state, observations)`; random cells, no apples, dirt on random river cells."""
        cells_key, dirt_key = draws.split(key)
        count = self.rows * self.columns
        first, second = draws.randint(cells_key, (2,), 0, jnp.array([count, count if self.overlap else count - 1]))
        cell = jnp.stack([first, second if self.overlap else second + (second >= first)])
        order = draws.permutation(dirt_key, self.rows)
        dirt = jnp.sum((order < self.initial_dirt) << jnp.arange(self.rows))
        none = jnp.zeros((), jnp.int32)
        state = CleanUpState(cell // self.columns, cell % self.columns, jnp.zeros(2, jnp.int32), dirt, none)
        return state, self.observe(state)

    def step(
        self, state: CleanUpState, actions: Int[Array, " 2"], key: Array
    ) -> tuple[CleanUpState, Float[Array, "2 o"], Float[Array, " 2"]]:
        """Play one joint action: `(state, observations, rewards)`."""
        state, rewards = self.transition(state, actions, uniform(key, (self.draws,)))
        return state, self.observe(state), rewards

    def transition(
        self, state: CleanUpState, actions: Int[Array, " 2"], drawn: Float[Array, " u"]
    ) -> tuple[CleanUpState, Float[Array, " 2"]]:
        """A step without a look: `(state, rewards)`, a function of `draws` numbers, uniform in [0, 1)."""
        dirt = self._appear(state.dirt, self.dirt_rate, drawn[0])
        bearing = 1 - jnp.minimum(1, sum(self._cells(dirt)) / self.dirt_limit)
        apples = self._appear(state.apples, bearing, drawn[1])
        active = state.frozen == 0
        if self.alone:
            active = active & jnp.array([True, False])
        here = jnp.where(active, 1 << state.row, 0)
        harvest = jnp.where(state.column == 0, here, 0) & apples
        if self.overlap:
            both = harvest[0] & harvest[1]
            harvest = harvest & ~jnp.where(jnp.stack([drawn[4] < 0.5, drawn[4] >= 0.5]), both, 0)
        clean = jnp.where(state.column == self.columns - 1, here, 0)
        apples, dirt = (x & ~(taken[0] | taken[1]) for x, taken in ((apples, harvest), (dirt, clean)))
        zaps = active & (actions == ZAP) & self._near(state)
        hit = zaps[::-1] & active & (drawn[2:4] < self.hit_rate)
        frozen = jnp.where(hit, self.freeze_steps, jnp.maximum(state.frozen - 1, 0))
        row, column = self._move(state, actions, active & ~hit, drawn[2] < 0.5)
        return CleanUpState(row, column, frozen, dirt, apples), (harvest != 0).astype(jnp.float32)

    def _cells(self, things: Int[Array, ""]) -> list[Int[Array, ""]]:
        return [(things >> row) & 1 for row in range(self.rows)]

    def _appear(self, things: Int[Array, ""], rate: Float[Array, ""], drawn: Float[Array, ""]) -> Int[Array, ""]:
        """With probability `rate` one more, in a random free cell: given that drawn < rate, drawn / rate is uniform again."""
        count = (self.rows - sum(self._cells(things), start=jnp.int32(0))).astype(jnp.float32)
        rank = jnp.minimum(drawn / jnp.maximum(rate, 1e-30) * count, count - 1).astype(jnp.int32)
        left = jnp.where(drawn < rate, rank, -1)  # free cells still to be passed over
        for row, there in enumerate(self._cells(things)):
            things = things | jnp.where((left == 0) & (there == 0), 1 << row, 0)
            left = left - (1 - there)
        return things

    def _near(self, state: CleanUpState) -> Bool[Array, ""]:
        apart = [jnp.abs(x[0] - x[1]) for x in (state.row, state.column)]
        return (jnp.maximum(*apart) if self.diagonal else sum(apart)) <= self.zap_range

    def _move(self, state, actions, mobile, coin):
        """Rows and columns after the moves; `coin`: player 0 goes first. Who enters a cell does not zap."""
        down = jnp.where(actions == DOWN, 1, jnp.where(actions == UP, -1, 0))
        right = jnp.where(actions == RIGHT, 1, jnp.where(actions == LEFT, -1, 0))
        row = jnp.clip(state.row + jnp.where(mobile, down, 0), 0, self.rows - 1)
        column = jnp.clip(state.column + jnp.where(mobile, right, 0), 0, self.columns - 1)
        if self.overlap or self.alone:
            return row, column
        enters = (row == state.row[::-1]) & (column == state.column[::-1])  # the cell where the other was
        leaves = (row != state.row) | (column != state.column)
        meet = (row[0] == row[1]) & (column[0] == column[1]) & leaves[0] & leaves[1]
        stopped = (enters & (enters[::-1] | ~leaves[::-1])) | (meet & jnp.stack([~coin, coin]))
        return jnp.where(stopped, state.row, row), jnp.where(stopped, state.column, column)

    def observe(self, state: CleanUpState) -> Float[Array, "2 o"]:
        """What both players see: each number is one bit of a word, so that XLA makes one fused loop of it."""
        count, k = self.rows * self.columns, np.arange(self.observation_size, dtype=np.int32)
        cell, kind = np.divmod(k - 2 * count, 3)
        row, column = np.divmod(cell, self.columns)
        things = (cell >= 0) & (cell < count)
        apple, dirt = things & (column == 0), things & (column == self.columns - 1)
        asks_for_nothing = ((apple | dirt) & (kind == 2)).astype(np.int32)
        shift = np.where(apple | dirt, row, np.where(things, 2, k - k[-2])).clip(0).astype(np.int32)
        shown = (apple & (kind != 1)) | (dirt & (kind != 0)) | (things & (kind == 2)) | (k >= k[-2])
        shown = shown.astype(np.int32)
        at = state.row * self.columns + state.column
        if self.alone:
            at = jnp.where(jnp.array([True, False]), at, -count - 1)
        frozen = (state.frozen > 0).astype(jnp.int32)
        views = []
        for i in (0, 1):
            flags = frozen[i] | frozen[1 - i] << 1 | 4  # the last bit is for cells where nothing can lie
            word = jnp.where(apple, state.apples, jnp.where(dirt, state.dirt, flags))
            players = ((k == at[i]) | (k == at[1 - i] + count)).astype(jnp.int32)
            views.append(jnp.where(k < 2 * count, players, (word >> shift ^ asks_for_nothing) & shown))
        return jnp.stack(views).astype(jnp.float32)

    def look(self, observations: Float[Array, "... o"]) -> "Look":
        """An observation taken apart again."""
        count = self.rows * self.columns
        own, other, things, frozen = jnp.split(observations, np.cumsum([count, count, 3 * count]), axis=-1)
        grid = (*observations.shape[:-1], self.rows, self.columns)
        return Look(own.reshape(grid), other.reshape(grid), things.reshape(*grid, 3), frozen)

    def measures(
        self, observations: Float[Array, "... o"], actions: Int[Array, "..."]
    ) -> dict[str, Float[Array, "..."]]:
        """Per step: does the player zap, is it unfrozen at the river, how many cells are dirty, how many apples hang.

        All as the player saw them before the step. A zap counts whether or not it hits.
        """
        seen = self.look(observations)
        awake = 1 - seen.frozen[..., 0]
        return {
            "zaps": (actions == ZAP) * awake,
            "cleaning": seen.own[..., -1].sum(-1) * awake,
            "pollution": seen.things[..., 1].sum((-2, -1)),
            "apples": seen.things[..., 0].sum((-2, -1)),
        }


class Look(NamedTuple):
    """The parts of an observation: one-hot cells, (apple, dirt, nothing) in each cell, (own, other's) frozen flags."""

    own: Float[Array, "... rows columns"]
    other: Float[Array, "... rows columns"]
    things: Float[Array, "... rows columns 3"]
    frozen: Float[Array, "... 2"]
