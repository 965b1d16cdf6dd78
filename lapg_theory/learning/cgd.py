"""Competitive gradient descent: each player steps in view of the other's step."""

import dataclasses

import jax.numpy as jnp

from lapg_theory.learning.rule import Logits, Rate, Rule, Stage, game_jacobian, off_diagonal


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cgd(Rule):
    """Competitive gradient descent: the Nash equilibrium of the regularised bilinear approximation of the game.

    theta += rate (I - inner_rate H_o)^-1 xi, H_o the off-diagonal blocks of the game Jacobian, in the signs of ascent.
    (Schäfer & Anandkumar 2019, NeurIPS; there inner_rate = rate.)
    """

    inner_rate: Rate = 1.0

    def ascent(self, stage: Stage, own: Logits, other: Logits) -> Logits:
        """The player's part of the equilibrium step."""
        xi, H = game_jacobian(stage, own, other)
        return jnp.linalg.solve(jnp.eye(10, dtype=xi.dtype) - self.inner_rate * off_diagonal(H), xi)[:5]
