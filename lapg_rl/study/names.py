"""How opponents are called on a command line; nothing heavy is imported, so that a mistyped name is told at once."""

import re
from collections.abc import Iterable
from pathlib import Path

from lapg_rl.config import Config, tables
from lapg_rl.interop.axelrod_players import PREFIX, check_game, find_player
from lapg_rl.runs import files
from lapg_rl.runs.folder import RunFolder
from lapg_rl.study.results import runs_in
from lapg_theory.game import GROUP_NAMED, NAMED, AnonymousGame, MatrixGame, NormalFormGame
from lapg_theory.game.extortion import EXTORTIONER
from lapg_theory.game.strategies import hint, written_policy

NAIVE = "naive"
ALWAYS = re.compile(r"always-(\d{1,2})")
#: The fixed strategies that every evaluation of a dilemma meets: the named ones, and an extortioner.
STRATEGIES = (*NAMED, "zd-extort-3")
#: Of a group: so many seats, and who sits there.
_PART = re.compile(r"(\d{0,2})([^\d].*)")


def strategies(game: MatrixGame | NormalFormGame | AnonymousGame | None) -> tuple[str, ...]:
    """The fixed strategies that every evaluation of a repeated game meets; none where that is no such game."""
    if game is None:
        return ()
    if isinstance(game, MatrixGame):
        return STRATEGIES if game.is_dilemma else tuple(NAMED)
    if isinstance(game, AnonymousGame):
        return GROUP_NAMED
    return (*(f"always-{action}" for action in range(game.actions[0])), "random")


def seats_of(text: str, others: int) -> list[tuple[str, int]]:
    """Who sits in the other seats of a group, and in how many: `naive` in all of them, `naive+alld`, `2naive+0` (agent 0).

    Raises:
        ValueError: where that is another number of seats.
    """
    if text.isdigit() or ((whole := _PART.fullmatch(text)) and not whole[1] and "+" not in text):
        return [(text, others)]
    parts = text.split("+")
    read = [(part, 1) if part.isdigit() else _PART.fullmatch(part) for part in parts]
    found = [one if isinstance(one, tuple) else (one[2], int(one[1] or 1)) for one in read if one]
    if len(found) != len(parts) or sum(count for _, count in found) != others:
        raise ValueError(
            f"{text!r} must name who sits in the {others} other seats, as in naive for all of them or "
            f"naive+{others - 1 if others > 2 else ''}alld"
        )
    return found


def is_own(name: str) -> bool:
    """Whether it is an address of the user's own, and no player of Axelrod's, whose names look alike."""
    return tables.is_address(name) and not name.startswith(PREFIX)


def is_strategy(name: str) -> bool:
    """Whether it is the name of a fixed strategy of some game, or writes one down. Raises ValueError as `written_policy`."""
    return (
        name in STRATEGIES
        or written_policy(name) is not None
        or bool(EXTORTIONER.fullmatch(name) or ALWAYS.fullmatch(name))
    )


def check_name(name: str) -> None:
    """Refuse what is no fixed strategy, no player of Axelrod's and not `naive`. Raises ValueError with near matches."""
    if name.startswith(PREFIX):
        find_player(name)
        return
    if name != NAIVE and not is_strategy(name) and not tables.is_address(name):
        meant = hint(name, [NAIVE, "always-0"])
        raise ValueError(
            f"unknown co-player {name!r}; {meant}{' Or' if meant.endswith('?') else '; or'} name a run folder"
        )


def check_player(name: str, cfg: Config) -> None:
    """Refuse who can't play the run's game. Raises ValueError with the names known there, or with near matches."""
    if cfg.game.players > 2 and cfg.game.group is not None:
        check_in_group(name)
        return
    game = cfg.game.repeated
    known = [NAIVE, *scripts(cfg), *strategies(game)]
    if name in known:
        return
    if game is None and not cfg.game.is_custom and not is_own(name):
        raise ValueError(tables.unknown(f"co-player {name!r} for game.kind = {cfg.game.kind}", name, known))
    if game is not None and name.startswith(PREFIX):
        check_game(name, game)
    if isinstance(game, NormalFormGame) and not (
        is_strategy(name) or tables.is_address(name) or name.startswith(PREFIX)
    ):
        raise ValueError(tables.unknown(f"co-player {name!r} for a game of {game.actions[0]} actions", name, known))
    check_name(name)


def check_in_group(name: str) -> None:
    """Refuse what is no co-player of a group. Raises ValueError with those that are."""
    if name not in (NAIVE, *GROUP_NAMED) and (name.startswith(PREFIX) or not tables.is_address(name)):
        known = f"{NAIVE}, {', '.join(GROUP_NAMED)}, or an address (2 n + 1 probabilities, or a kind of co-player)"
        raise ValueError(f"unknown co-player {name!r} for a group; known: {known}")


def scripts(cfg: Config) -> list[str]:
    """The scripts of the game that agents of the run can meet: where kinds are revealed, those that have an entry there."""
    told = cfg.pool.reveal_kinds.split(",")
    return [name for name in tables.scripts(cfg.game.kind) if not cfg.pool.reveal or name in told]


def check_opponents(names: Iterable[str], cfg: Config) -> dict[str, list[Path]]:
    """Refuse opponents that a run of `cfg` can't meet by these names; gives the folders of those that are other runs.

    A name is a strategy before it is a folder. Raises ValueError with near matches, or as `RunFolder.check_trained`.
    """
    runs = {}
    if cfg.game.players > 2:
        for part in (part for name in names for part, _ in seats_of(name, cfg.game.players - 1)):
            check_in_group(part)
        return {}
    for name in names:
        if name in (NAIVE, *STRATEGIES, *strategies(cfg.game.repeated), *scripts(cfg)):
            continue
        if Path(name).is_dir() or files.archive_of(Path(name)):
            runs[name] = runs_in([Path(name)])
            for run in runs[name]:
                RunFolder(run).check_trained()
        else:
            check_player(name, cfg)
    return runs
