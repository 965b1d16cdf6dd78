"""Gradient balance: how large the future-return part of a policy gradient is beside its current-return part.

Each estimator's credits are a sum of two parts (`Estimator.credit_parts`), and so is its policy gradient. LAPG keeps the
ratio of their norms as the minibatch B grows; in M-FOS and the batch-unaware estimator it falls like 1/B, so that they
come to see the present only (Meulemans et al. 2025, section 3).
"""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lapg_rl import estimators
from lapg_rl.config import Config, PoolConfig
from lapg_rl.config.loading import Yours
from lapg_rl.machine import compiling
from lapg_rl.models import over_sequences
from lapg_rl.play.company import Company, play_pool
from lapg_rl.play.rollout import Trajectory, log_prob

Parts = Float[Array, "k 2 n"]
#: Those whose credits are a sum of two parts.
ESTIMATORS = {
    name: estimator for name, estimator in estimators.ESTIMATORS.items() if hasattr(estimator, "credit_parts")
}


@dataclasses.dataclass(frozen=True)
class Balance:
    """Norms of the two parts of one estimator's expected policy gradient at one minibatch size, and their ratio.

    `current`, `future` and `ratio` are corrected for the noise of the sampled gradients (None where noise is all there
    is), `error` is the ratio's jackknife standard error, and `sampled` the plain ratio of the norms of the mean gradients.
    """

    estimator: str
    batch: int
    current: float | None
    future: float | None
    ratio: float | None
    error: float | None
    sampled: float | None


def gradient_parts(policy: Any, played: Trajectory, config: Config) -> dict[str, Parts]:
    """Both parts of the policy gradient of every estimator, one row for each of the k meta-episodes.

    Every estimator judges the same games against naive learners, `[k, b, m, t]`.
    """
    parameters, static = eqx.partition(policy, eqx.is_inexact_array)
    learner, episodic = config.learner, config.learner.memory == "inner_episode"

    def one(episode):
        rewards, values = episode.rewards * learner.reward_scale, episode.values
        length = rewards.shape[2] if episodic else math.prod(rewards.shape[1:])
        seen = episode.observations.reshape(-1, length, episode.observations.shape[-1])

        def log_probs(parameters):
            logits, _ = over_sequences(eqx.combine(parameters, static), seen)
            return log_prob(logits, episode.actions.reshape(-1, length))

        _, pull = jax.vjp(log_probs, parameters)
        discounts = {"gamma": learner.gamma, "gae_lambda": learner.gae_lambda}
        weights = jnp.stack([weigh(e, rewards, values, episode.alive, discounts) for e in ESTIMATORS.values()])
        (gradients,) = jax.lax.map(pull, weights.reshape(-1, *seen.shape[:2]))
        rows = jnp.concatenate([x.reshape(len(x), -1) for x in jax.tree.leaves(gradients)], axis=1)
        return rows.reshape(len(ESTIMATORS), 2, -1)

    every = jax.lax.map(one, played)
    return {name: every[:, n] for n, name in enumerate(ESTIMATORS)}


def weigh(estimator: estimators.Estimator, rewards: Any, values: Any, alive: Any, discounts: dict[str, float]) -> Any:
    """Both parts of an estimator's credits, `[2, b, m, t]`, 0 after an early end of an inner episode."""
    if alive is None:
        return jnp.stack(estimator.credit_parts(rewards, values, **discounts))
    values = estimators.through_ends(values, alive, discounts["gamma"], estimator.episodic)
    return jnp.stack(estimator.credit_parts(rewards, values, **discounts)) * alive


def _norm(square: float) -> float | None:
    return math.sqrt(square) if square > 0 else None


def describe(estimator: str, batch: int, parts: Any) -> Balance:
    """The balance of independent samples `[k, 2, n]` of both parts of a gradient.

    With S the sum of the k samples g, an unbiased estimate of the squared norm of their expectation is
    (|S|^2 - sum |g|^2) / (k (k - 1)).
    """
    parts = np.asarray(parts, float)
    total, own = parts.sum(0), np.sum(parts**2, axis=2)  # [2, n], [k, 2]
    count, squared = len(parts), np.sum(total**2, axis=1)
    unbiased = (squared - own.sum(0)) / (count * (count - 1))
    left_out = squared - 2 * np.einsum("kpn,pn->kp", parts, total) + own  # |S - g|^2, [k, 2]
    without = (left_out - (own.sum(0) - own)) / ((count - 1) * (count - 2))
    current, future = (_norm(x) for x in unbiased)
    ratio = error = None
    if current is not None and future is not None and np.all(without[:, 0] > 0):
        ratio = future / current
        ratios = np.sqrt(np.maximum(without[:, 1], 0) / without[:, 0])
        error = float(np.sqrt((count - 1) * np.var(ratios)))
    sampled = math.sqrt(squared[1] / squared[0]) if squared[0] > 0 else None
    return Balance(estimator, batch, current, future, ratio, error, sampled)


@functools.cache
def _measure(config: Config, _: Yours) -> Any:
    @compiling.jitted
    def measure(policy: Any, naive_policies: Any, key: Array) -> dict[str, Parts]:
        company = Company(jnp.array(0), None, naive_policies)
        return gradient_parts(policy, play_pool(config, policy, company, key)["naive"].own, config)

    return measure


def balance(
    config: Config, policy: Any, naive_policies: Any, batches: Sequence[int], meta_batch: int, key: Array
) -> list[Balance]:
    """The gradient balance of every estimator at each minibatch size, of a policy that meets naive learners.

    Args:
        config: sizes, game, naive learner and discounts; its own batch and pool are replaced.
        policy: whose gradient it is.
        naive_policies: initial naive policies along a first axis.
        batches: the minibatch sizes B.
        meta_batch: independent meta-episodes at each of them, at least 3.
        key: a PRNG key.

    Raises:
        ValueError: for fewer than 3 meta-episodes or a size that is no integer >= 1.

    Example:
        >>> import jax, lapg_rl as rl
        >>> cfg, state = rl.RunFolder(run).config(), rl.RunFolder(run).final_state()
        >>> agent = jax.tree.map(lambda x: x[0], state.agents)
        >>> rows = rl.balance(cfg, agent, state.naive_policies, [2], 4, jax.random.key(0))
        >>> sorted(row.estimator for row in rows)
        ['batch_unaware', 'lapg', 'mfos']
    """
    if meta_batch < 3:
        raise ValueError(f"meta_batch must be at least 3 to tell signal from noise, got {meta_batch}")
    population = len(jax.tree.leaves(naive_policies)[0])
    told = {"reveal": config.pool.reveal, "reveal_kinds": config.pool.reveal_kinds}
    pool = PoolConfig(naive_population=population, **told)
    learner = dataclasses.replace(config.learner, algorithm="ppo", estimator="lapg", epochs=1, minibatches=1)
    found = []
    for n, batch in enumerate(batches):
        sized = dataclasses.replace(config, batch=batch, meta_batch=meta_batch, pool=pool, learner=learner, schedule="")
        samples = _measure(sized, Yours(sized.addresses))(policy, naive_policies, jax.random.fold_in(key, n))
        found += [describe(name, batch, parts) for name, parts in samples.items() if not ESTIMATORS[name].episodic]
    return found
