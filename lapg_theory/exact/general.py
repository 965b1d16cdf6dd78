"""Exact returns beyond 2x2: any number of players and actions by a linear solve over joint actions or over counts.

A state is what everybody did in the step before. Players that are told apart make a chain over all joint actions; in an
anonymous game players with one and the same policy need no telling apart, and the number of cooperators in each such group
is enough: n + 1 states for n equal players, 2^n for n different ones. From a state every member of a group cooperates with
one of two chances, so the next count is Poisson-binomial, built up member by member: O(n^3) for all n + 1 states.

For two players and two actions this is also a second route to `exact_returns`, which eliminates its chain by hand.
"""

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lapg_theory.exact.chain import Discount, traceable
from lapg_theory.exact.precision import as_floats, exact
from lapg_theory.exact.returns import payoffs
from lapg_theory.game import AnonymousGame, FiniteHorizon, Horizon, MatrixGame, normal_form

MOST_STATES = 4096


class Chain(NamedTuple):
    """Chances [..., 1 + s, s] of each next state, from the start (first) and from every state; rewards [i, s] in them."""

    chances: Any
    rewards: Any


def visited(chances: Any, horizon: Any) -> Any:
    """Expected (discounted) number of visits to every state, [..., s]: (I - gamma M^T)^-1 start, or summed step by step."""
    start, onward = chances[..., 0, :], chances[..., 1:, :]
    if isinstance(horizon, FiniteHorizon):

        def body(now, _):
            return jnp.einsum("...s,...st->...t", now, onward), now

        last, before = jax.lax.scan(body, start, length=horizon.steps - 1)
        return before.sum(0) + last
    system = jnp.eye(start.shape[-1], dtype=start.dtype) - horizon.gamma * jnp.swapaxes(onward, -1, -2)
    return jnp.linalg.solve(system, start[..., None])[..., 0]


def total(chain: Chain, horizon: Any) -> Any:
    """Expected returns of all players, [i, ...]."""
    seen = visited(chain.chances, horizon)
    return jnp.moveaxis(jnp.einsum("...s,is->...i", seen, jnp.asarray(chain.rewards, seen.dtype)), -1, 0)


def side_by_side(independent: Sequence[Any]) -> Any:
    """Joint chances [..., s, k1 * ... * kn] of independent choices [..., s, ki], the last one counting fastest."""
    joint = independent[0]
    for chances in independent[1:]:
        joint = joint[..., :, None] * chances[..., None, :]
        joint = joint.reshape(*joint.shape[:-2], -1)
    return joint


def seat_view(policy: Any, player: int, actions: tuple[int, ...]) -> Any:
    """A policy [..., 1 + s, k] of a player's own view, states after the first reordered by seat."""
    own_first = (actions[player], *actions[:player], *actions[player + 1 :])
    lead = policy.shape[:-2]
    states = policy[..., 1:, :].reshape(*lead, *own_first, policy.shape[-1])
    states = jnp.moveaxis(states, len(lead), len(lead) + player)
    return jnp.concatenate([policy[..., :1, :], states.reshape(*lead, -1, policy.shape[-1])], axis=-2)


def group_chances(policy: Any, group: int, sizes: tuple[int, ...]) -> Any:
    """Chances [..., 1 + s, size + 1] of how many of a group cooperate next; states are the counts of all groups."""
    n, size = sum(sizes), sizes[group]
    states = np.array(list(itertools.product(*(range(m + 1) for m in sizes))))
    cooperators = states.sum(1)
    after = [np.concatenate([[0], where]) for where in (np.minimum(1 + n - cooperators, n), 2 * n - cooperators)]
    after_c, after_d = (policy[..., index] for index in after)
    cooperated = np.concatenate([[0], states[:, group]])

    def add(counts, member):
        chance = jnp.where(member < cooperated, after_c, after_d)[..., None]
        more = jnp.concatenate([jnp.zeros_like(counts[..., :1]), counts[..., :-1]], axis=-1)
        return counts * (1 - chance) + more * chance, None

    none = jnp.zeros((*after_c.shape, size + 1), policy.dtype)
    none = jnp.concatenate([none[..., :1] + 1, none[..., 1:]], axis=-1)
    return jax.lax.scan(add, none, jnp.arange(size))[0]


