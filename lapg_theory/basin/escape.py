"""How long agents stay at extortion: in closed form, where what is left of p_s0 and p_DD is small.

At E agents defect from the first move on, so what they do after cooperation is never seen among themselves: its visits
vanish with p_s0 and p_DD, and p_CC, p_CD, p_DC stay as naive learners have set them. In that limit the slope of state s0
or DD in logits is a_s p_s (1 - p_s) with a constant *drive*

    a_s = share G_s + (1 - share) mu_s (V_CD - V_DD),   mu_s0 = 1 / weight, mu_DD = 1 - 1 / weight,

so that plain ascent at `rate` has theta_s + sinh theta_s grow by rate a_s / 2 in a step: it takes
2 (theta + sinh theta - theta_0 - sinh theta_0) / (rate a_s) steps to theta, and in the end 1 / (rate a_s p_s). AdamW divides
by the size of the slope and takes about (theta - theta_0) / rate. Where no drive is positive E is never left.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import logit

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
