"""The conventions that the whole library shares: actions, states, points of view. Nothing else may restate them.

* Action 0 is cooperation (C), action 1 defection (D).
* A state is what happened in the step before, from the agent's *own view*, own action first: s0 (start), CC, CD, DC,
  DD.
* A memory-one policy is five cooperation probabilities in that order; logits are log-odds of cooperating.
* Returns are sums over steps (discounted where there is a discount), never means; higher is better.
"""

from collections.abc import Sequence
from typing import Any

COOPERATE, DEFECT = 0, 1
STATES = ("s0", "CC", "CD", "DC", "DD")
S0, CC, CD, DC, DD = range(5)

#: Permutation that turns a five-vector of one player's own view into the other player's view (swaps CD and DC).
MIRROR = (S0, CC, DC, CD, DD)


def state_index(own_action: Any, other_action: Any, actions: int = 2) -> Any:
    """State (1..4; 1..k^2 of k `actions`) that follows a pair of actions, from the view of the player of `own_action`.

    Arrays broadcast.
    """
    return 1 + actions * own_action + other_action


def mirror(policy: Any) -> Any:
    """A memory-one policy (last axis: five states) seen from the other player: CD and DC trade places.

    Tuples and lists stay what they are, a table of a data frame library becomes a NumPy array.
    """
    if hasattr(policy, "to_numpy"):
        policy = policy.to_numpy()
    if hasattr(policy, "shape"):
        return policy[..., list(MIRROR)]
    return type(policy)(policy[state] for state in MIRROR)


def cell_table(T: Any, R: Any, P: Any, S: Any) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Own payoff by (own action, other's action): ((CC, CD), (DC, DD)) = ((R, S), (T, P)); any number type.

    Args:
        T: own D against the other's C (temptation).
        R: both C (reward).
        P: both D (punishment).
        S: own C against the other's D (sucker's payoff).
    """
    return ((R, S), (T, P))


def own_view(table: Sequence[Sequence[Any]]) -> tuple[Any, Any, Any, Any]:
    """The four entries of a cell table in the order of the states CC, CD, DC, DD."""
    return (table[0][0], table[0][1], table[1][0], table[1][1])