def group_rewards(game: AnonymousGame, sizes: tuple[int, ...]) -> np.ndarray:
    """Mean payoff of a member of each group, [group, s], in each state."""
    states = np.array(list(itertools.product(*(range(m + 1) for m in sizes))))
    cooperators = states.sum(1)
    cooperator, defector = (np.array(values) for values in (game.cooperator, game.defector))
    earns_c = cooperator[np.maximum(cooperators - 1, 0)]
    earns_d = defector[np.minimum(cooperators, game.players - 1)]
    share = states / np.array(sizes)
    return (share * earns_c[:, None] + (1 - share) * earns_d[:, None]).T


@jax.jit
def _told_apart(policies: Any, rewards: Any, horizon: Any) -> Any:
    actions = tuple(policy.shape[-1] for policy in policies)
    seats = [seat_view(policy, player, actions) for player, policy in enumerate(policies)]
    return total(Chain(side_by_side(seats), rewards), horizon)


@functools.partial(jax.jit, static_argnames="sizes")
def _in_groups(policies: Any, sizes: tuple[int, ...], rewards: Any, horizon: Any) -> Any:
    chances = side_by_side([group_chances(policy, g, sizes) for g, policy in enumerate(policies)])
    return total(Chain(chances, rewards), horizon)


def _known(policy: Any) -> Any:
    """The policy's numbers, or harmless ones where they are traced."""
    return None if isinstance(policy, jax.core.Tracer) else np.asarray(policy, dtype=float)


def _refuse_chances(name: str, policy: Any) -> None:
    values = _known(policy)
    if values is not None and not ((values >= 0) & (values <= 1)).all():
        worst = values[~((values >= 0) & (values <= 1))].flat[0]
        raise ValueError(f"{name} holds {worst}, which is no probability: every entry must lie in [0, 1]")


def distributions(name: str, policy: Any, actions: tuple[int, ...], player: int) -> Any:
    """A checked policy as [..., 1 + s, k]; with two actions also from [..., 1 + s] chances of the first one."""
    rows, k = 1 + math.prod(actions), actions[player]
    shape = np.shape(policy)
    if k == 2 and shape[-1:] == (rows,):
        _refuse_chances(name, policy)
        policy = policy if isinstance(policy, jax.Array) else np.asarray(policy, dtype=float)
        return (jnp if isinstance(policy, jax.Array) else np).stack([policy, 1 - policy], axis=-1)
    if shape[-2:] != (rows, k):
        also = f", or [..., {rows}] chances of action 0" if k == 2 else ""
        raise ValueError(f"{name} must have the shape [..., {rows}, {k}]{also}, got {shape}")
    _refuse_chances(name, policy)
    values = _known(policy)
    if values is not None and np.abs(values.sum(-1) - 1).max(initial=0) > 1e-6:
        raise ValueError(f"{name} must hold distributions over actions in its last axis, but their sums are not all 1")
    return policy


def _broadcast(policies: Sequence[Any], inner: int) -> list[Any]:
    """The policies as arrays of one dtype, refused where their leading axes do not fit together."""
    shapes = [np.shape(policy)[:-inner] for policy in policies]
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError(f"leading axes {shapes} of the policies do not broadcast: make them equal or 1") from None
    return list(as_floats(*policies))


def _same(policies: Sequence[Any]) -> list[list[int]]:
    """Players grouped by policy: those that are given the very same object."""
    members: dict[int, list[int]] = {}
    for player, policy in enumerate(policies):
        members.setdefault(id(policy), []).append(player)
    return list(members.values())


