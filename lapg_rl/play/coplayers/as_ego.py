"""A co-player in the ego's seat."""

from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, Num


class AsEgo(eqx.Module):
    """`coplayer`, which must not learn, with its `identity`, as a policy that can only play."""

    coplayer: Any
    identity: Any

    def initial_state(self) -> Any:
        """The co-player's."""
        return self.coplayer.init(self.identity, 1)

    def step(
        self, state: Any, observation: Num[Array, " o"]
    ) -> tuple[Any, tuple[Float[Array, " a"], Float[Array, ""]]]:
        """Advance by one token: `(state, (logits, value))`."""
        state, (logits, values) = self.coplayer.act(state, observation[None])
        return state, (logits[0], values[0])
