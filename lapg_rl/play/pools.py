"""Whom a meta agent meets in one update, and with which credits it learns from each kind of co-player."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from lapg_rl.config import KINDS, Config, GameConfig, LearnerConfig, NaiveConfig
from lapg_rl.envs import CleanUp, IteratedMatrixGame, Reveal
from lapg_rl.envs.custom import custom
from lapg_rl.estimators import ESTIMATORS, Estimator, value_targets
from lapg_rl.learn.losses import Experience
from lapg_rl.play.coplayers import FixedStrategy, MetaAgent, NaiveLearner
from lapg_rl.play.rollout import Trajectory, meta_batch
from lapg_theory.game import NAMED


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


def credited(
    name: str, kind: str, trajectory: Trajectory, config: LearnerConfig, table: Mapping[str, Estimator] = ESTIMATORS
) -> tuple[Any, Any]:
    """(credits, value targets) `[k, b, m, t]` of one estimator.

    Only a learner couples the B games, so LAPG uses the batch-unaware credits against every other kind of co-player.
    """
    chosen = "batch_unaware" if name == "lapg" and kind != "naive" else name
    rewards = trajectory.rewards * config.reward_scale
    credits = jax.vmap(
        lambda r, v: table[chosen](r, v, gamma=config.gamma, gae_lambda=config.gae_lambda)
    )(rewards, trajectory.values)  # fmt: skip
    targets = jax.vmap(
        lambda r, v: value_targets(
            r, v, gamma=config.gamma, td_lambda=config.td_lambda, episodic=chosen == "inner_episode"
        )
    )(rewards, trajectory.values)  # fmt: skip
    return credits, targets


def experience(
    trajectory: Trajectory,
    kind: str,
    config: LearnerConfig,
    agent: Int[Array, ""] | int = 0,
    table: Mapping[str, Estimator] = ESTIMATORS,
) -> Experience:
    """Turn an agent's `[k, b, m, t]` trajectories against one kind of co-player into `[k, b, l]` experience.

    A sequence l is a meta-episode, or, for a policy without memory of earlier ones, an inner episode (then `[k, b m, t]`).
    `table` is where the names of estimators are looked up.
    """
    distinct = tuple(dict.fromkeys(config.estimators))
    which = jnp.array([distinct.index(name) for name in config.estimators])[agent]
    branches = [lambda t, n=name: credited(n, kind, t, config, table) for name in distinct]
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


class Company(NamedTuple):
    """Whom agent `index` can meet: the meta agents as they are now, and the fixed population of naive policies."""

    index: Int[Array, ""]
    agents: Any
    naive_policies: Any


def _others(config: Config, company: Company, count: int, key: Array) -> Any:
    """Agents other than oneself, uniformly with replacement."""
    shift = jax.random.randint(key, (count,), 1, config.pool.agents)
    return jax.tree.map(lambda x: x[jnp.mod(company.index + shift, config.pool.agents)], company.agents)


def naive_copies(naive_policies: Any, agents: Any) -> Any:
    """Agents as naive policies: their parameters, with what is static (how far back they look) of `naive_policies`."""
    return jax.tree.unflatten(jax.tree.structure(naive_policies), jax.tree.leaves(agents))


def _naive(config: Config, company: Company, count: int, key: Array) -> tuple[Any, Any]:
    learner = naive_learner(config.naive)
    if config.pool.naive_start == "dynamic":
        return learner, naive_copies(company.naive_policies, _others(config, company, count, key))
    drawn = jax.random.randint(key, (count,), 0, config.pool.naive_population)
    return learner, jax.tree.map(lambda x: x[drawn], company.naive_policies)


def _meta(config: Config, company: Company, count: int, key: Array) -> tuple[Any, Any]:
    return MetaAgent(forgets(config)), _others(config, company, count, key)


def _fixed(config: Config, company: Company, count: int, key: Array) -> tuple[Any, Any]:
    table = jnp.array([NAMED[name] for name in config.pool.strategies], jnp.float32)
    return FixedStrategy(), table[(jax.random.randint(key, (), 0, len(table)) + jnp.arange(count)) % len(table)]


def _memory_one(config: Config, company: Company, count: int, key: Array) -> tuple[Any, Any]:
    return FixedStrategy(), jax.random.uniform(key, (count, 5))


#: kind of co-player -> `(config, company, count, key) -> (co-player, identities)`
COPLAYERS = dict(zip(KINDS, (_naive, _meta, _fixed, _memory_one), strict=True))


#: kind of game -> the environment that its section of a config describes
GAMES: dict[str, Callable[[GameConfig], Any]] = {
    "ipd": lambda game: IteratedMatrixGame(game.build()),
    "cleanup": lambda game: CleanUp(game.cleanup),
    "custom": lambda game: custom(game.factory),
}


def environment(config: Config, kind: str = "naive") -> Any:
    """The environment in which co-players of that kind are met; the kinds differ if they are revealed."""
    env = GAMES[config.game.kind](config.game)
    if not config.pool.reveal:
        return env
    return Reveal(env, KINDS.index(kind), KINDS.index("meta"), len(KINDS))


def forgets(config: Config) -> bool:
    """Whether the agents remember nothing but the current inner episode."""
    return config.learner.memory == "inner_episode"


def sizes(config: Config) -> dict[str, Any]:
    """What `rollout.meta_batch` needs to know of the config."""
    numbers = {name: getattr(config, name) for name in ("batch", "inner_episodes", "steps")}
    return {**numbers, "forget": forgets(config)}


class Played(NamedTuple):
    """Meta-episodes against one kind of co-player: both sides' trajectories `[k, b, m, t]`, and who the co-players were."""

    own: Trajectory
    other: Trajectory
    identities: Any


