"""Level L3, estimator, sampled: the gradient that training computes, against the oracle and against its limit in B.

The limit of a large batch is the analytic shaping gradient: the co-player's step is then the exact gradient step
q' = q + alpha dJ_col/dq. What a finite batch adds is of order 1/B, because the mean of B independent steps has a
covariance that shrinks like 1/B; while no probability is clipped and T = M = 2 it is c/B exactly.
"""

import math
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lapg_rl.crossval.levels import l2_exact
from lapg_rl.crossval.levels.l2_exact import (
    EPISODES,
    STEPS,
    bias,
    expectations,
    openings,
    read,
    reinforce,
    steps_of,
    vector,
)
from lapg_rl.crossval.setting import Setting, chances, derived, logits
from lapg_rl.crossval.simulation import HONEST, Simulation, collected, compiled, estimates, play
from lapg_rl.crossval.statistics import compare_means, fitted_slope, joined
from lapg_rl.crossval.verdict import Exact, Level, Sampled
from lapg_rl.models import memory_one
from lapg_theory import exact_returns, float64, general_returns, oracle
from lapg_theory.game import COOPERATE, FiniteHorizon
from lapg_theory.oracle import episodes as ep

ESTIMATORS = ("lapg", "batch_unaware", "mfos")
META_EPISODES = 2**17
#: So many times more of them with more actions, where the learner moves less in an episode.
MORE = 4
#: Larger batch sizes than the oracle's, which only sampling reaches.
SAMPLED = (8, 16)


@compiled
def _estimates(
    simulation: Simulation,
    game,
    p: Array,
    q: Array,
    key: Array,
    coplayer: Any,
    which: Int[Array, ""],
    count: int,
    sizes: tuple[int, int],
) -> Float[Array, "k s *a"]:
    ego, (batch, steps) = memory_one(p), sizes
    own, *_ = play(simulation, game, ego, coplayer, q, key, count, batch=batch, inner_episodes=EPISODES, steps=steps)
    return estimates(simulation, ego, own, ESTIMATORS, which)


def sampled_estimates(
    simulation: Simulation, setting: Setting, estimator: str, key: Array, count: int, batch: int
) -> np.ndarray:
    """[k, coordinates] estimates of independent meta-episodes against the REINFORCE learner."""
    p, q = (jnp.asarray(x, jnp.float32) for x in setting.players)
    steps, which = steps_of(setting), jnp.array(ESTIMATORS.index(estimator))
    sample = lambda k, n: _estimates(  # noqa: E731
        simulation, setting.game, p, q, k, reinforce(setting), which, n, (batch, steps)
    )
    return read(setting, setting.compared(collected(sample, key, count, batch * steps * EPISODES)))


@derived
def limit(setting: Setting) -> np.ndarray:
    """The shaping gradient of an infinite batch, in the ego's log-odds, by autodiff through the exact returns."""
    horizon, learner = FiniteHorizon(steps_of(setting)), reinforce(setting)

    def returns(p, q, others):
        """Of all, where the first of the learners plays q and the others what they all play."""
        if setting.plain:
            return exact_returns(setting.game, p, q, horizon)
        return general_returns(setting.game, [p, q] + [others] * (setting.players_count - 2), horizon)

    def total(theta, q):
        p, found = chances(theta), jnp.zeros(())
        for episode in range(EPISODES):
            found = found + returns(p, q, q)[0]
            if episode + 1 < EPISODES:
                uphill = jax.grad(lambda moved, q=q: returns(p, moved, q)[1])(q)
                if q.ndim == 2:  # chances of all actions move, and sum to 1
                    uphill = 2 * (uphill - uphill.mean(-1, keepdims=True))
                q = jnp.clip(q + learner.alpha * uphill, learner.clip, 1 - learner.clip)
        return found

    with float64():
        p, q = setting.players
        return read(setting, setting.compared(jax.jit(jax.grad(total))(jnp.asarray(logits(p)), jnp.asarray(q))))


def meta_episodes(setting: Setting) -> int:
    """How many are sampled."""
    return setting.samples(META_EPISODES if setting.actions == 2 else MORE * META_EPISODES)


