"""Round-robin tournaments: every agent of some runs against every other, itself, fixed strategies and naive learners.

In a group of N players two entrants meet twice: each in one seat, with the other in the N - 1 others.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array

from lapg_rl import config
from lapg_rl.config import Config
from lapg_rl.config.checks import check_draws, several
from lapg_rl.envs.build import matrix_game
from lapg_rl.runs.loop import RunFolder
from lapg_rl.study import entrants, standings
from lapg_rl.study.entrants import NAIVE, Entrant
from lapg_rl.study.matches import Meeting, Tally, matches_at_once, play_all
from lapg_rl.study.names import check_player, scripts, strategies
from lapg_rl.study.results import kindred, runs_in, training_settings
from lapg_rl.study.standings import Group, Tournament
from lapg_theory.game import AnonymousGame, MatrixGame, NormalFormGame, check_count

#: Whom every tournament of a 2x2 game meets, unless told otherwise; extortioners of dilemmas only.
CLASSICS = ("allc", "alld", "tft", "gtft", "wsls", "zd-extort-3", NAIVE)
#: What its figures depend on besides the players; kept with them.
SETTINGS = ("batch", "inner_episodes", "steps")
#: And in a game that has it.
NOISE = ("stop", "execution", "perception")


def tournament(
    folders: str | Path | Sequence[str | Path],
    others: Sequence[str] | None = None,
    *,
    meta_batch: int = 64,
    seed: int = 0,
    curves: bool = False,
    show: Callable[[int, int], None] = lambda done, total: None,
) -> Tournament:
    """Play a tournament; nothing learns but naive learners, within their meta-episodes.

    A match of two players draws from the tournament's seed and their names alone, so it stays the same whoever else plays.
    Naive learners are freshly drawn, with the architecture of the first run; they do not meet each other. In a group the
    row player has one seat and the column player all the others; by itself it has all.

    Args:
        folders: run folders.
        others: fixed strategies, `zd-extort-X`, `always-ACTION`, `axelrod:CLASS`, `naive`; by default those of `classics`.
        meta_batch: independent meta-episodes a match.
        seed: another seed draws other games.
        curves: in a group, whether two players also share it in every other way, see `Curve`.
        show: told after every match how many are done and of how many.

    Raises:
        ValueError: for folders without sound runs, runs of different games (it names the keys), unknown strategies,
            fewer than two players, curves of a game of two, or a count that is no integer >= 1.

    Example:
        >>> import lapg_rl as rl
        >>> cup = rl.tournament([run], ["alld", "tft"], meta_batch=2)
        >>> len(cup.players.ranking)
        3
    """
    check_count("meta_batch", meta_batch)
    check_draws("seed", seed)
    players, runs, cfg = _players(several(folders), None if others is None else several(others), meta_batch, seed)
    size = cfg.game.players
    if curves and size == 2:
        raise ValueError("curves are over the seats of a group, but this is a game of two players; leave them out")
    held = range(1, size) if curves else sorted({1, size - 1})
    rewards, cooperation, shared = _round_robin(cfg, players, held, meta_batch, seed, show)
    groups = _groups(players, runs)
    members = {group.name: [players[i].name for run in group.runs for i in run] for group in groups}
    grouped = [group for group in groups if len(group.runs) > 1]
    means = np.array([[np.nan if cell is None else cell.mean() for cell in row] for row in rewards])
    return Tournament(
        meta_batch,
        seed,
        _settings(cfg),
        members,
        standings.player_table([p.name for p in players], rewards, cooperation, size),
        standings.group_table(groups, means, cooperation, size) if grouped else None,
        [standings.circle(group, means) for group in grouped],
        standings.marks(_game(cfg), means),
        [standings.curve([players[n].name for n in pair], shared[pair]) for pair in shared] if curves else [],
    )


def _game(cfg: Config) -> MatrixGame | NormalFormGame | AnonymousGame | None:
    """The game that two players or a group repeat; None for other environments."""
    return cfg.game.group or matrix_game(cfg.game)


def classics(game: MatrixGame | NormalFormGame | AnonymousGame | None, more: Sequence[str] = ()) -> tuple[str, ...]:
    """Whom a tournament of the game, which has `more` scripts, meets, unless told otherwise."""
    known = (*strategies(game), *more, NAIVE)
    return tuple(name for name in CLASSICS if name in known) if isinstance(game, MatrixGame) else known


def _settings(cfg: Config) -> dict[str, Any]:
    row = config.tables.row(cfg.game.kind, config.tables.GAMES)
    goods = ("kind", "players", "factor", "cost")
    names = ("kind", "name", "payoffs") if row.free else goods if row.group else "TRPS" if row.matrix else ("kind",)
    names = (*names, *(goods[1:] if row.goods else ()), *(n for n in ("factory", *NOISE) if getattr(cfg.game, n)))
    keys = (*(f"game.{name}" for name in names), *SETTINGS)
    own = f"game.{row.section}." if row.section else ()
    return {key: value for key, value in config.flat(cfg).items() if key in keys or key.startswith(own)}


def _players(
    folders: Sequence[str | Path], others: Sequence[str] | None, meta_batch: int, seed: int
) -> tuple[list[Entrant], list[list[int]], Config]:
    """All players, the indices of each run's, and the config that the play follows."""
    paths = runs_in([Path(folder) for folder in folders])
    labels = entrants.labels(paths)
    configs = [RunFolder(folder).trusted_config() for folder in paths]
    if not configs:
        raise ValueError("no runs to play; name at least one run folder")
    for label, cfg in zip(labels, configs, strict=True):
        entrants.check_seats(label, cfg)
        if cfg.pool.reveal:
            raise ValueError(f"the agents of {label} are told whom they face (pool.reveal); nobody can tell them here")
    others = classics(_game(configs[0]), scripts(configs[0])) if others is None else others
    for name in others:
        check_player(name, configs[0])
    entrants.check_compatible((labels[0], configs[0]), zip(labels[1:], configs[1:], strict=True), NAIVE in others)
    players: list[Entrant] = []
    runs = []
    for folder, label in zip(paths, labels, strict=True):
        agents = entrants.agents(folder, label)
        runs.append(list(range(len(players), len(players) + len(agents))))
        players += agents
    for name in dict.fromkeys(others):
        key = jax.random.fold_in(jax.random.key(seed), 0)
        if name == NAIVE:
            players.append(entrants.fresh_naive(configs[0], meta_batch, key))
            continue
        player = entrants.named(name, configs[0])  # a script is a policy as others are: nobody is told whom it meets
        players.append(player._replace(kind="meta") if player.kind == name else player)
    if len(players) < 2:
        raise ValueError("a tournament needs at least two players; name more runs, or strategies with --with")
    return players, runs, configs[0]


