"""The expectations of the estimators in games of several players, and with noise, by enumerating what happens before learning.

A meta-episode has two inner episodes. The first is enumerated: what everybody intends, does and sees. Given the minibatch of B
such episodes the learners' next policies are known, and what the second brings is a linear solve. Floating point, unlike
`lapg_theory.oracle.expectations`, with which it agrees for two players without noise.
"""

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from lapg_theory.exact.chain import traceable
from lapg_theory.exact.general import general_returns
from lapg_theory.exact.precision import float64
from lapg_theory.game import COOPERATE, AnonymousGame, FiniteHorizon, MatrixGame, check_count, normal_form
from lapg_theory.oracle.moments import weights

#: Larger sums are refused.
MOST_BRANCHES, MOST_BATCHES = 20_000, 2_000_000


class Branches(NamedTuple):
    """All inner episodes that may happen: n players, T steps.

    Attributes:
        chance: of each.
        states: which entry of its policy each player reads: 0 the opening, else 1 + n a + (n - 1 - j) after own action a and j
            co-players seen to cooperate.
        actions: what each intends.
        rewards: what each gets, for what is done.
    """

    chance: Float[np.ndarray, " e"]
    states: Int[np.ndarray, "e n t"]
    actions: Int[np.ndarray, "e n t"]
    rewards: Float[np.ndarray, "e n t"]

    @property
    def to_go(self) -> Float[np.ndarray, "e n t"]:
        """What each gets from a step on."""
        return self.rewards[..., ::-1].cumsum(-1)[..., ::-1]

    def by_state(self, player: int, values: Float[np.ndarray, "e t"]) -> Float[np.ndarray, "e s"]:
        """Sums over the steps of an episode, by the state that a player reads: 2 n + 1 of them."""
        return np.einsum("ets,et->es", np.eye(2 * self.states.shape[1] + 1)[self.states[:, player]], values)

    def pushes(self, player: int, policy: Float[np.ndarray, " s"]) -> Float[np.ndarray, "e s"]:
        """What REINFORCE adds to a learner's probabilities after each episode, at rate 1: score times reward to go."""
        q = policy[self.states[:, player]]
        score = np.where(self.actions[:, player] == COOPERATE, 1 / q, -1 / (1 - q))
        return self.by_state(player, score * self.to_go[:, player])


class GeneralExpectations(NamedTuple):
    """Exact expectations over a meta-episode of two inner episodes; vectors run over the ego's log-odds, 2 n + 1 states."""

    J: float
    gradient: Float[np.ndarray, " s"]
    lapg: Float[np.ndarray, " s"]
    batch_unaware: Float[np.ndarray, " s"]
    mfos: Float[np.ndarray, " s"]
    inner_episode: Float[np.ndarray, " s"]


def size(game: MatrixGame | AnonymousGame, players: int, steps: int) -> int:
    """How many different inner episodes `branches` gives."""
    noise = game.noise
    slips = 2**players if noise is not None and noise.execution else 1
    looks = 2 ** (players * (players - 1)) if noise is not None and noise.perception else 1
    return (2**players * slips) ** steps * looks ** (steps - 1)


def branches(game: MatrixGame | AnonymousGame, policies: Sequence[Any], steps: int) -> Branches:
    """Every inner episode of memory-one players, by what they intend, do (if actions slip) and see (if observations err).

    Args:
        game: a 2x2 game, or an anonymous one, with or without noise.
        policies: 2 n + 1 chances of cooperating, one row a player.
        steps: T.

    Raises:
        ValueError: where that is more than MOST_BRANCHES.
    """
    check_count("steps", steps)
    table, n, p = normal_form(game).payoffs, len(policies), np.asarray(policies, float)
    slip, error = (0.0, 0.0) if game.noise is None else (float(game.noise.execution), float(game.noise.perception))
    joint = np.array(list(itertools.product((0, 1), repeat=n)))
    slips = joint if slip else joint[:1]
    glances = (
        np.array(list(itertools.product((0, 1), repeat=n * (n - 1)))) if error else np.zeros((1, n * (n - 1)), int)
    )
    if (count := size(game, n, steps)) > MOST_BRANCHES:
        raise ValueError(
            f"{n} players in {steps} steps, with this noise, have {count:,} different episodes, more than {MOST_BRANCHES:,}; "
            "take fewer steps, fewer players or one kind of noise"
        )
    chance, seen = np.ones(1), np.zeros((1, n), int)
    kept: list[list[np.ndarray]] = [[], [], []]
    others = [[j for j in range(n) if j != i] for i in range(n)]
    for t in range(steps):
        last = t == steps - 1
        looks = glances[:1] * 0 if last else glances
        before, intended, slipped, looked = (
            x.ravel() for x in np.indices((len(chance), len(joint), len(slips), len(looks)))
        )
        wanted, away, wrong = joint[intended], slips[slipped], looks[looked].reshape(-1, n, n - 1)
        done = wanted ^ away
        cooperate = np.take_along_axis(p, seen[before].T, axis=1).T
        chance = chance[before] * np.where(wanted == COOPERATE, cooperate, 1 - cooperate).prod(1)
        chance = chance * np.where(away, slip, 1 - slip).prod(1)
        if not last:
            chance = chance * np.where(wrong, error, 1 - error).prod((1, 2))
        kept = [[x[before] for x in part] for part in kept]
        for part, value in zip(kept, (seen[before], wanted, table[:, *done.T].T), strict=True):
            part.append(value)
        missing = np.stack([(done[:, others[i]] ^ wrong[:, i]).sum(1) for i in range(n)], axis=1)
        seen = 1 + n * done + missing
    return Branches(chance, *(np.stack(part, axis=2) for part in kept))


