"""The one training step: play, credit, update; a pure function of state and key."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int

from lapg_rl import models
from lapg_rl.config import Config, LearnerConfig, ModelConfig
from lapg_rl.learn.algorithms import lola_dice, shaper
from lapg_rl.learn.losses import Experience, loss
from lapg_rl.machine import devices
from lapg_rl.play.pools import Company, describe_play, environment, experience, forgets, make_optimiser, play_pool

Metrics = dict[str, Float[Array, "..."]]


class TrainState(NamedTuple):
    """Everything the next update needs; `agents` and `optimisers` have a leading axis over the P meta agents."""

    agents: Any
    optimisers: Any
    naive_policies: Any
    update: Int[Array, ""]


@eqx.filter_jit
def _policies(config: ModelConfig, env: Any, context: int, keys: Array) -> Any:
    """One policy a key, along a new leading axis; one after the other, because random draws are slow to compile."""

    def build(key):
        return models.build(config, env.observation_size, env.num_actions, context, key, env.one_hot)

    static = eqx.filter(
        eqx.filter_eval_shape(build, keys[0]), lambda x: isinstance(x, jax.ShapeDtypeStruct), inverse=True
    )
    return eqx.combine(jax.lax.map(lambda key: eqx.filter(build(key), eqx.is_array), keys), static)


def initial_state(config: Config, key: Array) -> TrainState:
    """Fresh agents, optimisers and naive initialisations, drawn from `key`."""
    env = environment(config)
    counts = (config.pool.agents, config.pool.naive_population)
    keys = [jax.random.split(k, n) for k, n in zip(jax.random.split(key), counts, strict=True)]
    context = config.steps * (1 if forgets(config) else config.inner_episodes)
    build = lambda model, keys: _policies(model, env, context, keys)  # noqa: E731
    if config.naive_model == config.model:
        both = build(config.model, jnp.concatenate(keys))
        agents, naive = (jax.tree.map(lambda x, s=s: x[s], both) for s in (slice(counts[0]), slice(counts[0], None)))
    else:
        agents, naive = build(config.model, keys[0]), build(config.naive_model, keys[1])
    naive = models.with_context(naive, config.steps)
    optimisers = jax.vmap(lambda a: make_optimiser(config.learner).init(eqx.filter(a, eqx.is_inexact_array)))(agents)
    return TrainState(agents, optimisers, naive, jnp.zeros((), jnp.int32))


def run_key(config: Config) -> Array:
    """The key of a run; update n uses `fold_in(run_key, n)`, so a resumed run repeats nothing and skips nothing."""
    return jax.random.key(config.seed)


def sequences_at_once(total: int, on_cpu: bool) -> int:
    """How many sequences a gradient pass takes: all on an accelerator, at most 16 on a CPU, to stay in its caches."""
    if not on_cpu:
        return total
    return next(n for n in range(min(16, total), 0, -1) if total % n == 0)


def _gradient(policy: Any, batch: Experience, config: LearnerConfig) -> tuple[Any, Metrics]:
    """Mean gradient and figures over the sequences `[n, l]` of `batch`, accumulated over chunks that fit the caches."""
    batch = devices.own(batch, "games")
    total = len(batch.actions)

    def one_pass(chunk):
        (_, parts), gradient = eqx.filter_value_and_grad(loss, has_aux=True)(policy, chunk, config)
        return gradient, parts

    def accumulate(size):
        chunks = jax.tree.map(lambda x: x.reshape(total // size, size, *x.shape[1:]), batch)
        zero = jax.tree.map(
            lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(one_pass, jax.tree.map(lambda x: x[0], chunks))
        )
        result, _ = jax.lax.scan(lambda a, c: (jax.tree.map(jnp.add, a, one_pass(c)), None), zero, chunks)
        return jax.tree.map(lambda x: x * (size / total), result)

    return devices.averaged(accumulate(sequences_at_once(total, jax.default_backend() == "cpu")))


def _learn(
    policy: Any, optimiser_state: Any, played: Experience, key: Array, config: LearnerConfig
) -> tuple[Any, Any, Metrics]:
    """All epochs and minibatches of one update on `[k, b, l]` experience; minibatches split k, never b or time."""
    optimiser = make_optimiser(config)
    count = len(played.actions)

    def minibatch(carry, chosen):
        policy, optimiser_state = carry
        batch = jax.tree.map(lambda x: x[chosen].reshape(-1, *x.shape[2:]), played)
        gradient, parts = _gradient(policy, batch, config)
        parts["gradient_norm"] = jnp.sqrt(sum(jnp.sum(g * g) for g in jax.tree.leaves(gradient)))
        updates, optimiser_state = optimiser.update(gradient, optimiser_state)
        return (eqx.apply_updates(policy, updates), optimiser_state), parts

    orders = jax.vmap(lambda k: jax.random.permutation(k, count))(jax.random.split(key, config.epochs))
    minibatches = orders.reshape(config.epochs * config.minibatches, -1)
    (policy, optimiser_state), parts = jax.lax.scan(minibatch, (policy, optimiser_state), minibatches)
    return policy, optimiser_state, {name: value.mean() for name, value in parts.items()}


def _policy_gradient(
    config: Config, agent: Any, optimiser_state: Any, company: Company, key: Array
) -> tuple[Any, Any, Metrics]:
    """Play, credit every action by the agent's estimator, and learn."""
    play_key, learn_key = jax.random.split(key)
    played = play_pool(config, agent, company, play_key)
    parts = [experience(side.own, kind, config.learner, company.index) for kind, side in played.items()]
    together = jax.tree.map(lambda *x: jnp.concatenate(x), *parts)
    agent, optimiser_state, metrics = _learn(agent, optimiser_state, together, learn_key, config.learner)
    return agent, optimiser_state, metrics | describe_play(config, played)


