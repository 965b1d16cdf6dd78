"""What the `lapg theory` commands have in common: how games, policies and grids are written, and plain data for JSON."""

import argparse
import dataclasses
import json
import math
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from lapg_theory.game import (
    AnonymousGame,
    MatrixGame,
    check_count,
    group_strategy,
    named_policy,
    public_goods,
    symmetric_game,
)
from lapg_theory.game.strategies import probabilities

PAYOFFS = "2,1,0,-1"
FACTOR = 1.6


def add_game(parser: argparse.ArgumentParser, column: bool = False) -> None:
    """Declare `--payoffs`, `--json`, and where games of two different sides make sense `--column-payoffs`."""
    parser.add_argument("--payoffs", metavar="T,R,P,S", help=f"default {PAYOFFS}")
    if column:
        text = "the other player's, own view (default: the same)"
        parser.add_argument("--column-payoffs", metavar="T,R,P,S", help=text)
    text = "chance that an action slips, or E,D with D the chance that the other's is seen wrongly (default: none)"
    parser.add_argument("--noise", default="0", metavar="E", help=text)
    parser.add_argument("--json", action="store_true", help="print JSON")


def game(arguments: argparse.Namespace) -> MatrixGame:
    """The 2x2 game that the options describe."""
    row = symmetric_game(*_four("--payoffs", arguments.payoffs or PAYOFFS)).noisy(*_noise(arguments.noise))
    if getattr(arguments, "column_payoffs", None) is None:
        return row
    other = symmetric_game(*_four("--column-payoffs", arguments.column_payoffs))
    return MatrixGame(row.row, other.column, "asymmetric game", row.noise)


def add_group(parser: argparse.ArgumentParser) -> None:
    """Declare `--players` and `--factor`, for commands that also know groups."""
    parser.add_argument("--players", type=int, metavar="N", help="groups of N play a public goods game instead")
    parser.add_argument(
        "--factor", type=float, metavar="R", help=f"contributions of 1 times R are shared (default {FACTOR:g})"
    )


def game_or_group(arguments: argparse.Namespace) -> MatrixGame | AnonymousGame:
    """The 2x2 game that the options describe, or the public goods game."""
    if arguments.players is None:
        if arguments.factor is not None:
            raise ValueError(f"--factor {arguments.factor:g} is of a public goods game; say of how many with --players")
        return game(arguments)
    if arguments.payoffs is not None:
        raise ValueError(f"--players {arguments.players} is about a public goods game, got --payoffs as well; give one")
    check_count("--players", arguments.players, least=2)
    factor = FACTOR if arguments.factor is None else arguments.factor
    return public_goods(arguments.players, factor).noisy(*_noise(arguments.noise))


def _four(option: str, text: str) -> tuple[float, float, float, float]:
    try:
        T, R, P, S = (float(part) for part in text.split(","))
    except ValueError as error:
        raise ValueError(f"{option} needs the four numbers T,R,P,S, got {text!r}") from error
    return T, R, P, S


def _noise(text: str) -> list[float]:
    try:
        chances = [float(part) for part in text.split(",")]
    except ValueError:
        chances = []
    if len(chances) not in (1, 2):
        raise ValueError(f"--noise needs one chance of an error or two, E or E,D, got {text!r}")
    return chances


def noise(game: MatrixGame | AnonymousGame) -> dict[str, float] | None:
    """The noise of a game as plain data."""
    return None if game.noise is None else dataclasses.asdict(game.noise)


def heading(payoffs: Any, gamma: float | None, noise: dict[str, float] | None, learners: str = "") -> str:
    """The line that says which game a report is of: by its payoffs, or in words."""
    game = payoffs if isinstance(payoffs, str) else f"game (T, R, P, S) = {table(payoffs)}"
    parts = [game + learners]
    if gamma is not None:
        parts.append(f"gamma {gamma:g}")
    if noise:
        parts.append(f"execution error {noise['execution']:g}, perception error {noise['perception']:g}")
    return ", ".join(parts)


