"""When cooperation among one's own kind persists, in symbols: the closed forms behind the mixed-pool game.

Both agents play (., p_CC, p_CD, p_DC, 0): they retaliate for good once both have defected. V_s is the discounted payoff
from outcome s on, that of s included; G is the shaping gradient in s0, per step, share the effective share of naive
learners. Everything is derived from the Bellman equation of the pair, for any payoffs.
"""

import functools

import sympy as sp

from lapg_theory.symbolic.symbols import P, R, S, T, gamma, p_cc, p_cd, p_dc, shaping, share
from lapg_theory.symbolic.thresholds import Statement

VALUES = sp.symbols("V_CC V_CD V_DC V_DD", real=True)


@functools.cache
def outcome_values() -> tuple[sp.Expr, ...]:
    """V_CC, V_CD, V_DC, V_DD in self-play, solved for."""
    own, other = (p_cc, p_cd, p_dc, sp.S.Zero), (p_cc, p_dc, p_cd, sp.S.Zero)
    equations = []
    for value, payoff, x, y in zip(VALUES, (R, S, T, P), own, other, strict=True):
        chances = (x * y, x * (1 - y), (1 - x) * y, (1 - x) * (1 - y))
        onward = sum(chance * after for chance, after in zip(chances, VALUES, strict=True))
        equations.append(sp.Eq(value, payoff + gamma * onward))
    found = sp.solve(equations, VALUES, dict=True)[0]
    return tuple(sp.factor(found[value]) for value in VALUES)


@functools.cache
def _statement(name: str, says: str, expression: sp.Expr, solved: bool) -> Statement:
    values = outcome_values() if solved else VALUES
    return Statement(name, says, expression.subs(dict(zip(VALUES, values, strict=True)), simultaneous=True))


#: Partial gradients in s0, per step, where the other opens with C and with D.
HOLD, TEMPTATION = (1 - gamma) * (VALUES[0] - VALUES[2]), (1 - gamma) * (VALUES[1] - VALUES[3])


def hold(solved: bool = True) -> Statement:
    """What opening with C rather than D gains against an opening of C; with V_s `solved` for, or as symbols."""
    return _statement("hold", "gain per step of opening with C against an opening of C", HOLD, solved)


def temptation(solved: bool = True) -> Statement:
    """What opening with C rather than D gains against an opening of D."""
    return _statement("temptation", "gain per step of opening with C against an opening of D", TEMPTATION, solved)


def p_critical(solved: bool = True) -> Statement:
    """Share of naive learners up to which an opening of C is kept, where shaping pulls it down (G < 0)."""
    says = "share of naive learners up to which an opening of C is kept"
    return _statement("p_critical", says, HOLD / (HOLD - shaping), solved)


def basin_boundary(solved: bool = True) -> Statement:
    """The opening from which on learning leads to cooperation, on the edge where only s0 differs."""
    boundary = (-share / (1 - share) * shaping - TEMPTATION) / (HOLD - TEMPTATION)
    return _statement("basin_boundary", "opening at which the basin of cooperation begins", boundary, solved)


@functools.cache
def forgiveness_needed() -> Statement:
    """P(C | DC) above which agents that never forgive being exploited (p_CD = 0) are driven to open with C."""
    _, V_CD, _, V_DD = (value.subs(p_cd, 0) for value in outcome_values())
    (root,) = sp.solve(sp.numer(sp.factor(V_CD - V_DD)), p_dc)
    return Statement("forgiveness_needed", "p_DC above which opening with C pays though p_CD = 0", sp.factor(root))
