"""REINFORCE on probabilities: the smallest naive learner, whose every step is a rational function of the play."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lapg_rl.play.rollout import Trajectory


class ReinforceLearner(eqx.Module):
    """A memory-one learner that climbs its own return in probability space; no network, no optimiser.

    It plays games in which what is seen is a one-hot: 2x2 games, those of groups, and those of k actions.
    After each inner episode, with G_t its undiscounted reward to go and q its probabilities of cooperating,

        q_k += alpha / B sum_b sum_t [state k at t] (1[C] / q_k - 1[D] / (1 - q_k)) G_t,

    all of them then clipped to [clip, 1 - clip]. Its identity in `init` is the first q, strictly between 0 and 1. In
    expectation the step is alpha dJ/dq (Williams 1992); small problems against it can be enumerated.

    With k actions its identity is a table [states, k] of their chances; these move along twice the slope less its mean over
    the actions, so that they sum to 1 and of two actions the first moves as q does; clipped, then divided by their sum.
    """

    alpha: float
    clip: float = 0.02

    def init(self, identity: Float[Array, " s *k"], batch: int) -> Float[Array, " s *k"]:
        """The probabilities are the whole state."""
        del batch
        return identity

    def act(self, state: Float[Array, " s *k"], observations: Float[Array, "b s"]):
        """(state, (logits, values)); there is no value function, so all values are 0."""
        chances = observations @ state
        logits = jnp.stack([jnp.log(chances), jnp.log1p(-chances)], axis=-1) if state.ndim == 1 else jnp.log(chances)
        return state, (logits, jnp.zeros(len(observations)))

    def end_of_inner_episode(self, state: Float[Array, " s *k"], batch: Trajectory) -> Float[Array, " s *k"]:
        """One step on the minibatch (axes b, t)."""
        to_go = jax.lax.cumsum(batch.rewards, axis=1, reverse=True)
        if state.ndim == 2:
            return self._among_several(state, batch, to_go)
        score = jnp.where((batch.actions == 0)[..., None], 1 / state, -1 / (1 - state))
        step = jnp.sum(batch.observations * score * to_go[..., None], axis=(0, 1)) / len(to_go)
        return jnp.clip(state + self.alpha * step, self.clip, 1 - self.clip)

    def _among_several(self, state: Float[Array, "s k"], batch: Trajectory, to_go: Float[Array, "b t"]) -> Any:
        done = jax.nn.one_hot(batch.actions, state.shape[1]) * to_go[..., None]
        slope = jnp.einsum("bts,bta->sa", batch.observations, done) / state / len(to_go)
        moved = state + 2 * self.alpha * (slope - slope.mean(-1, keepdims=True))
        moved = jnp.clip(moved, self.clip, 1 - self.clip)
        return moved / moved.sum(-1, keepdims=True)
