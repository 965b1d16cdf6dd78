"""Returns and action values in stochastic games, for Markov policies: one distribution over own actions a state."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from lapg_theory.exact.chain import traceable
from lapg_theory.exact.markov import broadcast, check_players, distributions, intending, side_by_side, slipped, visited
from lapg_theory.exact.precision import exact
from lapg_theory.game import Discounted, StochasticGame


def _checked(game: StochasticGame, policies: Sequence[Any]) -> list[Any]:
    check_players(policies, game.players)
    states = len(game.names)
    ks = zip(policies, game.actions, strict=True)
    found = [distributions(f"policy {i}", policy, states, k, short=False) for i, (policy, k) in enumerate(ks)]
    return broadcast([slipped(policy, game.noise) for policy in found], 2)


def _tables(game: StochasticGame, dtype: Any) -> tuple[Any, Any]:
    """Chances [s, joint action, s'] and expected rewards [n, s, joint action]."""
    n, s = game.players, len(game.names)
    return jnp.asarray(game.transitions.reshape(s, -1, s), dtype), jnp.asarray(game.expected.reshape(n, s, -1), dtype)


def _chain(game: StochasticGame, policies: Sequence[Any]) -> tuple[Any, Any]:
    """Chances [..., s, s'] and expected rewards [n, ..., s] of the states when everybody keeps to its policy."""
    joint = side_by_side(policies)
    T, r = _tables(game, joint.dtype)
    return jnp.einsum("...sa,sat->...st", joint, T), jnp.einsum("...sa,isa->i...s", joint, r)


@functools.partial(jax.jit, static_argnums=0)
def _returns(game: StochasticGame, policies: Sequence[Any], horizon: Any) -> Any:
    onward, rewards = _chain(game, policies)
    start = jnp.broadcast_to(jnp.asarray(game.start, onward.dtype), onward[..., :1, :].shape)
    seen = visited(jnp.concatenate([start, onward], axis=-2), horizon)
    return jnp.einsum("...s,i...s->i...", seen, rewards)


@functools.partial(jax.jit, static_argnums=(0, 2))
def _action_values(game: StochasticGame, policies: Sequence[Any], player: int, horizon: Any) -> Any:
    onward, rewards = _chain(game, policies)
    system = jnp.eye(onward.shape[-1], dtype=onward.dtype) - horizon.gamma * onward
    value = jnp.linalg.solve(system, rewards[player][..., None])[..., 0]
    T, r = _tables(game, onward.dtype)
    worth = r[player] + horizon.gamma * jnp.einsum("sat,...t->...sa", T, value)
    others = side_by_side([jnp.ones_like(p) if i == player else p for i, p in enumerate(policies)])
    by_seat = (worth * others).reshape(*worth.shape[:-1], *game.actions)
    first = by_seat.ndim - game.players
    return intending(by_seat.sum([first + i for i in range(game.players) if i != player]), game.noise)


def stochastic_returns(game: StochasticGame, policies: Sequence[Any], horizon: Any) -> Any:
    """`general_returns` of a stochastic game."""
    return _returns(game, _checked(game, policies), horizon)


@exact
def stochastic_action_values(game: StochasticGame, policies: Sequence[Any], player: int, horizon: Discounted) -> Any:
    """One player's expected return from each state on for each action now and its policy afterwards, [..., s, k].

    Q(s, a) = E[r_t + gamma r_{t+1} + ... | state s, own action a intended at t]. A profile of policies is a Markov perfect
    equilibrium if in every state no action earns more than those that are played.

    Args:
        game: the game.
        policies: one for each player, as for `general_returns`.
        player: whose values, counted from 0.
        horizon: `Discounted`.

    Raises:
        ValueError: for a player that the game has not, a finite horizon (its values change from step to step), and as for
            `general_returns`.
    """
    if not isinstance(game, StochasticGame) or player not in range(game.players):
        raise ValueError(f"game must be a StochasticGame and player one of its players, got {game!r} and {player!r}")
    if not isinstance(horizon, Discounted):
        raise ValueError(f"horizon must be Discounted(gamma), got {horizon!r}")
    return _action_values(game, _checked(game, policies), player, traceable(horizon))
