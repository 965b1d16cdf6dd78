"""Learning-aware agents that train by AdamW, with naive learners drawn afresh at every step, many runs at once.

`lapg_theory.dynamics.iterate` with `Lapg` does the same for one fixed set of naive learners; here runs with the same
start differ by the learners they met, which is what a spread over seeds is about.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int
from scipy.special import expit, logit

from lapg_theory.exact.chain import Discount, from_logits, payoffs, stacked
from lapg_theory.exact.slopes import slopes
from lapg_theory.game import NAMED, MatrixGame, check_count
from lapg_theory.learning import sobol_logits
from lapg_theory.metagame.objective import Setting, against_naive, partial
from lapg_theory.shaping.course import value_and_slope

Agents = Float[np.ndarray, "runs players 5"]
Course = Float[np.ndarray, "records runs players 5"]

#: Pure strategies are rest points of learning in logits; agents start this far from them.
AWAY = 0.01


def starts(name: str, runs: int, players: int, seed: int) -> Agents:
    """Logits of agents that start "random" (N(0, 1) logits), or 0.01 away from a named strategy."""
    if name == "random":
        return np.random.default_rng(seed).standard_normal((runs, players, 5))
    near = logit(np.clip(NAMED[name], AWAY, 1 - AWAY))
    return np.broadcast_to(near, (runs, players, 5)).copy()


def _ascent(theta: Any, learners: Any, rewards: Any, pool: Any, updates: int) -> Any:
    """Slope per step of share x (shaping return) + (1 - share) x (self-play return), in logits, [5, runs, players]."""
    gamma, eta, share = pool
    ego, horizon = from_logits(theta), Discount(gamma, 1 / (1 - gamma))
    other = from_logits(theta[..., ::-1]).mirrored()
    (against,) = slopes(ego, other, rewards[:1], horizon)
    slope = (1 - share) * stacked(against.row)
    if learners is not None:
        several, each = from_logits(theta[..., None]), Discount(gamma[..., None], 1 / (1 - gamma[..., None]))
        _, shaping = value_and_slope(several, learners, rewards, each, eta[..., None], updates)
        slope = slope + share * shaping.mean(-1)
    return stacked(ego.cooperate) * stacked(ego.defect) * slope


@functools.partial(jax.jit, static_argnames=("updates", "records", "every", "batch"))
def _train(
    theta: Any, state: Any, key: Any, rewards: Any, pool: Any, rate: Any, *, updates: int, records: int, every: int,
    batch: int,
) -> tuple[Float[Array, "records 5 runs players"], Any]:  # fmt: skip
    optimizer = optax.adamw(rate)

    def step(carry, key):
        theta, state = carry
        learners = jax.random.normal(key, (*theta.shape, batch), theta.dtype) if batch else None
        downhill = -_ascent(theta, learners, rewards, pool, updates)
        change, state = optimizer.update(downhill, state, theta)
        return (theta + change, state), None

    def stretch(carry, key):
        carry, _ = jax.lax.scan(step, carry, jax.random.split(key, every))
        return carry, carry[0]

    (_, state), path = jax.lax.scan(stretch, (theta, state), jax.random.split(key, records))
    return path, state


def train(
    game: MatrixGame,
    theta: Agents,
    *,
    gamma: Any,
    eta: Any,
    share: Any,
    updates: int,
    steps: int,
    every: int,
    batch: int,
    rate: float,
    seed: int,
    state: Any = None,
) -> tuple[Int[np.ndarray, " records"], Course, Any]:
    """Steps taken, cooperation probabilities at every record, the start first, and the optimiser's state at the end.

    Each agent ascends share x (return over a naive learner's course, mean over inner episodes and `batch` fresh N(0, 1)
    learners) + (1 - share) x (return against the other agent of its run); AdamW with optax's defaults, float32.
    `gamma`, `eta` (on returns per step) and the effective `share` are numbers or have one entry for each run. The
    optimiser goes on from `state`, or starts afresh.
    """
    for name, count in (("steps", steps), ("every", every), ("batch", batch)):
        check_count(name, count)
    runs = len(theta)
    pool = tuple(jnp.asarray(np.broadcast_to(x, runs)[:, None], jnp.float32) for x in (gamma, eta, share))
    logits = jnp.asarray(np.moveaxis(theta, -1, 0), jnp.float32)
    path, state = _train(
        logits,
        optax.adamw(rate).init(logits) if state is None else state,
        jax.random.key(seed),
        (payoffs(game), payoffs(game, 1)),
        pool,
        rate,
        updates=updates,
        records=-(-steps // every),
        every=every,
        batch=batch if np.any(share) else 0,
    )
    course = np.concatenate([theta[None], np.moveaxis(np.asarray(path, float), 1, -1)])
    return every * np.arange(len(course)), expit(course), state


def self_play(game: MatrixGame, course: Course, gamma: Any) -> Float[np.ndarray, "records runs"]:
    """What the two agents of a run earn per step against each other, their mean."""
    p, q = (course[:, :, k].reshape(-1, 5) for k in (0, 1))
    setting = Setting(
        game, np.tile(np.broadcast_to(gamma, course.shape[1]), len(course)), 0.0, 0.0, 0, np.zeros((1, 5))
    )
    each = partial(setting, p, q)[0] + partial(setting, q, p)[0]
    return each.reshape(course.shape[:2]) / 2


def versus_naive(
    game: MatrixGame, course: Course, *, gamma: Any, eta: Any, updates: int, nodes: int
) -> Float[np.ndarray, "2 records runs"]:
    """Returns per step of each run's first agent, and of the naive learners it meets, over their courses of learning.

    The learners are `nodes` Sobol points, the same for all agents.
    """
    gamma, eta = (np.broadcast_to(x, course.shape[1]) for x in (gamma, eta))
    setting = Setting(game, gamma, 1.0, eta, updates, sobol_logits(nodes))
    return np.moveaxis(np.array([against_naive(setting, policies[:, 0]) for policies in course]), 1, 0)
