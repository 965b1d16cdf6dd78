"""Exact returns beyond 2x2: any number of players and actions, by a linear solve over what everybody did in the step before.

For two players and two actions this is also a second route to `exact_returns`, which eliminates its chain by hand.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lapg_theory.exact.anonymous import anonymous_returns
from lapg_theory.exact.chain import Discount, payoffs, traceable
from lapg_theory.exact.markov import MOST_STATES, broadcast, check_players, distributions, done, side_by_side, total
from lapg_theory.exact.precision import exact
from lapg_theory.exact.stochastic import stochastic_returns
from lapg_theory.game import AnonymousGame, Horizon, MatrixGame, StochasticGame, normal_form


def seat_view(policy: Any, player: int, actions: tuple[int, ...]) -> Any:
    """A policy [..., 1 + s, k] of a player's own view, states after the first reordered by seat."""
    own_first = (actions[player], *actions[:player], *actions[player + 1 :])
    lead = policy.shape[:-2]
    states = policy[..., 1:, :].reshape(*lead, *own_first, policy.shape[-1])
    states = jnp.moveaxis(states, len(lead), len(lead) + player)
    return jnp.concatenate([policy[..., :1, :], states.reshape(*lead, -1, policy.shape[-1])], axis=-2)


@jax.jit
def _told_apart(policies: Any, rewards: Any, horizon: Any) -> Any:
    actions = tuple(policy.shape[-1] for policy in policies)
    seats = [seat_view(policy, player, actions) for player, policy in enumerate(policies)]
    return total(side_by_side(seats), rewards, horizon)


@exact
def _general_returns(game: Any, policies: Sequence[Any], horizon: Horizon | Discount) -> Any:
    if isinstance(game, AnonymousGame):
        return anonymous_returns(game, policies, traceable(horizon))
    if isinstance(game, StochasticGame):
        return stochastic_returns(game, policies, traceable(horizon))
    if isinstance(game, MatrixGame):
        actions, rewards = (2, 2), jnp.array([payoffs(game, k) for k in (0, 1)])
    else:
        game = normal_form(game)
        actions, rewards = game.actions, game.payoffs.reshape(game.players, -1)
    check_players(policies, len(actions))
    if math.prod(actions) > MOST_STATES:
        raise ValueError(f"actions {actions} make {math.prod(actions)} joint actions, more than {MOST_STATES}")
    found = [
        distributions(f"policy {i}", policy, 1 + math.prod(actions), actions[i]) for i, policy in enumerate(policies)
    ]
    found = [done(policy, i, actions, game.noise) for i, policy in enumerate(broadcast(found, 2))]
    return _told_apart(found, rewards, traceable(horizon))


def _once_each(policies: Sequence[Any]) -> list[Any]:
    """The policies with tuples and lists of numbers as arrays, the same array wherever the same object is given."""

    def array(policy: Any) -> Any:
        held = hasattr(policy, "shape") or any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(policy))
        try:
            return policy if held else np.asarray(policy, dtype=float)
        except (TypeError, ValueError):
            raise ValueError(
                f"a policy must hold probabilities in rows of one length, got {policy!r:.60}; names are taken by "
                "lapg_theory.game.strategy"
            ) from None

    known = {id(policy): array(policy) for policy in {id(policy): policy for policy in policies}.values()}
    return [known[id(policy)] for policy in policies]


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
    * `StochasticGame`: [..., s, ki], a distribution over own actions for each state of the game, no opening.

    Args:
        game: `NormalFormGame`, `MatrixGame`, `AnonymousGame` or `StochasticGame`.
        policies: one for each player, in order of seats; leading axes broadcast.
        horizon: `Discounted` or `FiniteHorizon`.

    Returns:
        The returns, players first: NumPy float64 for NumPy or Python input, a JAX array for JAX input, in its dtype.

    Raises:
        ValueError: for what is no game or horizon, policies of the wrong number or shape, entries that are no
            probabilities, leading axes that do not broadcast, or more than 4096 states.

    Example:
        >>> import lapg_theory as lt
        >>> from lapg_theory.game import group_strategy
        >>> players = [group_strategy("tft", 3), group_strategy("tft", 3), group_strategy("alld", 3)]
        >>> returns = lt.general_returns(lt.public_goods(3, 2.0), players, lt.Discounted(0.9))
        >>> [round(float(x) * 0.1, 6) for x in returns]  # per step
        [0.060606, 0.060606, 0.242424]
    """
    return _general_returns(game, _once_each(policies), horizon)
