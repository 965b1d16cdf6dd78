"""Memory-one policies in the conventions of other projects: one table, two functions."""

from typing import Any, NamedTuple

import numpy as np

from lapg_theory.game.conventions import CC, CD, DC, DD, S0, mirror
from lapg_theory.game.strategies import check_policy


class Convention(NamedTuple):
    """How a project writes a memory-one policy as a vector of five, or of four where it has no start.

    `order` is the state at each place of the vector; `of_defecting` whether it holds chances of defecting; `logits`
    whether log-odds; `shared_view` whether both players name states from the first player's view (else from their own).
    """

    order: tuple[int, ...]
    of_defecting: bool = False
    logits: bool = True
    shared_view: bool = False


START_FIRST, START_LAST = (S0, CC, CD, DC, DD), (CC, CD, DC, DD, S0)

#: LOLA is `train_exact.py` of Foerster et al. 2018; LOLA-DiCE the reimplementation of that name; SOS the notebook of
#: Letcher et al. 2019; Axelrod's vector is its `four_vector` followed by the probability of cooperating first. pyCRLD's is
#: X[player, :, 0] of its memory-one states, which have no start.
PEERS = {
    "lola": Convention(START_LAST, shared_view=True),
    "lola-dice": Convention((S0, DD, DC, CD, CC), of_defecting=True),
    "sos": Convention(START_FIRST, shared_view=True),
    "m-fos": Convention(START_FIRST),
    "pax": Convention(START_LAST),
    "axelrod": Convention(START_LAST, logits=False),
    "openspiel": Convention(START_FIRST, logits=False),
    "pycrld": Convention((CC, CD, DC, DD), logits=False, shared_view=True),
}


def _peer(name: str, player: int) -> Convention:
    if (key := str(name).lower()) not in PEERS:
        raise ValueError(f"unknown convention {name!r}; known: {', '.join(PEERS)}")
    if player not in (0, 1):
        raise ValueError(f"player must be 0 (first) or 1 (second), got {player!r}")
    return PEERS[key]


def to_peer(policy: Any, name: str, player: int = 0) -> np.ndarray:
    """Our policy (probabilities of cooperating, own view, [..., 5]) as the vector that another project would hold.

    `player` (0 first, 1 second) matters where both players share one view. Certainties become infinite logits.

    Raises:
        ValueError: for an unknown convention or player, or a policy that is none.
    """
    peer, values = _peer(name, player), check_policy("policy", policy)
    values = (mirror(values) if peer.shared_view and player == 1 else values)[..., list(peer.order)]
    values = 1 - values if peer.of_defecting else values
    with np.errstate(divide="ignore"):
        return np.log(values) - np.log1p(-values) if peer.logits else values


def from_peer(vector: Any, name: str, player: int = 0, first: Any = None) -> np.ndarray:
    """The vector of another project as our policy: the inverse of `to_peer`.

    `first`, the opening's probability of cooperating, is needed where the other project has no start ("pycrld").

    Args:
        vector: the policy as the other project writes it.
        name: of the convention, one of `PEERS`.
        player: whose policy it is, 0 (row) or 1 (column).
        first: the opening's probability, for projects without a start.

    Raises:
        ValueError: for an unknown convention or player, a vector that is none, or a missing or superfluous `first`.
    """
    peer, values = _peer(name, player), np.asarray(vector, dtype=float)
    if (S0 in peer.order) != (first is None):
        remedy = "leave first out: the vector has one" if first is not None else "give first: the vector has no start"
        raise ValueError(
            f"first must be the probability of opening with C where {name!r} has none, got {first}; {remedy}"
        )
    if values.shape[-1:] != (len(peer.order),):
        raise ValueError(
            f"a vector of {name!r} has {len(peer.order)} entries in its last axis, got shape {values.shape}"
        )
    if peer.logits:
        with np.errstate(over="ignore"):
            values = 1 / (1 + np.exp(-values))
    values = 1 - values if peer.of_defecting else values
    order = peer.order
    if first is not None:
        values, order = np.concatenate([np.full((*values.shape[:-1], 1), first), values], axis=-1), (S0, *order)
    policy = check_policy("vector", values)[..., np.argsort(order)]
    return mirror(policy) if peer.shared_view and player == 1 else policy
