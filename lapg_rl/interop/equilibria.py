"""What the players of a tournament would do if they could choose whom to be, and which of them take over a population.

Equilibria by Nashpy, alpha-Rank by OpenSpiel, fixation by EGTTools; from a tournament, or any payoffs by name.
"""

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from lapg_rl.study.standings import Table, Tournament
from lapg_theory.game import NormalFormGame, check_count
from lapg_theory.game.numbers import is_positive
from lapg_theory.game.show import brief

#: Of a game whose supports are all tried: 2^7 x 2^7 pairs.
MOST_ACTIONS = 7


@dataclasses.dataclass(frozen=True)
class Equilibrium:
    """How often each player is chosen in each of the two seats, and what that earns per step."""

    row: dict[str, float]
    column: dict[str, float]
    rewards: tuple[float, float]

    __repr__ = brief


@dataclasses.dataclass(frozen=True)
class Fixation:
    """What rare mutants do to a finite population.

    Attributes:
        chances: by resident and mutant, that of one mutant to take over all; without selection it is 1 / population.
        shares: how much of the time everybody is of a kind, the best first.
        population: its size.
    """

    chances: dict[str, dict[str, float]]
    shares: dict[str, float]
    population: int

    __repr__ = brief


def _need(package: str, error: Exception) -> ValueError:
    return ValueError(f'this needs {package} ({error}): pip install ".[games]"')


def _table(cup: Any) -> Table:
    table = cup.groups or cup.players if isinstance(cup, Tournament) else cup
    if not isinstance(table, Table):
        raise ValueError(f"this needs a tournament or one of its tables, got {table!r:.60}")
    if table.players > 2:
        raise ValueError(
            f"matches of {table.players} players make no game of two: a row with {table.players - 1} of the column is no "
            "payoff against it; give a tournament of a game of two players"
        )
    return table


def _payoffs(cup: Any) -> tuple[list[str], Any]:
    """Names, and what each earns from each."""
    if hasattr(cup, "names") and hasattr(cup, "payoffs"):
        names, own = list(cup.names), np.asarray(cup.payoffs, float)
        if own.shape != (len(names), len(names)):
            raise ValueError(f"payoffs of {len(names)} names must have the shape {(len(names),) * 2}, got {own.shape}")
        return names, own
    table = _table(cup)
    return table.names, table.rewards


def empirical_game(cup: Any, players: Sequence[str] | None = None) -> tuple[NormalFormGame, list[str]]:
    """The symmetric game in which each of two people chooses a player of the tournament, and what its actions are.

    Of a tournament with groups it is the groups that are chosen.

    Args:
        cup: a `Tournament`, one of its tables, or anything with `names` and their `payoffs` by row and column, such as a
            `lapg_theory.evolution.Population`.
        players: which of them, by name; all by default.

    Raises:
        ValueError: for an unknown name, two players whose match was not played (as of naive learners among themselves), or
            a tournament of groups of more than two.
    """
    there, rewards = _payoffs(cup)
    names = list(there if players is None else players)
    if unknown := [name for name in names if name not in there]:
        raise ValueError(f"no player {unknown[0]!r} in the table; there are {', '.join(there)}")
    chosen = [there.index(name) for name in names]
    own = [[rewards[i][j] for j in chosen] for i in chosen]
    missing = [(names[i], names[j]) for i, row in enumerate(own) for j, cell in enumerate(row) if cell is None]
    if missing:
        left = [name for name in names if all(name not in pair for pair in missing)]
        raise ValueError(f"{' and '.join(missing[0])} did not meet; leave them out: players={left}")
    own = np.array(own, float)
    return NormalFormGame([own, own.T], "empirical game"), names


def nash(cup: Any, players: Sequence[str] | None = None) -> list[Equilibrium]:
    """All Nash equilibria of the empirical game, by Nashpy's support enumeration (extra `games`).

    A game in which they are not isolated has more: then it warns, as Nashpy does.

    Args:
        cup: as for `empirical_game`.
        players: which of them, by name; all by default, at most 7.

    Raises:
        ValueError: without Nashpy; for more than 7 players; as `empirical_game`.
    """
    try:
        import nashpy
    except ImportError as error:
        raise _need("nashpy", error) from None
    game, names = empirical_game(cup, players)
    if len(names) > MOST_ACTIONS:
        raise ValueError(f"players must be at most {MOST_ACTIONS}, got {len(names)}; name some with players=[...]")
    own, other = np.asarray(game.payoffs)
    found = []
    for mixes in nashpy.Game(own, other).support_enumeration():
        x, y = (np.asarray(mix, float) for mix in mixes)
        found.append(Equilibrium(_shares(names, x), _shares(names, y), (float(x @ own @ y), float(x @ other @ y))))
    return found


