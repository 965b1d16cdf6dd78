"""The one training step: play, credit, update; a pure function of state and key."""

import dataclasses
import functools
import types
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int

from lapg_rl import models
from lapg_rl.config import Config, ModelConfig, check_config, tables
from lapg_rl.config.loading import Yours
from lapg_rl.config.schedule import with_numbers
from lapg_rl.envs.build import environment
from lapg_rl.learn import beside
from lapg_rl.machine import compiling, devices
from lapg_rl.native import draws
from lapg_rl.optimisers import make_optimiser
from lapg_rl.play.company import Company, forgets
from lapg_theory.game.show import brief

Metrics = dict[str, Float[Array, "..."]]
NONE: Mapping[str, Any] = types.MappingProxyType({})


class TrainState(NamedTuple):
    """Everything the next update needs; `agents` and `optimisers` have a leading axis over the P meta agents.

    `frozen` are the agents of `pool.frozen`, along a leading axis, where there are any; they are in no checkpoint.
    """

    agents: Any
    optimisers: Any
    naive_policies: Any
    update: Int[Array, ""]
    frozen: Any = None

    __repr__ = brief


def _policies(config: ModelConfig, env: Any, context: int, keys: Array, outputs: int = 0) -> Any:
    """One policy a key, along a new leading axis; one after the other, because random draws are slow to compile.

    With so many `outputs` for actions, if there are to be others than a policy has.
    """

    def build(key):
        return models.build(config, env.observation_size, outputs or env.num_actions, context, key, env.one_hot)

    static = eqx.filter(
        eqx.filter_eval_shape(build, keys[0]), lambda x: isinstance(x, jax.ShapeDtypeStruct), inverse=True
    )
    return eqx.combine(jax.lax.map(lambda key: eqx.filter(build(key), eqx.is_array), keys), static)


def initial_state(config: Config, key: Array) -> TrainState:
    """Fresh agents, optimisers and naive initialisations, drawn from `key` by one program: in parts it would be fifty.

    Those that a run of this config starts from are `fresh_state`'s.

    Example:
        >>> import jax, lapg_rl as rl
        >>> cfg = rl.RunFolder(run).config()
        >>> rl.initial_state(cfg, rl.run_key(cfg)).agents.logits.shape  # agents, observations, actions
        (1, 5, 2)
    """
    program = _program(config)
    return _drawing(compiling.options(), Yours(program.addresses))(program, key)


@functools.cache
def _drawing(_: compiling.Options, __: Yours) -> Callable[[Config, Array], TrainState]:
    @functools.wraps(_initial_state)
    def anew(*arguments: Any) -> TrainState:  # its own, or JAX keeps what it traced
        return _initial_state(*arguments)

    return compiling.jitted(anew)


def _initial_state(config: Config, key: Array) -> TrainState:
    env = environment(config)
    counts = (config.pool.agents, config.pool.naive_population)
    keys = [draws.split(k, n) for k, n in zip(draws.split(key), counts, strict=True)]
    context = config.steps * (1 if forgets(config) else config.inner_episodes)
    build = lambda model, keys: _policies(model, env, context, keys)  # noqa: E731
    if config.naive_model == config.model:
        both = build(config.model, jnp.concatenate(keys))
        agents, naive = (jax.tree.map(lambda x, s=s: x[s], both) for s in (slice(counts[0]), slice(counts[0], None)))
    else:
        agents, naive = build(config.model, keys[0]), build(config.naive_model, keys[1])
    naive = models.with_context(naive, config.steps)
    optimisers = jax.vmap(lambda a: make_optimiser(config.learner).init(eqx.filter(a, eqx.is_inexact_array)))(agents)
    for n, what in beside.kept(config.learner).items():
        fresh = draws.split(draws.fold_in(key, n), counts[0])
        found = _policies(config.model, env, context, fresh, beside.MODELS[what].outputs(env.num_actions))
        optimisers = beside.begin(config.learner, optimisers, found)
    return TrainState(agents, optimisers, naive, jnp.zeros((), jnp.int32))


