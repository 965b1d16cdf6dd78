"""Returns in anonymous games: players with one and the same policy are counted, not told apart.

The number of cooperators in each group of equal players is state enough: n + 1 states for n equal players, 2^n for n
different ones. From a state every member of a group cooperates with one of two chances, so the next count is
Poisson-binomial, built up member by member: O(n^3) for all n + 1 states.
"""

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lapg_theory.exact.markov import MOST_STATES, broadcast, check_players, refuse_chances, side_by_side, total
from lapg_theory.game import AnonymousGame
from lapg_theory.game.noise import counts_seen


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


def done_in_group(policy: Any, noise: Any) -> Any:
    """What is done after what really happened, [..., 2 n + 1], where a policy of an anonymous group is intended."""
    if noise is None:
        return policy
    n = policy.shape[-1] // 2
    seen = jnp.asarray(counts_seen(noise.perception, n - 1))
    after = [policy[..., 1 : n + 1], policy[..., n + 1 :]]
    intended = jnp.concatenate([policy[..., :1], *(part @ seen.T for part in after)], axis=-1)
    return (1 - 2 * noise.execution) * intended + noise.execution


def group_rewards(game: AnonymousGame, sizes: tuple[int, ...]) -> np.ndarray:
    """Mean payoff of a member of each group, [group, s], in each state."""
    states = np.array(list(itertools.product(*(range(m + 1) for m in sizes))))
    cooperators = states.sum(1)
    cooperator, defector = (np.array(values) for values in (game.cooperator, game.defector))
    earns_c = cooperator[np.maximum(cooperators - 1, 0)]
    earns_d = defector[np.minimum(cooperators, game.players - 1)]
    share = states / np.array(sizes)
    return (share * earns_c[:, None] + (1 - share) * earns_d[:, None]).T


@functools.partial(jax.jit, static_argnames="sizes")
def _in_groups(policies: Any, sizes: tuple[int, ...], rewards: Any, horizon: Any) -> Any:
    chances = side_by_side([group_chances(policy, g, sizes) for g, policy in enumerate(policies)])
    return total(chances, rewards, horizon)


def _same(policies: Sequence[Any]) -> list[list[int]]:
    """Players grouped by policy: those that are given the very same object."""
    members: dict[int, list[int]] = {}
    for player, policy in enumerate(policies):
        members.setdefault(id(policy), []).append(player)
    return list(members.values())


def anonymous_returns(game: AnonymousGame, policies: Sequence[Any], horizon: Any) -> Any:
    """`general_returns` of an anonymous game."""
    check_players(policies, game.players)
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
        refuse_chances(f"policy {group[0]}", policy)
    chosen = [done_in_group(policy, game.noise) for policy in broadcast(chosen, 1)]
    found = _in_groups(chosen, sizes, group_rewards(game, sizes), horizon)
    group_of = {player: g for g, group in enumerate(members) for player in group}
    return found[np.array([group_of[player] for player in range(n)])]
