"""Best replies: the memory-one policy that earns most in a pool whose other agents all play one policy."""

import dataclasses
import itertools

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize
from scipy.stats import qmc

from lapg_theory.metagame.objective import Policies, Setting, pooled

Five = Float[np.ndarray, " 5"]


@dataclasses.dataclass(frozen=True)
class Response:
    """The best memory-one reply found.

    Attributes:
        policy: its five cooperation probabilities.
        value: what it earns per step in the pool.
        gain: how much more than a copy of the others earns; at an equilibrium zero.
        tolerance: the gain below which the others' policy counts as a best reply to itself.
    """

    policy: Five
    value: float
    gain: float
    tolerance: float


def ascend(setting: Setting, q: Five, start: Five, held: Five | None = None) -> tuple[Five, float]:
    """Local maximum, by L-BFGS-B, of what a policy earns against q; coordinates not NaN in `held` stay there."""
    bounds = [(0, 1) if held is None or np.isnan(h) else (h, h) for h in (q if held is None else held)]

    def loss(p):
        value, slope = pooled(setting, p[None], q[None])
        return -value[0], -slope[0]

    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-15, "gtol": 1e-8})
    return found.x, -found.fun


def candidates(setting: Setting, q: Five, held: Five | None = None) -> Policies:
    """Corners of the cube and Sobol points, best first: starts for `ascend`."""
    corners = np.array(list(itertools.product((0.02, 0.98), repeat=5)))
    p = np.concatenate([corners, qmc.Sobol(5, rng=np.random.default_rng(0)).random(32), q[None]])
    if held is not None:
        p = np.where(np.isnan(held), p, held)
    value = pooled(setting, p, np.broadcast_to(q, p.shape))[0]
    return p[np.argsort(-value)]


def maximum(
    setting: Setting, coarse: Setting, q: Five, held: Five | None = None, starts: int = 5
) -> tuple[Five, float]:
    """The best of several ascents with few learners, improved with all of them."""
    tries = [ascend(coarse, q, start, held) for start in candidates(coarse, q, held)[:starts]]
    best = max(tries, key=lambda found: found[1])[0]
    return ascend(setting, q, best, held)


def best_response(setting: Setting, coarse: Setting, q: Five, starts: int = 5) -> Response:
    """The best reply to q found, or q itself where nothing better was."""
    copy = float(pooled(setting, q[None], q[None])[0][0])
    policy, value = maximum(setting, coarse, q, starts=starts)
    if value <= copy:
        policy, value = q, copy
    return Response(policy, float(value), float(value - copy), 1e-4 * float(np.ptp(setting.game.row_payoffs)))
