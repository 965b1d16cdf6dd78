"""What players who plan ahead earn in CleanUp-lite, exactly: backward induction over all states of the game without zaps.

It bounds what shaping can be worth: the most that a player gets where it moves its partner, too, beside what it gets from
partners who do as they please. Nobody zaps, so nobody is ever frozen, and a state is where the players are, which river cells
are dirty (a set of rows d) and which orchard cells bear an apple (a set of rows a).
"""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from lapg_rl.config import CleanUpConfig
from lapg_rl.envs.cleanup import DOWN, LEFT, NOTHING, RIGHT, UP, CleanUp, CleanUpState
from lapg_rl.play.coplayers.cleanup import DIRTY, CleanUpScript
from lapg_theory.game import check_count

#: The moves of a plan, by action; their places here are those in policies.
MOVES = {RIGHT: (0, 1), LEFT: (0, -1), UP: (-1, 0), DOWN: (1, 0), NOTHING: (0, 0)}
#: States that a plan may have; the published grid has 390 thousand.
MOST = 500_000
#: How much the partner's reward counts where only the own one is planned for: it decides between equals.
LEAST = 1e-7

Policy = Float[np.ndarray, "m d p a"]
Values = Float[np.ndarray, "2 d p a"]


class Earned(NamedTuple):
    """Expected rewards per step of the player and of its partner (0 where there is none)."""

    own: float
    partner: float


