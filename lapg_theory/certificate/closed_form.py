"""What cooperating once is worth to an agent that otherwise defects, and how it moves a naive learner: closed forms.

Against an agent that never cooperates only three numbers of the learner matter for its own play: q0, a = q_CD and d =
q_DD. Where it cooperates with probability y now, its discounted number of cooperations from now on is

    X(y) = (y + gamma d / (1 - gamma)) / D,   D = 1 - gamma (a - d);   X = X(q0),   Y = 1 / (1 - gamma) - X.

The agent's discounted visits to s0, DC, DD are mu = (1, gamma X, gamma Y), and the learner cooperates there with
probability z = (q0, a, d). Cooperating there starts an *excursion* that lasts while the agent keeps cooperating (with
p_CC, p_CD; both zero at unconditional defection). It pays r(z), uses up the share m(z) of the discount weight, and
hands back a learner that cooperates with weight y(z); all three are linear in z. For the payoffs c of either player,
cells in the agent's view,

    dJ/dp_s = mu_s [ r(z) - m(z) c_DD / (1 - gamma) + (c_DC - c_DD) G(z) ],   G(z) = (y(z) - z - m(z) gamma d / (1 -
    gamma)) / D.

The learner's CC and DC are never visited, so they do not change; the agent's components CC and CD are identically zero.
Axes: s over the agent's states s0, DC, DD; k over the learner's own s0, CD, DD that go with them; n over learners.
"""

from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import expit, logit

from lapg_theory.game import CC, DC, DD, MIRROR, S0, MatrixGame

#: The agent's states in which the gradient can differ from zero, and the learner's states that go with them.
VISITED = (S0, DC, DD)
PLAYED = tuple(MIRROR[state] for state in VISITED)
#: Coordinates in which a naive learner may follow its gradient.
SPACES = ("logit", "probability")

Pair = tuple[np.ndarray, ...]  # a quantity linear in z, at z = 1 and at z = 0


def _at(pair: Pair, z: np.ndarray) -> np.ndarray:
    return z * pair[0] + (1 - z) * pair[1]


