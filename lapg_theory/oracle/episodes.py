"""Inner episodes as tuples of (own action, other's action), and the naive learner that steps between them."""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from lapg_theory.game import COOPERATE, S0, MatrixGame, check_count, state_index

#: One inner episode from one player's own view: a pair (own action, other's action) for every step.
Episode = tuple[tuple[int, int], ...]
#: The co-player's rule: (its policy, the minibatch of episodes in its own view) -> its next policy. The expectations
#: that use the exchangeability of the streams need it not to depend on the order of the episodes.
Update = Callable[[tuple[Fraction, ...], tuple[Episode, ...]], Any]
#: Sizes T M above this are refused before the histories are counted, which would itself take long: 4^500 = 10^301.
MOST_ACTIONS = 500


def number(value: Any) -> Fraction:
    """An int, Fraction, Decimal, string such as "1/3" or "0.25", or float (at its exact value) as a Fraction."""
    try:
        return Fraction(value.item() if hasattr(value, "item") else value)
    except (OverflowError, TypeError, ValueError, ZeroDivisionError) as error:
        raise ValueError(f"{value!r} is no number; write a rational such as 1/3 or 0.25") from error


def probabilities(name: str, values: Any) -> tuple[Fraction, ...]:
    """Any number of probabilities as Fractions.

    Raises:
        ValueError: for an entry that is no number in [0, 1].
    """
    numbers = tuple(number(value) for value in values)
    for value in numbers:
        if not 0 <= value <= 1:
            raise ValueError(f"{name} holds {value}, which is no probability: every entry must lie in [0, 1]")
    return numbers


def policy(name: str, values: Any) -> tuple[Fraction, ...]:
    """A memory-one policy s0, CC, CD, DC, DD as Fractions.

    Raises:
        ValueError: for another length, or an entry that is no number in [0, 1].
    """
    numbers = probabilities(name, values)
    if len(numbers) != 5:
        raise ValueError(f"{name} needs five probabilities (s0, CC, CD, DC, DD), got {len(numbers)}")
    return numbers


def episodes(steps: int) -> list[Episode]:
    """All 4^steps inner episodes."""
    return list(itertools.product(((0, 0), (0, 1), (1, 0), (1, 1)), repeat=steps))


def swap(episode: Episode) -> Episode:
    """The episode as the other player sees it."""
    return tuple((other, own) for own, other in episode)


def visits(episode: Episode) -> Iterator[tuple[int, int]]:
    """(state, own action) at every step of an episode, own view."""
    state = S0
    for own, other in episode:
        yield state, own
        state = state_index(own, other)


def probability(strategy: Sequence[Fraction], episode: Episode) -> Fraction:
    """Probability that a memory-one player takes its own actions of this episode, given the other's."""
    factors = (strategy[k] if action == COOPERATE else 1 - strategy[k] for k, action in visits(episode))
    return math.prod(factors, start=Fraction(1))


def rewards_to_go(payoffs: Sequence[Fraction], episode: Episode) -> list[Fraction]:
    """Undiscounted reward to go at every step; `payoffs` in the order CC, CD, DC, DD of the episode's own view."""
    rewards = [payoffs[state_index(own, other) - 1] for own, other in episode]
    return list(itertools.accumulate(reversed(rewards)))[::-1]


@functools.cache
def _credit(payoffs: tuple[Fraction, ...], episode: Episode) -> np.ndarray:
    """Summed reward to go by (own action, state): all that the learner needs to know of an episode."""
    credit = np.array([[Fraction(0)] * 5] * 2)
    for (state, action), value in zip(visits(episode), rewards_to_go(payoffs, episode), strict=True):
        credit[action, state] += value
    return credit


@dataclasses.dataclass(frozen=True)
class Reinforce:
    """The naive learner: REINFORCE on its five probabilities, then clipping.

    q_k += alpha/B sum_b sum_t [state k at t] (1[C]/q_k - 1[D]/(1 - q_k)) G_t, all five then clipped to
    [clip, 1 - clip]; G_t is its undiscounted reward to go in the inner episode.

    Raises:
        ValueError: unless 0 < clip < 1/2; when called, for a policy with an entry of 0 or 1.
    """

    game: MatrixGame
    alpha: Any
    clip: Any = Fraction(1, 50)

    def __post_init__(self):
        object.__setattr__(self, "alpha", number(self.alpha))
        object.__setattr__(self, "clip", number(self.clip))
        if not 0 < self.clip < Fraction(1, 2):
            raise ValueError(f"clip must lie strictly between 0 and 1/2, got {self.clip}; the usual choice is 1/50")

    def __call__(self, strategy: tuple[Fraction, ...], batch: tuple[Episode, ...]) -> tuple[Fraction, ...]:
        """The policy after one minibatch of episodes (in the learner's own view)."""
        if any(value in (0, 1) for value in strategy):
            raise ValueError(
                f"the naive learner holds {', '.join(map(str, strategy))}: every entry must lie strictly between 0 and "
                "1, because its step divides by q and by 1 - q"
            )
        payoffs = tuple(number(value) for value in self.game.column_payoffs)
        q = np.array(strategy, dtype=object)
        cooperate, defect = np.sum([_credit(payoffs, episode) for episode in batch], axis=0)
        stepped = q + self.alpha / len(batch) * (cooperate / q - defect / (1 - q))
        return tuple(min(max(value, self.clip), 1 - self.clip) for value in stepped)


def check_sizes(steps: int, inner_episodes: int, batch: int) -> None:
    """Refuse sizes that are no counts."""
    for name, value in (("steps", steps), ("inner_episodes", inner_episodes), ("batch", batch)):
        check_count(name, value)
    if steps * inner_episodes > MOST_ACTIONS:
        raise ValueError(
            f"steps = {steps} times inner_episodes = {inner_episodes} must be at most {MOST_ACTIONS}: a single stream "
            "already has 4^(T M) histories, too many even to count; choose fewer"
        )


def check_leaves(count: int, formula: str, max_leaves: int) -> None:
    """Refuse an enumeration that would take too long."""
    if count > max_leaves:
        size = f"{count:.3g}" if count < 1e300 else f"10^{math.log10(count):.0f}"
        raise ValueError(
            f"this takes {size} leaves ({formula}), more than max_leaves = {max_leaves}; choose fewer steps, "
            "inner episodes or streams, or raise max_leaves"
        )
