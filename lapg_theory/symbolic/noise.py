"""What noise does, in symbols: e is the chance of an execution error, d of a perception error (`lapg_theory.game.noise`).

The cooperative fixed point K = (1, 1, 0, p_DC, 0) defects for ever after one slip. To first order in e the other's slip puts
the weight e into CD, one's own into DC, and from each of them play goes to the other with chance p_DC until it ends in DD; so
CD has the weight e / (1 - gamma p_DC), and forgiving there gains what the values V of the noiseless pair say. Naive
learners pull the other way with the shaping gradient G < 0 in CD.
"""

import functools

import sympy as sp

from lapg_theory.symbolic.metagame import VALUES, outcome_values
from lapg_theory.symbolic.returns import symbolic_returns
from lapg_theory.symbolic.symbols import P, R, S, T, gamma, glance, keeps, p_cc, p_cd, p_dc, shaping, share, slip
from lapg_theory.symbolic.thresholds import Statement


@functools.cache
def mutual_tit_for_tat() -> Statement:
    """What tit-for-tat earns per step against itself; (R + S + T + P) / 4 in the limit gamma -> 1, however rare errors are.

    k = (1 - 2 e)(1 - 2 d): after the other's C it cooperates with chance (1 + k) / 2, after its D with (1 - k) / 2.
    """
    kind, cruel = (1 + keeps) / 2, (1 - keeps) / 2
    policy = (1 - slip, kind, cruel, kind, cruel)
    found = sp.collect(
        sp.expand(sp.numer(row := sp.factor(symbolic_returns(policy, policy).row))), (T, R, P, S), sp.factor
    )
    return Statement("mutual tit-for-tat", "per step, with k = (1 - 2 e)(1 - 2 d)", found / sp.denom(row))


@functools.cache
def forgiving_from(solved: bool = True) -> Statement:
    """The execution error from which on K starts to forgive, to first order in e; V_s `solved` for, or as symbols.

    p_DC and G are those of K in the pool, which differ little from those among naive learners alone.
    """
    V_CC, V_CD, V_DC, V_DD = VALUES
    gain = gamma / (1 - gamma * p_dc) * (p_dc * (V_CC - V_DC) + (1 - p_dc) * (V_CD - V_DD))
    threshold = -share * shaping / ((1 - share) * gain)
    if solved:
        values = [value.subs({p_cc: 1, p_cd: 0}) for value in outcome_values()]
        threshold = sp.factor(threshold.subs(dict(zip(VALUES, values, strict=True)), simultaneous=True))
    return Statement("forgiving from", "execution error from which on K forgives, to first order", threshold)


def least_discount(without: sp.Expr) -> Statement:
    """The smallest gamma at which a line can be enforced that needs `without` where there is no noise.

    With x the chance of cooperating that is done, intentions in [0, 1] leave x a range of (1 - 2 e) (1 - 2 d) between two
    states that differ in what the co-player did, where gamma alone bounds it without noise. It holds for baselines so far
    inside (P, R) that no other bound is met first.
    """
    says = "of a line, under noise, where it is the first argument without"
    return Statement("least discount, under noise", says, without / ((1 - 2 * slip) * (1 - 2 * glance)))
