"""Policy gradients: play, credit every action by the agent's estimator, and learn by PPO or A2C."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lapg_rl.config import Config, LearnerConfig
from lapg_rl.learn import beside
from lapg_rl.learn.credit import experience, others_of
from lapg_rl.learn.losses import Experience, loss
from lapg_rl.machine import devices
from lapg_rl.native import draws
from lapg_rl.optimisers import make_optimiser, model_optimiser
from lapg_rl.play.company import Company, Played, play_pool
from lapg_rl.play.metrics import describe_play

Metrics = dict[str, Float[Array, "..."]]


def sequences_at_once(total: int, on_cpu: bool) -> int:
    """How many sequences a gradient pass takes: all on an accelerator, at most 16 on a CPU, to stay in its caches."""
    if not on_cpu:
        return total
    return next(n for n in range(min(16, total), 0, -1) if total % n == 0)


def _gradient(policy: Any, batch: Any, config: LearnerConfig, objective: Any = loss) -> tuple[Any, Metrics]:
    """Mean gradient and figures over the sequences `[n, l]` of `batch`, accumulated over chunks that fit the caches."""
    batch = devices.own(batch, "games")
    total = len(batch.actions)

    def one_pass(chunk):
        (_, parts), gradient = eqx.filter_value_and_grad(objective, has_aux=True)(policy, chunk, config)
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

    orders = jax.vmap(lambda k: draws.permutation(k, count))(draws.split(key, config.epochs))
    minibatches = orders.reshape(config.epochs * config.minibatches, -1)
    (policy, optimiser_state), parts = jax.lax.scan(minibatch, (policy, optimiser_state), minibatches)
    return policy, optimiser_state, {name: value.mean() for name, value in parts.items()}


def _seen(
    side: Played, held: Mapping[str, beside.Held], config: LearnerConfig
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What estimators read of the co-players, if one does, and what the models beside the policy are to learn."""
    seen = {"others": others_of(side.others, config, side.value_scales)} if beside.read(config, "others") else {}
    if side.more and held:
        raise ValueError(
            f"an estimator that reads {', '.join(held)} is for games of two players; leave it, or game.players=2"
        )
    found = {what: beside.MODELS[what].see(one.model, side.own, side.other, config) for what, one in held.items()}
    return seen | {what: told for what, (told, _) in found.items()}, {
        what: lesson for what, (_, lesson) in found.items()
    }


def _fit(
    model: Any, optimiser_state: Any, batch: Any, config: LearnerConfig, objective: Any, optimiser: Any = None
) -> tuple[Any, Any, Metrics]:
    """As many steps of a model as there are epochs, each on all that was played, by default of one beside the policy."""
    policy, optimiser = optimiser is not None, optimiser or model_optimiser(config)

    def epoch(carry, _):
        model, state = carry
        gradient, parts = _gradient(model, batch, config, objective)
        if policy:
            parts["gradient_norm"] = jnp.sqrt(sum(jnp.sum(g * g) for g in jax.tree.leaves(gradient)))
        updates, state = optimiser.update(gradient, state)
        return (eqx.apply_updates(model, updates), state), parts

    (model, optimiser_state), parts = jax.lax.scan(epoch, (model, optimiser_state), length=config.epochs)
    return model, optimiser_state, {name: value[-1] for name, value in parts.items()}


def policy_gradient(
    config: Config, agent: Any, optimiser_state: Any, company: Company, key: Array
) -> tuple[Any, Any, Metrics]:
    """One update: `(agent, optimiser state, metrics)`.

    Args:
        config: the run's.
        agent: the agent's policy.
        optimiser_state: of its optimiser.
        company: whom it can meet.
        key: a PRNG key.
    """
    play_key, learn_key = draws.split(key)
    played = play_pool(config, agent, company, play_key)
    learner = config.learner
    optimiser_state, held = beside.apart(learner, optimiser_state)
    seen = [_seen(side, held, learner) for side in played.values()]
    parts = [
        experience(side.own, side.learns, learner, company.index, seen=told)
        for side, (told, _) in zip(played.values(), seen, strict=True)
    ]
    together = jax.tree.map(lambda *x: jnp.concatenate(x), *parts)
    agent, optimiser_state, metrics = _learn(agent, optimiser_state, together, learn_key, learner)
    for what, (model, model_state) in held.items():
        lessons = jax.tree.map(lambda *x: jnp.concatenate(x), *(lessons[what] for _, lessons in seen))
        *fitted, more = _fit(model, model_state, lessons, learner, beside.MODELS[what].loss)
        optimiser_state, metrics = beside.Modelling(optimiser_state, *fitted), metrics | more
    return agent, optimiser_state, metrics | describe_play(config, played)