#: algorithm -> `(config, agent, optimiser state, company, key) -> (agent, optimiser state, metrics)`
ALGORITHMS: dict[str, Callable[[Config, Any, Any, Company, Array], tuple[Any, Any, Metrics]]] = {
    "ppo": _policy_gradient,
    "a2c": _policy_gradient,
    "lola_dice": lola_dice,
    "shaper": shaper,
}


def make_train_step(
    config: Config, seeds: int = 1, mesh: Mesh | None = None
) -> Callable[[TrainState, Array], tuple[TrainState, Metrics]]:
    """The jitted `train_step(state, key) -> (state, metrics)`; it consumes (donates) the state.

    Each metric has a leading axis over the P meta agents. With `seeds` > 1 state, key and metrics have an axis over the
    seeds before all others. With a mesh (see `lapg_rl.machine.devices`) state and key must be placed on it; the numbers are the
    same up to rounding.
    """
    update = ALGORITHMS[config.learner.algorithm]
    on_cpu = jax.default_backend() == "cpu"

    def train_step(state: TrainState, key: Array) -> tuple[TrainState, Metrics]:
        def one_agent(inputs):
            agent, optimiser, index, key = inputs
            return update(config, agent, optimiser, Company(index, state.agents, state.naive_policies), key)

        indices = jnp.arange(config.pool.agents)
        inputs = (state.agents, state.optimisers, indices, jax.random.split(key, config.pool.agents))
        inputs = devices.own(inputs, "agents")
        # one after the other stays in a CPU's caches; an accelerator wants them at once
        results = jax.lax.map(one_agent, inputs) if on_cpu else eqx.filter_vmap(one_agent)(inputs)
        agents, optimisers, metrics = devices.gathered(results, "agents")
        return TrainState(agents, optimisers, state.naive_policies, state.update + 1), metrics

    def all_seeds(state: TrainState, key: Array) -> tuple[TrainState, Metrics]:
        return devices.gathered(eqx.filter_vmap(train_step)(*devices.own((state, key), "seeds")), "seeds")

    return eqx.filter_jit(devices.spread(train_step if seeds == 1 else all_seeds, mesh), donate="all")
