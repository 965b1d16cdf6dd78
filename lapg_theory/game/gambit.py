"""Gambit's strategic games, files `.nfg`: read and written here, without the package."""

import math
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

#: Bytes of a file; larger ones are refused before they are read.
LARGEST = 2**25
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}]|[^\s{},"]+')


def read_nfg(path: str | Path) -> tuple[np.ndarray, str]:
    """The payoffs `[n, k1, ..., kn]` of a game in Gambit's format, and its title.

    Both forms are read: a list of payoffs, and a list of outcomes. Payoffs are decimals or fractions such as 2/3.
    (https://gambitproject.readthedocs.io/en/latest/formats.nfg.html)

    Raises:
        ValueError: for a file that there is not, that is none of this format, or that has too few or too many numbers.
    """
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"{path} is larger than {LARGEST >> 20} MiB; no game that can be played here is")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as a strategic game of Gambit's: {error}") from None
    return _Reader(path, text).game()


def written(payoffs: np.ndarray, title: str) -> str:
    """A game as the text of a `.nfg` file; numbers are given to the last digit."""
    players, counts = payoffs.shape[0], payoffs.shape[1:]
    names = " ".join(f'"Player {n}"' for n in range(1, players + 1))
    quoted = title.replace("\\", "\\\\").replace('"', '\\"')
    columns = payoffs.reshape(players, -1, order="F").T  # the first player's action changes fastest
    body = " ".join(np.format_float_positional(value, trim="-") for value in columns.ravel())
    return f'NFG 1 R "{quoted}" {{ {names} }} {{ {" ".join(map(str, counts))} }}\n\n{body}\n'


class _Reader:
    def __init__(self, path: Path, text: str):
        self.path = path
        self.tokens = _TOKEN.findall(text)
        self.place = 0

    def refuse(self, what: str) -> NoReturn:
        raise ValueError(f"{self.path} is no strategic game of Gambit's (.nfg): {what}") from None

    def next(self, expected: str = "") -> str:
        token = self.tokens[self.place] if self.place < len(self.tokens) else ""
        if not token or (expected and token != expected):
            self.refuse(f"expected {expected or 'more'} at token {self.place + 1}, got {token[:20] or 'the end'}")
        self.place += 1
        return token

    def peek(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def until_closed(self) -> Iterator[str]:
        """The tokens up to the brace that closes, which is taken, too."""
        while (token := self.next()) != "}":
            yield token

    def number(self, token: str) -> float:
        try:
            return float(Fraction(token)) if "/" in token else float(token)
        except (ValueError, ZeroDivisionError, OverflowError):
            self.refuse(f"{token[:20]!r} is no number")

    def game(self) -> tuple[np.ndarray, str]:
        for word in ("NFG", "1"):
            self.next(word)
        if self.next() not in ("R", "D"):
            self.refuse("after NFG 1 comes R (or D)")
        title = self._unquoted(self.next())
        self.next("{")
        players = len(list(self.until_closed()))
        counts = self._counts()
        if len(counts) != players or not players:
            self.refuse(f"{players} players, but numbers of strategies for {len(counts)}")
        if self.peek().startswith('"'):
            self.next()  # a comment
        outcomes = self._outcomes(players) if self.peek() == "{" else None
        body, cells = self.tokens[self.place :], math.prod(counts)
        wanted = cells * (1 if outcomes else players)
        if len(body) != wanted:
            what = "outcomes" if outcomes else "payoffs"
            self.refuse(
                f"{players} players with {' x '.join(map(str, counts))} strategies need {wanted} {what}, got {len(body)}"
            )
        rows = (
            [self._outcome(outcomes, token) for token in body] if outcomes else [self.number(token) for token in body]
        )
        return np.array(rows).reshape(cells, players).T.reshape(players, *counts, order="F"), title

    def _unquoted(self, token: str) -> str:
        if not token.startswith('"'):
            self.refuse(f"expected a quoted title, got {token[:20]}")
        return re.sub(r"\\(.)", r"\1", token[1:-1])

    def _counts(self) -> tuple[int, ...]:
        """How many strategies each player has: numbers, or a list of names for each."""
        self.next("{")
        counts = []
        while (token := self.next()) != "}":
            if token == "{":
                counts.append(len(list(self.until_closed())))
            elif token.isdecimal():
                counts.append(int(token))
            else:
                self.refuse(f"{token[:20]!r} is no number of strategies")
        if any(not 1 <= count <= 2**20 for count in counts) or math.prod(counts) > 2**20:
            self.refuse(f"{' x '.join(map(str, counts))} strategies; at most 2^20 in all can be read")
        return tuple(counts)

    def _outcomes(self, players: int) -> list[list[float]]:
        """The payoffs of outcomes 0 (none: nobody earns anything), 1, 2, ..."""
        self.next("{")
        found = [[0.0] * players]
        while (token := self.next()) != "}":
            if token != "{":
                self.refuse(f"expected an outcome in braces, got {token[:20]}")
            values = [self.number(value) for value in self.until_closed() if not value.startswith('"')]
            if len(values) != players:
                self.refuse(f"outcome {len(found)} has {len(values)} payoffs for {players} players")
            found.append(values)
        return found

    def _outcome(self, outcomes: Any, token: str) -> list[float]:
        if not token.isdecimal() or int(token) >= len(outcomes):
            self.refuse(f"there is no outcome {token[:20]}; they are 0 to {len(outcomes) - 1}")
        return outcomes[int(token)]
