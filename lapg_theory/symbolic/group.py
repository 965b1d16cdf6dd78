"""Critical learning time in groups, in symbols: to first order around naive learners that toss coins.

Contributing costs c, is multiplied by r and shared by N: it gives everybody B = r c / N and the contributor -C, C = c -
B. One agent and N - 1 - k others defect, k naive learners toss a coin at every step. Let b_l be the chance that l of a
learner's k - 1 fellow learners cooperate, s the sum of b_l^2 and S = (1 - gamma)^2 + gamma^2 s / 2, the squared weights
of a learner's states. The agent starts to answer j cooperating learners with C. To first order in the learning time t the
gradient of its return is, for each time that it is in that state,

    -C + t / 16 [2 (2 j - k) (B^2 + C^2) S + gamma^2 B C s],

    2 (2 j - k) B^2 S   learners come to cooperate, for then j fellows are likelier, who are rewarded,
    2 (2 j - k) C^2 S   learners drift to defection, so that what is lost in this state is lost more rarely (or more often),
    gamma^2 B C s       half of it: answering moves learners into states in which they have learnt less of defection; the other
                        half: in which they will.

Its mean over a course of learning is zero at the critical time. N enters by B and C alone, k by s, about 1 / sqrt(pi k).
"""

import sympy as sp

from lapg_theory.symbolic.symbols import c, gamma
from lapg_theory.symbolic.thresholds import Statement

N, r = sp.symbols("N r", positive=True)


def critical_time(naive: int, rewarded: int | None = None) -> Statement:
    """Total naive learning time (rate on returns per step x updates) from which on it pays to reward j of k learners' C.

    j is `rewarded`, by default all k. For N = 2, B = b and C = c it is 32 c / [(b^2 + c^2)(3 gamma^2 - 4 gamma + 2) + b c
    gamma^2]; for gamma -> 1, 32 C / (s [(2 j - k)(B^2 + C^2) + B C]).

    Raises:
        ValueError: unless 0 <= rewarded <= naive and naive >= 1.
    """
    j = naive if rewarded is None else rewarded
    if not 0 <= j <= naive or naive < 1:
        raise ValueError(f"rewarded must lie between 0 and naive, naive at 1 or more, got {rewarded} of {naive}")
    s = sp.binomial(2 * naive - 2, naive - 1) / sp.Integer(4) ** (naive - 1)
    B = r * c / N
    C, S = c - B, (1 - gamma) ** 2 + gamma**2 * s / 2
    time = 32 * C / (2 * (2 * j - naive) * (B**2 + C**2) * S + gamma**2 * B * C * s)
    return Statement(f"critical time, {j} of {naive}", "total naive learning time in a public good", sp.factor(time))