def _check_players(policies: Any, players: int) -> None:
    if len(policies) != players:
        raise ValueError(f"policies must be one for each of the {players} players, got {len(policies)}")


def _anonymous(game: AnonymousGame, policies: Sequence[Any], horizon: Any) -> Any:
    n, members = game.players, _same(policies)
    sizes = tuple(len(group) for group in members)
    states = math.prod(size + 1 for size in sizes)
    if states > MOST_STATES:
        raise ValueError(
            f"{n} players with {len(sizes)} different policies make {states} states, more than {MOST_STATES}: give "
            "players of the same policy the same object, such as [tft] * 40"
        )
    chosen = [policies[group[0]] for group in members]
    for group, policy in zip(members, chosen, strict=True):
        if np.shape(policy)[-1:] != (2 * n + 1,):
            raise ValueError(
                f"policy {group[0]} must hold {2 * n + 1} chances of cooperating (opening, after own C with {n - 1}, ..., "
                f"0 cooperating co-players, after own D with as many) in its last axis, got shape {np.shape(policy)}"
            )
        _refuse_chances(f"policy {group[0]}", policy)
    found = _in_groups(_broadcast(chosen, 1), sizes, group_rewards(game, sizes), horizon)
    group_of = {player: g for g, group in enumerate(members) for player in group}
    return found[np.array([group_of[player] for player in range(n)])]


@exact
def general_returns(game: Any, policies: Sequence[Any], horizon: Horizon | Discount) -> Any:
    """Expected returns of all players under memory-one policies, [n, ...], exactly, for any numbers of players and actions.

    J_i = sum over t of gamma^t E[r_i,t] for `Discounted(gamma)`, over `steps` steps for `FiniteHorizon(steps)`: sums, not
    means; divide by `horizon.weight` for the reward per step. Differentiable in the policies and in gamma.

    A policy has a row for the opening and then one for each joint action of the step before, *in the player's own view*:
    its own action first, then those of the others in order of their seats, the last one counting fastest. With actions
    k1, ..., kn, s = k1 * ... * kn:

    * `NormalFormGame`, `MatrixGame`: [..., 1 + s, ki], distributions over the own actions; with two actions also
      [..., 1 + s], chances of action 0. For 2x2 games those are our five (s0, CC, CD, DC, DD).
    * `AnonymousGame`: [..., 2 n + 1] chances of cooperating, in the order that its docstring gives. Players that are given
      the *same object*, such as `[tft] * 199 + [alld]`, share one count of cooperators: the product of (size + 1) over
      such groups is the number of states, at most 4096.

    Args:
        game: `NormalFormGame`, `MatrixGame` or `AnonymousGame`.
        policies: one for each player, in order of seats; leading axes broadcast.
        horizon: `Discounted` or `FiniteHorizon`.

    Returns:
        The returns, players first: NumPy float64 for NumPy or Python input, a JAX array for JAX input, in its dtype.

    Raises:
        ValueError: for what is no game or horizon, policies of the wrong number or shape, entries that are no
            probabilities, leading axes that do not broadcast, or more than 4096 states.
    """
    if isinstance(game, AnonymousGame):
        _check_players(policies, game.players)
        return _anonymous(game, policies, traceable(horizon))
    if isinstance(game, MatrixGame):
        actions, rewards = (2, 2), jnp.array([payoffs(game, k) for k in (0, 1)])
    else:
        game = normal_form(game)
        actions, rewards = game.actions, game.payoffs.reshape(game.players, -1)
    _check_players(policies, len(actions))
    if math.prod(actions) > MOST_STATES:
        raise ValueError(f"actions {actions} make {math.prod(actions)} joint actions, more than {MOST_STATES}")
    found = [distributions(f"policy {i}", policy, actions, i) for i, policy in enumerate(policies)]
    return _told_apart(_broadcast(found, 2), rewards, traceable(horizon))
