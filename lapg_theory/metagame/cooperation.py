"""Closed forms for when cooperation among one's own kind persists, and how far its basin reaches.

K = (1, 1, x, y, z): open with cooperation and keep to it; what it does after CD, DC and DD is never seen in self-play,
so naive learners alone set it. K is a fixed point as long as the partial gradient of self-play outweighs the pull of
shaping in the two states that are seen. With V_s the value of having just been in state s, both playing K, and G the
shaping gradient, the s0 component is p_eff G_s0 + (1 - p_eff) (1 - gamma) (V_CC - V_DC), so that

    p_critical = (1 - gamma)(V_CC - V_DC) / [(1 - gamma)(V_CC - V_DC) - G_s0]   where G_s0 < 0,

unless CC gives way before. On the edge from (0, 1, x, y, z) to K the partial gradient is linear in the opening, which
gives the boundary of the basin. In a noisy game self-play sees every state: K changes with the share of naive learners,
and below a share of them, too, it gives way, to policies that forgive. `lapg_theory.symbolic.metagame` has the values V_s
in closed form.
"""

import dataclasses

import numpy as np
from jaxtyping import Float

from lapg_theory.game import ALLC
from lapg_theory.game.show import brief
from lapg_theory.metagame.newton import settle
from lapg_theory.metagame.objective import Setting, partial, shaping
from lapg_theory.metagame.response import ascents, maximum

Five = Float[np.ndarray, " 5"]
HELD = np.array([1, 1, np.nan, np.nan, np.nan])


@dataclasses.dataclass(frozen=True)
class Cooperation:
    """The cooperative fixed point K of a pool.

    Attributes:
        policy: K itself.
        shaping: shaping gradient G at K, per step.
        partial: partial gradient of self-play at K, per step: positive where cooperating pays.
        temptation: partial gradient in s0 where the other opens with defection and both go on as K does.
        p_critical: effective share of naive learners up to which K is a fixed point.
    """

    policy: Five
    shaping: Five
    partial: Five
    temptation: float

    __repr__ = brief

    @property
    def p_critical(self) -> float:
        """Effective share of naive learners up to which K is a fixed point; 0 where it is none for any."""
        pull, hold = self.shaping[:2], self.partial[:2]
        if (hold < 0).any():
            return 0.0
        return float(min(h / (h - g) if g < 0 else 1.0 for g, h in zip(pull, hold, strict=True)))

    @property
    def forgiving_below(self) -> float:
        """Effective share of naive learners below which K gives way to a policy that mends what noise has broken.

        Self-play passes through CD, DC and DD after a slip, and there its partial gradient g may point off the bound on which
        naive learners hold K (their G): below g / (g - G) it wins. 0 without noise; 1 where nothing holds K.
        """
        inwards = np.where(self.policy <= 0, 1.0, np.where(self.policy >= 1, -1.0, 0.0))[2:]
        g, G = inwards * self.partial[2:], inwards * self.shaping[2:]
        return float(max((1.0 if b >= 0 else a / (a - b)) if a > 0 else 0.0 for a, b in zip(g, G, strict=True)))

    def basin_boundary(self, share: float) -> float:
        """The opening p_s0 on the edge to K at which the field changes sign, for an effective share of naive learners.

        x* = [share / (1 - share) |G_s0| - d] / (c - d), with c and d the partial gradients in s0 against an opening of
        1 and of 0. -inf where cooperation is reached from every opening, inf where K is no fixed point though x* < 1
        (it gives way after CC, or the field falls as the opening rises, as it may where T + S > 2R).

        Raises:
            ValueError: for a share outside [0, 1].
        """
        if not 0 <= share <= 1:
            raise ValueError(f"share must lie in [0, 1], got {share}")
        if share == 1:
            return np.inf
        slope = self.partial[0] - self.temptation
        boundary = float((-share / (1 - share) * self.shaping[0] - self.temptation) / slope)
        if share > self.p_critical:
            return boundary if slope > 0 and boundary >= 1 else np.inf
        return boundary if slope > 0 else -np.inf


def _read_only(values: Five) -> Five:
    """A copy that nobody can change: who asks for K twice is given the same one."""
    values = np.array(values)
    values.flags.writeable = False
    return values


def at(setting: Setting, policy: Five) -> Cooperation:
    """What the fate of `policy` as a cooperative fixed point depends on."""
    opening = policy[None] * [0, 1, 1, 1, 1]
    return Cooperation(
        policy=_read_only(policy),
        shaping=_read_only(shaping(setting, policy[None])[1][0]),
        partial=_read_only(partial(setting, policy[None], policy[None])[1][0]),
        temptation=float(partial(setting, opening, opening)[1][0, 0]),
    )


def settled(setting: Setting, policy: Five) -> Five:
    """K from the policy that is best among naive learners alone: itself without noise, since self-play never sees the rest.

    Under noise it does: what is strictly inside (0, 1) settles in the pool. What is 0 or 1 stays; `Cooperation.forgiving_below`
    says whether it would.
    """
    if setting.game.noise is None:
        return policy
    bound = (policy <= 0) | (policy >= 1)
    return settle(setting.own_units[0], policy[None], tolerance=1e-9, drag=0.1, held=bound)[0][0]


def near(setting: Setting, policy: Five) -> Cooperation:
    """K, found by ascent from a policy near it."""
    (end,) = ascents(setting._replace(share=1.0).own_units[0], policy, policy[None], HELD)
    return at(setting, settled(setting, end.policy))


def cooperation(setting: Setting, coarse: Setting) -> Cooperation:
    """K, found by ascent in what it does after CD, DC and DD, with what its fate depends on."""
    alone, coarse = (pool._replace(share=1.0).own_units[0] for pool in (setting, coarse))
    return at(setting, settled(setting, maximum(alone, coarse, np.array(ALLC), HELD)[0]))
