"""What cooperating is worth to an agent that defects but for noise, and how it moves a naive learner: by differentiation.

Where actions slip or are mistaken a defector passes through all five states, every component of the gradient counts, and
no component of the learner's policy is frozen; so there is no closed form as in `closed_form`, which this stands in for.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.special import logit

from lapg_theory.exact.chain import from_logits, from_probabilities, payoffs, stacked, traceable
from lapg_theory.exact.precision import float64
from lapg_theory.exact.slopes import products, slopes
from lapg_theory.game import CC, CD, MIRROR, STATES, Discounted, MatrixGame

WIDTH = 1024  # learners that the kernel takes at once


@functools.partial(jax.jit, static_argnames="logits")
def _velocity(theta: Any, u: Any, p: Any, ways: Any, rewards: Any, horizon: Any, *, logits: bool) -> tuple[Any, ...]:
    """What `NoisyFace.velocity` gives; `ways` [s, 5] are the directions of p."""

    def field(p, theta):
        learner = from_logits(theta) if logits else from_probabilities(theta)
        scale = products(*learner) if logits else [1.0] * 5
        ego = from_probabilities(jnp.broadcast_to(p[:, None], theta.shape))
        own, other = slopes(ego, learner.mirrored(), rewards, horizon)
        back = [stacked([scale[s] * by.column[MIRROR[s]] for s in range(5)]) for by in (own, other)]
        return back[1], stacked(own.row), back[0]

    def turned(way, move):
        return jax.jvp(field, (p, theta), (way, move))[1][0]

    uphill, by_p, by_theta = field(p, theta)
    now = jnp.einsum("sk,kn->sn", ways, by_p)
    return uphill, jax.vmap(turned)(ways, u), now, (by_theta * u).sum(1)


class NoisyFace:
    """`DefectionFace` in a noisy game: the same arguments and methods, with k over all five states of the learner."""

    def __init__(
        self,
        game: MatrixGame,
        gamma: float,
        policies: Float[np.ndarray, "n 5"],
        *,
        p_cc: float = 0.0,
        p_cd: float = 0.0,
        states: tuple[int, ...] = tuple(range(len(STATES))),
        space: str = "logit",
    ):
        self.logits, self.rows = space == "logit", list(states)
        self.start = logit(policies.T) if self.logits else policies.T
        policy = np.zeros(5)
        policy[[CC, CD]] = p_cc, p_cd
        rewards = (payoffs(game), payoffs(game, 1))
        horizon = traceable(Discounted(gamma), game)
        fixed = {"p": policy, "ways": np.eye(5)[self.rows], "rewards": rewards, "horizon": horizon}
        self._kernel = functools.partial(_velocity, **fixed, logits=self.logits)

    def velocity(self, theta: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, ...]:
        """The naive gradient [k, n], its derivative by p_s [s, k, n], and two parts of the agent's dJ/dp_s [s, n]."""
        n = theta.shape[-1]
        wide = -(-n // WIDTH) * WIDTH if n > 1 else 1
        theta, u = (np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, wide - n)], mode="edge") for x in (theta, u))
        with float64():
            chunks = [slice(i, i + WIDTH) for i in range(0, wide, WIDTH)]
            found = [self._kernel(theta[..., chunk], u[..., chunk]) for chunk in chunks]
            return tuple(
                np.concatenate([np.asarray(x) for x in part], -1)[..., :n] for part in zip(*found, strict=True)
            )

    def clip(self, theta: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities held at the edge of [0, 1], where they no longer depend on p; logits as they are."""
        if self.logits:
            return theta, u
        return np.clip(theta, 0.0, 1.0), np.where((theta > 0) & (theta < 1), u, 0.0)
