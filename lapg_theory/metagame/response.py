"""Best replies: the memory-one policy that earns most in a pool whose other agents all play one policy."""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from lapg_theory.metagame.objective import Policies, Setting, pooled
from lapg_theory.shaping.climb import End, climb_abreast, highest
from lapg_theory.shaping.initialisations import t_quantile
from lapg_theory.shaping.sobol import sobol

Five = Float[np.ndarray, " 5"]


REACH = 0.1  # longest first step of an ascent


@dataclasses.dataclass(frozen=True)
class Response:
    """The best memory-one reply found.

    Attributes:
        policy: its five cooperation probabilities.
        value: what it earns per step in the pool.
        gain: how much more than a copy of the others earns; at an equilibrium zero (a little below where the best other
            policy is so near to earning as much that quadrature cannot tell).
        error: quadrature standard error of `gain`, from other scramblings of the initial learners.
        tolerance: the gain below which the others' policy counts as a best reply to itself.
        margin: half the 95% interval of `gain`: `error` times the quantile of Student's t for so few scramblings.
    """

    policy: Five
    value: float
    gain: float
    error: float
    tolerance: float
    margin: float

    @property
    def nash(self) -> bool | None:
        """Whether the others' policy is a best reply to itself; None where the limit lies within the gain's margin."""
        if abs(self.gain - self.tolerance) <= self.margin:
            return None
        return self.gain < self.tolerance


def ascents(setting: Setting, q: Five, starts: Policies, held: Five | None = None) -> list[End]:
    """Local maxima of what a policy earns against q, from `starts` [k, 5]; coordinates not NaN in `held` stay there.

    What each earns is measured in such units that the first step is at most REACH long, or it would leap to another hill.
    """
    bounds = [(0, 1) if held is None or np.isnan(h) else (h, h) for h in (q if held is None else held)]

    def gain(p):
        return pooled(setting, p, np.broadcast_to(q, p.shape))

    units = np.minimum(1.0, REACH / np.maximum(np.abs(gain(starts)[1]).max(1), 1e-300))
    return climb_abreast(gain, starts, units=units, bounds=bounds, ftol=1e-15, gtol=1e-8)


def candidates(setting: Setting, q: Five, held: Five | None = None) -> Policies:
    """Corners of the cube and Sobol points, starts for `ascents`: near ALLC, then by turns the best that open C and D.

    What differs from a better one in a single likely action is left to the end: with the best alone, every ascent may
    climb one hill. Against extortioners the best reply is near ALLC, and no start near it looks promising.
    """
    corners = np.array(list(itertools.product((0.02, 0.98), repeat=5)))
    p = np.concatenate([corners, sobol(32, 5, np.random.default_rng(0)), q[None]])
    if held is not None:
        p = np.where(np.isnan(held), p, held)
    value = pooled(setting, p, np.broadcast_to(q, p.shape))[0]
    p = p[np.argsort(-value)]
    likely, kept = p > 0.5, []
    for i in range(len(p)):
        if all((likely[i] != likely[k]).sum() >= 2 for k in kept):
            kept.append(i)
    opens = [[k for k in kept if likely[k, 0] == first] for first in (likely[0, 0], not likely[0, 0])]
    order = [k for pair in itertools.zip_longest(*opens) for k in pair if k is not None]
    allc = int(np.abs(p - 0.98).max(1).argmin())
    return p[[allc, *(k for k in (*order, *sorted(set(range(len(p))) - set(kept))) if k != allc)]]


def maximum(
    setting: Setting, coarse: Setting, q: Five, held: Five | None = None, starts: int = 5
) -> tuple[Five, float]:
    """The best of several ascents with few learners, improved with all of them."""
    best = highest(ascents(coarse, q, candidates(coarse, q, held)[:starts], held))
    (end,) = ascents(setting, q, best.policy[None], held)
    return end.policy, end.value


def best_response(others: Sequence[Setting], coarse: Setting, q: Five, starts: int = 7) -> Response:
    """The best reply to q in the first of `others`, or q itself where nothing else comes near.

    The rest of `others`, the same pool with other initial learners, say how far quadrature may be off.
    """
    scale = others[0].own_units[1]
    coarse, *others = (setting.own_units[0] for setting in (coarse, *others))
    setting, unit = others[0], float(np.ptp(others[0].game.row_payoffs))
    tries = ascents(coarse, q, candidates(coarse, q)[:starts])
    best = highest(tries)
    ends = ascents(setting, q, best.policy[None])
    rivals = [x for x in tries if np.abs(x.policy - q).max() > 0.05 and x.value > best.value - 0.01 * unit]
    if rivals and np.abs(ends[0].policy - q).max() <= 0.05:
        ends += ascents(setting, q, highest(rivals).policy[None])
    p = np.array([q] + [end.policy for end in ends])
    value = np.array([pooled(other, p, np.broadcast_to(q, p.shape))[0] for other in others])
    gain, error = value[0] - value[0, 0], (value - value[:, :1]).std(0, ddof=1)
    margin = t_quantile(len(others)) * error
    k = int((gain + margin).argmax())
    if gain[k] <= 0 and gain[k] + margin[k] <= 1e-4 * unit:
        k = 0
    slopes = (scale.unit * float(x) for x in (gain[k], error[k], 1e-4 * unit, margin[k]))
    return Response(p[k], float(scale.level(value[0, k])), *slopes)