class DefectionFace:
    """A row player at p = (0, p_CC, p_CD, 0, 0) and column players that learn, everything per step (times 1 - gamma).

    `policies` are the learners' initial policies in their own view; `states` the components wanted, out of `VISITED`;
    `space` says whether the learner follows its gradient in "logit" or in "probability" coordinates.
    """

    def __init__(
        self,
        game: MatrixGame,
        gamma: float,
        policies: Float[np.ndarray, "n 5"],
        *,
        p_cc: float = 0.0,
        p_cd: float = 0.0,
        states: tuple[int, ...] = VISITED,
        space: str = "logit",
    ):
        self.gamma, self.weight, self.logits = gamma, 1 / (1 - gamma), space == "logit"
        self.rows = [VISITED.index(state) for state in states]
        played = policies[:, list(PLAYED)].T
        self.start = logit(played) if self.logits else played
        q_cc, q_dc = policies[:, CC], policies[:, DC]
        # K: from cell j = CC, CD of an excursion to cell i; E = (I - K)^-1 counts the visits
        k = gamma * np.array([[p_cc * q_cc, p_cd * q_dc], [p_cc * (1 - q_cc), p_cd * (1 - q_dc)]])
        visits = np.linalg.inv(np.eye(2) - k.T).T
        leave = gamma * np.array([1 - p_cc, 1 - p_cd])

        def total(by_cell) -> Pair:
            """Of a whole excursion, from what each visit to CC and to CD is worth."""
            return tuple(by_cell[0] * visits[0] + by_cell[1] * visits[1])

        self.lost = tuple(1 - kept for kept in total(leave))
        self.resumed = total(leave[:, None] * np.stack([q_cc, q_dc]))
        own = game.column_payoffs
        self.gains, self.paid = [], []
        for cells in (game.row_payoffs, [own[state - 1] for state in MIRROR[1:]]):
            cc, cd, dc, dd = (float(payoff) for payoff in cells)
            self.gains.append(dc - dd)
            self.paid.append(tuple(r - m * dd * self.weight for r, m in zip(total((cc, cd)), self.lost, strict=True)))

    def policy(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray | float, np.ndarray | float]:
        """The learners' probabilities q0, q_CD, q_DD at coordinates `theta`, with first and second derivatives."""
        if not self.logits:
            return theta, 1.0, 0.0
        q = expit(theta)
        slope = q * (1 - q)
        return q, slope, slope * (1 - 2 * q)

    def velocity(self, theta: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The naive gradient [k, n], its derivative by p_s [s, k, n], and two parts of the agent's dJ/dp_s [s, n].

        `theta` are the learners' coordinates [k, n], `u` their derivatives by p_s [s, k, n]. The parts: what
        cooperating does to this inner episode, and what it has done to the learner.
        """
        g, ahead = self.gamma, self.gamma * self.weight
        q, slope, curve = self.policy(theta)
        D = 1 - g * (q[1] - q[2])
        X = (q[0] + ahead * q[2]) / D
        Y = self.weight - X
        bend = np.stack([0 * D, g / D, -g / D])  # d log(1 / D) / dq_k
        X_k = np.stack([1 / D, bend[1] * X, bend[1] * Y])
        mu, mu_k = D * X_k, np.stack([0 * X_k, g * X_k, -g * X_k])
        mu, mu_k, z = mu[self.rows], mu_k[self.rows], q[self.rows]
        lost = _at(self.lost, z)
        G = (_at(self.resumed, z) - z - lost * ahead * q[2]) / D
        worth = [_at(paid, z) + gain * G for paid, gain in zip(self.paid, self.gains, strict=True)]
        worth_k = self.gains[1] * self._change_of_g(G, lost, bend, q[2], D)
        for i, row in enumerate(self.rows):
            worth_k[i, row] += self.paid[1][0] - self.paid[1][1]
        moved = slope * u
        by_bend, by_x = (bend * moved).sum(1), (X_k * moved).sum(1)
        X_ku = np.stack([by_bend / D, bend[1] * (by_bend * X + by_x), bend[1] * (by_bend * Y - by_x)], axis=1)
        pull = self.gains[1] / self.weight
        uphill = pull * slope * X_k
        turn = pull * (slope * X_ku + curve * u * X_k)
        turn += slope * (mu_k * worth[1][:, None] + mu[:, None] * worth_k) / self.weight
        return uphill, turn, mu * worth[0] / self.weight, self.gains[0] * by_x / self.weight

    def clip(self, theta: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities held at the edge of [0, 1], where they no longer depend on p; logits as they are."""
        if self.logits:
            return theta, u
        return np.clip(theta, 0.0, 1.0), np.where((theta > 0) & (theta < 1), u, 0.0)

    def _change_of_g(self, G, lost, bend, d, D) -> np.ndarray:
        """dG(z_s)/dq_k, [s, k, n]."""
        ahead = self.gamma * self.weight
        change = G[:, None] * bend
        change[:, 2] -= lost * ahead / D
        by_z = self.resumed[0] - self.resumed[1] - 1 - (self.lost[0] - self.lost[1]) * ahead * d
        for i, row in enumerate(self.rows):
            change[i, row] += by_z / D
        return change


def learn(face: Any, rate: Any, updates: int) -> Float[np.ndarray, "2 s n"]:
    """Mean over the inner episodes 0..updates of the two parts of dJ/dp_s, for naive steps of size `rate`.

    `face` is a `DefectionFace`, or a `NoisyFace`.
    `rate` is a number or one number a learner, [n], on returns per step.
    """
    theta, u = face.start, np.zeros((len(face.rows), *face.start.shape))
    total = np.zeros((2, len(face.rows), theta.shape[1]))
    for update in range(updates + 1):
        uphill, turn, *parts = face.velocity(theta, u)
        total += parts
        if update < updates:
            theta, u = face.clip(theta + rate * uphill, u + rate * turn)
    return total / (updates + 1)
