"""Exact gradient ascent of agents in a pool, many runs at once, for inner episodes of a fixed number of steps.

What the sampled agents of level L5 do on average if their batches are infinite: log-odds theta of each agent of a run step by

    rate * [share * d mean_m J(p, q_m) / d theta + (1 - share) * d J(p, other) / d theta],      J per step,

where q_m, m = 0..updates, are the policies of a naive learner that starts at 1/2 and takes exact gradient steps of `eta`.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from lapg_theory import exact_returns, float64, naive_course, shaping_value_and_gradient
from lapg_theory.exact.chain import from_logits, payoffs, stacked
from lapg_theory.exact.slopes import slopes
from lapg_theory.game import ALLD, DC, FiniteHorizon, MatrixGame
from lapg_theory.shaping.course import value_and_slope


@functools.partial(jax.jit, static_argnames=("steps", "naive_updates", "updates", "every"))
def _ascend(theta: Any, share: Any, eta: Any, rate: Any, rewards: Any, *, steps, naive_updates, updates, every) -> Any:
    horizon = FiniteHorizon(steps)

    def slope(own, other):
        ego = from_logits(own)
        scale = stacked(ego.cooperate) * stacked(ego.defect)
        _, shaping = value_and_slope(ego, jnp.zeros_like(own), rewards, horizon, eta, naive_updates)
        if other is None:
            return scale * share * shaping
        (alone,) = slopes(ego, from_logits(other).mirrored(), rewards[:1], horizon)
        return scale * (share * shaping + (1 - share) * stacked(alone.row))

    def step(players, _):
        others = [None] if len(players) == 1 else players[::-1]
        return players + rate * jnp.stack([slope(a, b) for a, b in zip(players, others, strict=True)]), None

    def stretch(players, _):
        players, _ = jax.lax.scan(step, players, length=every)
        return players, players

    return jax.lax.scan(stretch, theta, length=updates // every)[1]


def ascend(
    game: MatrixGame, start: Any, share: Any, eta: Any, *, rate: float, steps: int, naive_updates: int, updates: int,
    every: int,
) -> Float[np.ndarray, "records runs players 5"]:  # fmt: skip
    """Log-odds of the agents at the start and after each `every` of `updates` updates.

    Args:
        game: a symmetric game.
        start: log-odds [runs, players, 5], of one player (who shapes) or two (who also meet one another).
        share: of naive learners among those met, [runs].
        eta: of the naive learners, in log-odds on returns per step, [runs].
        rate: step size of the agents.
        steps: T.
        naive_updates: how often a naive learner learns.
        updates: steps of the agents in all.
        every: steps between two records; it must divide `updates`.
    """
    rewards = (payoffs(game), payoffs(game, 1))
    with float64():
        theta = jnp.asarray(np.moveaxis(np.asarray(start, float), 0, -1))
        path = _ascend(
            theta, jnp.asarray(share, float), jnp.asarray(eta, float), rate, rewards,
            steps=steps, naive_updates=naive_updates, updates=updates, every=every,
        )  # fmt: skip
        path = np.moveaxis(np.asarray(path), -1, 1)
    return np.concatenate([np.asarray(start, float)[None], path])


def window(game: MatrixGame, *, steps: int, naive_updates: int) -> tuple[float, float] | None:
    """(lower, upper) naive learning rate between which shaping makes an unconditional defector reward cooperation.

    Where the shaping gradient at defection is positive after DC, the only state whose slope does not depend on the
    agent's like; learners start at 1/2. None where it is positive nowhere. (`lapg_theory.defection_certificate` has it for
    games that go on for ever; an inner episode ends.)
    """

    def slope(rates):
        return np.asarray(
            shaping_value_and_gradient(game, FiniteHorizon(steps), np.array(ALLD), np.zeros(5), rates, naive_updates)[1]
        )[:, DC]

    own = [float(payoff) for payoff in game.column_payoffs]
    grid = np.geomspace(0.01, 1e4, 256) / (max(own) - min(own))
    inside = np.flatnonzero(slope(grid) > 0)
    if not len(inside):
        return None
    edges = []
    for n, step in ((inside[0], -1), (inside[-1], 1)):
        finer = np.geomspace(grid[n], grid[np.clip(n + step, 0, 255)], 256)
        edges.append(float(finer[np.flatnonzero(slope(finer) > 0)[-1]]))
    return edges[0], edges[1]


def earnings(
    game: MatrixGame, policies: Any, eta: Any, *, steps: int, naive_updates: int
) -> tuple[Float[np.ndarray, " runs"], Float[np.ndarray, "runs players"]]:
    """(what the agents of each run earn from one another, what each earns from naive learners), per step.

    `policies` are probabilities [runs, players, 5]; results [runs] and [runs, players].
    """
    policies = np.asarray(policies, float)
    horizon = FiniteHorizon(steps)
    one, other = (np.asarray(r) for r in exact_returns(game, policies[:, 0], policies[:, -1], horizon))
    _, own, _ = naive_course(game, horizon, policies, np.zeros(5), np.asarray(eta, float)[:, None], naive_updates)
    return (one + other) / 2 / steps, np.asarray(own).mean(-1) / steps
