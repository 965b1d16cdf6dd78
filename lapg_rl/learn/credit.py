"""From play to experience: which credits an agent learns from against each kind of co-player."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from lapg_rl.config import LearnerConfig
from lapg_rl.estimators import estimator, value_targets
from lapg_rl.learn.losses import Experience
from lapg_rl.play.rollout import Trajectory


def transform(credits: Float[Array, "..."], how: str) -> Float[Array, "..."]:
    """Raw, centred, or normalised credits; called apart for each kind of co-player."""
    if how == "raw":
        return credits
    centred = credits - credits.mean()
    return centred if how == "centred" else centred / (credits.std() + 1e-8)


def credited(
    chosen: Callable[..., Any], trajectory: Trajectory, config: LearnerConfig, learns: bool
) -> tuple[Any, Any]:
    """(credits, value targets) `[k, b, m, t]` of an estimator; against co-players that don't learn, of its `off_learners`."""
    if not learns:
        chosen = getattr(chosen, "off_learners", None) or chosen
    rewards, episodic = trajectory.rewards * config.reward_scale, getattr(chosen, "episodic", False)
    credits = jax.vmap(
        lambda r, v: chosen(r, v, gamma=config.gamma, gae_lambda=config.gae_lambda)
    )(rewards, trajectory.values)  # fmt: skip
    targets = jax.vmap(
        lambda r, v: value_targets(r, v, gamma=config.gamma, td_lambda=config.td_lambda, episodic=episodic)
    )(rewards, trajectory.values)  # fmt: skip
    return credits, targets


def experience(
    trajectory: Trajectory,
    learns: bool,
    config: LearnerConfig,
    agent: Int[Array, ""] | int = 0,
    table: Mapping[str, Callable[..., Any]] | None = None,
) -> Experience:
    """Turn an agent's `[k, b, m, t]` trajectories against one kind of co-player into `[k, b, l]` experience.

    A sequence l is a meta-episode, or, for a policy without memory of earlier ones, an inner episode (then `[k, b m, t]`).

    Args:
        trajectory: what the agent saw and did.
        learns: whether these co-players learn.
        config: estimators, discounts, scale.
        agent: which agent it is, if they have different estimators.
        table: where names of estimators are looked up, if not in `lapg_rl.estimators`.
    """
    distinct = tuple(dict.fromkeys(config.estimators))
    which = jnp.array([distinct.index(name) for name in config.estimators])[agent]
    found = [table[name] if table else estimator(name) for name in distinct]
    branches = [lambda t, chosen=chosen: credited(chosen, t, config, learns) for chosen in found]
    credits, targets = jax.lax.switch(which, branches, trajectory)
    fields = (
        trajectory.observations,
        trajectory.actions,
        trajectory.log_probs,
        trajectory.values,
        transform(credits * trajectory.rewards.shape[1], config.advantages),
        targets,
    )
    length = math.prod(trajectory.rewards.shape[2:]) if config.memory == "meta_episode" else trajectory.rewards.shape[3]
    return Experience(*(x.reshape(len(x), -1, length, *x.shape[4:]) for x in fields))
