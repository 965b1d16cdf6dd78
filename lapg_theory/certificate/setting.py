"""What a certificate is about: a game, a discount, a way of naive learning, and the pool it happens in."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float

from lapg_theory.certificate.closed_form import VISITED, DefectionFace, learn
from lapg_theory.game import ALLD, CD, DD, STATES, MatrixGame


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

    @property
    def states(self) -> tuple[int, ...]:
        """The states in which the gradient at mutual defection can differ from zero; noise leads to all of them."""
        return VISITED if self.game.noise is None else tuple(range(len(STATES)))

    def face(self, policies: Float[np.ndarray, "n 5"], *, gamma: float | None = None, **face: Any) -> Any:
        """The defector and these learners; `face` as for `DefectionFace`."""
        kind = DefectionFace
        if self.game.noise is not None:
            from lapg_theory.certificate import noisy_face  # loads JAX

            kind = noisy_face.NoisyFace
        face.setdefault("space", self.space)
        return kind(self.game, self.gamma if gamma is None else gamma, policies, **face)

    def shaping(
        self, policies: Float[np.ndarray, "n 5"], rate: Any, *, gamma: float | None = None, **face: Any
    ) -> Float[np.ndarray, "2 s n"]:
        """Both parts of the shaping gradient per step against every learner; `face` as for `DefectionFace`."""
        return learn(self.face(policies, gamma=gamma, **face), rate, self.updates)

    def against_itself(self, p_cc: float = 0.0, p_cd: float = 0.0) -> np.ndarray:
        """Partial gradient per step at `states` of the agent against its like, both at (0, p_CC, p_CD, 0, 0)."""
        other = np.array([ALLD])
        other[0, 1:3] = p_cc, p_cd
        return learn(self.face(other, p_cc=p_cc, p_cd=p_cd, space="probability"), 0.0, 0)[0][:, 0]

    def mixed(self, shaping: np.ndarray, itself: np.ndarray) -> np.ndarray:
        """Gradient in the mixed pool: the share `p_naive` of the shaping gradient, the rest against its like."""
        return self.p_naive * shaping + (1 - self.p_naive) * itself
