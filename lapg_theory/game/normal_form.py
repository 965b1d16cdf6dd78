"""Games beyond 2x2: any number of players and actions as one table, and anonymous groups by the number of cooperators."""

import dataclasses
import itertools
import math
import numbers
from pathlib import Path
from typing import Any

import numpy as np

from lapg_theory.game import gambit
from lapg_theory.game.conventions import COOPERATE
from lapg_theory.game.horizons import check_count
from lapg_theory.game.matrix_game import MatrixGame
from lapg_theory.game.noise import Noise, noise_of
from lapg_theory.game.numbers import check_number

MOST_ENTRIES = 2**20  # of a payoff table


def finite_table(name: str, values: Any) -> np.ndarray:
    """The values as a read-only float array, refused where they are not finite or no full table."""
    if values is None:
        raise ValueError(f"{name} must be a full table of numbers, got None")
    try:
        complex_ = np.asarray(values).dtype.kind == "c"  # which NumPy would cast
        array = (
            np.array(0.0 if complex_ else values, dtype=float, ndmin=1) + 0.0
        )  # no -0.0: equal games have equal bytes
    except (TypeError, ValueError):
        raise ValueError(
            f"{name} must be a full table of numbers, with no row of another length, got {values!r:.80}"
        ) from None
    if complex_:
        raise ValueError(f"{name} must be finite numbers, but holds complex ones; take their real parts")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite numbers, but holds {array[~np.isfinite(array)].flat[0]}")
    array.flags.writeable = False
    return array


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class NormalFormGame:
    """A one-shot game of n players: `payoffs[i, a1, ..., an]` is what player i earns when player k plays action ak.

    Frozen and hashable; two games are equal if their payoffs and their noise are, whatever their names.

    Attributes:
        payoffs: finite numbers of shape [n, k1, ..., kn], a read-only float array once built.
        name: for messages and figures.
        noise: of actions and observations, see `noisy`.

    Raises:
        ValueError: for payoffs that are no full table of finite numbers, a first axis that differs from the number of
            axes after it, or a player without actions.

    Example:
        >>> import lapg_theory as lt
        >>> lt.NormalFormGame([[[3, 0], [5, 1]], [[3, 5], [0, 1]]]).players
        2
    """

    payoffs: Any
    name: str = "game"
    noise: Noise | None = None

    def __post_init__(self):
        table = finite_table("payoffs", self.payoffs)
        if table.ndim < 2 or table.shape[0] != table.ndim - 1 or 0 in table.shape:
            raise ValueError(
                f"payoffs must have the shape [n, k1, ..., kn] for n players with k1, ..., kn >= 1 actions, "
                f"such as (2, 3, 3), got {table.shape}"
            )
        object.__setattr__(self, "payoffs", table)

    def __eq__(self, other: Any) -> bool:
        same = isinstance(other, NormalFormGame) and self.noise == other.noise
        return same and np.array_equal(self.payoffs, other.payoffs)

    def __hash__(self) -> int:
        return hash((self.payoffs.shape, self.payoffs.tobytes(), self.noise))

    def __repr__(self) -> str:
        noise = "" if self.noise is None else f", {self.noise}"
        return f"<NormalFormGame {self.name!r}: {self.players} players, actions {self.actions}{noise}>"

    @classmethod
    def from_nfg(cls, path: str | Path) -> "NormalFormGame":
        """The game of a file in Gambit's format for strategic games; see `lapg_theory.game.gambit.read_nfg`."""
        return cls(*gambit.read_nfg(path))

    def to_nfg(self) -> str:
        """The game as the text of such a file; noise is left out, which the format has not."""
        return gambit.written(self.payoffs, self.name)

    def noisy(self, execution: Any = 0.0, perception: Any = 0.0) -> "NormalFormGame":
        """The same game with execution and perception errors, in place of any that it has; see `lapg_theory.game.noise`."""
        return dataclasses.replace(self, noise=noise_of(execution, perception))

    @property
    def players(self) -> int:
        """The number of players, n."""
        return self.payoffs.shape[0]

    @property
    def actions(self) -> tuple[int, ...]:
        """The number of actions of each player."""
        return self.payoffs.shape[1:]

    @property
    def is_symmetric(self) -> bool:
        """Whether all seats are alike: whatever players trade their actions trade their payoffs, and no other one's change."""

        def swapped(i: int) -> np.ndarray:  # players i and i + 1 trade places; such swaps make every order
            order = list(range(self.players))
            order[i : i + 2] = i + 1, i
            return self.payoffs[order].swapaxes(i + 1, i + 2)

        return all(np.array_equal(self.payoffs, swapped(i)) for i in range(self.players - 1))