def _shares(names: Sequence[str], mix: np.ndarray) -> dict[str, float]:
    return {name: float(share) for name, share in zip(names, mix, strict=True) if share > 1e-9}


def alpha_rank(
    cup: Any, players: Sequence[str] | None = None, *, alpha: float | int = 10.0, population: int = 50
) -> dict[str, float]:
    """How much of the time a population consists of each player, when mutants are rare: alpha-Rank, by OpenSpiel.

    One population, in which everybody meets everybody, the own kind too: not OpenSpiel's default, which compares two players
    by their match with each other alone. The ranks are the stationary distribution of the chain of populations of one kind
    each, the best first. (Omidshafiei et al. 2019, Sci. Rep. 9; Traulsen, Nowak & Pacheco 2006, Phys. Rev. E 74.)

    Args:
        cup: as for `empirical_game`.
        players: which of them, by name; all by default.
        alpha: strength of selection, > 0, against rewards per step.
        population: its size, >= 2.

    Raises:
        ValueError: without OpenSpiel (extra `games`); for a parameter out of range; as `empirical_game`.
    """
    check_count("population", population, least=2)
    if not is_positive(alpha):
        raise ValueError(f"alpha must be a finite number > 0, got {alpha!r}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from open_spiel.python.egt import alpharank
    except ImportError as error:
        raise _need("open_spiel", error) from None
    game, names = empirical_game(cup, players)
    found = alpharank.compute([np.asarray(game.payoffs[0])], population, alpha, use_local_selection_model=False)
    shares = dict(zip(names, map(float, found[2]), strict=True))
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def fixation(
    cup: Any, players: Sequence[str] | None = None, *, beta: float | int = 1.0, population: int = 50
) -> Fixation:
    """The chance of one mutant to take over, and what a population consists of when mutants are rare, by EGTTools.

    Two members drawn at random compare what they earn from all others, and the first becomes like the second with chance
    1 / (1 + exp(-beta (second - first))). A Moran process whose fitness is exp(beta payoff) has the same fixation. (Traulsen,
    Nowak & Pacheco 2006, Phys. Rev. E 74; Traulsen, Shoresh & Nowak 2008, Bull. Math. Biol. 70.) The shares are those of
    `alpha_rank`, but computed by another library.

    Args:
        cup: as for `empirical_game`.
        players: which of them, by name; all by default, at least two.
        beta: strength of selection, > 0, against payoffs per step.
        population: its size, >= 2.

    Raises:
        ValueError: without EGTTools (extra `egt`, Python 3.11 and 3.12); for a parameter out of range; where selection is so
            strong that several kinds are never left (EGTTools counts chances below some 1e-8 as none); as `empirical_game`.
    """
    check_count("population", population, least=2)
    if not 0 < beta < float("inf"):
        raise ValueError(f"beta must be a finite number > 0, got {beta}")
    game, names = empirical_game(cup, players)
    if len(names) < 2:
        raise ValueError(f"players must be at least two, got {names}")
    try:
        from egttools.analytical import PairwiseComparison
        from egttools.games import Matrix2PlayerGameHolder
    except ImportError as error:
        raise ValueError(
            f'this needs EGTTools ({error}), for Python 3.11 and 3.12 only: pip install ".[egt]"; alpha_rank needs none'
        ) from None
    holder = Matrix2PlayerGameHolder(len(names), np.ascontiguousarray(game.payoffs[0]))  # it must outlive the model
    model = PairwiseComparison(population, holder)  # without its precalculated edges, with which numbers are wrong
    chain, chances = model.calculate_transition_and_fixation_matrix_sml(beta)
    shares = _stationary(np.asarray(chain), beta)
    return Fixation(
        {
            resident: {mutant: float(chances[i, j]) for j, mutant in enumerate(names) if j != i}
            for i, resident in enumerate(names)
        },
        dict(sorted(zip(names, map(float, shares), strict=True), key=lambda item: -item[1])),
        population,
    )


def _stationary(chain: np.ndarray, beta: float | int) -> np.ndarray:
    """The stationary distribution of a chain [from, to]; refused where there are several."""
    there = np.linalg.matrix_power((chain > 0) | np.eye(len(chain), dtype=bool), len(chain)) > 0
    reached = [set(np.flatnonzero(row)) for row in there]
    closed = {frozenset(row) for n, row in enumerate(reached) if all(n in reached[m] for m in row)}
    if len(closed) > 1:
        raise ValueError(
            f"beta = {beta} is so strong that {len(closed)} sets of kinds are never left; take a smaller one"
        )
    equations = np.vstack([chain.T - np.eye(len(chain)), np.ones(len(chain))])
    return np.linalg.lstsq(equations, np.append(np.zeros(len(chain)), 1.0), rcond=None)[0]
