"""Several co-players at once: those in the other seats of a game of more than two players."""

import itertools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lapg_rl.play.rollout import Trajectory


class Group(eqx.Module):
    """Co-players in neighbouring seats, each with its own state; those of one kind act and learn side by side, along an axis.

    Its identity in `init` is one pytree a kind, with a leading axis over the seats of that kind; what it sees and does has an
    axis over the n seats after that over the b games.
    """

    coplayers: tuple[Any, ...]
    counts: tuple[int, ...] = eqx.field(static=True)

    def _seats(self, values: Any, axis: int) -> list[Any]:
        """The parts of arrays that are of each kind, with the seats first."""
        return [
            jax.tree.map(lambda x, end=end, n=n: jnp.moveaxis(x, axis, 0)[end - n : end], values)
            for end, n in zip(itertools.accumulate(self.counts), self.counts, strict=True)
        ]

    def init(self, identity: tuple[Any, ...], batch: int) -> tuple[Any, ...]:
        """Start a meta-episode of all of them."""
        return tuple(
            eqx.filter_vmap(lambda one, c=c: c.init(one, batch))(seats)
            for c, seats in zip(self.coplayers, identity, strict=True)
        )

    def act(self, state: tuple[Any, ...], observations: Float[Array, "b n o"]) -> tuple[tuple[Any, ...], Any]:
        """(state, (logits, values)) of all seats, `[b, n, a]` and `[b, n]`."""
        acted = [
            jax.vmap(c.act)(s, seen)
            for c, s, seen in zip(self.coplayers, state, self._seats(observations, 1), strict=True)
        ]
        outputs = [jax.tree.map(lambda x: jnp.moveaxis(x, 0, 1), out) for _, out in acted]
        return tuple(s for s, _ in acted), jax.tree.map(lambda *x: jnp.concatenate(x, axis=1), *outputs)

    def end_of_inner_episode(self, state: tuple[Any, ...], batch: Trajectory) -> tuple[Any, ...]:
        """Each learns, if it does, from what it saw and got itself; `batch` has the axes [b, t, n]."""
        return tuple(
            jax.vmap(c.end_of_inner_episode)(s, seen)
            for c, s, seen in zip(self.coplayers, state, self._seats(batch, 2), strict=True)
        )
