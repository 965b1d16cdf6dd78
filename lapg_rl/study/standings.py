"""What a tournament's games add up to: tables of players and of groups of runs, rankings, intervals; no playing here.

Runs that differ in their seed only form a group. A group's reward against another is the mean over all pairs of their
runs, against itself the mean over pairs of *different* runs (cross-play), and its interval is over seeds: a jackknife that
leaves out one run at a time, in the row and in the column.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lapg_rl.study import intervals
from lapg_rl.study.intervals import Estimate, short
from lapg_theory.game import AnonymousGame, MatrixGame, NormalFormGame
from lapg_theory.game.show import brief, table


@dataclasses.dataclass(frozen=True)
class Rank:
    """A player's or group's mean reward over all others, each weighing the same."""

    name: str
    score: float
    low: float | None
    high: float | None


@dataclasses.dataclass(frozen=True)
class Table:
    """Rewards per step of the row player, by row and column, with 95 % intervals; None where there is nothing to tell.

    `ranking` has the best first. In a group of `players` the row player has one seat, the column player all the others.
    """

    names: list[str]
    rewards: list[list[float | None]]
    errors: list[list[float | None]]
    low: list[list[float | None]]
    high: list[list[float | None]]
    cooperation: list[list[float | None]]
    ranking: list[Rank]
    players: int = 2


@dataclasses.dataclass(frozen=True)
class Curve:
    """What two players of a tournament of groups earn when they share one: [player][seats that the first holds - 1]."""

    names: list[str]
    rewards: list[list[float]]
    errors: list[list[float | None]]


@dataclasses.dataclass(frozen=True)
class Circle:
    """What a group's agents earn from ever less familiar company: themselves, their own run's agents, other seeds'."""

    group: str
    seeds: int
    itself: Estimate
    own_run: Estimate | None
    other_seeds: Estimate | None


@dataclasses.dataclass(frozen=True)
class Tournament:
    """The outcome. `players` intervals are over meta-episodes, `groups` intervals over seeds (None: nothing to group)."""

    meta_batch: int
    seed: int
    settings: dict[str, Any]
    members: dict[str, list[str]]  # group -> players
    players: Table
    groups: Table | None
    circles: list[Circle]
    marks: dict[str, float] = dataclasses.field(default_factory=dict)  # see `marks`
    curves: list[Curve] = dataclasses.field(default_factory=list)  # where they were asked for

    __repr__ = brief

    def _repr_html_(self) -> str:
        """What a notebook shows: who earns how much from whom, the best first."""
        told = self.groups or self.players
        order = [told.names.index(rank.name) for rank in told.ranking]
        rows = [
            [told.names[i], rank.score, *(told.rewards[i][j] for j in order)]
            for i, rank in zip(order, told.ranking, strict=True)
        ]
        heads = ["", "mean", *(told.names[j] for j in order)]
        title = f"Reward per step, by row, {met(told)}"
        return table(heads, rows, title, f"{self.meta_batch} meta-episodes a match")


def met(told: Table) -> str:
    """What stands between the row and the column of a table."""
    return "against" if told.players == 2 else f"with {told.players - 1} of"


def marks(game: MatrixGame | NormalFormGame | AnonymousGame | None, rewards: Any = ()) -> dict[str, float]:
    """The payoffs that pictures of rewards are read by: T, R, P and S of a prisoner's dilemma, else the row player's range.

    In a group T is what one defector among cooperators earns, S what one cooperator among defectors does. Of a game that has
    no table it is the range of `rewards`, NaN aside.
    """
    if game is None:
        return {"highest": float(np.nanmax(rewards)), "lowest": float(np.nanmin(rewards))}
    if isinstance(game, AnonymousGame):
        return {"T": game.defector[-1], "R": game.cooperator[-1], "P": game.defector[0], "S": game.cooperator[0]}
    if isinstance(game, MatrixGame) and game.is_dilemma:
        return dict(zip("TRPS", map(float, game.trps), strict=True))
    own = game.row_payoffs if isinstance(game, MatrixGame) else game.payoffs[0].ravel().tolist()
    return {"highest": float(max(own)), "lowest": float(min(own))}


@dataclasses.dataclass(frozen=True)
class Group:
    """Runs that differ in their seed only, or a single player."""

    name: str
    runs: list[list[int]]  # of each run its players, as indices


