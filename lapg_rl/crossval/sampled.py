"""Level L3, estimator, sampled: the gradient that training computes, against the oracle and against its limit in B.

The limit of a large batch is the analytic shaping gradient: the co-player's step is then the exact gradient step
q' = q + alpha dJ_col/dq. What a finite batch adds is of order 1/B, because the mean of B independent steps has a
covariance that shrinks like 1/B; while no probability is clipped and T = M = 2 it is c/B exactly.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lapg_rl.crossval.exact import EPISODES, STEPS, bias, expectations, reinforce, vector
from lapg_rl.crossval.setting import Setting, derived, logits
from lapg_rl.crossval.simulation import HONEST, Simulation, collected, compiled, estimates, play
from lapg_rl.crossval.statistics import compare_means, fitted_slope, joined
from lapg_rl.crossval.verdict import Exact, Level, Sampled
from lapg_rl.models import memory_one
from lapg_theory import exact_returns, float64
from lapg_theory.game import FiniteHorizon

ESTIMATORS = ("lapg", "batch_unaware", "mfos")
META_EPISODES = 2**17
#: Batch sizes at which the oracle gives the gap to the limit, and larger ones at which only sampling reaches it.
ENUMERATED, SAMPLED = (1, 2, 3, 4), (8, 16)
#: The largest batch at which an estimator is compared with the oracle.
MOST = 4


@compiled
def _estimates(
    simulation: Simulation,
    game,
    p: Array,
    q: Array,
    key: Array,
    coplayer: Any,
    estimator: str,
    count: int,
    sizes: tuple[int],
) -> Float[Array, "k 5"]:
    ego = memory_one(p)
    own, _ = play(simulation, game, ego, coplayer, q, key, count, batch=sizes[0], inner_episodes=EPISODES, steps=STEPS)
    return estimates(simulation, ego, own, estimator)


def sampled_estimates(
    simulation: Simulation, setting: Setting, estimator: str, key: Array, count: int, batch: int
) -> np.ndarray:
    """[k, 5] estimates of independent meta-episodes against the REINFORCE learner."""
    p, q = (jnp.asarray(x, jnp.float32) for x in setting.players)
    sample = lambda k, n: _estimates(  # noqa: E731
        simulation, setting.game, p, q, k, reinforce(setting), estimator, n, (batch,)
    )
    return collected(sample, key, count, batch * STEPS * EPISODES)


@derived
def limit(setting: Setting) -> np.ndarray:
    """The shaping gradient of an infinite batch, in the ego's log-odds, by autodiff through the exact returns."""
    horizon, learner = FiniteHorizon(STEPS), reinforce(setting)

    def total(theta, q):
        p, found = jax.nn.sigmoid(theta), jnp.zeros(())
        for episode in range(EPISODES):
            found = found + exact_returns(setting.game, p, q, horizon)[0]
            if episode + 1 < EPISODES:
                uphill = jax.grad(lambda q: exact_returns(setting.game, p, q, horizon)[1])(q)
                q = jnp.clip(q + learner.alpha * uphill, learner.clip, 1 - learner.clip)
        return found

    with float64():
        p, q = setting.players
        return np.asarray(jax.grad(total)(jnp.asarray(logits(p)), jnp.asarray(q)))


def _against_oracle(simulation: Simulation, setting: Setting, key: Array) -> tuple[list[Sampled], list[dict[str, Any]]]:
    """Mean of each estimator, and variance of LAPG, each from meta-episodes of its own."""
    batch = min(setting.batch, MOST)
    told, keys = expectations(setting, batch), jax.random.split(key, len(ESTIMATORS) + 1)
    count, checks, shown = setting.samples(META_EPISODES), [], []
    for name, k in zip(ESTIMATORS, keys, strict=False):
        sample = sampled_estimates(simulation, setting, name, k, count, batch)
        truth, effect = vector(getattr(told, name)), bias(told) * (batch if name == "mfos" else 1)
        checks.append(compare_means(f"mean of {name}, B = {batch}", sample, truth, effect, "the batch-unaware bias"))
        error = sample.std(0) / np.sqrt(len(sample))
        shown.append({"name": name, "z": ((sample.mean(0) - truth) / error).tolist(),
                      "z_gradient": ((sample.mean(0) - vector(told.gradient)) / error).tolist()})  # fmt: skip
    spread = vector(told.variance["lapg"])
    squares = (sampled_estimates(simulation, setting, "lapg", keys[-1], count, batch) - vector(told.lapg)) ** 2
    checks.append(
        compare_means(f"variance of lapg, B = {batch}", squares, spread, np.diag(0.1 * spread), "10% of one variance")
    )
    return checks, shown


def _gap(setting: Setting) -> tuple[Exact, np.ndarray, list[list[float]]]:
    """The oracle's gap to the limit as a power of B; the coefficient of 1/B; the oracle's gradients."""
    told = [vector(expectations(setting, batch).gradient) for batch in ENUMERATED]
    gaps = [gradient - limit(setting) for gradient in told]
    lengths = np.linalg.norm(gaps, axis=1)
    slope, _ = fitted_slope(ENUMERATED, lengths, lengths)
    check = Exact(
        f"oracle minus analytic gradient, B = {ENUMERATED[0]} to {ENUMERATED[-1]}: exponent {slope:.3f}, predicted -1",
        abs(slope + 1), 0.1, 1.0, "a gap that does not shrink",
    )  # fmt: skip
    return check, ENUMERATED[-1] * gaps[-1], [gradient.tolist() for gradient in told]


def _towards_limit(
    simulation: Simulation, setting: Setting, coefficient: np.ndarray, key: Array
) -> tuple[Sampled, list[dict[str, Any]]]:
    """LAPG at batch sizes beyond the oracle's, against the analytic gradient plus the gap that the oracle predicts."""
    count, parts, shown = setting.samples(META_EPISODES // 4), [], []
    missed = bias(expectations(setting, MOST)) * MOST / (MOST - 1)
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
    keys = jax.random.split(jax.random.fold_in(jax.random.key(setting.seed), 3), 2)
    checks, scores = _against_oracle(simulation, setting, keys[0])
    gap, coefficient, told = _gap(setting)
    far, points = _towards_limit(simulation, setting, coefficient, keys[1])
    blind = [vector(expectations(setting, batch).batch_unaware).tolist() for batch in ENUMERATED]
    notes = (
        "Predicted systematic gap: at finite B the gradient is not the analytic shaping gradient, but c/B away from it, "
        "because the co-player's step is noisy. c comes from the oracle at B = 4; sampled gradients at larger B are "
        "compared with limit and gap together.",
    )
    data = {"scores": scores, "batch": min(setting.batch, MOST), "limit": limit(setting).tolist(),
            "coefficient": coefficient.tolist(), "batches": ENUMERATED, "oracle": told, "batch_unaware": blind,
            "points": points}  # fmt: skip
    return Level("L3", (*checks, gap, far), data, notes, setting.false_alarms)
