"""The ecological public good in symbols: from which discount on caring for the future keeps the resource.

n players, factor f, cost c, loss m in a degraded resource, collapse chance q_c d / n for d defectors, recovery chance q_r.
Values are per step. The gap between a prosperous and a degraded resource is solved for, and one deviation compared.
"""

import functools

import sympy as sp

from lapg_theory.symbolic.symbols import c, gamma
from lapg_theory.symbolic.thresholds import Statement

n, f, m, q_c, q_r = sp.symbols("n f m q_c q_r", real=True)
gap, x = sp.symbols("gap x", real=True)


def _collapse(defectors: sp.Expr) -> sp.Expr:
    return q_c * defectors / n


def _reward(own: int, cooperators: sp.Expr) -> sp.Expr:
    """Expected reward in the prosperous state, the chance of a collapse included, with so many cooperators in all."""
    lost = _collapse(n - cooperators)
    return (1 - lost) * (f * c * cooperators / n - own * c) + lost * m


def _indifferent(reward: sp.Expr, deviant: sp.Expr, now: sp.Expr, then: sp.Expr) -> sp.Expr:
    """The discount at which deviating once pays nothing; `now` and `then` are the chances to collapse."""
    equation = sp.Eq(gap, (1 - gamma) * (reward - m) + gamma * (1 - now - q_r) * gap)
    (found,) = sp.solve(equation, gap)
    gain = (1 - gamma) * (deviant - reward) + gamma * (now - then) * found
    (root,) = sp.solve(sp.numer(sp.cancel(gain / (1 - gamma))), gamma)
    return sp.factor(root)


@functools.cache
def cooperation_from() -> Statement:
    """The discount from which on nobody gains by defecting among unconditional cooperators (f < n)."""
    root = _indifferent(_reward(1, n), _reward(0, n - 1), sp.S.Zero, _collapse(sp.S.One))
    return Statement("cooperation from", "all cooperate: stable for a gamma above it", root)


@functools.cache
def defection_until() -> Statement:
    """The discount up to which nobody gains by cooperating among unconditional defectors."""
    root = _indifferent(_reward(0, sp.S.Zero), _reward(1, sp.S.One), _collapse(n), _collapse(n - 1))
    return Statement("defection until", "all defect: stable for a gamma below it", root)


@functools.cache
def indifferent_at() -> Statement:
    """The discount at which C and D earn the same where each other player cooperates with chance x.

    1 and 0 for x give the two thresholds above; in between it is where x is a mixed equilibrium, from which learners part.
    """
    k = sp.Symbol("k")
    moments = {k**2: (n - 1) * x * (1 - x) + (n - 1) ** 2 * x**2, k: (n - 1) * x}

    def mean(value: sp.Expr) -> sp.Expr:
        return sp.expand(value).subs(moments)

    rewards = [mean(_reward(own, own + k)) for own in (1, 0)]
    collapses = [mean(_collapse(n - own - k)) for own in (1, 0)]
    says = "C and D earn the same among others that cooperate with chance x: C pays for a gamma above it"
    return Statement("indifferent at", says, _indifferent(*rewards, *collapses))


def prosperity_under_defection() -> Statement:
    """How often the resource is prosperous in the long run if everybody defects."""
    return Statement("prosperity under defection", "stationary weight of the prosperous state", q_r / (q_r + q_c))
