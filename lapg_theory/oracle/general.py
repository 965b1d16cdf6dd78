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
from lapg_theory.exact.markov import side_by_side, slipped
from lapg_theory.exact.precision import float64
from lapg_theory.game import (
    COOPERATE,
    AnonymousGame,
    FiniteHorizon,
    MatrixGame,
    NormalFormGame,
    check_count,
    normal_form,
)
from lapg_theory.oracle.moments import weights

#: Larger sums are refused.
MOST_BRANCHES, MOST_BATCHES = 20_000, 2_000_000


class Branches(NamedTuple):
    """All inner episodes that may happen: n players, T steps.

    Attributes:
        chance: of each.
        states: which entry of its policy each player reads: 0 the opening, else 1 + n a + (n - 1 - j) after own action a and j
            co-players seen to cooperate; of two players with k actions 1 + k a + b after own a and the other's b.
        actions: what each intends.
        rewards: what each gets, for what is done.
        entries: how many entries a policy has, or rows.
    """

    chance: Float[np.ndarray, " e"]
    states: Int[np.ndarray, "e n t"]
    actions: Int[np.ndarray, "e n t"]
    rewards: Float[np.ndarray, "e n t"]
    entries: int

    @property
    def to_go(self) -> Float[np.ndarray, "e n t"]:
        """What each gets from a step on."""
        return self.rewards[..., ::-1].cumsum(-1)[..., ::-1]

    def by_state(
        self, player: int, values: Float[np.ndarray, "e t *k"], times: Float[np.ndarray, "e t"] | None = None
    ) -> Float[np.ndarray, "e s *k"]:
        """Sums over the steps of an episode, of `values` or of so many `times` them, by the state that a player reads."""
        if times is not None:
            values = values * times.reshape(times.shape + (1,) * (values.ndim - 2))
        return np.einsum("ets,et...->es...", np.eye(self.entries)[self.states[:, player]], values)

    def scores(self, player: int, policy: Float[np.ndarray, " s *k"]) -> Float[np.ndarray, "e t *a"]:
        """Slopes of the log-chance of what a player does, in the log-odds of C, or in k - 1 logits, the last one at 0."""
        done = self.actions[:, player]
        if policy.ndim == 1:
            return (done == COOPERATE) - policy[self.states[:, player]]
        k = policy.shape[1]
        return (np.eye(k)[done] - policy[self.states[:, player]])[..., : k - 1]

    def pushes(self, player: int, policy: Float[np.ndarray, " s *k"]) -> Float[np.ndarray, "e s *k"]:
        """What REINFORCE adds to a learner's probabilities after each episode, at rate 1: score times reward to go.

        With k actions, [e, s, k]: twice the slope in their chances less its mean over the actions, so that sums stay 1; of
        two actions the first one moves as the chance of C does.
        """
        q, done = policy[self.states[:, player]], self.actions[:, player]
        if policy.ndim == 1:
            push = np.where(done == COOPERATE, 1 / q, -1 / (1 - q))
        else:
            score = np.eye(policy.shape[1])[done] / q
            push = 2 * (score - score.mean(-1, keepdims=True))
        return self.by_state(player, push, self.to_go[:, player])


class GeneralExpectations(NamedTuple):
    """Exact expectations over a meta-episode of two inner episodes; vectors run over the ego's log-odds, 2 n + 1 states.

    With k actions they are tables [1 + k^2, k - 1], over all logits of a state but the last one, which stays.
    """

    J: float
    gradient: Float[np.ndarray, " s *k"]
    lapg: Float[np.ndarray, " s *k"]
    batch_unaware: Float[np.ndarray, " s *k"]
    mfos: Float[np.ndarray, " s *k"]
    inner_episode: Float[np.ndarray, " s *k"]


def size(game: MatrixGame | AnonymousGame | NormalFormGame, players: int, steps: int) -> int:
    """How many different inner episodes `branches` gives."""
    noise, k = game.noise, max(normal_form(game).actions)
    slips = k**players if noise is not None and noise.execution else 1
    looks = k ** (players * (players - 1)) if noise is not None and noise.perception else 1
    return (k**players * slips) ** steps * looks ** (steps - 1)


def _check_game(game: Any, players: int) -> None:
    if isinstance(game, NormalFormGame) and (game.players != 2 or len(set(game.actions)) != 1):
        raise ValueError(f"of tables those of two players with the same number of actions are enumerated, got {game}")
    if len(normal_form(game).actions) != players:
        raise ValueError(f"policies must be one for each of the {game.players} players, got {players}")