def _minibatches(count: int, batch: int) -> tuple[Int[np.ndarray, "m b"], Float[np.ndarray, " m"]]:
    """All multisets of `batch` episodes, and in how many orders each comes."""
    total = math.comb(count + batch - 1, batch)
    if total > MOST_BATCHES:
        raise ValueError(
            f"{count:,} episodes make {total:,} minibatches of {batch}, more than {MOST_BATCHES:,}; take a smaller one"
        )
    if batch == 2:
        members = np.stack(np.triu_indices(count), axis=1)
    else:
        members = np.array(list(itertools.combinations_with_replacement(range(count), batch)))
    repeats = np.ones(len(members))  # b! over this: the product of the factorials of how often each is there
    run = np.ones(len(members))
    for k in range(1, batch):
        run = np.where(members[:, k] == members[:, k - 1], run + 1, 1)
        repeats = repeats * run
    return members, math.factorial(batch) / repeats


@functools.partial(jax.jit, static_argnames=("game", "steps"))
def _second(game: Any, theta: Any, learners: Any, steps: int) -> tuple[Any, Any]:
    """The ego's return [m] and its slope [m, s] in the log-odds, against policies of the learners [n - 1, m, s]."""

    def total(theta):
        found = general_returns(game, [jax.nn.sigmoid(theta), *learners], FiniteHorizon(steps))[0]
        return found.sum(), found

    slope, found = jax.grad(total, has_aux=True)(jnp.broadcast_to(theta, learners[0].shape))
    return found, slope


def general_expectations(
    game: MatrixGame | AnonymousGame,
    ego: Any,
    naive: Sequence[Any],
    *,
    steps: int,
    batch: int,
    rate: float,
    clip: float = 0.02,
) -> GeneralExpectations:
    """J, its gradient and the mean of each estimator, against n - 1 learners that take one REINFORCE step between two episodes.

    Each ascends its own return as `lapg_theory.oracle.Reinforce` does. The gradient is that of J by its score function.

    Args:
        game: a 2x2 game, or an anonymous one, with or without noise.
        ego: its 2 n + 1 chances of cooperating, without memory across inner episodes.
        naive: the same of each learner at first, in its own view.
        steps: T, steps of an inner episode.
        batch: B, parallel trajectories.
        rate: alpha of the learners, in probabilities.
        clip: their probabilities stay in [clip, 1 - clip].

    Raises:
        ValueError: for sizes that are no counts, or more episodes or minibatches than can be summed.
    """
    check_count("batch", batch)
    p, q = np.asarray(ego, float), np.asarray(naive, float)
    played = branches(game, [p, *q], steps)
    members, orders = _minibatches(len(played.chance), batch)
    chance = played.chance[members].prod(1) * orders
    surprise = (played.actions[:, 0] == COOPERATE) - p[played.states[:, 0]]
    score, now = played.by_state(0, surprise), played.by_state(0, surprise * played.to_go[:, 0])
    steps_taken = (played.pushes(i, policy)[members].mean(1) for i, policy in enumerate(q, start=1))
    after = [np.clip(policy + rate * step, clip, 1 - clip) for policy, step in zip(q, steps_taken, strict=True)]
    traceable(FiniteHorizon(steps))
    with float64():
        theta = jnp.asarray(np.log(p) - np.log1p(-p))
        second, slope = (np.asarray(x) for x in _second(game, theta, tuple(map(jnp.asarray, after)), steps))
    first = played.rewards[:, 0].sum(-1)
    scores, presents = score[members].sum(1), now[members].sum(1)
    means = {}
    for name, parts in weights(batch).items():
        c_now, c_own, c_all = map(float, parts)
        future = (c_own + batch * c_all) * scores * second[:, None]
        means[name] = chance @ (c_now * presents + future) + c_now * batch * (chance @ slope)
    total = first[members].mean(1) + second
    gradient = chance @ (scores * total[:, None] + slope)
    return GeneralExpectations(float(chance @ total), gradient, **means)
