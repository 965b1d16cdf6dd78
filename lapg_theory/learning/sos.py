"""Stable opponent shaping: LOLA where it is safe, look-ahead where it is not."""

import dataclasses

import jax.numpy as jnp

from lapg_theory.learning.rule import Logits, Rate, Rule, Stage, game_jacobian, off_diagonal, partials


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sos(Rule):
    """Stable opponent shaping: interpolate between look-ahead and LOLA so that convergence is kept.

    With alpha = `inner_rate`, H_o the off-diagonal blocks of the game Jacobian, in losses: xi_0 = (I - alpha H_o) xi
    (look-ahead), chi = diag(H_o^T grad L) (shaping), step along xi_0 - p alpha chi, p by the two criteria with
    constants a and b. (Letcher et al. 2019, ICLR, algorithm 1.)
    """

    inner_rate: Rate = 1.0
    a: Rate = 0.5
    b: Rate = 0.1

    def ascent(self, stage: Stage, own: Logits, other: Logits) -> Logits:
        """The player's part of the interpolated gradient."""
        ascent, H = game_jacobian(stage, own, other)
        found = partials(stage, own, other)
        xi, cross = -ascent, -off_diagonal(H)
        # chi_1 = (d xi_2 / d theta_1)^T dL_1/dtheta_2 and the same with the players exchanged
        chi = cross.T @ -jnp.concatenate([found.other_by_own, found.own_by_other])
        ahead = xi - self.inner_rate * cross @ xi
        shaping = -self.inner_rate * chi
        along = jnp.dot(shaping, ahead)
        safe = jnp.where(along < 0, -along, 1)
        first = jnp.where(along < 0, jnp.minimum(1, self.a * jnp.dot(ahead, ahead) / safe), 1)
        length = jnp.linalg.norm(xi)
        second = jnp.where(length < self.b, length**2, 1)
        return -(ahead + jnp.minimum(first, second) * shaping)[:5]