def branches(game: MatrixGame | AnonymousGame | NormalFormGame, policies: Sequence[Any], steps: int) -> Branches:
    """Every inner episode of memory-one players, by what they intend, do (if actions slip) and see (if observations err).

    Args:
        game: a 2x2 game, an anonymous one, or one of two players with k actions each, with or without noise.
        policies: 2 n + 1 chances of cooperating, one row a player; of k actions a table [1 + k^2, k] each.
        steps: T.

    Raises:
        ValueError: where that is more than MOST_BRANCHES, and for another game.
    """
    check_count("steps", steps)
    _check_game(game, len(policies))
    table, n, p = normal_form(game).payoffs, len(policies), np.asarray(policies, float)
    tables = p if p.ndim == 3 else np.stack([p, 1 - p], axis=-1)
    k = tables.shape[-1]
    slip, error = (0.0, 0.0) if game.noise is None else (float(game.noise.execution), float(game.noise.perception))

    def errors(count: int, chance: float) -> np.ndarray:
        """By how many actions each of `count` is off: all ways, or none."""
        return np.array(list(itertools.product(range(k if chance else 1), repeat=count)), int).reshape(-1, count)

    joint, slips, glances = errors(n, 1.0), errors(n, slip), errors(n * (n - 1), error)
    if (count := size(game, n, steps)) > MOST_BRANCHES:
        raise ValueError(
            f"{n} players in {steps} steps, with this noise, have {count:,} different episodes, more than {MOST_BRANCHES:,}; "
            "take fewer steps, fewer players or actions, or one kind of noise"
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
        done = (wanted + away) % k
        chance = chance[before] * tables[np.arange(n), seen[before], wanted].prod(1)
        chance = chance * np.where(away, slip / (k - 1), 1 - slip).prod(1)
        if not last:
            chance = chance * np.where(wrong, error / (k - 1), 1 - error).prod((1, 2))
        kept = [[x[before] for x in part] for part in kept]
        for part, value in zip(kept, (seen[before], wanted, table[:, *done.T].T), strict=True):
            part.append(value)
        looked_like = np.stack([((done[:, others[i]] + wrong[:, i]) % k).sum(1) for i in range(n)], axis=1)
        seen = 1 + (k if n == 2 else n) * done + looked_like
    states, actions, rewards = (np.stack(part, axis=2) for part in kept)
    return Branches(chance, states, actions, rewards, p.shape[1])


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


def _return(game: Any, policies: Sequence[Any], steps: int) -> Any:
    """The first player's; with k actions, that of a single step from the openings alone."""
    if steps > 1 or policies[0].ndim < 3:
        return general_returns(game, policies, FiniteHorizon(steps))[0]
    openings = [slipped(policy[..., :1, :], game.noise) for policy in policies]
    return side_by_side(openings)[..., 0, :] @ game.payoffs[0].ravel()


@functools.partial(jax.jit, static_argnames=("game", "steps"))
def _second(game: Any, theta: Any, learners: Any, steps: int) -> tuple[Any, Any]:
    """The ego's return [m] and its slope [m, s, ...] in the log-odds, against policies of the learners [n - 1, m, s, ...]."""

    def policy(theta):
        if theta.ndim == 2:
            return jax.nn.sigmoid(theta)
        return jax.nn.softmax(jnp.concatenate([theta, jnp.zeros_like(theta[..., :1])], axis=-1))

    def value(theta):
        found = _return(game, [policy(theta), *learners], steps)
        return found.sum(), found

    slope, found = jax.grad(value, has_aux=True)(jnp.broadcast_to(theta, (len(learners[0]), *theta.shape)))
    return found, slope


def general_expectations(
    game: MatrixGame | AnonymousGame | NormalFormGame,
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
        game: a 2x2 game, an anonymous one, or one of two players with k actions each, with or without noise.
        ego: its 2 n + 1 chances of cooperating, without memory across inner episodes; of k actions a table [1 + k^2, k], for a
            single step its first row, [1, k].
        naive: the same of each learner at first, in its own view.
        steps: T, steps of an inner episode.
        batch: B, parallel trajectories.
        rate: alpha of the learners, in probabilities.
        clip: their probabilities stay in [clip, 1 - clip]; of k actions they are then divided by their sum.

    Raises:
        ValueError: for sizes that are no counts, or more episodes or minibatches than can be summed.
    """
    check_count("batch", batch)
    p, q = np.asarray(ego, float), np.asarray(naive, float)
    played = branches(game, [p, *q], steps)
    members, orders = _minibatches(len(played.chance), batch)
    chance = played.chance[members].prod(1) * orders
    surprise = played.scores(0, p)
    score, now = played.by_state(0, surprise), played.by_state(0, surprise, played.to_go[:, 0])
    steps_taken = (played.pushes(i, policy)[members].mean(1) for i, policy in enumerate(q, start=1))
    after = [np.clip(policy + rate * step, clip, 1 - clip) for policy, step in zip(q, steps_taken, strict=True)]
    if p.ndim == 2:
        after = [policy / policy.sum(-1, keepdims=True) for policy in after]
    traceable(FiniteHorizon(steps))
    with float64():
        theta = jnp.asarray(np.log(p) - np.log1p(-p) if p.ndim == 1 else np.log(p[:, :-1] / p[:, -1:]))
        second, slope = (np.asarray(x) for x in _second(game, theta, tuple(map(jnp.asarray, after)), steps))
    first = played.rewards[:, 0].sum(-1)
    scores, presents = score[members].sum(1), now[members].sum(1)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.tensordot(chance, values, 1)

    def times(values: np.ndarray) -> np.ndarray:
        return scores * values.reshape(-1, *(1,) * (scores.ndim - 1))

    means = {}
    for name, parts in weights(batch).items():
        c_now, c_own, c_all = map(float, parts)
        future = (c_own + batch * c_all) * times(second)
        means[name] = mean(c_now * presents + future) + c_now * batch * mean(slope)
    earned = first[members].mean(1) + second
    return GeneralExpectations(float(mean(earned)), mean(times(earned) + slope), **means)