def player_table(
    names: list[str], rewards: list[list[np.ndarray | None]], cooperation: np.ndarray, players: int = 2
) -> Table:
    """The table of single players, from the row player's reward in each meta-episode; intervals are over meta-episodes."""
    cells = [[None if cell is None else intervals.of_mean(cell) for cell in row] for row in rewards]
    ranking = []
    for i, row in enumerate(cells):
        others = [cell for j, cell in enumerate(row) if j != i and cell is not None]
        errors = [cell.error for cell in others]
        score = float(np.mean([cell.value for cell in others]))
        error = None if None in errors else float(np.sqrt(np.sum(np.square(errors)))) / len(others)  # type: ignore
        ranking.append(_rank(names[i], intervals.estimate(score, error, others[0].count)))
    return _table(names, cells, cooperation, ranking, players)


def _rank(name: str, score: Estimate) -> Rank:
    return Rank(name, short(score.value), _short(score.low), _short(score.high))


def _short(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else short(value)


def _table(names: list[str], cells: Any, cooperation: np.ndarray, ranking: list[Rank], players: int) -> Table:
    columns = [
        [[_short(getattr(cell, field)) if cell else None for cell in row] for row in cells]
        for field in ("value", "error", "low", "high")
    ]
    often = [[_short(x) for x in row] for row in cooperation]
    best_first = sorted(ranking, key=lambda rank: -rank.score)
    return Table(names, *columns, cooperation=often, ranking=best_first, players=players)


def curve(names: list[str], rewards: Sequence[np.ndarray]) -> Curve:
    """See `Curve`; from both players' rewards [2, k] in each meta-episode, for every number of seats."""
    cells = [[intervals.of_mean(held[player]) for held in rewards] for player in (0, 1)]
    values = [[intervals.short(cell.value) for cell in row] for row in cells]
    return Curve(names, values, [[_short(cell.error) for cell in row] for row in cells])


def group_means(groups: Sequence[Group], values: np.ndarray) -> Callable[[dict[str, list[Any]]], np.ndarray]:
    """The statistic of the runs of each group: the matrix of group means, with the groups' scores as its last column."""

    def between(rows: list[list[int]], columns: list[list[int]], same: bool, alone: bool) -> float:
        pairs = [
            values[np.ix_(r, c)].mean()
            for a, r in enumerate(rows)
            for b, c in enumerate(columns)
            if not same or alone or a != b
        ]
        return float(np.mean(pairs)) if pairs else np.nan

    def statistic(runs: dict[str, list[Any]]) -> np.ndarray:
        matrix = np.array(
            [
                [between(runs[g.name], runs[h.name], g is h, len(g.runs) == 1) for h in groups]
                for g in groups
            ]
        )  # fmt: skip
        others = np.where(np.eye(len(groups), dtype=bool), 0, matrix).sum(axis=1)
        return np.column_stack([matrix, others / (len(groups) - 1) if len(groups) > 1 else [np.nan]])

    return statistic


def group_table(groups: Sequence[Group], means: np.ndarray, cooperation: np.ndarray, players: int = 2) -> Table:
    """The table of groups, from the players' means; intervals are over seeds, where there are several."""
    runs: dict[str, list[Any]] = {group.name: group.runs for group in groups}
    statistic = group_means(groups, means)
    found, errors = statistic(runs), intervals.jackknife_errors(statistic, runs)
    often = group_means(groups, cooperation)(runs)[:, :-1]

    def cell(g: int, h: int) -> Estimate | None:
        if np.isnan(found[g, h]):
            return None
        sizes = [len(groups[n].runs) for n in ((g, h) if h < len(groups) else range(len(groups)))]
        seeds = min((size for size in sizes if size > 1), default=1)
        return intervals.estimate(found[g, h], errors[g, h] if seeds > 1 else None, seeds)

    cells = [[cell(g, h) for h in range(len(groups))] for g in range(len(groups))]
    scores = [cell(g, len(groups)) for g in range(len(groups))]
    ranking = [_rank(group.name, score) for group, score in zip(groups, scores, strict=True) if score]
    return _table([group.name for group in groups], cells, often, ranking, players)


def circle(group: Group, means: np.ndarray) -> Circle:
    """See `Circle`."""
    blocks = [means[np.ix_(run, run)] for run in group.runs]
    partners = [block[~np.eye(len(block), dtype=bool)] for block in blocks]
    statistic = group_means([group], means)
    runs: dict[str, list[Any]] = {group.name: group.runs}
    error = float(intervals.jackknife_errors(lambda kept: statistic(kept)[0, :1], runs)[0])
    return Circle(
        group.name,
        len(group.runs),
        intervals.of_mean([np.diag(block).mean() for block in blocks]),
        intervals.of_mean([p.mean() for p in partners]) if all(len(p) for p in partners) else None,
        intervals.estimate(float(statistic(runs)[0, 0]), error, len(group.runs)),
    )
