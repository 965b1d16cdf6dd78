"""How long agents stay at extortion, where what is left of p_s0 and p_DD is small: inversely proportional to it.

At E agents defect from the first move on, so what they do after cooperation is hardly seen among themselves: visits to
those states, too, are proportional to p_s0 and p_DD. The slope of state s0 or DD in logits is a_s p_s (1 - p_s), with a *drive*

    a_s = share G_s + (1 - share) mu_s (V_CD - V_DD),   mu_s0 = 1 / weight, mu_DD = 1 - 1 / weight.

*Closed form*: as long as p_CC, p_CD, p_DC stay (they are near 0 or 1, or naive learners hold them) a_s is constant, plain
ascent at `rate` has theta_s + sinh theta_s grow by rate a_s / 2 in a step, and it takes
2 (theta + sinh theta - theta_0 - sinh theta_0) / (rate a_s) steps to theta: in the end 1 / (rate a_s p_s). AdamW divides by
the size of the slope and takes about (theta - theta_0) / rate.

*Limit flow*: in self-play alone, dividing time by p leaves a flow without a small number in it, in which p_CD and p_DC
grow along with p_s0 and p_DD; its blow-up time over p is the time to leave (`limit_time`), several times shorter than
the closed form where forgiveness is in between.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import expit, logit

from lapg_theory.basin.exact_pool import Numbers, Pool, like_oneself, with_naive
from lapg_theory.exact.precision import float64
from lapg_theory.game import DD, S0, check_policy

#: Log-odds that stand for never.
NEVER = -80.0


@functools.partial(jax.jit, static_argnames="updates")
def _drives(numbers: Numbers, theta: Any, share: Any, *, updates: int) -> Any:
    naive = with_naive(numbers, theta, updates, visits=False)
    return (share * naive.slope + (1 - share) * like_oneself(numbers, theta).slope).mean((1, 2))


@dataclasses.dataclass(frozen=True)
class Escape:
    """What pulls at E in the limit of a closed opening and no way out of mutual defection.

    Attributes:
        opening: the drive a_s0.
        forgiving: the drive a_DD.
    """

    opening: float
    forgiving: float

    def steps(self, p_s0: float, p_DD: float, rate: float | int, to: float = 0.5) -> float:
        """Steps of plain ascent until p_s0 or p_DD, whichever is first, has risen to `to`; inf where neither rises.

        Raises:
            ValueError: for probabilities that are not 0 < p < to < 1, or a rate that is not positive.
        """
        if not (0 < max(p_s0, p_DD) < to < 1 and min(p_s0, p_DD) > 0):
            raise ValueError(f"p_s0 and p_DD must lie above 0 and below to < 1, got {p_s0}, {p_DD} and {to}")
        if not rate > 0:
            raise ValueError(f"rate must be a learning rate > 0, got {rate}")
        return min(_time(a, p, to, rate) for a, p in ((self.opening, p_s0), (self.forgiving, p_DD)))


def _time(drive: float, p: float, to: float, rate: float) -> float:
    if drive <= 0:
        return np.inf
    start, end = logit(p), logit(to)
    return float(2 * (end + np.sinh(end) - start - np.sinh(start)) / (rate * drive))


@jax.jit
def _self_play(numbers: Numbers, theta: Any) -> Any:
    return like_oneself(numbers, theta).slope


#: Stands for what is infinitely small in the limit flow; and how far that is followed.
SMALL, GROWTH, STRIDE = 1e-9, 1e4, 0.03


def limit_time(pool: Pool, policy: Any) -> float:
    """Steps x rate that plain ascent in self-play alone takes to leave E, in the limit of small p_s0 and p_DD.

    Heun's method on the limit flow in (ln p_s0, ln p_DD, logits of the rest), each step as long as nothing changes by
    more than STRIDE, until p_s0 or p_DD has grown by GROWTH; inf where both have fallen by as much.

    Args:
        pool: its game and horizon count.
        policy: five cooperation probabilities strictly inside (0, 1), with small p_s0 and p_DD.

    Raises:
        ValueError: for another policy.
    """
    policy = check_policy("policy", policy)
    if not ((policy > 0) & (policy < 1)).all():
        raise ValueError(f"policy must lie strictly between 0 and 1 (logits never leave 0 and 1), got {policy}")
    ends, size = [S0, DD], max(policy[[S0, DD]])
    y = logit(policy)
    y[ends] = np.log(policy[ends] / size)

    def flow(y):
        p = expit(y)
        p[ends] = SMALL * np.exp(y[ends])
        slope = np.asarray(_self_play(numbers, jnp.asarray(logit(p)[:, None, None])))[:, 0, 0]
        return p * (1 - p) * slope / SMALL

    time = 0.0
    with float64():
        numbers = pool.traced
        for _ in range(5000):
            first = flow(y)
            step = STRIDE / np.abs(first).max()
            y = y + step / 2 * (first + flow(y + step * first))
            time += step
            if y[ends].max() > np.log(GROWTH):
                return float(time / size)
            if y[ends].max() < -np.log(GROWTH):
                break
    return np.inf


def escape(pool: Pool, policy: Any, share: float | int) -> Escape:
    """The drives at the limit E of a policy: as it is, but with p_s0 = p_DD = 0; mean over the runs of the pool.

    Args:
        pool: whom agents meet.
        policy: five cooperation probabilities, of which those after CC, CD and DC count.
        share: effective share of naive learners.

    Raises:
        ValueError: for what is no policy, or a share outside [0, 1].
    """
    policy = check_policy("policy", policy)
    if not 0 <= share <= 1:
        raise ValueError(f"share must lie in [0, 1], got {share}")
    theta = logit(np.clip(policy, 1e-15, 1 - 1e-15))
    theta[[S0, DD]] = NEVER
    with float64():
        numbers = pool.traced
        every = np.broadcast_to(theta[:, None, None], (5, numbers.learners.shape[1], 1))
        found = np.asarray(_drives(numbers, jnp.asarray(every), float(share), updates=pool.updates))
    return Escape(float(found[S0]), float(found[DD]))
