"""Advantage Alignment in symbols: that it vanishes at unconditional defection, and how it comes back nearby.

*Theorem.* Where both policies are deterministic, M = 0, so that Advantage Alignment and LOQA equal independent learning.
*Proof.* B[s', s] sums pi_1(a | s) pi_2(b | s) w A1(s, a, b). If (a, b) is not what the two policies play in s, its chance is
zero. If it is, the value V1(s) is that of playing it, so A1(s, a, b) = 0. Hence B = 0 and M = gamma (I - kappa gamma
P^T)^-1 B D = 0.

At unconditional defection both therefore ascend the own gradient, which is negative: they cannot leave it to first order.
The learning-aware gradient against naive learners can: its component in DC there is that of the defection certificate,
positive in a window of learning rates. Near defection, at P(C) = epsilon x_s (own) and epsilon y_s (co-player), alignment
comes back in proportion to epsilon (`near_defection`): it rewards a co-player that cooperated alone and punishes one that
defected alone.
"""

from typing import Any

import sympy as sp

from lapg_theory.game import MatrixGame, mirror, symmetric_game
from lapg_theory.game.conventions import own_view
from lapg_theory.game.noise import refuse_noise
from lapg_theory.symbolic.returns import P, R, S, T, gamma, policy_in_symbols
from lapg_theory.symbolic.thresholds import Statement

x_0, x_dd, y_0, y_dd = sp.symbols("x_0 x_DD y_0 y_DD", nonnegative=True)


def _chances(x: Any, y: Any) -> tuple[Any, ...]:
    return (x * y, x * (1 - y), (1 - x) * y, (1 - x) * (1 - y))


def symbolic_alignment(p: Any, q: Any, game: MatrixGame | None = None) -> tuple[sp.Matrix, sp.Matrix]:
    """(M, direction), each of five entries s0, CC, CD, DC, DD: what Advantage Alignment adds at beta 1, sums of rewards.

    The direction is that in the row player's probabilities, [A2(s, C) - A2(s, D)] M_s; times p_s (1 - p_s) it is that in
    logits. Arguments and errors as for `symbolic_returns`; meant for policies with few symbols.
    """
    game = symmetric_game(T, R, P, S) if game is None else game
    refuse_noise(game, "alignment is derived", "leave the noise out")
    p, q = policy_in_symbols(p, "p"), mirror(policy_in_symbols(q, "q"))
    chances = sp.Matrix([_chances(p[s], q[s]) for s in range(5)])
    inverse = (sp.eye(4) - gamma * chances[1:, :]).inv(method="ADJ")
    mine, its = (inverse * sp.Matrix(own_view(table)) for table in (game.row, game.column))  # from each outcome on
    value = chances * mine
    B = sp.Matrix(4, 5, lambda o, s: chances[s, o] * (mine[o] - value[s]))
    visits = sp.Matrix([1, *(gamma * chances[0, :] * inverse)])
    M = sp.Matrix([0, *(gamma * inverse.T * B * visits)]).applyfunc(sp.factor)
    gains = [q[s] * (its[0] - its[2]) + (1 - q[s]) * (its[1] - its[3]) for s in range(5)]
    return M, sp.Matrix([sp.factor(gain * m) for gain, m in zip(gains, M, strict=True)])


def near_defection() -> tuple[Statement, ...]:
    """Alignment in P(C | CD), P(C | DC) and P(C | DD) per epsilon, at P(C) = epsilon x_s against epsilon y_s.

    The chance of an unexpected C of one's own, X = x_0 + gamma x_dd / (1 - gamma) over the game, and of the other, Y, each
    put an advantage into the next outcome: gamma (S - P) X into CD, gamma (T - P) Y into DC, and what they sum to is missing
    in DD. Cooperating there is worth T - P to the other. Nothing flows into CC. All in symmetric games, sums of rewards.
    """
    X, Y = (first + gamma * later / (1 - gamma) for first, later in ((x_0, x_dd), (y_0, y_dd)))
    alone, free = gamma * (T - P) * (S - P) * X, gamma * (T - P) ** 2 * Y
    return (
        Statement("alignment near defection, CD", "per epsilon, in P(C | CD): negative in a dilemma", alone),
        Statement("alignment near defection, DC", "per epsilon, in P(C | DC): positive", free),
        Statement("alignment near defection, DD", "per epsilon, in P(C | DD)", -alone - free),
    )