def normal_form(game: Any) -> NormalFormGame:
    """Any game as a `NormalFormGame`: a `MatrixGame` of numbers, an `AnonymousGame`, or one that is one already.

    Raises:
        ValueError: for what is no game, or a group so large that its table would have more than 2^20 entries.
    """
    if isinstance(game, NormalFormGame):
        return game
    if isinstance(game, MatrixGame):
        return NormalFormGame((game.row, game.column), game.name, game.noise)
    if not isinstance(game, AnonymousGame):
        raise ValueError(f"game must be a MatrixGame, NormalFormGame or AnonymousGame, got {game!r}")
    n = game.players
    if n * 2**n > MOST_ENTRIES:
        raise ValueError(
            f"the table of a game of {n} players has {n} x 2^{n} entries, more than 2^20: leave it an AnonymousGame"
        )
    table = np.empty((n, *(2,) * n))
    for joint in itertools.product(range(2), repeat=n):
        cooperators = joint.count(COOPERATE)
        for i, action in enumerate(joint):
            table[i, *joint] = game.cooperator[cooperators - 1] if action == COOPERATE else game.defector[cooperators]
    return NormalFormGame(table, game.name, game.noise)


@dataclasses.dataclass(frozen=True)
class AnonymousGame:
    """A symmetric game of n players with the actions C and D in which only the number of cooperators counts.

    A memory-one policy of such a group is a vector of 2 n + 1 probabilities of cooperating: opening, after own C with
    n - 1, ..., 0 cooperating co-players, after own D with n - 1, ..., 0 of them. For n = 2 that is s0, CC, CD, DC, DD.

    Attributes:
        cooperator: payoff of a cooperator with j = 0, ..., n - 1 cooperating co-players.
        defector: payoff of a defector with j = 0, ..., n - 1 of them.
        name: for messages and figures.
        noise: of actions and observations, see `noisy`.

    Raises:
        ValueError: unless both are vectors of n >= 1 finite numbers.
    """

    cooperator: Any
    defector: Any
    name: str = dataclasses.field(default="anonymous game", compare=False)
    noise: Noise | None = None

    def __post_init__(self):
        both = finite_table("cooperator", self.cooperator), finite_table("defector", self.defector)
        if both[0].ndim != 1 or both[0].shape != both[1].shape or not both[0].size:
            raise ValueError(
                f"cooperator and defector must be vectors of one payoff for each number 0, ..., n - 1 of cooperating "
                f"co-players, got shapes {both[0].shape} and {both[1].shape}"
            )
        for name, values in zip(("cooperator", "defector"), both, strict=True):
            object.__setattr__(self, name, tuple(values.tolist()))

    def noisy(self, execution: Any = 0.0, perception: Any = 0.0) -> "AnonymousGame":
        """The same game with execution and perception errors, in place of any that it has; see `lapg_theory.game.noise`."""
        return dataclasses.replace(self, noise=noise_of(execution, perception))

    @property
    def players(self) -> int:
        """The number of players, n."""
        return len(self.cooperator)

    @property
    def is_dilemma(self) -> bool:
        """Whether defecting earns more whatever the others do, and everybody is better off if all cooperate."""
        tempted = all(d > c for c, d in zip(self.cooperator, self.defector, strict=True))
        return tempted and self.cooperator[-1] > self.defector[0]

    def others(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean payoff of the co-players where the player itself cooperates, or defects, with j = 0, ..., n - 1 of them.

        Raises:
            ValueError: for a player alone.
        """
        n = self.players
        if n < 2:
            raise ValueError("a player alone has no co-players: build a game of at least 2 players")
        c, d = self.cooperator, self.defector

        def mean(j, own):  # a co-player sees the others of its kind and `own` cooperators more
            return sum(x for x in (j * c[j - 1 + own] if j else 0, (n - 1 - j) * d[j + own] if j < n - 1 else 0))

        first, second = (tuple(mean(j, own) / (n - 1) for j in range(n)) for own in (1, 0))
        return first, second


def public_goods(players: Any, factor: Any, cost: Any = 1.0) -> AnonymousGame:
    """The public goods game: contributions of `cost` are multiplied by `factor` and shared by all players.

    With k contributors each player earns factor cost k / players, less cost if it contributes (C). A dilemma
    if and only if 1 < factor < players (otherwise its name says so); players 2, factor 4/3, cost 3 is the default prisoner's
    dilemma.

    Raises:
        ValueError: unless players is an integer >= 2, factor and cost are positive and finite.

    Example:
        >>> import lapg_theory as lt
        >>> lt.public_goods(players=3, factor=2.0).players
        3
    """
    check_count("players", players, least=2, most=1_000_000)
    for name, value in (("factor", factor), ("cost", cost)):
        if not (isinstance(value, numbers.Real) and 0 < float(value) < math.inf):
            raise ValueError(f"{name} must be a positive and finite number, got {value!r}")
    share = [factor * cost * k / players for k in range(players + 1)]
    name = (
        "public goods" if 1 < factor < players else f"public goods (no dilemma: factor {factor} of {players} players)"
    )
    return AnonymousGame([x - cost for x in share[1:]], share[:-1], name)


def graded_dilemma(levels: Any = 3, benefit: Any = 2.0, cost: Any = 1.0) -> NormalFormGame:
    """The donation game with degrees: action a of 0, ..., levels - 1 gives the share x_a = 1 - a / (levels - 1).

    A player earns benefit x_other - cost x_own: by default it may cooperate, cooperate by half, or defect. With two
    levels it is the donation game.

    Raises:
        ValueError: unless levels is an integer >= 2 and benefit > cost > 0.
    """
    check_count("levels", levels, least=2)
    benefit, cost = check_number("benefit", benefit), check_number("cost", cost)
    if not benefit > cost > 0:
        raise ValueError(f"a dilemma needs benefit > cost > 0, got benefit {benefit} and cost {cost}")
    given = np.linspace(1, 0, levels)
    own = benefit * given[None] - cost * given[:, None]
    return NormalFormGame((own, own.T), "graded dilemma")


def rock_paper_scissors(win: Any = 1.0, loss: Any = 1.0, tie: Any = 0.0) -> NormalFormGame:
    """Rock (0), paper (1), scissors (2): each beats the one before it; the winner gets `win`, the loser -`loss`.

    Zero-sum by default. With win > loss replicator dynamics go to even play, with win < loss away from it.

    Raises:
        ValueError: unless win > tie > -loss.
    """
    win, loss, tie = (check_number(*pair) for pair in (("win", win), ("loss", loss), ("tie", tie)))
    if not win > tie > -loss:
        raise ValueError(f"rock-paper-scissors needs win > tie > -loss, got win {win}, tie {tie}, loss {loss}")
    own = np.array([[tie, -loss, win], [win, tie, -loss], [-loss, win, tie]])
    return NormalFormGame((own, own.T), "rock-paper-scissors")
