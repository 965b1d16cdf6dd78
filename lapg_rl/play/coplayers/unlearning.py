"""What all co-players have in common that never learn."""

from typing import Any

import equinox as eqx

from lapg_rl.play.rollout import Trajectory

#: Logit of an action that a script never takes: its probability, 1e-13, is below what a draw resolves.
NEVER = -30.0


class Unlearning(eqx.Module):
    """A co-player whose identity is its whole state, for good."""

    def init(self, identity: Any, batch: int) -> Any:
        """The identity."""
        del batch
        return identity

    def end_of_inner_episode(self, state: Any, batch: Trajectory) -> Any:
        """Nothing changes."""
        del batch
        return state