def batches_of(setting: Setting) -> tuple[int, ...]:
    """The batch sizes at which the expectations are enumerated.

    Raises:
        ValueError: where not even pairs can be, so that nothing tells the estimators apart.
    """
    if len(sizes := l2_exact.batches_of(setting, steps_of(setting))) > 1:
        return sizes
    raise ValueError(
        f"L3 enumerates minibatches of two games, too many for {setting.game}: take fewer players or actions, leave out "
        "--execution, or take --level L0,L1"
    )


def _against_oracle(simulation: Simulation, setting: Setting, key: Array) -> tuple[list[Sampled], list[dict[str, Any]]]:
    """Mean of each estimator, and variance of LAPG, each from meta-episodes of its own."""
    batch = min(setting.batch, batches_of(setting)[-1])
    told, keys = expectations(setting, batch), jax.random.split(key, len(ESTIMATORS) + 1)
    count, checks, shown = meta_episodes(setting), [], []
    for name, k in zip(ESTIMATORS, keys, strict=False):
        sample = sampled_estimates(simulation, setting, name, k, count, batch)
        truth, effect = vector(getattr(told, name)), bias(told) * (batch if name == "mfos" else 1)
        checks.append(compare_means(f"mean of {name}, B = {batch}", sample, truth, effect, "the batch-unaware bias"))
        error = sample.std(0) / np.sqrt(len(sample))
        shown.append({"name": name, "z": ((sample.mean(0) - truth) / error).tolist(),
                      "z_gradient": ((sample.mean(0) - vector(told.gradient)) / error).tolist()})  # fmt: skip
    if not setting.plain:
        return checks, shown
    spread = vector(told.variance["lapg"])
    squares = (sampled_estimates(simulation, setting, "lapg", keys[-1], count, batch) - vector(told.lapg)) ** 2
    checks.append(
        compare_means(f"variance of lapg, B = {batch}", squares, spread, np.diag(0.1 * spread), "10% of one variance")
    )
    return checks, shown


def unclipped_rate(setting: Setting) -> float:
    """The learning rate of the co-player up to which no minibatch is clipped, so that the gap to the limit is c / B.

    A minibatch moves it by a mean of what its single inner episodes would, so these are all that matters.
    """
    if not setting.plain:
        return _unclipped_by_branches(setting)
    q, clip, rate = ep.policy("naive", setting.naive), oracle.Reinforce(setting.game, 0).clip, math.inf
    payoffs = tuple(ep.number(value) for value in setting.game.column_payoffs)
    for episode in ep.episodes(STEPS):
        step = [Fraction(0)] * 5
        for (state, action), value in zip(ep.visits(episode), ep.rewards_to_go(payoffs, episode), strict=True):
            step[state] += value / q[state] if action == COOPERATE else -value / (1 - q[state])
        room = [1 - clip - x if d > 0 else x - clip for x, d in zip(q, step, strict=True)]
        rate = min([rate, *(float(r / abs(d)) for r, d in zip(room, step, strict=True) if d)])
    return max(rate, 0.0)


def _unclipped_by_branches(setting: Setting) -> float:
    p, q = openings(setting)
    played = oracle.general.branches(setting.game, [p] + [q] * (setting.players_count - 1), steps_of(setting))
    step, clip = played.pushes(1, q), reinforce(setting).clip
    room = np.where(step > 0, 1 - clip - q, q - clip)
    return max(float((room / np.maximum(np.abs(step), 1e-300)).min()), 0.0)


