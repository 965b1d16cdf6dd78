"""Action values and gradients of memory-one policies as SymPy expressions, at any pair of policies.

Nothing is differentiated: the policy-gradient formula gives dJ/dp_s from visits and action values of the pair itself, so
the gradient at, say, mutual tit-for-tat is a short expression though that of a general policy is a long one.
"""

from typing import Any

import sympy as sp

from lapg_theory.game import MatrixGame, mirror, symmetric_game
from lapg_theory.game.conventions import own_view
from lapg_theory.game.noise import refuse_noise
from lapg_theory.symbolic.returns import policy_in_symbols, symbolic_returns, tidier
from lapg_theory.symbolic.symbols import P, R, S, T, gamma


def _chances(x: Any, y: Any) -> tuple[Any, ...]:
    return (x * y, x * (1 - y), (1 - x) * y, (1 - x) * (1 - y))


def symbolic_action_values(p: Any = "general", q: Any = "general", game: MatrixGame | None = None) -> sp.Matrix:
    """The row player's return from each own state on for playing C or D now and p afterwards, [5, 2], sums of rewards.

    States s0, CC, CD, DC, DD by actions C, D, in the notation of `lapg_theory.action_values`; arguments and errors as
    for `symbolic_returns`.
    """
    game = symmetric_game(T, R, P, S) if game is None else game
    refuse_noise(game, "action values are solved for", "give the policies that are done, noise.acted(p)")
    p, q = policy_in_symbols(p, "p"), mirror(policy_in_symbols(q, "q"))
    tidy = tidier(p, q)
    system = sp.eye(4) - gamma * sp.Matrix([_chances(p[s], q[s]) for s in range(1, 5)])
    after = system.adjugate(method="berkowitz") * sp.Matrix(own_view(game.row)) / system.det(method="berkowitz")
    after = [tidy(value) for value in after]  # from CC, CD, DC, DD on
    return sp.Matrix(5, 2, lambda s, a: tidy(q[s] * after[2 * a] + (1 - q[s]) * after[2 * a + 1]))


def symbolic_gradient(p: Any = "general", q: Any = "general", game: MatrixGame | None = None) -> tuple[Any, ...]:
    """Gradient of the row player's return per step, (1 - gamma) J, in its five probabilities, at the pair (p, q).

    d/dp_s = visits(s) (Q(s, C) - Q(s, D)) with visits (1 - gamma) to s0 and gamma times the occupancy elsewhere.
    Arguments and errors as for `symbolic_returns`.
    """
    found, values = symbolic_returns(p, q, game), symbolic_action_values(p, q, game)
    tidy = tidier(policy_in_symbols(p, "p"), policy_in_symbols(q, "q"))
    visits = (1 - gamma, *(gamma * share for share in found.occupancy))
    return tuple(tidy(visits[s] * (values[s, 0] - values[s, 1])) for s in range(5))
