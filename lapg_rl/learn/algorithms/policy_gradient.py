"""Policy gradients: play, credit every action by the agent's estimator, and learn by PPO or A2C."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lapg_rl.config import Config, LearnerConfig
from lapg_rl.interfaces import Others
from lapg_rl.learn import choices
from lapg_rl.learn.credit import experience, others_of
from lapg_rl.learn.losses import Experience, loss
from lapg_rl.machine import devices
from lapg_rl.optimisers import make_optimiser, model_optimiser
from lapg_rl.play.company import Company, Played, play_pool
from lapg_rl.play.metrics import describe_play

Metrics = dict[str, Float[Array, "..."]]


def sequences_at_once(total: int, on_cpu: bool) -> int:
    """How many sequences a gradient pass takes: all on an accelerator, at most 16 on a CPU, to stay in its caches."""
    if not on_cpu:
        return total
    return next(n for n in range(min(16, total), 0, -1) if total % n == 0)


def _gradient(policy: Any, batch: Experience, config: LearnerConfig, objective: Any = loss) -> tuple[Any, Metrics]:
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

    orders = jax.vmap(lambda k: jax.random.permutation(k, count))(jax.random.split(key, config.epochs))
    minibatches = orders.reshape(config.epochs * config.minibatches, -1)
    (policy, optimiser_state), parts = jax.lax.scan(minibatch, (policy, optimiser_state), minibatches)
    return policy, optimiser_state, {name: value.mean() for name, value in parts.items()}


def _seen(side: Played, model: Any, config: LearnerConfig) -> dict[str, Others]:
    """What estimators read of the co-players, if one does."""
    seen = {"others": others_of(side.others, config, side.value_scales)} if choices.read(config, "others") else {}
    if side.more and model is not None:
        raise ValueError("an estimator that reads `modelled` is for games of two players; leave it, or game.players=2")
    return seen if model is None else seen | {"modelled": choices.modelled(model, side.own, side.other, config)}


def _fit(model: Any, optimiser_state: Any, batch: Experience, config: LearnerConfig) -> tuple[Any, Any, Metrics]:
    """As many steps of the model of the co-player's choices as there are epochs, each on all that was played."""
    optimiser = model_optimiser(config)

    def epoch(carry, _):
        model, state = carry
        gradient, parts = _gradient(model, batch, config, choices.model_loss)
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
    play_key, learn_key = jax.random.split(key)
    played = play_pool(config, agent, company, play_key)
    learner, model, model_state = config.learner, None, None
    if isinstance(optimiser_state, choices.Modelling):
        optimiser_state, model, model_state = optimiser_state
    seen = [_seen(side, model, learner) for side in played.values()]
    parts = [
        experience(side.own, side.learns, learner, company.index, seen=s)
        for side, s in zip(played.values(), seen, strict=True)
    ]
    together = jax.tree.map(lambda *x: jnp.concatenate(x), *parts)
    agent, optimiser_state, metrics = _learn(agent, optimiser_state, together, learn_key, learner)
    if model is not None:
        parts = [
            choices.lessons(p.own, p.other, s["modelled"], learner) for p, s in zip(played.values(), seen, strict=True)
        ]
        lessons = jax.tree.map(lambda *x: jnp.concatenate(x), *parts)
        model, model_state, fitted = _fit(model, model_state, lessons, learner)
        optimiser_state, metrics = choices.Modelling(optimiser_state, model, model_state), metrics | fitted
    return agent, optimiser_state, metrics | describe_play(config, played)
