"""POLA with exact returns: LOLA whose steps are proximal, so that they depend on policies and not on their parameters.

A gradient step x + rate dJ/dx maximises J, made linear, less |x' - x|^2 / (2 rate): a distance between parameters. POLA
puts a divergence between policies in its place, for the step that the other is taken to make and for the own one:

    q'(p) = argmax_q J_2(p, q) - b_in D(q_0, q),     p' = argmax_p J_1(p, q'(p)) - b_out D(p_0, p),

D the mean over the five states of KL(old || new). Where J is made linear in the probabilities anew in every step, with slope G,
the argmax is closed: with c = b / 5, in each state the root in (0, 1) of G q (1 - q) = c (q - q_0), whose log-odds are

    logit q_0 + log((R + c + G) / (R + c - G)),     R^2 = (c - G)^2 + 4 G c q_0.

A fixed point of such steps is stationary for the penalised return itself. Each is made halfway only: whole ones go round and
round where a return is bent more than its penalty. For large b the way to the fixed point is G / c = dJ/dlogit / (c q (1 - q))
in log-odds, the natural gradient.

Source: Zhao, Lu, Grosse, Foerster, "Proximal learning with opponent-learning awareness", NeurIPS 2022 (arXiv 2210.10125).
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lapg_theory.exact.chain import Play, dot, from_logits, stacked, visit_distribution
from lapg_theory.exact.slopes import uphill
from lapg_theory.game import MIRROR, check_count
from lapg_theory.game.numbers import is_traced
from lapg_theory.learning.rule import Logits, Rate, Rule, Stage


def proximal(start: Float[Array, "..."], slope: Float[Array, "..."], penalty: Any) -> Float[Array, "..."]:
    """Where slope . q - penalty KL(start || q) is greatest, in each state; everything in log-odds but the slope."""
    size, way = jnp.abs(slope), jnp.where(slope < 0, -1.0, 1.0)
    product = 4 * penalty * size * jax.nn.sigmoid(way * start)
    root = jnp.sqrt((penalty - size) ** 2 + product)  # sums only: no difference of nearly equal numbers
    less = root + jnp.abs(penalty - size)
    less = jnp.where(size > penalty, product / less, less)  # root + penalty - size
    return start + way * (jnp.log(root + penalty + size) - jnp.log(less))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pola(Rule):
    """theta_1 += rate (theta_1' - theta_1), theta_1' the proximal step of J_1(theta_1, theta_2'(theta_1)); see the module.

    With a rate of 1 the step ends at theta_1'. (Zhao et al. 2022, NeurIPS.)

    Attributes:
        penalty: b_out, how dear it is to leave the own policy, in returns per step (or, without `normalize`, their sums).
        inner_penalty: b_in, how dear it is taken to be for the other to leave its own.
        steps: halfway steps with J_1, each linear anew; where more of them change nothing, they have arrived at the argmax.
        inner_steps: the same with J_2, differentiated through.

    Raises:
        ValueError: for a penalty that is no finite number > 0, or numbers of steps that are no integers >= 1.
    """

    penalty: Rate = 1.0
    inner_penalty: Rate = 1.0
    steps: int = 20
    inner_steps: int = 20

    def __post_init__(self):
        Rule.__post_init__(self)
        check_count("steps", self.steps)
        check_count("inner_steps", self.inner_steps)
        for name in ("penalty", "inner_penalty"):
            if not is_traced(value := getattr(self, name)) and value <= 0:
                raise ValueError(f"{name} must be > 0, got {value!r}; without a penalty a proximal step has no bound")

    def ascent(self, stage: Stage, own: Logits, other: Logits) -> Logits:
        """From the own policy to the proximal point."""

        def now(_, x):
            return (x + proximal(own, self._slope(stage, x, other), self.penalty / 5)) / 2

        return jax.lax.fori_loop(0, self.steps, now, own) - own

    def _slope(self, stage: Stage, own: Logits, other: Logits) -> Any:
        """d/dp of what is earned from the other after its proximal step."""
        p, rest = from_logits(own)

        def earned(move):
            ego = Play(*([x + sign * move[s] for s, x in enumerate(side)] for side, sign in ((p, 1), (rest, -1))))

            def learn(y, _):
                uphill_own = uphill(ego, from_logits(y).mirrored(), stage.other, stage.horizon)
                slope = stage.unit * stacked([uphill_own[s] for s in MIRROR])
                return (y + proximal(other, slope, self.inner_penalty / 5)) / 2, None

            learnt = jax.lax.scan(learn, other, length=self.inner_steps)[0]
            return stage.unit * dot(visit_distribution(ego, from_logits(learnt).mirrored(), stage.horizon), stage.own)

        return jax.grad(earned)(jnp.zeros_like(own))
