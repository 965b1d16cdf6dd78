"""Stochastic games: what is at stake changes with what is done; with the ecological public good, the smallest commons."""

import dataclasses
import math
import numbers
from typing import Any

import numpy as np

from lapg_theory.game.horizons import check_count
from lapg_theory.game.noise import Noise, noise_of
from lapg_theory.game.normal_form import finite_table


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class StochasticGame:
    """A game of n players that moves among states: T[s, a1, ..., an, s'] and R[i, s, a1, ..., an, s'].

    T is the chance of state s' after joint action a in state s, R what player i earns in that step. Frozen and hashable; two
    games are equal if their numbers are. Policies are Markov: one distribution over the own actions for each state.

    Attributes:
        transitions: chances of shape [s, k1, ..., kn, s], each summing to one over the last axis.
        rewards: finite numbers of shape [n, s, k1, ..., kn, s].
        start: chances of the first state, [s]; by default it is state 0.
        names: of the states, for messages and figures.
        noise: of actions, see `noisy`; nobody mistakes the state.

    Raises:
        ValueError: for shapes that do not fit together, chances that are none, or payoffs that are not finite.
    """

    transitions: Any
    rewards: Any
    start: Any = None
    names: tuple[str, ...] = ()
    noise: Noise | None = None

    def __post_init__(self):
        T, R = finite_table("transitions", self.transitions), finite_table("rewards", self.rewards)
        if T.ndim < 3 or T.shape[0] != T.shape[-1] or R.shape != (T.ndim - 2, *T.shape) or 0 in T.shape:
            raise ValueError(
                "transitions must have the shape [s, k1, ..., kn, s] and rewards [n, s, k1, ..., kn, s], such as (2, 3, 3, 2) "
                f"and (2, 2, 3, 3, 2), got {T.shape} and {R.shape}"
            )
        start = finite_table("start", np.eye(len(T))[0] if self.start is None else self.start)
        for name, chances, shape in (("transitions", T, T.shape), ("start", start, T.shape[:1])):
            if chances.shape != shape or (chances < 0).any() or np.abs(chances.sum(-1) - 1).max() > 1e-9:
                raise ValueError(f"{name} must hold chances >= 0 that sum to 1 over the next state, of shape {shape}")
        names = tuple(self.names) or tuple(str(s) for s in range(len(T)))
        if len(names) != len(T):
            raise ValueError(f"names must be one for each of the {len(T)} states, got {names}")
        for field, value in (("transitions", T), ("rewards", R), ("start", start), ("names", names)):
            object.__setattr__(self, field, value)

    def __eq__(self, other: Any) -> bool:
        same = isinstance(other, StochasticGame)
        return same and self.noise == other.noise and all(map(np.array_equal, self._numbers(), other._numbers()))

    def __hash__(self) -> int:
        return hash((*((table.shape, table.tobytes()) for table in self._numbers()), self.noise))

    def noisy(self, execution: Any = 0.0) -> "StochasticGame":
        """The same game with execution errors, in place of any that it has; see `lapg_theory.game.noise`."""
        return dataclasses.replace(self, noise=noise_of(execution, 0.0))

    def __repr__(self) -> str:
        return f"<StochasticGame: {self.players} players, actions {self.actions}, states {', '.join(self.names)}>"

    def _numbers(self) -> tuple[Any, ...]:
        return self.transitions, self.rewards, self.start

    @property
    def players(self) -> int:
        """The number of players, n."""
        return len(self.rewards)

    @property
    def actions(self) -> tuple[int, ...]:
        """The number of actions of each player."""
        return self.transitions.shape[1:-1]

    @property
    def expected(self) -> np.ndarray:
        """Expected reward of each player by state and joint action, [n, s, k1, ..., kn]."""
        return (self.transitions * self.rewards).sum(-1)


def ecological_public_good(
    players: Any = 2, factor: Any = 1.2, cost: Any = 5.0, loss: Any = -5.0, collapse: Any = 0.2, recovery: Any = 0.01
) -> StochasticGame:
    """A public good whose resource collapses under defection; states prosperous (0) and degraded (1), actions C and D.

    While it stays prosperous everybody gets factor cost k / players for k cooperators, who pay `cost`. With d defectors it
    collapses with chance collapse d / players, and that step, like every step until it has recovered, earns `loss`. A
    degraded resource recovers with chance `recovery` whatever is done. (Barfuss, Donges, Vasconcelos, Kurths & Levin 2020,
    PNAS 117; these are its numbers.)

    Args:
        players: how many, at least 2.
        factor: by which contributions are multiplied.
        cost: of contributing.
        loss: what every step earns in or on the way to degradation.
        collapse: chance of a collapse a step if all defect.
        recovery: chance of recovering a step.

    Raises:
        ValueError: for players that are no integer >= 2, factor or cost not positive, a loss that is not finite, or chances
            outside [0, 1].
    """
    check_count("players", players, least=2)
    for name, value, least, most in (
        ("factor", factor, 0, math.inf),
        ("cost", cost, 0, math.inf),
        ("loss", loss, -math.inf, math.inf),
        ("collapse", collapse, 0, 1),
        ("recovery", recovery, 0, 1),
    ):
        if not (isinstance(value, numbers.Real) and math.isfinite(value) and least <= float(value) <= most):
            raise ValueError(f"{name} must be a finite number in [{least:g}, {most:g}], got {value!r}")
    defects = np.indices((2,) * players)  # [i, a1, ..., an], 1 where player i defects
    defectors = defects.sum(0)
    T = np.empty((2, *defectors.shape, 2))
    T[0, ..., 1] = collapse * defectors / players
    T[1, ..., 1] = 1 - recovery
    T[..., 0] = 1 - T[..., 1]
    R = np.full((players, *T.shape), float(loss))
    R[:, 0, ..., 0] = factor * cost * (players - defectors) / players - cost * (1 - defects)
    return StochasticGame(T, R, names=("prosperous", "degraded"))
