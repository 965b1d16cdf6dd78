"""Is a strategy evolutionarily stable? Which invader breaks it, and who merely drifts in?

Everybody plays the resident S but for a few who play I, in groups of n drawn at random. With d_k what S earns above I where
k of the n - 1 co-players play I, rare invaders die out if the first of d_0, d_1, ... that is not zero is positive, spread if
it is negative, and drift if all are zero. For n = 2 that is Maynard Smith's definition: E(S, S) > E(I, S), or equality and
E(S, I) > E(I, I). (Maynard Smith & Price 1973, Nature 246; Broom, Cannings & Vickers 1997, Bull. Math. Biol. 59.)
"""

import dataclasses
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lapg_theory.game import NAMED, AnonymousGame, Horizon, MatrixGame, NormalFormGame, group_strategy, named_policy
from lapg_theory.game.numbers import check_probabilities
from lapg_theory.game.strategies import strategy as named

ROUNDING = 1e-9  # of the largest payoff, per step


@dataclasses.dataclass(frozen=True)
class EssVerdict:
    """Whether a strategy is evolutionarily stable (also as truth value) against those it was tested with.

    Attributes:
        invader: the one that gains most of those that spread; None where none does.
        gain: what that invader earns per step above the resident at the first difference, 0 for None.
        neutral: those that earn the same as the resident in every group: they drift, and make way for others.
        tested: the names of all that were tried.
    """

    invader: str | None
    gain: float
    neutral: tuple[str, ...]
    tested: tuple[str, ...]

    def __bool__(self) -> bool:
        return self.invader is None and not self.neutral

    def __str__(self) -> str:
        told = self.neutral if self.invader is None else (self.invader,)
        order = " (letters: in s0, CC, CD, DC, DD)" * any(re.fullmatch("[CD]{5}", name) for name in told)
        if self.invader is not None:
            return f"not stable: {_known(self.invader)} invades and earns {self.gain:.6g} more per step{order}"
        if self.neutral:
            return f"neutrally stable, no ESS: {', '.join(map(_known, self.neutral))} drift in{order}"
        return f"evolutionarily stable against {len(self.tested)} others"


#: The deterministic strategies that have a name, by their letters.
NAMES = {
    "".join("C" if p else "D" for p in policy): name
    for name, policy in NAMED.items()
    if all(p in (0, 1) for p in policy)
}


def _known(name: str) -> str:
    """Letters with the name that they have, if any."""
    return f"{name} ({NAMES[name]})" if name in NAMES else name


def pure_strategies() -> dict[str, tuple[float, ...]]:
    """All 32 deterministic memory-one strategies of a 2x2 game, named by what they play in s0, CC, CD, DC, DD.

    In a discounted game a best reply to a memory-one strategy is among them, whatever the memory of the repliers, since against
    it the game is a Markov decision process with these states. In a finite one best replies change from step to step.
    """
    return {"".join(word): tuple(float(x == "C") for x in word) for word in itertools.product("CD", repeat=5)}


def _policy(given: Any, players: int, game: Any) -> np.ndarray:
    if isinstance(given, str) and isinstance(game, NormalFormGame):
        actions = game.actions[0]
        always = re.fullmatch(r"always-(\d{1,3})", given)
        if given != "random" and not (always and int(always[1]) < actions):
            raise ValueError(f"unknown strategy {given!r}; known here: random, always-0 to always-{actions - 1}")
        row = np.eye(actions)[int(always[1])] if always else np.full(actions, 1 / actions)
        return np.tile(row, (1 + math.prod(game.actions), 1))
    if isinstance(given, str) and players > 2:
        given = group_strategy(given, players)
    elif isinstance(given, str):
        given = named_policy(game, given) if isinstance(game, MatrixGame) else named(given)
    return np.asarray(given, dtype=float)


def _named(against: Any, players: int, game: Any) -> dict[str, np.ndarray]:
    if isinstance(against, Mapping):
        pairs = list(against.items())
    else:
        pairs = [(x if isinstance(x, str) else _called(np.asarray(x, dtype=float)), x) for x in against]
    if not pairs:
        raise ValueError("against must hold at least one strategy to test with")
    return {name: _policy(policy, players, game) for name, policy in pairs}


def _called(policy: np.ndarray) -> str:
    """A policy in brackets, that of many actions by its rows."""
    if policy.ndim > 1:
        return "(" + "; ".join(_called(row)[1:-1] for row in policy) + ")"
    return "(" + ", ".join(f"{p:.4g}" for p in policy) + ")"