def run_key(config: Config) -> Array:
    """The key of a run; update n uses `fold_in(run_key, n)`, so a resumed run repeats nothing and skips nothing.

    Example:
        >>> import jax, lapg_rl as rl
        >>> bool(rl.run_key(rl.Config(seed=3)) == jax.random.key(3))
        True
    """
    return jax.random.key(check_config(config).seed)


def make_train_step(
    config: Config, seeds: int = 1, mesh: Mesh | None = None
) -> Callable[..., tuple[TrainState, Metrics]]:
    """The jitted `train_step(state, key) -> (state, metrics)`; it consumes (donates) the state.

    Each metric has a leading axis over the P meta agents. With `seeds` > 1 state, key and metrics have an axis over the
    seeds before all others. With a mesh (see `lapg_rl.machine.devices`) state and key must be placed on it; the numbers are the
    same up to rounding. A third argument may hold numbers of the config by their keys, which then replace those in `config`
    (see `lapg_rl.config.schedule`): they are traced, so that other numbers need no new program.

    Example:
        >>> import jax, lapg_rl as rl
        >>> cfg = rl.RunFolder(run).config()
        >>> step, key = rl.make_train_step(cfg), rl.run_key(cfg)
        >>> state, metrics = step(rl.fresh_state(cfg), jax.random.fold_in(key, 0))  # the first update of `rl.train`
        >>> int(state.update), metrics["reward_vs_naive"].shape
        (1, (1,))
    """
    update = tables.find("learner.algorithm", check_config(config).learner.algorithm, tables.ALGORITHMS)
    on_cpu = jax.default_backend() == "cpu"

    def train_step(
        state: TrainState, key: Array, numbers: Mapping[str, Float[Array, ""]] = NONE
    ) -> tuple[TrainState, Metrics]:
        now = with_numbers(config, numbers)

        def one_agent(inputs):
            agent, optimiser, index, key = inputs
            return update(now, agent, optimiser, Company(index, state.agents, state.naive_policies, state.frozen), key)

        indices = jnp.arange(config.pool.agents)
        inputs = (state.agents, state.optimisers, indices, draws.split(key, config.pool.agents))
        inputs = devices.own(inputs, "agents")
        # one after the other stays in a CPU's caches; an accelerator wants them at once
        results = jax.lax.map(one_agent, inputs) if on_cpu else eqx.filter_vmap(one_agent)(inputs)
        agents, optimisers, metrics = devices.gathered(results, "agents")
        return TrainState(agents, optimisers, state.naive_policies, state.update + 1, state.frozen), metrics

    def all_seeds(
        state: TrainState, key: Array, numbers: Mapping[str, Float[Array, ""]] = NONE
    ) -> tuple[TrainState, Metrics]:
        mapped = eqx.filter_vmap(train_step, in_axes=(eqx.if_array(0), 0, None))
        return devices.gathered(mapped(*devices.own((state, key), "seeds"), numbers), "seeds")

    spread = devices.spread(train_step if seeds == 1 else all_seeds, mesh)
    return compiling.jitted(spread, donate="all")


def step_of(config: Config, seeds: int = 1, mesh: Mesh | None = None) -> Callable[..., tuple[TrainState, Metrics]]:
    """The `make_train_step` of a config, kept: runs of one program compile it once. Not where it holds a user's code."""
    return (make_train_step if config.addresses else _kept)(_program(config), seeds, mesh)


_kept = functools.lru_cache(maxsize=16)(make_train_step)


def _program(config: Config) -> Config:
    """A config that differs from another one's only where what is compiled does; a user's code may have changed since."""
    if check_config(config).addresses:
        return config
    pool = dataclasses.replace(config.pool, agents_from="", naive_from="")  # where a run starts
    return dataclasses.replace(config, name="any", seed=0, updates=1, pool=pool)
