"""Shaper: the same sequence policies, trained by evolution strategies on the shaping return; no gradient of any kind.

Source: Khan et al., "Scaling opponent shaping to high dimensional games", AAMAS 2024 (arXiv 2312.12568), with the evolution
strategies of Salimans et al. 2017 (arXiv 1703.03864): Gaussian noise, antithetic pairs, scores replaced by their ranks.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from lapg_rl.config import Config
from lapg_rl.native import draws
from lapg_rl.optimisers import make_optimiser
from lapg_rl.play.company import Company, play_pool
from lapg_rl.play.metrics import describe_play


def centred_ranks(scores: Float[Array, " n"]) -> Float[Array, " n"]:
    """Scores replaced by their ranks, evenly spaced from -1/2 to 1/2; equal scores share the mean of their ranks."""
    below = jnp.sum(scores[:, None] > scores, axis=1) + 0.5 * (jnp.sum(scores[:, None] == scores, axis=1) - 1)
    return below / max(len(scores) - 1, 1) - 0.5


def search_gradient(
    score: Callable[[Float[Array, " n"]], Float[Array, ""]],
    centre: Float[Array, " n"],
    key: Array,
    *,
    pairs: int,
    noise: float,
    shape: Callable[[Array], Array] = centred_ranks,
    at_once: int = 1,
) -> tuple[Float[Array, " n"], Float[Array, "pairs 2"]]:
    """Ascent direction from scores of antithetic pairs centre +- noise * e, e ~ N(0, 1), and the scores.

    mean over pairs of (shaped(+) - shaped(-)) / (2 noise) * e; with `shape` the identity that is an unbiased estimate of
    the gradient of E[score(centre + noise e)].
    """
    drawn = draws.normal(key, (pairs, len(centre)), centre.dtype)
    candidates = jnp.stack([centre + noise * drawn, centre - noise * drawn], axis=1)
    scores = jax.lax.map(score, candidates.reshape(2 * pairs, -1), batch_size=at_once).reshape(pairs, 2)
    shaped = shape(scores.ravel()).reshape(pairs, 2)
    return (shaped[:, 0] - shaped[:, 1]) @ drawn / (2 * noise * pairs), scores


def shaper(config: Config, agent: Any, optimiser_state: Any, company: Company, key: Array) -> tuple[Any, Any, Any]:
    """One generation: `(agent, optimiser state, metrics)`.

    Every candidate meets the same company and draws the same random numbers; its score is the mean over all its
    trajectories of the sum of rewards of a meta-episode. The direction goes through the agents' optimiser.

    Args:
        config: the run's.
        agent: the agent's policy.
        optimiser_state: of its optimiser.
        company: whom it can meet.
        key: a PRNG key.
    """
    search_key, play_key = draws.split(key)
    parameters, static = eqx.partition(agent, eqx.is_inexact_array)
    centre, unravel = ravel_pytree(parameters)

    def score(flat):
        played = play_pool(config, eqx.combine(unravel(flat), static), company, play_key)
        sums = [side.own.rewards.sum(axis=(2, 3)).ravel() for side in played.values()]
        return jnp.concatenate(sums).mean()

    learner = config.learner
    at_once = 1 if jax.default_backend() == "cpu" else min(learner.population, 16)
    direction, scores = search_gradient(
        score, centre, search_key, pairs=learner.population // 2, noise=learner.noise, at_once=at_once
    )
    gradient = unravel(-direction)
    updates, optimiser_state = make_optimiser(learner).update(gradient, optimiser_state)
    metrics = {
        "score": scores.mean(),
        "score_spread": scores.std(),
        "gradient_norm": jnp.sqrt(jnp.sum(direction**2)),
    }
    metrics |= describe_play(config, play_pool(config, agent, company, play_key))
    return eqx.apply_updates(agent, updates), optimiser_state, metrics
