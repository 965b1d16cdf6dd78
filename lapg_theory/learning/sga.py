"""Symplectic gradient adjustment: follow the gradient, corrected for the rotation of the game."""

import dataclasses

import jax.numpy as jnp

from lapg_theory.learning.rule import Logits, Rate, Rule, Stage, game_jacobian


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sga(Rule):
    """Symplectic gradient adjustment: move along xi + s strength A^T xi, A = (H - H^T) / 2 of the game Jacobian H.

    The sign s aligns the adjustment so that it attracts to stable fixed points only. (Balduzzi et al. 2018, ICML,
    algorithm 1.)
    """

    strength: Rate = 1.0

    def ascent(self, stage: Stage, own: Logits, other: Logits) -> Logits:
        """The player's part of the adjusted gradient."""
        ascent, H = game_jacobian(stage, own, other)
        xi, H = -ascent, -H  # their losses
        adjustment = (H - H.T).T @ xi / 2
        slope = H.T @ xi  # gradient of |xi|^2 / 2
        sign = jnp.sign(jnp.dot(xi, slope) * jnp.dot(adjustment, slope) / 10 + 0.1)
        return -(xi + self.strength * sign * adjustment)[:5]
