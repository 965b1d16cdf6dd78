"""What a certificate is about: a game, a discount, a way of naive learning, and the pool it happens in."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float

from lapg_theory.certificate.closed_form import DefectionFace, learn
from lapg_theory.game import ALLD, CD, DD, MatrixGame


@dataclasses.dataclass(frozen=True, eq=False)
class Setting:
    """A checked question: agents of the row player's kind, of which a share `p_naive` of co-players learns naively.

    `learners` are initial policies over the three probabilities that are played against a defector, `everywhere` over
    all five, `refined` too, with eight times as many; all [scramblings, nodes, 5]. `eta` acts on returns per step.
    """

    game: MatrixGame
    gamma: float
    eta: float
    updates: int
    p_naive: float
    space: str
    learners: Float[np.ndarray, "scramblings nodes 5"]
    everywhere: Float[np.ndarray, "scramblings more 5"]
    refined: Float[np.ndarray, "scramblings most 5"]

    @property
    def loss(self) -> float:
        """What the learner loses by cooperating with a defector, P - S."""
        own = [float(payoff) for payoff in self.game.column_payoffs]
        return own[DD - 1] - own[CD - 1]

    @property
    def spread(self) -> float:
        """Largest minus smallest payoff of the learner: learning rates and times scale with its inverse."""
        own = [float(payoff) for payoff in self.game.column_payoffs]
        return max(own) - min(own)

    def shaping(
        self, policies: Float[np.ndarray, "n 5"], rate: Any, *, gamma: float | None = None, **face: Any
    ) -> Float[np.ndarray, "2 s n"]:
        """Both parts of the shaping gradient per step against every learner; `face` as for `DefectionFace`."""
        gamma = self.gamma if gamma is None else gamma
        return learn(DefectionFace(self.game, gamma, policies, space=self.space, **face), rate, self.updates)

    def against_itself(self, p_cc: float = 0.0, p_cd: float = 0.0) -> np.ndarray:
        """Partial gradient per step at s0, DC, DD of the agent against its like, both at (0, p_CC, p_CD, 0, 0)."""
        other = np.array([ALLD])
        other[0, 1:3] = p_cc, p_cd
        face = DefectionFace(self.game, self.gamma, other, p_cc=p_cc, p_cd=p_cd, space="probability")
        return learn(face, 0.0, 0)[0][:, 0]

    def mixed(self, shaping: np.ndarray, itself: np.ndarray) -> np.ndarray:
        """Gradient in the mixed pool: the share `p_naive` of the shaping gradient, the rest against its like."""
        return self.p_naive * shaping + (1 - self.p_naive) * itself