def play_pool(config: Config, agent: Any, company: Company, key: Array) -> dict[str, Played]:
    """Play an agent's `meta_batch` meta-episodes against every kind of co-player that it meets.

    The shares of the kinds are exact, not drawn. Agents are met uniformly, with replacement, and never oneself; so are the
    initial policies of naive learners.
    """
    first = jax.random.split(key, 4)
    keys = [(first[0], first[2]), (first[1], first[3]), *(jax.random.split(jax.random.fold_in(key, n)) for n in (2, 3))]
    played = {}
    for (kind, draw), (draw_key, play_key) in zip(COPLAYERS.items(), keys, strict=True):
        if count := config.shares.get(kind):
            coplayer, identities = draw(config, company, count, draw_key)
            env = environment(config, kind)
            sides = meta_batch(env, agent, coplayer, identities, play_key, **sizes(config))
            played[kind] = Played(*sides, identities)
    return played


def describe_play(config: Config, played: dict[str, Played]) -> dict[str, Float[Array, ""]]:
    """Rewards, and what the environment measures, per step against each kind of co-player.

    A `discrepancy` is the absolute difference between the players' means over a meta-episode, averaged over meta-episodes.
    """
    figures = {}
    env = GAMES[config.game.kind](config.game)
    for kind, (own, other, _) in played.items():
        figures |= {
            f"reward_vs_{kind}": own.rewards.mean(),
            f"{kind}_reward": _if_finite(other, other.rewards.mean()),
            f"{kind}_reward_last_episode": other.rewards[:, :, -1].mean(),
        }
        mine, theirs = (measure(env, side) for side in (own, other))
        for name in mine:
            figures[f"{name}_vs_{kind}"] = mine[name].mean()
            if name not in env.shared:
                figures[f"{kind}_{name}"] = theirs[name].mean()
            if name in env.compared:
                apart = jnp.abs(mine[name].mean(axis=(1, 2, 3)) - theirs[name].mean(axis=(1, 2, 3)))
                figures[f"{name}_discrepancy_vs_{kind}"] = apart.mean()
    return figures


def _if_finite(other: Trajectory, value: Float[Array, ""]) -> Float[Array, ""]:
    """The figure, or NaN where a co-player's policy became non-finite: its actions and rewards would not tell."""
    return jnp.where(jnp.all(jnp.isfinite(other.log_probs)), value, jnp.nan)


def measure(env: Any, side: Trajectory) -> dict[str, Any]:
    """What the environment measures of one player, per step; a co-player's kind, told after an observation, is left out."""
    return env.measures(side.observations[..., : env.observation_size].astype(jnp.float32), side.actions)
