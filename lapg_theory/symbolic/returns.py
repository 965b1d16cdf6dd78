"""Returns of memory-one policies as SymPy expressions, by the discounted Press-Dyson determinant."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import sympy as sp

from lapg_theory.exact.returns import press_dyson
from lapg_theory.game import MatrixGame, symmetric_game
from lapg_theory.game.conventions import own_view
from lapg_theory.game.strategies import ALLC, ALLD, GRIM, TFT, WSLS
from lapg_theory.symbolic.symbols import P, R, S, T, gamma, general, reactive


def zero_determinant(
    slope: Any, baseline: Any, phi: Any, first: Any, game: MatrixGame | None = None
) -> tuple[Any, ...]:
    """The policy that enforces pi_other - baseline = slope (pi_own - baseline) against everyone, returns per step.

    Its column of the Press-Dyson matrix, gamma p + (1 - gamma) p_0 - [own C], is phi (slope (r_own - baseline) -
    (r_other - baseline)). Whether the entries are probabilities is for the user to check.

    Args:
        slope: s, of the enforced line.
        baseline: l, the payoff at which both earn the same.
        phi: the scale of the strategy.
        first: the opening's probability of cooperating.
        game: a 2x2 game, by default with symbols as payoffs.
    """
    game = symmetric_game(T, R, P, S) if game is None else game
    policy = [first]
    for cooperated, own, other in zip((1, 1, 0, 0), own_view(game.row), own_view(game.column), strict=True):
        column = phi * (slope * (own - baseline) - (other - baseline))
        policy.append((column + cooperated - (1 - gamma) * first) / gamma)
    return tuple(policy)


def _fixed(policy: Sequence[float]) -> Callable[[str], tuple[Any, ...]]:
    return lambda letter: tuple(sp.Integer(value) for value in policy)


#: Name -> policy in symbols of the given letter.
STRATEGIES: dict[str, Callable[[str], tuple[Any, ...]]] = {
    "general": general,
    "reactive": reactive,
    "allc": _fixed(ALLC),
    "alld": _fixed(ALLD),
    "tft": _fixed(TFT),
    "wsls": _fixed(WSLS),
    "grim": _fixed(GRIM),
}


@dataclasses.dataclass(frozen=True)
class SymbolicReturns:
    """Closed forms for a pair of policies, and a NumPy function of their `arguments`.

    Attributes:
        row: return per step, (1 - gamma) J, of the row player: sum of payoff x occupancy.
        column: of the column player.
        occupancy: discounted shares of time in CC, CD, DC, DD, row player's view.
        arguments: the free symbols of `row` and `column`, sorted by name.
    """

    row: Any
    column: Any
    occupancy: tuple[Any, ...]
    arguments: tuple[Any, ...]

    @property
    def function(self) -> Callable[..., tuple[Any, Any]]:
        """`(row, column)` as a NumPy function of the arguments, in their order."""
        return sp.lambdify(self.arguments, (self.row, self.column), "numpy", cse=True)


def policy_in_symbols(given: Any, letter: str) -> tuple[Any, ...]:
    """A policy given by name (see `STRATEGIES`) or as five expressions."""
    if isinstance(given, str):
        if given not in STRATEGIES:
            raise ValueError(f"unknown strategy {given!r}; known: {', '.join(STRATEGIES)}")
        return tuple(STRATEGIES[given](letter))
    policy = tuple(sp.sympify(value) for value in given)
    if len(policy) != 5:
        raise ValueError(f"a policy needs five entries (s0, CC, CD, DC, DD), got {len(policy)}")
    return policy


def tidier(*policies: Any) -> Callable[[Any], Any]:
    """How to tidy expressions in these policies: factor them, unless both are general and they are too long for it."""
    return sp.factor if len(sp.Tuple(*sum(policies, ())).free_symbols) < 10 else lambda expression: expression


def symbolic_returns(p: Any = "general", q: Any = "general", game: MatrixGame | None = None) -> SymbolicReturns:
    """Returns per step of two memory-one policies in an infinitely repeated game with discount gamma, in closed form.

    Each occupancy is a ratio of two Press-Dyson determinants, factored unless both policies are general (the
    polynomials are too long to gain by it).

    Args:
        p: the row player's policy, by name (see `STRATEGIES`) or as five expressions, own view.
        q: the column player's, in its own view.
        game: payoffs of any type; by default the symmetric game with symbols T, R, P, S.

    Raises:
        ValueError: for an unknown name or a policy without five entries.
    """
    game = symmetric_game(T, R, P, S) if game is None else game
    p, q = policy_in_symbols(p, "p"), policy_in_symbols(q, "q")
    if game.noise is not None:
        p, q = game.noise.acted(p), game.noise.acted(q)
    tidy = tidier(p, q)

    def determinant(*f):
        return tidy(sp.Matrix(press_dyson(p, q, gamma, f)).det(method="berkowitz"))

    below = determinant(1, 1, 1, 1)
    occupancy = tuple(determinant(*(int(s == k) for s in range(4))) / below for k in range(4))
    row, column = (
        sum(x * payoff for x, payoff in zip(occupancy, own_view(table), strict=True))
        for table in (game.row, game.column)
    )
    free = sp.Tuple(row, column).free_symbols
    return SymbolicReturns(row, column, occupancy, tuple(sorted(free, key=str)))
