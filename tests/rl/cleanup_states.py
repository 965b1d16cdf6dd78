"""CleanUp-lite: states of the reference in the environment's form, and back."""

import jax.numpy as jnp
import numpy as np
from cleanup_reference import State

from lapg_rl.envs.cleanup import CleanUpState


def pack(state):
    bits = lambda rows: jnp.array(sum(1 << r for r in rows), jnp.int32)  # noqa: E731
    cells = np.array(state.cells, np.int32)
    return CleanUpState(
        jnp.array(cells[:, 0]), jnp.array(cells[:, 1]), jnp.array(state.frozen, jnp.int32), bits(state.dirt), bits(state.apples)
    )  # fmt: skip


def unpack(state, at=...):
    row, column, frozen, dirt, apples = (np.asarray(x)[at] for x in state)
    bits = lambda word: frozenset(r for r in range(31) if int(word) >> r & 1)  # noqa: E731
    cells = tuple(zip(row.tolist(), column.tolist(), strict=True))
    return State(cells, tuple(frozen.tolist()), bits(dirt), bits(apples))
