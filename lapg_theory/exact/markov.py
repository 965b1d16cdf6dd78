"""Markov chains of any size: what is visited, what is earned, and which policies are refused."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lapg_theory.exact.precision import as_floats
from lapg_theory.game import FiniteHorizon
from lapg_theory.game.noise import glances, slips

MOST_STATES, MANY_STATES = 4096, 1024


def visited(chances: Any, horizon: Any) -> Any:
    """Expected (discounted) visits to every state, [..., s], from chances [..., 1 + s, s], the start first.

    (I - gamma M^T)^-1 start, or summed step by step.
    """
    start, onward = chances[..., 0, :], chances[..., 1:, :]
    if isinstance(horizon, FiniteHorizon):

        def body(now, _):
            return jnp.einsum("...s,...st->...t", now, onward), now

        last, before = jax.lax.scan(body, start, length=horizon.steps - 1)
        return before.sum(0) + last
    system, states = -horizon.gamma * jnp.swapaxes(onward, -1, -2), start.shape[-1]
    if states < MANY_STATES:
        system = jnp.eye(states, dtype=start.dtype) + system
    else:  # a large unit matrix XLA works out while it compiles, with alarms on how long that takes
        system = system.at[..., jnp.arange(states), jnp.arange(states)].add(1.0)
    return jnp.linalg.solve(system, start[..., None])[..., 0]


def total(chances: Any, rewards: Any, horizon: Any) -> Any:
    """Expected returns [i, ...] of all players from chances [..., 1 + s, s] and rewards [i, s] in the states."""
    seen = visited(chances, horizon)
    return jnp.moveaxis(jnp.einsum("...s,is->...i", seen, jnp.asarray(rewards, seen.dtype)), -1, 0)


def side_by_side(independent: Sequence[Any]) -> Any:
    """Joint chances [..., s, k1 * ... * kn] of independent choices [..., s, ki], the last one counting fastest."""
    joint = independent[0]
    for chances in independent[1:]:
        joint = joint[..., :, None] * chances[..., None, :]
        joint = joint.reshape(*joint.shape[:-2], -1)
    return joint


def slipped(policy: Any, noise: Any) -> Any:
    """What is done, [..., k], where these distributions over actions are intended."""
    if noise is None:
        return policy
    share, added = slips(noise.execution, np.shape(policy)[-1])
    return share * policy + added


def intending(values: Any, noise: Any) -> Any:
    """What intending an action is worth, [..., k], from what doing it is."""
    if noise is None:
        return values
    share, added = slips(noise.execution, values.shape[-1])
    return share * values + added * values.sum(-1, keepdims=True)


def done(policy: Any, player: int, actions: Sequence[int], noise: Any) -> Any:
    """What is done after what really happened, [..., 1 + s, k], where a policy of a player's own view is intended."""
    if noise is None:
        return policy
    others = [*actions[:player], *actions[player + 1 :]]
    glance = jnp.asarray(glances(noise.perception, others))
    later = policy[..., 1:, :].reshape(*policy.shape[:-2], actions[player], len(glance), policy.shape[-1])
    later = jnp.einsum("xy,...oyk->...oxk", glance, later).reshape(policy[..., 1:, :].shape)
    return slipped(jnp.concatenate([policy[..., :1, :], later], axis=-2), noise)


def known(policy: Any) -> Any:
    """The policy's numbers, or None where they are traced."""
    return None if isinstance(policy, jax.core.Tracer) else np.asarray(policy, dtype=float)


def refuse_chances(name: str, policy: Any) -> None:
    """Refuse entries outside [0, 1]."""
    values = known(policy)
    if values is not None and not ((values >= 0) & (values <= 1)).all():
        worst = values[~((values >= 0) & (values <= 1))].flat[0]
        raise ValueError(f"{name} holds {worst}, which is no probability: every entry must lie in [0, 1]")


def broadcast(policies: Sequence[Any], inner: int) -> list[Any]:
    """The policies as arrays of one dtype, refused where their leading axes do not fit together."""
    shapes = [np.shape(policy)[:-inner] for policy in policies]
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError(f"leading axes {shapes} of the policies do not broadcast: make them equal or 1") from None
    return list(as_floats(*policies))


def check_players(policies: Any, players: int) -> None:
    """Refuse another number of policies than of players."""
    if len(policies) != players:
        raise ValueError(f"policies must be one for each of the {players} players, got {len(policies)}")


def distributions(name: str, policy: Any, rows: int, k: int, short: bool = True) -> Any:
    """A checked policy as [..., rows, k]; with two actions also from `short` [..., rows] chances of action 0."""
    shape = np.shape(policy)
    if short and k == 2 and shape[-1:] == (rows,):
        refuse_chances(name, policy)
        policy = policy if isinstance(policy, jax.Array) else np.asarray(policy, dtype=float)
        return (jnp if isinstance(policy, jax.Array) else np).stack([policy, 1 - policy], axis=-1)
    if shape[-2:] != (rows, k):
        also = f", or [..., {rows}] chances of action 0" if short and k == 2 else ""
        raise ValueError(f"{name} must have the shape [..., {rows}, {k}]{also}, got {shape}")
    refuse_chances(name, policy)
    values = known(policy)
    if values is not None and np.abs(values.sum(-1) - 1).max(initial=0) > 1e-6:
        raise ValueError(f"{name} must hold distributions over actions in its last axis, but their sums are not all 1")
    return policy
