"""Another meta agent: fixed parameters, memory that runs through the whole meta-episode."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
from jaxtyping import Array, Float

from lapg_rl.play.rollout import Trajectory, broadcast_state


class MetaState(NamedTuple):
    """A meta agent in the middle of a meta-episode."""

    policy: Any
    memory: Any


class MetaAgent(eqx.Module):
    """A learning-aware agent as co-player; its identity in `init` is its policy.

    `forget` clears its memory at the end of each inner episode.
    """

    forget: bool = eqx.field(static=True, default=False)

    def init(self, identity: Any, batch: int) -> MetaState:
        """Start a meta-episode with empty memory."""
        return MetaState(identity, broadcast_state(identity.initial_state(), batch))

    def act(self, state: MetaState, observations: Float[Array, "b o"]) -> tuple[MetaState, Any]:
        """(state, (logits, values)) for the b parallel observations."""
        memory, outputs = jax.vmap(lambda s, o: state.policy.step(s, o))(state.memory, observations)
        return state._replace(memory=memory), outputs

    def end_of_inner_episode(self, state: MetaState, batch: Trajectory) -> MetaState:
        """Carry on, without memory if it is to `forget`."""
        return self.init(state.policy, len(batch.actions)) if self.forget else state