def _there(strategy: Any, against: Any, game: Any) -> tuple[np.ndarray, dict[str, np.ndarray], int]:
    """The resident, all that differ from it by name, and how many play."""
    if not isinstance(game, AnonymousGame) and not game.is_symmetric:
        raise ValueError(f"{game.name} is not symmetric: a resident and an invader must be able to trade places")
    players = 2 if isinstance(game, MatrixGame) else game.players
    if against is None and not isinstance(game, MatrixGame):
        few = isinstance(game, NormalFormGame) and players == 2
        where = f"in games of {game.actions[0]} actions" if few else f"in groups of {players}"
        raise ValueError(f"against must name strategies {where}: the deterministic ones are too many")
    against = [against] if isinstance(against, str) else against
    resident = _policy(strategy, players, game)
    invaders = _named(pure_strategies() if against is None else against, players, game)
    invaders = {name: policy for name, policy in invaders.items() if not np.array_equal(policy, resident)}
    return resident, invaders, players


def is_ess(
    strategy: Any,
    against: Mapping[str, Any] | Sequence[Any] | None = None,
    *,
    game: MatrixGame | NormalFormGame | AnonymousGame,
    horizon: Horizon,
) -> EssVerdict:
    """Whether a memory-one strategy withstands a few of each of the others, with the one that breaks it.

    Args:
        strategy: a name (as `named_policy` takes; in groups of `group_strategy`; of k actions random or always-0, ...), or
            probabilities: of cooperating, or of each action in each state, as `general_returns` takes them.
        against: a name, or names, probabilities, or a dictionary of them; itself among them is left out. None: all
            deterministic ones of a 2x2 game (`pure_strategies`), so that in a discounted game no memory finds a better reply.
        game: a symmetric `MatrixGame` or `NormalFormGame`, or an `AnonymousGame`; groups are drawn at random.
        horizon: how long each encounter lasts. Differences below 1e-9 of the largest payoff per step count as none.

    Raises:
        ValueError: for a game that is not symmetric, an unknown name, no one to test with, or what is no policy.

    Example:
        >>> import lapg_theory as lt
        >>> print(lt.is_ess("tft", ["alld"], game=lt.prisoners_dilemma(), horizon=lt.Discounted(0.9)))
        evolutionarily stable against 1 others
    """
    resident, invaders, players = _there(strategy, against, game)
    names = tuple(invaders)
    if not names:
        return EssVerdict(None, 0.0, (), ())
    leads = _leads(game, resident, np.stack(list(invaders.values())), players, horizon)
    payoffs = game.row_payoffs if isinstance(game, MatrixGame) else _payoffs(game)
    counts = np.abs(leads) > ROUNDING * float(np.abs(np.array(payoffs, dtype=float)).max())
    first = np.where(counts.any(0), np.take_along_axis(leads, counts.argmax(0)[None], 0)[0], 0)
    least = np.flatnonzero(
        first <= first.min() + 1e-12 * np.abs(first).max()
    )  # of several that earn alike one with a name
    worst = int(next((n for n in least if names[n] in NAMES), least[0]))
    neutral = tuple(name for name, lead in zip(names, first, strict=True) if lead == 0)
    return EssVerdict(names[worst] if first[worst] < 0 else None, max(0.0, -float(first[worst])), neutral, names)


def _payoffs(game: NormalFormGame | AnonymousGame) -> Any:
    return game.payoffs if isinstance(game, NormalFormGame) else (*game.cooperator, *game.defector)


def gains(
    strategy: Any,
    against: Mapping[str, Any] | Sequence[Any] | None = None,
    *,
    game: MatrixGame | NormalFormGame | AnonymousGame,
    horizon: Horizon,
    shares: Any,
) -> dict[str, np.ndarray]:
    """What each invader earns per step above the resident, on average, where it has these shares of the population.

    Of the n - 1 co-players of everybody each invades with chance `shares`. At 0 the sign says what `is_ess` says, but for ties.

    Args:
        strategy: the resident, as for `is_ess`; `against`, `game` and `horizon` likewise.
        against: the invaders.
        game: as for `is_ess`.
        horizon: how long each encounter lasts.
        shares: of the invader, in [0, 1].

    Raises:
        ValueError: as for `is_ess`, and for a share outside [0, 1].
    """
    resident, invaders, players = _there(strategy, against, game)
    x = check_probabilities("shares", shares)
    if not invaders:
        return {}
    leads = _leads(game, resident, np.stack(list(invaders.values())), players, horizon)
    meets = [math.comb(players - 1, k) * x**k * (1 - x) ** (players - 1 - k) for k in range(players)]
    found = -np.tensordot(np.stack(meets, -1), leads, 1)
    return {name: found[..., i] for i, name in enumerate(invaders)}


def _leads(game: Any, resident: np.ndarray, invaders: np.ndarray, players: int, horizon: Any) -> np.ndarray:
    """What residents earn per step above invaders where 0, ..., n - 1 of the co-players invade, [n, invaders]."""
    from lapg_theory.exact.general import general_returns

    groups = [
        general_returns(game, [resident] * (players - k) + [invaders] * k, horizon) / horizon.weight
        for k in range(players + 1)
    ]
    earned = [
        np.broadcast_to(group, (players, len(invaders))) if group.ndim > 1 else group[:, None] for group in groups
    ]
    return np.stack([earned[k][0] - earned[k + 1][-1] for k in range(players)])