def _round_robin(
    cfg: Config,
    players: Sequence[Entrant],
    held: Sequence[int],
    count: int,
    seed: int,
    show: Callable[[int, int], None],
) -> tuple[list[list[np.ndarray | None]], np.ndarray, dict[tuple[int, int], list[np.ndarray]]]:
    """The row player's reward per step in each meta-episode, and how often it cooperates, by row and column.

    NaN where cooperating has no meaning. Then of each pair both players' rewards, by how many seats the first one has:
    each number that is `held`. Between two players that is 1.
    """
    size = cfg.game.players
    pairs = [
        sorted((i, j), key=lambda n: (players[n].rank, players[n].name))
        for i in range(len(players))
        for j in range(i, len(players))
        if {players[i].kind, players[j].kind} != {NAIVE}
    ]
    matches = [(i, j, seats) for i, j in pairs for seats in ((1,) if i == j else held)]
    meetings = [_meeting(players[i], players[j], seats, size, count, jax.random.key(seed)) for i, j, seats in matches]
    rewards: list[list[np.ndarray | None]] = [[None] * len(players) for _ in players]
    cooperation = np.full((len(players), len(players)), np.nan)
    shared: dict[tuple[int, int], dict[int, np.ndarray]] = {(i, j): {} for i, j in pairs if i != j}
    for done, (n, tally) in enumerate(play_all(cfg, meetings, matches_at_once(cfg, count)), start=1):
        i, j, seats = matches[n]
        own, often = np.asarray(tally.rewards, float).mean(axis=-1), _cooperation(tally)
        if i == j:
            own, often = ((x[:1] + (size - 1) * x[1:]) / size for x in (own, often))
            rewards[i][i], cooperation[i, i] = own[0], often[0]
        else:
            shared[i, j][seats] = own
        if i != j and seats == 1:
            rewards[i][j], cooperation[i, j] = own[0], often[0]
        if i != j and seats == size - 1:
            rewards[j][i], cooperation[j, i] = own[1], often[1]
        show(done, len(matches))
    return rewards, cooperation, {pair: [found[seats] for seats in held] for pair, found in shared.items()}


def _meeting(row: Entrant, column: Entrant, seats: int, size: int, count: int, key: Array) -> Meeting:
    """The match in which the row player has so many of the seats; against itself it has all."""
    if size == 2:
        return entrants.meeting(row, column, count, jax.random.fold_in(key, _digest(row.name, column.name)))
    key = jax.random.fold_in(key, _digest(row.name, column.name, str(seats)))
    return entrants.meeting(row, [(row, seats - 1), (column, size - seats)], count, key, partners=seats - 1)


def _cooperation(tally: Tally) -> np.ndarray:
    """How often both sides cooperate; NaN where that has no meaning."""
    if "cooperation" in tally.measures:  # in a group
        return np.asarray(tally.measures["cooperation"], float).mean((1, 2))
    if tally.measures:
        return np.full(2, np.nan)
    return np.asarray(tally.cooperated, float).sum((1, 2)) / np.asarray(tally.visits, float).sum((1, 2))


def _digest(*names: str) -> int:
    return int.from_bytes(hashlib.sha256("\0".join(names).encode()).digest()[:4], "big")


def _groups(players: Sequence[Entrant], runs: Sequence[Sequence[int]]) -> list[Group]:
    """Agents of one method in runs that differ in their seed only, together; every other player alone."""
    found: list[tuple[Config, str, list[list[int]]]] = []
    for run in runs:
        cfg = players[run[0]].config
        assert cfg is not None
        for method in dict.fromkeys(cfg.methods):
            chosen = [i for i, name in zip(run, cfg.methods, strict=True) if name == method]
            for first, same, members in found:
                if same == method and kindred(first, cfg):
                    members.append(chosen)
                    break
            else:
                found.append((cfg, method, [chosen]))
    names = _group_names([(cfg, method) for cfg, method, _ in found])
    alone = [Group(p.name, [[i]]) for i, p in enumerate(players) if p.config is None]
    return [Group(name, members) for name, (*_, members) in zip(names, found, strict=True)] + alone


def _group_names(kinds: Sequence[tuple[Config, str]]) -> list[str]:
    """The method, and whatever else tells agents of one method apart."""
    flat = [training_settings(cfg) for cfg, _ in kinds]
    names = []
    for mine, (_, method) in zip(flat, kinds, strict=True):
        same = [other for other, (_, name) in zip(flat, kinds, strict=True) if name == method]
        differing = [key for key in mine if any(other[key] != mine[key] for other in same)]
        names.append(" ".join([method, *(f"{key.split('.')[-1]}={mine[key]}" for key in differing)]))
    return names