def table(payoffs: Any) -> str:
    """Payoffs in brackets."""
    return f"({', '.join(f'{x:g}' for x in payoffs)})"


def policy(option: str, text: str, played: MatrixGame | AnonymousGame) -> list[float]:
    """A named strategy in this game, or five probabilities of cooperating after s0,CC,CD,DC,DD; in a group 2 n + 1."""
    group = isinstance(played, AnonymousGame)
    count, order = (2 * played.players + 1, "s0, C and D by who else cooperated") if group else (5, "s0,CC,CD,DC,DD")
    said = str(count) if group else "five"
    if "," not in text:
        try:
            return list(group_strategy(text, played.players) if group else named_policy(played, text))
        except ValueError as error:
            what = " Or give" if str(error).endswith("?") else "; or give"
            raise ValueError(f"{option}: {error}{what} {said} probabilities, {order}") from None
    if (values := probabilities(text, count)) is None:
        raise ValueError(
            f"{option} takes the name of a strategy, or {said} probabilities in [0, 1] ({order}), got {text!r}"
        )
    return list(values)


def renamed(parser: argparse.ArgumentParser, old: str, new: str, **how: Any) -> None:
    """Declare that the option `new` may still be called `old`; help doesn't tell."""
    name = new.removeprefix("--").replace("-", "_")
    parser.add_argument(old, dest=name, default=argparse.SUPPRESS, help=argparse.SUPPRESS, **how)


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Declare `--quiet`."""
    parser.add_argument("--quiet", action="store_true", help="don't say on standard error how far it is")


def stages(quiet: bool = False) -> Callable[[str], None]:
    """A function that says on standard error what comes now, after how many seconds."""
    begun = time.monotonic()

    def report(text: str) -> None:
        if not quiet:
            print(f"{time.monotonic() - begun:6.1f} s  {text}", file=sys.stderr, flush=True)

    return report


class Counted:
    """Says on standard error how far a computation is: in place on a terminal, else ten lines at most."""

    def __init__(self, what: str, quiet: bool = False):
        self.what, self.quiet, self.begun, self.said = what, quiet, time.monotonic(), -1

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Say that `done` of `total` is finished, and what comes now."""
        tenth = 10 * done // total
        if self.quiet or not (sys.stderr.isatty() or note or tenth > self.said):
            return
        self.said = tenth
        line = f"{self.what} {done}/{total}  {time.monotonic() - self.begun:.0f} s  {note}".rstrip()[:79]
        print(f"\r\x1b[K{line}" if sys.stderr.isatty() else line, end="", file=sys.stderr)
        print(end="\n" if done == total or not sys.stderr.isatty() else "", file=sys.stderr, flush=True)


def numbers(option: str, text: str) -> list[float]:
    """Numbers from "0.1,0.5,1", or from "0:1:50" (from, to, how many; "1:100:50:log" in equal ratios)."""
    try:
        if ":" not in text:
            return [float(part) for part in text.split(",")]
        low, high, count, *scale = text.split(":")
        if scale not in ([], ["log"]):
            raise ValueError(scale)
        if int(count) < 1:
            raise ValueError(count)
        space = np.geomspace if scale else np.linspace
        return space(float(low), float(high), int(count)).tolist()
    except ValueError as error:
        raise ValueError(f"{option} takes numbers like 0.1,0.5,1 or 0:1:50 or 1:100:50:log, got {text!r}") from error


def plain(value: Any) -> Any:
    """Numbers and containers that JSON knows; infinite and undefined numbers as text, complex ones as pairs."""
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, complex):
        return [value.real, value.imag]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def show(report: dict[str, Any], as_json: bool, text: Callable[[dict[str, Any]], str]) -> None:
    """Print a report as JSON, or as the text that `text` makes of it."""
    print(json.dumps(plain(report), indent=2, allow_nan=False) if as_json else text(report))


def five(values: Any) -> str:
    """Five probabilities in a line."""
    return " ".join(f"{x:6.3f}" for x in values)