class CleanUpPlans:
    """CleanUp-lite without zaps, solved for inner episodes of known length from the random start.

    Attributes:
        places: where the players are, (row, column) of each.

    Raises:
        ValueError: for a game in which players share cells, or one with more than half a million states.

    Example:
        >>> import lapg_rl as rl
        >>> small = ["game.cleanup.rows=2", "game.cleanup.columns=2", "game.cleanup.initial_dirt=1"]
        >>> plans = rl.CleanUpPlans(rl.override(rl.preset("cleanup-mixed-small"), small).game.cleanup)
        >>> round(plans.best(16).own, 3), round(plans.best(16, partner=plans.policy("harvester")).own, 3)
        (0.734, 0.339)
    """

    def __init__(self, config: CleanUpConfig):
        """The game that `config` describes."""
        if config.overlap:
            raise ValueError(
                "plans need game.cleanup.overlap = false: players who share a cell draw lots for its apple"
            )
        self.config = config
        rows, self._sets = config.rows, np.arange(2**config.rows)
        cells = list(itertools.product(range(rows), range(config.columns)))
        self.places = list(itertools.permutations(cells, 1 if config.alone else 2))
        if (count := len(self.places) * 4**rows) > MOST:
            raise ValueError(
                f"this game has {count:,} states, and plans may have at most {MOST:,}; take a smaller grid"
            )
        self._index = {at: n for n, at in enumerate(self.places)}
        self._bits = self._sets[:, None] >> np.arange(rows) & 1  # [set, row]
        dirty = self._bits.sum(1)
        self._dirtier = self._appearances(np.full(len(dirty), float(config.dirt_rate)))
        self._riper = self._appearances(1 - np.minimum(1, dirty / config.dirt_limit)[:, None])
        joint = list(itertools.product(MOVES, repeat=len(self.places[0])))
        self._after = np.array([[self._moved(at, moves) for at in self.places] for moves in joint])
        self._cleaned = self._without(config.columns - 1)
        self._picked = self._without(0)
        self._taken = np.array([
            [self._bits[:, at[i][0]] * (at[i][1] == 0) if i < len(at) else 0 * self._sets for at in self.places]
            for i in (0, 1)
        ])  # [player, p, a]  # fmt: skip

    def best(
        self, steps: int, *, partner: Policy | None = None, own: Policy | None = None, total: bool = False
    ) -> Earned:
        """What a player earns per step that knows the game, its length and how its partner plays.

        Args:
            steps: of an inner episode.
            partner: how the partner plays (see `policy`); by default the player moves it as well.
            own: how the player itself plays, beside a `partner`; by default it plans.
            total: plan for the sum of both rewards instead of the own one.

        Raises:
            ValueError: for a number of steps below 1, what is no policy of this game, a partner in a game for one, or an own
                policy without a partner's or with a total to plan for.
        """
        check_count("steps", steps)
        if own is not None and (partner is None or total):
            raise ValueError("own needs a partner's policy, too (plans.policy('cleaner')), and plans for no total")
        if partner is not None and self.config.alone:
            raise ValueError("with game.cleanup.alone there is no partner")
        due = (len(MOVES), len(self._sets), len(self.places), len(self._sets))
        for name, policy in (("partner", partner), ("own", own)):
            if policy is not None and np.shape(policy) != due:
                raise ValueError(
                    f"{name} must be a policy of this game, {list(due)}, got shape {list(np.shape(policy))}"
                )
        values, worth = np.zeros((2, len(self._sets), len(self.places), len(self._sets))), (1, 1 if total else LEAST)
        for _ in range(steps):
            ahead = np.stack([self._ahead(values, after) for after in self._after], axis=1)  # [player, joint, d, p, a]
            if partner is not None:
                ahead = np.einsum("ixydpa,ydpa->ixdpa", ahead.reshape(2, 5, 5, *ahead.shape[2:]), partner)
            if own is not None:
                values = np.einsum("ixdpa,xdpa->idpa", ahead, own)
                continue
            choice = (worth[0] * ahead[0] + worth[1] * ahead[1]).argmax(0)
            values = np.take_along_axis(ahead, choice[None, None], axis=1)[:, 0]
        starts = self._bits.sum(1) == self.config.initial_dirt
        return Earned(*(float(value[starts, :, 0].mean()) / steps for value in values))

    def policy(self, name: str, player: int = 1) -> Policy:
        """How a script plays in every state, [m, d, p, a]: its chances of the five moves, or "random": all alike.

        Raises:
            ValueError: for another name or player.
        """
        shape = (len(self._sets), len(self.places), len(self._sets))
        if name == "random":
            return np.full((len(MOVES), *shape), 1 / len(MOVES))
        if name not in DIRTY:
            raise ValueError(f"unknown policy {name!r}; known: {', '.join(DIRTY)}, random")
        if player not in range(len(self.places[0])):
            raise ValueError(f"player must be from 0 to {len(self.places[0]) - 1}, got {player!r}")
        at = np.array(self.places)  # [p, player, 2]
        d, p, a = (x.ravel() for x in np.indices(shape))
        still = np.zeros((len(d), 2), np.int32)
        parts = (at[p, :, 0], at[p, :, 1], still, self._sets[d], self._sets[a])
        env, state = CleanUp(self.config), CleanUpState(*(jnp.asarray(x, jnp.int32) for x in parts))
        seen = jax.vmap(env.observe)(state)[:, player]
        chosen = np.asarray(CleanUpScript(env).act(jnp.array(DIRTY[name]), seen)[1][0].argmax(axis=1))
        return (chosen == np.array(list(MOVES))[:, None]).astype(float).reshape(-1, *shape)

    def _appearances(self, rate: Float[np.ndarray, "..."]) -> Float[np.ndarray, "... b"]:
        """[..., set, later set]: one more element with the chance `rate`, each that is missing alike."""
        sets, rows = self._sets, self._bits.shape[1]
        free = rows - self._bits.sum(1)
        rate = np.broadcast_to(rate, (*rate.shape[:-1], len(sets))) * (free > 0)
        found = (1 - rate)[..., None] * np.eye(len(sets))
        for row in range(rows):
            lacks = np.flatnonzero(self._bits[:, row] == 0)
            found[..., lacks, lacks | 1 << row] += (rate / np.maximum(free, 1))[..., lacks]
        return found

    def _moved(self, at: tuple[tuple[int, int], ...], joint: tuple[int, ...]) -> tuple[int, int]:
        """Where a joint move leads, two places that are equally likely."""
        size = (self.config.rows, self.config.columns)
        wanted = []
        for (row, column), action in zip(at, joint, strict=True):
            to = (row + MOVES[action][0], column + MOVES[action][1])
            wanted.append(to if all(0 <= x < n for x, n in zip(to, size, strict=True)) else (row, column))
        index = self._index
        if len(at) == 1 or (wanted[0] != wanted[1] and tuple(wanted) != at[::-1]):
            return index[tuple(wanted)], index[tuple(wanted)]
        if tuple(wanted) == at[::-1] or wanted[0] in at:  # they change places, or one enters where the other stays
            return index[at], index[at]
        return index[wanted[0], at[1]], index[at[0], wanted[1]]

    def _without(self, column: int) -> Int[np.ndarray, "p s"]:
        """The sets that are left when the players in a column have taken what lies where they stand."""
        there = [sum(1 << row for row in {row for row, c in at if c == column}) for at in self.places]
        return self._sets & ~np.array(there)[:, None]

    def _ahead(self, values: Values, after: Int[np.ndarray, "p 2"]) -> Values:
        """What both players earn from every state on, in this step and by `values`, where a joint move leads to `after`."""
        follows = values[:, :, after].mean(3)  # [player, d, p, a] once all is taken
        places = np.arange(len(self.places))[:, None]
        follows = follows[:, self._cleaned.T[:, :, None], places, self._picked] + self._taken[:, None]
        hung = np.matmul(follows, np.swapaxes(self._riper, 1, 2))
        return np.tensordot(self._dirtier, hung, (1, 1)).swapaxes(0, 1)
