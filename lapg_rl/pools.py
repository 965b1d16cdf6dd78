"""Whom a meta agent meets in one update, and with which credits it learns from each kind of co-player."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from lapg_rl.config import Config, LearnerConfig, NaiveConfig
from lapg_rl.coplayers import MetaAgent, NaiveLearner
from lapg_rl.estimators import ESTIMATORS, value_targets
from lapg_rl.losses import Experience
from lapg_rl.rollout import Trajectory, meta_batch


def make_optimiser(config: LearnerConfig | NaiveConfig) -> optax.GradientTransformation:
    """Clip by the global norm, then Adam or plain gradient descent."""
    adam = config.optimiser == "adam"
    rule = optax.adam(config.learning_rate, eps=config.adam_eps) if adam else optax.sgd(config.learning_rate)
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), rule)


def naive_learner(config: NaiveConfig) -> NaiveLearner:
    """The naive co-player that `config` describes."""
    return NaiveLearner(make_optimiser(config), config)


def transform(credits: Float[Array, "..."], how: str) -> Float[Array, "..."]:
    """Raw, centred, or normalised credits; called apart for each kind of co-player."""
    if how == "raw":
        return credits
    centred = credits - credits.mean()
    return centred if how == "centred" else centred / (credits.std() + 1e-8)


def experience(trajectory: Trajectory, kind: str, config: LearnerConfig) -> Experience:
    """Turn `[k, b, m, t]` trajectories against one kind of co-player (naive or meta) into `[k, b, l]` experience.

    The B games against another *meta* agent are independent, so learning-aware credits there are the batch-unaware ones.
    """
    name = "batch_unaware" if (config.estimator, kind) == ("lapg", "meta") else config.estimator
    rewards = trajectory.rewards * config.reward_scale
    batch = rewards.shape[1]
    credits = jax.vmap(
        lambda r, v: ESTIMATORS[name](r, v, gamma=config.gamma, gae_lambda=config.gae_lambda)
    )(rewards, trajectory.values)  # fmt: skip
    targets = jax.vmap(
        lambda r, v: value_targets(
            r, v, gamma=config.gamma, td_lambda=config.td_lambda, episodic=name == "inner_episode"
        )
    )(rewards, trajectory.values)  # fmt: skip
    fields = (
        trajectory.observations,
        trajectory.actions,
        trajectory.log_probs,
        trajectory.values,
        transform(credits * batch, config.advantages),
        targets,
    )
    return Experience(*(x.reshape(*x.shape[:2], -1, *x.shape[4:]) for x in fields))


def play_pool(
    config: Config, env: Any, agent: Any, index: Array, agents: Any, naive_policies: Any, key: Array
) -> dict[str, tuple[Trajectory, Trajectory]]:
    """Play the `meta_batch` meta-episodes of agent `index`: kind of co-player -> (own, co-player's) trajectories.

    The shares of the two kinds are exact, not drawn: p_naive * meta_batch against naive learners, whose first policies
    are drawn with replacement, and the rest against uniformly drawn other agents, never against oneself.
    """
    sizes = {"batch": config.batch, "inner_episodes": config.inner_episodes, "steps": config.steps}
    naive_key, meta_key, play_naive, play_meta = jax.random.split(key, 4)
    played = {}
    if naive := config.naive_share:
        drawn = jax.random.randint(naive_key, (naive,), 0, config.pool.naive_population)
        identities = jax.tree.map(lambda x: x[drawn], naive_policies)
        played["naive"] = meta_batch(env, agent, naive_learner(config.naive), identities, play_naive, **sizes)
    if meta := config.meta_batch - naive:
        shift = jax.random.randint(meta_key, (meta,), 1, config.pool.agents)
        drawn = jnp.mod(index + shift, config.pool.agents)
        identities = jax.tree.map(lambda x: x[drawn], agents)
        played["meta"] = meta_batch(env, agent, MetaAgent(), identities, play_meta, **sizes)
    return played
