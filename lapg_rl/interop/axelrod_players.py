"""Players of the Axelrod library by name, and a seat of ours that they can take. Needs the extra `axelrod`; loads no JAX."""

import difflib
import importlib.util
import re
import warnings
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from lapg_theory.game import MatrixGame, NormalFormGame

#: What their names begin with here, also the kind of such co-players.
AXELROD = "axelrod"
PREFIX = f"{AXELROD}:"


def package() -> Any:
    """The Axelrod library. Raises ValueError where it is not installed, with the command that installs it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # of docstrings, when they are compiled
            import axelrod
    except ImportError as error:
        raise ValueError(f'{PREFIX}... needs the package axelrod ({error}): pip install ".[axelrod]"') from None
    return axelrod


def _flat(name: str) -> str:
    """A name without what one may take for another spelling."""
    return name.lower().replace(" ", "").replace("two", "2").replace("three", "3")


def _classes() -> list[str]:
    """The names of all classes in the library's files of strategies, read without importing it, which takes seconds."""
    spec = importlib.util.find_spec(AXELROD)
    if spec is None or spec.origin is None:
        return []
    files = (Path(spec.origin).parent / "strategies").glob("*.py")
    return [
        name for file in files for name in re.findall(r"^(?:class )?(\w+)(?:\(| = )", file.read_text("utf-8"), re.M)
    ]


def _check_written(word: str) -> None:
    """Refuse a mistyped name before the library is imported. Raises ValueError with near matches."""
    written = _classes()
    if written and word not in written:
        raise ValueError(f"axelrod {version(AXELROD)} has no strategy {word!r}; {_meant(word, written)}")


def _meant(word: str, known: Iterable[str]) -> str:
    flat = {_flat(other): other for other in known}
    same = [_flat(word)] if _flat(word) in flat else difflib.get_close_matches(_flat(word), flat, n=3, cutoff=0.6)
    return (
        f"did you mean {' or '.join(PREFIX + flat[found] for found in same)}?" if same else "see axelrod.all_strategies"
    )


def find_player(name: str) -> type:
    """The class of `axelrod:CLASS`.

    Raises:
        ValueError: without the library, for a name that is none of its strategies (with near matches), or for a player that
            Axelrod's own tournaments do not admit because it breaks their rules, such as changing its opponent.
    """
    word = name.removeprefix(PREFIX)
    _check_written(word)
    axelrod = package()
    known = {cls.__name__: cls for cls in axelrod.all_strategies}
    if word not in known:
        raise ValueError(f"axelrod {axelrod.__version__} has no strategy {word!r}; {_meant(word, known)}")
    if not axelrod.Classifiers.obey_axelrod(known[word]()):
        raise ValueError(
            f"{name} breaks the rules of Axelrod's tournaments (it reads or changes other players); name another"
        )
    return known[word]


def check_game(name: str, game: MatrixGame | NormalFormGame, cls: type | None = None) -> MatrixGame:
    """Refuse what Axelrod's players cannot play: they know one payoff table of two actions, the same for both seats.

    Some, such as zero-determinant ones, are made for certain payoffs: with `cls` it is tried whether the class takes these.
    """
    if not isinstance(game, MatrixGame) or not game.is_symmetric:
        what = "whose seats differ" if isinstance(game, MatrixGame) else f"of {game.actions[0]} actions"
        raise ValueError(f"{name} plays symmetric 2x2 games only, but this run's is {game.name}, {what}; leave it out")
    if cls is not None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # of divisions, before they are refused
                cls().set_match_attributes(length=1, game=_payoffs(game), noise=0)
        except Exception as error:
            why = f"{type(error).__name__} {error}".strip()
            raise ValueError(f"{name} does not play the payoffs {game.row} ({why}); leave it out") from None
    return game


def _payoffs(game: MatrixGame) -> Any:
    (r, s), (t, p) = game.row
    return package().Game(r=r, s=s, t=t, p=p)


class Seat:
    """Many players of one class, each in a match of its own; a match is an inner episode, to which they come without memory.

    They are told what Axelrod tells: the payoffs and how many turns a match has (infinitely many if it ends at random).
    """

    def __init__(self, cls: type, game: MatrixGame, turns: float | int, count: int, seeds: Any):
        """Seat `count` players, whose random numbers come from `seeds`, a generator of NumPy's."""
        axelrod = package()
        self.actions = axelrod.Action.C, axelrod.Action.D
        self.attributes = {"length": turns, "game": _payoffs(game), "noise": 0}
        self.players = [cls() for _ in range(count)]
        self.faced = [axelrod.Player() for _ in range(count)]  # only their histories are read
        self.stochastic = axelrod.Classifiers["stochastic"](self.players[0])
        self.seeds = seeds

    def begin(self) -> None:
        """Start a match for everyone."""
        for player, other in zip(self.players, self.faced, strict=True):
            player.reset()
            player.set_match_attributes(**self.attributes)
            other.history.reset()
        if self.stochastic:
            for player, seed in zip(self.players, self.seeds.integers(2**32 - 1, size=len(self.players)), strict=True):
                player.set_seed(int(seed))

    def act(self, states: np.ndarray, alive: np.ndarray) -> np.ndarray:
        """The actions `[n]` after states `[n]` (s0, CC, CD, DC, DD, own view); 0 where `alive` tells that the match is over."""
        taken = np.zeros(len(states), int)
        for n, (player, other) in enumerate(zip(self.players, self.faced, strict=True)):
            if not alive[n]:
                continue
            if states[n]:
                own, its = (self.actions[i] for i in divmod(int(states[n]) - 1, 2))
                player.update_history(own, its)
                other.update_history(its, own)
            taken[n] = player.strategy(other) is self.actions[1]
        return taken
