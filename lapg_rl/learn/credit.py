"""From play to experience: which credits an agent learns from against each kind of co-player."""

import math
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Shaped

from lapg_rl.config import LearnerConfig
from lapg_rl.estimators import centred, estimator, normalised, through_ends, value_targets
from lapg_rl.interfaces import Others
from lapg_rl.learn.losses import Experience
from lapg_rl.play.rollout import Trajectory

NONE: Mapping[str, Any] = types.MappingProxyType({})


def transform(credits: Float[Array, "..."], how: str, alive: Any = None) -> Float[Array, "..."]:
    """Raw, centred, or normalised credits, over the steps that were played; called apart for each kind of co-player."""
    if how == "raw":
        return credits
    return centred(credits, alive) if how == "centred" else normalised(credits, alive)


#: What an estimator may read besides fields of the section `learner`.
SEEN = ("others", "modelled", "influences")


def reads(chosen: Callable[..., Any]) -> tuple[str, ...]:
    """The names of what an estimator is called with besides its usual arguments."""
    return tuple(getattr(chosen, "reads", ()))


def in_sequences(x: Shaped[Array, "k b m t ..."], config: LearnerConfig) -> Shaped[Array, "k s l ..."]:
    """What was recorded of each step, in the sequences that a policy reads: meta-episodes or, without memory, inner ones."""
    length = math.prod(x.shape[2:4]) if config.memory == "meta_episode" else x.shape[3]
    return x.reshape(len(x), -1, length, *x.shape[4:])


def targets_of(
    rewards: Float[Array, "k b m t"], values: Float[Array, "k b m t"], config: LearnerConfig, episodic: bool = True
) -> Float[Array, "k b m t"]:
    """The value targets of k meta-episodes by the discounts of the learner; see `lapg_rl.estimators.value_targets`."""
    settings = {"gamma": config.gamma, "td_lambda": config.td_lambda, "episodic": episodic}
    return jax.vmap(lambda r, v: value_targets(r, v, **settings))(rewards, values)


def others_of(others: Sequence[Trajectory], config: LearnerConfig, value_scales: Sequence[float] = (1.0,)) -> Others:
    """What n co-players got, `[k, n, b, m, t]`; `value_scales` take their values to the agents' scale of rewards."""
    parts = []
    for other, value_scale in zip(others, value_scales, strict=True):
        values = other.values if other.alive is None else other.values * other.alive
        parts.append((other.rewards * config.reward_scale, values * value_scale, jnp.exp(other.log_probs)))
    return Others(*(jnp.stack(x, axis=1) for x in zip(*parts, strict=True)))


def credited(
    chosen: Callable[..., Any],
    trajectory: Trajectory,
    config: LearnerConfig,
    learns: bool,
    seen: Mapping[str, Any] = NONE,
) -> tuple[Any, Any]:
    """(credits, value targets) `[k, b, m, t]` of an estimator; against co-players that don't learn, of its `off_learners`.

    Credits are 0 after the early end of an inner episode.
    """
    if not learns:
        chosen = getattr(chosen, "off_learners", None) or chosen
    rewards, episodic = trajectory.rewards * config.reward_scale, getattr(chosen, "episodic", False)
    more = {name: getattr(config, name) for name in reads(chosen) if name not in SEEN}
    seen = {name: seen[name] for name in reads(chosen) if name in SEEN}
    values, alive = trajectory.values, trajectory.alive
    if alive is not None:
        values = jax.vmap(lambda v, a: through_ends(v, a, config.gamma, episodic))(values, alive)
    credits = jax.vmap(
        lambda r, v, s: chosen(r, v, gamma=config.gamma, gae_lambda=config.gae_lambda, **more, **s)
    )(rewards, values, seen)  # fmt: skip
    credits = credits if alive is None else credits * alive
    if hasattr(chosen, "intrinsic"):
        rewards = rewards + jax.vmap(lambda s: chosen.intrinsic(gamma=config.gamma, **more, **s))(seen)
    return credits, targets_of(rewards, values, config, episodic)


def experience(
    trajectory: Trajectory,
    learns: bool,
    config: LearnerConfig,
    agent: Int[Array, ""] | int = 0,
    table: Mapping[str, Callable[..., Any]] | None = None,
    seen: Mapping[str, Any] = NONE,
) -> Experience:
    """Turn an agent's `[k, b, m, t]` trajectories against one kind of co-player into `[k, b, l]` experience.

    A sequence l is a meta-episode, or, for a policy without memory of earlier ones, an inner episode (then `[k, b m, t]`).

    Args:
        trajectory: what the agent saw and did.
        learns: whether these co-players learn.
        config: estimators, discounts, scale.
        agent: which agent it is, if they have different estimators.
        table: where names of estimators are looked up, if not in `lapg_rl.estimators`.
        seen: what the co-players got, `[k, n, b, m, t]`, or influences, by the names of `SEEN`; only estimators that read it
            are given it.
    """
    distinct = tuple(dict.fromkeys(config.estimators))
    which = jnp.array([distinct.index(name) for name in config.estimators])[agent]
    found = [table[name] if table else estimator(name) for name in distinct]
    branches = [lambda t, s, chosen=chosen: credited(chosen, t, config, learns, s) for chosen in found]
    read = {name: others for name, others in seen.items() if any(name in reads(chosen) for chosen in found)}
    credits, targets = jax.lax.switch(which, branches, trajectory, read)
    fields = (
        trajectory.observations,
        trajectory.actions,
        trajectory.log_probs,
        trajectory.values,
        transform(credits * trajectory.rewards.shape[1], config.advantages, trajectory.alive),
        targets,
        trajectory.alive,
    )
    return Experience(*jax.tree.map(lambda x: in_sequences(x, config), fields))
