"""Who sits in the other seats of a game of several players: groups of co-players by kind, and how often each is met."""

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction

#: Kinds of the co-players that are met at once, those of one kind together.
Members = tuple[str, ...]


def name_of(members: Members) -> str:
    """What metrics call a group: a kind where all are of it, as among two players, else as in naive+meta or 2naive+meta."""
    counts = Counter(kind.rpartition(":")[2] for kind in members)
    if len(counts) == 1:
        return next(iter(counts))
    return "+".join(f"{count if count > 1 else ''}{kind}" for kind, count in counts.items())


def shares_of_groups(shares: Mapping[str, float], seats: int) -> dict[Members, Fraction]:
    """How often each group is met if the kind in every one of `seats` seats is drawn by `shares`, apart from the others.

    Groups that differ in the order of their seats alone are one, whose chance is multinomial.
    """
    there = {kind: Fraction(share).limit_denominator(10**6) for kind, share in shares.items() if share > 0}
    return {
        members: math.prod((there[kind] for kind in members), start=Fraction(_orders(members)))
        for members in itertools.combinations_with_replacement(there, seats)
    }


def _orders(members: Members) -> int:
    return math.factorial(len(members)) // math.prod(math.factorial(n) for n in Counter(members).values())


def least_multiple(shares: Sequence[Fraction]) -> int:
    """The number of meta-episodes whose multiples hold a whole number of each group."""
    return math.lcm(*(share.denominator for share in shares))
