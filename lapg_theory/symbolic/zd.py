"""Zero-determinant strategies in symbols: Akin's identity, the policies that enforce a line, the least discounts."""

import sympy as sp

from lapg_theory.symbolic.symbols import (
    P,
    R,
    S,
    T,
    baseline,
    chi,
    determinism,
    gamma,
    general,
    p0,
    phi,
    q0,
    slope,
    slope_2,
)
from lapg_theory.symbolic.thresholds import DONATION, Statement

p = sp.Matrix(general("p")[1:])
q = sp.Matrix(general("q")[1:])  # the co-player's own view

COOPERATED = sp.Matrix([1, 1, 0, 0])
OWN, OTHER = sp.Matrix([R, S, T, P]), sp.Matrix([R, T, S, P])


def _chances(own: sp.Expr, other: sp.Expr) -> list[sp.Expr]:
    """Chances of the outcomes CC, CD, DC, DD from both probabilities of cooperating."""
    return [own * other, own * (1 - other), (1 - own) * other, (1 - own) * (1 - other)]


def transitions() -> sp.Matrix:
    """The 4x4 chances of the next outcome (column) after each outcome (row), own view of the player with policy p."""
    return sp.Matrix([_chances(p[i], q[j]) for i, j in enumerate((0, 2, 1, 3))])


def akin_identity() -> tuple[sp.Matrix, sp.Expr]:
    """(A, B) with v . A = B for every visit distribution v, where A = gamma p - (1, 1, 0, 0) and B = -(1 - gamma) p0.

    v = (1 - gamma) start (I - gamma M)^-1 means v = (1 - gamma) start + gamma v M. Times the indicator g of own
    cooperation, that is v . (g - gamma M g) = (1 - gamma) start . g; the vector and the number are worked out here.
    """
    start = sp.Matrix([_chances(p0, q0)])
    return (gamma * transitions() * COOPERATED - COOPERATED).expand(), sp.expand((gamma - 1) * (start * COOPERATED)[0])


def enforcing_policy() -> sp.Matrix:
    """(p_CC, p_CD, p_DC, p_DD) that enforces pi_2 - l = s (pi_1 - l), in phi, p0, T, R, P, S and gamma.

    Solves gamma p + (1 - gamma) p0 - (1, 1, 0, 0) = phi [s (r1 - l) - (r2 - l)], whose left side v annihilates.
    """
    one = sp.ones(4, 1)
    tilt = slope * (OWN - baseline * one) - (OTHER - baseline * one)
    return ((COOPERATED + phi * tilt - (1 - gamma) * p0 * one) / gamma).applyfunc(sp.factor)


def least_discount(kind: str = "extortionate") -> sp.Expr:
    """The smallest gamma at which an "extortionate" (l = P) or a "generous" (l = R) line of slope s can be enforced.

    In a prisoner's dilemma, 0 <= s < 1. The outcome whose tilt is zero forces p0 = 0 (extortionate) or 1 (generous); of
    0 <= gamma p <= gamma three bounds remain, with lost = 1 - gamma: lost <= phi m and phi n <= 1 from the weaker and
    the stronger reaction among the two outcomes of one own action, phi k <= 1 - lost from the other own action. The
    largest lost is m min(1 / n, 1 / (m + k)).
    """
    if kind not in ("extortionate", "generous"):
        raise ValueError(f'kind must be "extortionate" or "generous", got {kind!r}')
    level = P if kind == "extortionate" else R
    cc, cd, dc, dd = slope * (OWN - level * sp.ones(4, 1)) - (OTHER - level * sp.ones(4, 1))
    m, n, k = (-cc, -cd, dc) if kind == "extortionate" else (dd, dc, -cd)
    return sp.Max(sp.factor(1 - m / n), sp.factor(k / (m + k)))


def donation_residual() -> sp.Expr:
    """Signed distance of gamma p + (1 - gamma) p0 from those that enforce a line, in games with R + P = T + S.

    r1, r2 and 1 then span what is orthogonal to (1, -1, -1, 1) / 2, and so is (1, 1, 0, 0) up to that vector.
    """
    normal = sp.Matrix([1, -1, -1, 1]) / 2
    donation = {T: R + P - S}
    if any(sp.expand(normal.dot(v).subs(donation)) != 0 for v in (OWN, OTHER, sp.ones(4, 1), COOPERATED)):
        raise AssertionError("the normal of the donation game's enforcing policies is derived wrongly")
    return sp.factor(normal.dot(gamma * p + (1 - gamma) * p0 * sp.ones(4, 1) - COOPERATED))


def gain_of_cooperating() -> Statement:
    """What cooperating instead of defecting adds to a player's discounted sum, if both players enforce a line.

    It is s_2 / (phi (1 - s s_2)) in *every* state: s and phi are the player's own, s_2 the co-player's slope. Started at
    an outcome, Akin's identity reads v . (g - gamma p) = (1 - gamma) g(outcome), g the indicator of own cooperation; so
    phi (s pi_1 - pi_2) = -(1 - gamma) g_1 and phi_2 (s_2 pi_2 - pi_1) = -(1 - gamma) g_2, up to constants. Own
    cooperation changes g_1 from 0 to 1, whatever else there is.
    """
    own, other = sp.symbols("own other")
    found = sp.solve([phi * (slope * own - other) + 1, slope_2 * other - own], [own, other], dict=True)[0]
    says = "by which cooperating beats defecting in every state, if both players enforce lines"
    return Statement("gain_of_cooperating", says, sp.factor(found[own]))


def least_determinism() -> Statement:
    """The d above which all slopes of a pair of softened extorters point to cooperation, in a donation game.

    Softened: p = 1/2 + d (extorter - 1/2), the extorter of factor chi and scale phi. In a donation game own cooperation
    is a payoff combination, g_1 = (b r_2 + c r_1) / (b^2 - c^2), so a softened extorter still enforces a line; its slope,
    by which `gain_of_cooperating` has its sign, is zero at this d.
    """
    g_1, g_2, strength, tilt = sp.symbols("g_1 g_2 strength tilt")
    pays = S.subs(DONATION) * g_1 + T.subs(DONATION) * g_2  # own payoff, by who cooperates
    mine, theirs = pays, pays.subs({g_1: g_2, g_2: g_1}, simultaneous=True)
    softened = determinism * phi * (mine / chi - theirs) - (1 - determinism) * g_1
    apart = sp.expand(softened - strength * (tilt * mine - theirs))
    found = sp.solve([apart.coeff(g_1), apart.coeff(g_2)], [strength, tilt], dict=True)[0]
    (least,) = sp.solve(sp.numer(sp.together(found[tilt])), determinism)
    says = "d above which all slopes of two extorters, softened to 1/2 + d (p - 1/2), point to cooperation"
    return Statement("least_determinism", says, sp.factor(least))
