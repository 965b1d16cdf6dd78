"""Noise: actions that slip and observations that err, for every kind of game.

* *Execution error* e: an intended action is replaced by another one (with k actions each equally likely); everybody sees,
  remembers and is paid for what was done.
* *Perception error* d: a player sees a co-player's last action as another one, independently of what others see; it knows
  its own, and everybody is paid for what was done.

Both act on memory-one policies as one affine map. Where p are intended chances of cooperating, own view, a player does
cooperate after what really happened with chance

    e + (1 - 2 e) [(1 - d) p_s + d p_s'],      s' the state with the co-player's action exchanged (s0 stays),

since slips and wrong glances of this step and this player depend on nothing else. So the 16 joint states of two private
views fall together into the four outcomes, and whatever is exact without noise is exact with it.
"""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lapg_theory.game.conventions import CC, CD, DC, DD, S0
from lapg_theory.game.numbers import check_number, is_traced

#: The state that is seen in place of each where the co-player's action is mistaken: in own view, and in the co-player's.
MISTAKEN, MISTAKEN_BY_OTHER = (S0, CD, CC, DD, DC), (S0, DC, DD, CC, CD)


@dataclasses.dataclass(frozen=True)
class Noise:
    """Chances of an execution error and of a perception error, per action; see the module.

    Attributes:
        execution: that an action is not the one intended, in [0, 1/2).
        perception: that one co-player's action is seen wrongly, in [0, 1/2).

    Raises:
        ValueError: for anything else (at 1/2 nothing would depend on what is intended or seen); traced ones pass unchecked.

    Example:
        >>> import lapg_theory as lt
        >>> lt.prisoners_dilemma().noisy(execution=0.1).noise.acted(lt.TFT)
        (0.9, 0.9, 0.1, 0.9, 0.1)
    """

    execution: Any = 0.0
    perception: Any = 0.0

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = check_number(field.name, getattr(self, field.name))
            if not (is_traced(value) or 0 <= value < 0.5):
                raise ValueError(f"{field.name} is a chance of an error in [0, 1/2), got {value!r}")

    def acted(self, policy: Any) -> Any:
        """The chances with which a policy, [..., 5] or a tuple of five, does cooperate after what was done."""
        done = blurred(policy, self.execution, self.perception)
        return done + self.execution if hasattr(policy, "shape") else type(policy)(x + self.execution for x in done)

    def intended(self, done: Any) -> np.ndarray:
        """The five numbers that act as `done`, [..., 5]: the inverse of `acted`, probabilities only if it can be done."""
        linear = (np.asarray(done, dtype=float) - self.execution) / (1 - 2 * self.execution)
        return (linear - self.perception * (linear + linear[..., MISTAKEN])) / (1 - 2 * self.perception)


def noise_of(execution: Any, perception: Any) -> Noise | None:
    """The noise of these two chances; None where there is none."""
    noise = Noise(execution, perception)
    quiet = not any(is_traced(x) or x for x in (noise.execution, noise.perception))
    return None if quiet else noise


def refuse_noise(game: Any, what: str, remedy: str) -> None:
    """Refuse a noisy game where `what` holds without noise only."""
    if getattr(game, "noise", None) is not None:
        raise ValueError(f"{what} without noise only, but {game.name} has {game.noise}: {remedy}")


def blurred(five: Any, execution: Any, perception: Any, mistaken: Sequence[int] = MISTAKEN) -> Any:
    """The linear part of what noise does to five numbers of any type; it is symmetric, so slopes are pulled back by it.

    Args:
        five: numbers for s0, CC, CD, DC, DD: a sequence of five, which gives a list, or an array [..., 5].
        execution: chance of a slip.
        perception: chance of seeing the co-player's action wrongly.
        mistaken: the state seen instead: `MISTAKEN`, or `MISTAKEN_BY_OTHER` in the co-player's view.
    """
    keeps = 1 - 2 * execution
    if hasattr(five, "shape"):
        return keeps * ((1 - perception) * five + perception * five[..., list(mistaken)])
    return [keeps * ((1 - perception) * x + perception * five[mistaken[s]]) for s, x in enumerate(five)]


def slips(execution: Any, actions: int) -> tuple[Any, Any]:
    """(share, added): with k actions an intended chance p is done with share p + added; one action cannot slip."""
    if actions < 2:
        return 1.0, 0.0
    return 1 - execution * actions / (actions - 1), execution / (actions - 1)


def glances(perception: Any, actions: Sequence[int]) -> Any:
    """Chances [actual, seen] of how the joint actions of co-players with so many actions each are seen by one player."""
    table = np.ones((1, 1))
    for k in actions:
        share, added = slips(perception, k)
        table = (table[:, None, :, None] * (share * np.eye(k) + added)[None, :, None, :]).reshape(2 * (len(table) * k,))
    return table


def counts_seen(perception: Any, others: int) -> Any:
    """Chances [actual, seen] of how many of so many co-players are seen to have cooperated, in the order others, ..., 0."""
    table = [[0.0] * (others + 1) for _ in range(others + 1)]
    for actual, missed, imagined in itertools.product(range(others + 1), repeat=3):
        if missed <= actual and imagined <= others - actual:
            errors = missed + imagined
            chance = perception**errors * (1 - perception) ** (others - errors)
            chance = chance * math.comb(actual, missed) * math.comb(others - actual, imagined)
            table[others - actual][others - (actual - missed + imagined)] += chance
    return table
