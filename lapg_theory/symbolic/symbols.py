"""Every symbol of the formulas, once: two of one name with different assumptions would be two unknowns to SymPy."""

from typing import Any

import sympy as sp

#: Payoffs, discount, share and learning rate; benefit and cost of a donation game.
T, R, P, S = sp.symbols("T R P S", real=True)
gamma, share = sp.symbols("gamma share", nonnegative=True)
eta, b, c = sp.symbols("eta b c", positive=True)
#: Chances of an execution and of a perception error.
slip, glance, keeps = sp.symbols("e d k", nonnegative=True)
#: Shaping gradient; lines of payoffs: slope, baseline, strength, and chi = 1 / slope.
shaping, slope, baseline, phi, chi = sp.symbols("G s l phi chi", real=True)
#: The co-player's slope; the share of the way from 1/2 to a policy.
slope_2, determinism = sp.symbols("s_2 determinism", real=True)


def general(letter: str) -> tuple[Any, ...]:
    """Five free probabilities, e.g. p_0, p_CC, p_CD, p_DC, p_DD."""
    return tuple(sp.symbols([f"{letter}_{state}" for state in ("0", "CC", "CD", "DC", "DD")], nonnegative=True))


def reactive(letter: str) -> tuple[Any, ...]:
    """A policy that looks at the other's last action only: p_0, and p_C or p_D after it."""
    first, after_c, after_d = sp.symbols([f"{letter}_0", f"{letter}_C", f"{letter}_D"], nonnegative=True)
    return (first, after_c, after_d, after_c, after_d)


p0, p_cc, p_cd, p_dc, p_dd = general("p")
q0, q_cc, q_cd, q_dc, q_dd = general("q")
