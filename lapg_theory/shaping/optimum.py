"""Train a memory-one agent against naive learners, exactly: the policy that a learning-aware agent should end at."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from lapg_theory.exact.chain import Discount
from lapg_theory.game import TFT, Horizon, MatrixGame, check_game, check_policy
from lapg_theory.game.units import normalised
from lapg_theory.shaping.climb import climb, highest
from lapg_theory.shaping.initialisations import expectation, sobol_logits
from lapg_theory.shaping.returns import naive_course, shaping_return, shaping_value_and_gradient

#: Near unconditional defection, indifferent, near tit-for-tat.
STARTS = ((0.01,) * 5, (0.5,) * 5, tuple(0.98 * x + 0.01 for x in TFT))


@dataclasses.dataclass(frozen=True)
class Shaper:
    """A policy that is optimal against naive learners; all rewards per step (J / horizon.weight).

    Attributes:
        policy: five cooperation probabilities, s0, CC, CD, DC, DD.
        value: its reward, mean over the inner episodes and the initial learners.
        error: standard error of `value` from the choice of its 512 initial learners, by four scramblings; None where learners
            were given.
        naive_value: the naive learners' reward, mean over the same.
        curve: its reward in each inner episode, [updates + 1].
        naive_curve: the naive learners' reward in each, [updates + 1].
        residual: largest slope that still points to where the policy may go (0 at an exact optimum).
        reason: why the search stopped.
        by_start: the value reached from every start, [starts].
    """

    policy: np.ndarray
    value: float
    error: float | None
    naive_value: float
    curve: np.ndarray
    naive_curve: np.ndarray
    residual: float
    reason: str
    by_start: np.ndarray


def train_shaper(
    game: MatrixGame,
    horizon: Horizon | Discount,
    *,
    eta: float | int,
    updates: int,
    learners: Any = None,
    starts: Sequence[Any] = STARTS,
    normalize: bool = True,
) -> Shaper:
    """Maximise the shaping return over memory-one policies by projected quasi-Newton ascent (L-BFGS-B) in [0, 1]^5.

    Args:
        game: any 2x2 game with numbers as payoffs.
        horizon: `Discounted` or `FiniteHorizon`.
        eta: the naive learning rate in logits, on returns per step if `normalize`.
        updates: number of naive updates.
        learners: initial naive logits, [n, 5]; by default 512 scrambled Sobol points for N(0, 1).
        starts: policies to start from; the best end counts.
        normalize: naive learners ascend their reward per step (False: the sum J).

    Raises:
        ValueError: as for `shaping_return`, for no start, or one that is no policy.

    Example:
        >>> import lapg_theory as lt
        >>> found = lt.train_shaper(lt.prisoners_dilemma(), lt.Discounted(0.9), eta=1.0, updates=3, learners=[(0.0,) * 5])
        >>> len(found.policy)
        5
    """
    if len(starts) == 0:
        raise ValueError("starts is empty: give at least one policy to start from")
    starts = [check_policy("starts", start) for start in starts]
    initial = sobol_logits(512) if learners is None else np.asarray(learners, dtype=float)

    check_game(game)
    game, scale, learner = normalised(game)
    eta = eta * learner.unit

    def per_step(p):
        value, gradient = shaping_value_and_gradient(game, horizon, p, initial, eta, updates, normalize)
        return value.mean() / horizon.weight, gradient.mean(axis=0) / horizon.weight

    ends = climb(per_step, starts, ftol=1e-15, gtol=1e-8, maxiter=1000)
    top = highest(ends)
    policy = np.clip(top.policy, 0, 1)
    _, uphill = per_step(policy)
    _, own, naive = (x.mean(axis=0) for x in naive_course(game, horizon, policy, initial, eta, updates, normalize))
    error = None
    if learners is None:
        _, error = expectation(lambda q: shaping_return(game, horizon, policy, q, eta, updates, normalize))
        error *= scale.unit * np.sqrt(4) / horizon.weight  # of one set of learners, not of the mean over four
    return Shaper(
        policy=policy,
        value=scale.level(top.value),
        error=error,
        naive_value=learner.level(naive.mean() / horizon.weight),
        curve=scale.level(own / horizon.weight),
        naive_curve=learner.level(naive / horizon.weight),
        residual=scale.unit * np.abs(np.clip(policy + uphill, 0, 1) - policy).max(),
        reason=top.reason,
        by_start=scale.level(np.array([end.value for end in ends])),
    )
