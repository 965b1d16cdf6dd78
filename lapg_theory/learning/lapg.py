"""Learning-aware policy gradients: shape naive learners, play other learning-aware agents, or both in a mixed pool."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np

from lapg_theory.exact.chain import from_logits, stacked
from lapg_theory.game import MOST_UPDATES, check_count
from lapg_theory.learning.rule import Logits, Rate, Rule, Share, Stage, partials
from lapg_theory.shaping.course import value_and_slope
from lapg_theory.shaping.initialisations import sobol_logits
from lapg_theory.shaping.weighting import Weighting, effective_p_naive


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lapg(Rule):
    """theta_i += rate [p_eff dJ_shaping/dtheta_i + (1 - p_eff) dJ_i/dtheta_i]: the learning-aware policy gradient.

    With p_naive = 1 it shapes naive learners and the other player plays no part; below, it learns in a mixed pool.
    J_shaping is the mean over a naive learner's inner episodes and over the initial learners; the second term is the
    partial gradient against the other agent. (Meulemans et al. 2025, arXiv 2410.18636.)

    Attributes:
        p_naive: share of naive learners in the pool, effective as it stands for "mean"; see `effective_p_naive`.
        weighting: "mean" or "sum" over the inner episodes.
        eta: the naive learning rate, on returns per step if `normalize`.
        updates: number of naive updates.
        learners: initial naive logits, [n, 5]; by default 64 scrambled Sobol points for N(0, 1).
    """

    p_naive: Share = 1.0
    weighting: Weighting = "mean"
    eta: Rate = 1.0
    updates: int = 20
    learners: Any = dataclasses.field(default=None, repr=False)

    def __post_init__(self):
        Rule.__post_init__(self)
        check_count("updates", self.updates, least=0, most=MOST_UPDATES)
        effective_p_naive(self.p_naive, self.updates, self.weighting)
        learners = np.asarray(sobol_logits(64) if self.learners is None else self.learners, dtype=float)
        if learners.ndim != 2 or learners.shape[1] != 5:
            raise ValueError(f"learners must be logits of shape [n, 5], got {learners.shape}")
        object.__setattr__(self, "learners", tuple(map(tuple, learners.tolist())))  # hashable

    def ascent(self, stage: Stage, own: Logits, other: Logits) -> Logits:
        """The pool's gradient."""
        share = effective_p_naive(self.p_naive, self.updates, self.weighting)
        ego, start = from_logits(own), jnp.asarray(self.learners, own.dtype).T
        rewards, rate = (stage.own, stage.other), self.eta * stage.unit
        _, slope = value_and_slope(ego, start, rewards, stage.horizon, rate, self.updates)
        shaping = stage.unit * stacked(ego.cooperate) * stacked(ego.defect) * slope.mean(-1)
        return share * shaping + (1 - share) * partials(stage, own, other).own_by_own