def _gap(setting: Setting) -> tuple[Exact, np.ndarray | None, list[list[float]]]:
    """The oracle's gap to the limit as a power of B; the coefficient of 1/B, if it is one; the oracle's gradients."""
    sizes = batches_of(setting)
    told = [vector(expectations(setting, batch).gradient) for batch in sizes]
    gaps = [gradient - limit(setting) for gradient in told]
    lengths = np.linalg.norm(gaps, axis=1)
    name, gradients = f"oracle minus analytic gradient, B = {sizes[0]} to {sizes[-1]}", [row.tolist() for row in told]
    unclipped = setting.rate <= unclipped_rate(setting)
    if (
        unclipped and steps_of(setting) == 1 and setting.players_count == 2
    ):  # the return is linear in the learner's chances
        size = float(np.abs(bias(expectations(setting, sizes[-1]))).max())
        check = Exact(f"{name}: none", float(lengths.max()), 1e-9 * size, size, "the batch-unaware bias")
        return check, np.zeros_like(gaps[-1]), gradients
    slope, _ = fitted_slope(sizes, lengths, lengths)
    away, effect = abs(slope + 1), "a gap that does not shrink"
    if not unclipped:
        words = f"{name}: exponent {slope:.3f}, none predicted where minibatches are clipped"
        return Exact(words, away, max(1.0, away), 1.0, effect), None, gradients
    check = Exact(f"{name}: exponent {slope:.3f}, predicted -1", away, 0.1, 1.0, effect)
    return check, sizes[-1] * gaps[-1], gradients


def _towards_limit(
    simulation: Simulation, setting: Setting, coefficient: np.ndarray, key: Array
) -> tuple[Sampled, list[dict[str, Any]]]:
    """LAPG at batch sizes beyond the oracle's, against the analytic gradient plus the gap that the oracle predicts."""
    count, parts, shown = meta_episodes(setting) // 4, [], []
    most = batches_of(setting)[-1]
    missed = bias(expectations(setting, most)) * most / (most - 1)
    for n, batch in enumerate(SAMPLED):
        sample = sampled_estimates(simulation, setting, "lapg", jax.random.fold_in(key, n), count, batch)
        expected = limit(setting) + coefficient / batch
        parts.append(compare_means("", sample, expected, missed * (batch - 1) / batch, ""))
        shown.append({"batch": batch, "mean": sample.mean(0).tolist(),
                      "error": (sample.std(0) / np.sqrt(len(sample))).tolist()})  # fmt: skip
    sizes = ", ".join(map(str, SAMPLED))
    return joined(f"lapg at B = {sizes} = analytic gradient + c / B", parts, "the batch-unaware bias"), shown


def level(setting: Setting, simulation: Simulation = HONEST) -> Level:
    """Sample the estimators at the oracle's size, then LAPG at larger batches."""
    batches_of(setting)  # refuses at once
    keys = jax.random.split(jax.random.fold_in(jax.random.key(setting.seed), 3), 2)
    checks, scores = _against_oracle(simulation, setting, keys[0])
    gap, coefficient, told = _gap(setting)
    sizes = batches_of(setting)
    blind = [vector(expectations(setting, batch).batch_unaware).tolist() for batch in sizes]
    data = {"states": read(setting, np.array(setting.coordinates)).tolist(),
            "scores": scores, "batch": min(setting.batch, sizes[-1]),
            "limit": limit(setting).tolist(), "coefficient": None,
            "batches": sizes, "oracle": told, "batch_unaware": blind, "points": []}  # fmt: skip
    single = (
        (
            "Inner episodes of a single step: longer ones are too many to enumerate, so what players see is left to L0 and L1.",
        )
        if steps_of(setting) == 1
        else ()
    )
    if coefficient is None:
        note = (
            "Some minibatches carry a probability of the co-player to its bound. Oracle and training clip alike, so what "
            "they expect at one B is compared; but the gap to the analytic gradient then is no multiple of 1/B, so "
            f"larger B are not. From this start nothing is clipped up to --alpha {unclipped_rate(setting):.3g}."
        )
        return Level("L3", (*checks, gap), data, (note, *single), setting.false_alarms)
    far, points = _towards_limit(simulation, setting, coefficient, keys[1])
    note = (
        "Predicted systematic gap: at finite B the gradient is not the analytic shaping gradient, but c/B away from it, "
        f"because the co-player's step is noisy. c comes from the oracle at B = {sizes[-1]}; sampled gradients at larger B are "
        "compared with limit and gap together."
    )
    data |= {"coefficient": coefficient.tolist(), "points": points}
    return Level("L3", (*checks, gap, far), data, (note, *single), setting.false_alarms)
