"""REINFORCE on probabilities: the smallest naive learner, whose every step is a rational function of the play."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lapg_rl.play.rollout import Trajectory


class ReinforceLearner(eqx.Module):
    """A memory-one learner that climbs its own return in probability space; no network, no optimiser.

    It plays 2x2 games, and others in which what is seen is a one-hot and there are two actions, such as those of groups.
    After each inner episode, with G_t its undiscounted reward to go and q its probabilities of cooperating,

        q_k += alpha / B sum_b sum_t [state k at t] (1[C] / q_k - 1[D] / (1 - q_k)) G_t,

    all of them then clipped to [clip, 1 - clip]. Its identity in `init` is the first q, strictly between 0 and 1. In
    expectation the step is alpha dJ/dq (Williams 1992); small problems against it can be enumerated.
    """

    alpha: float
    clip: float = 0.02

    def init(self, identity: Float[Array, " s"], batch: int) -> Float[Array, " s"]:
        """The probabilities are the whole state."""
        del batch
        return identity

    def act(self, state: Float[Array, " s"], observations: Float[Array, "b s"]):
        """(state, (logits, values)); there is no value function, so all values are 0."""
        cooperate = observations @ state
        logits = jnp.stack([jnp.log(cooperate), jnp.log1p(-cooperate)], axis=-1)
        return state, (logits, jnp.zeros(len(observations)))

    def end_of_inner_episode(self, state: Float[Array, " s"], batch: Trajectory) -> Float[Array, " s"]:
        """One step on the minibatch (axes b, t)."""
        to_go = jax.lax.cumsum(batch.rewards, axis=1, reverse=True)
        score = jnp.where((batch.actions == 0)[..., None], 1 / state, -1 / (1 - state))
        step = jnp.sum(batch.observations * score * to_go[..., None], axis=(0, 1)) / len(to_go)
        return jnp.clip(state + self.alpha * step, self.clip, 1 - self.clip)
