"""Predictive policy improvement: a model that predicts play, its own included, is improved by roll-outs inside itself.

With p(a | h) what the agent is predicted to do, pi(a | h) ~ p(a | h) exp(beta Q(h, a)): Q is the mean return of roll-outs that
begin with a and go on as the model predicts both players, for some steps or to the end of the inner episode. The agent learns
to predict pi instead of itself, the model of the co-player what that did; both by plain supervised learning. Together they
are p(a, b | h): the two actions of a step are independent given the history, so two sequence models of one architecture do.

Source: Weis et al., "Multi-agent cooperation through in-context co-player inference", 2026 (arXiv 2602.16301). What is not
public, and what is chosen here, is in docs/methods.md.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Num

from lapg_rl.config import Config, LearnerConfig
from lapg_rl.envs.build import bare_environment
from lapg_rl.learn import beside
from lapg_rl.learn.algorithms.policy_gradient import _fit
from lapg_rl.learn.credit import in_sequences
from lapg_rl.models import over_sequences
from lapg_rl.native import draws
from lapg_rl.optimisers import make_optimiser
from lapg_rl.play.company import Company, play_pool
from lapg_rl.play.metrics import describe_play
from lapg_rl.play.rollout import choose


class Improved(NamedTuple):
    """What an agent is to predict of itself; `actions` are those that it took."""

    observations: Num[Array, "n l o"]
    actions: Int[Array, "n l"]
    targets: Float[Array, "n l a"]


def readings(policy: Any, observations: Float[Array, "l o"]) -> tuple[Any, Float[Array, "l a"]]:
    """The memory of a policy after each token of a sequence, along a leading axis, and its logits."""

    def read(state, seen):
        state, (logits, _) = policy.step(state, seen)
        return state, (state, logits)

    return jax.lax.scan(read, policy.initial_state(), observations)[1]


def action_values(
    env: Any,
    agent: Any,
    model: Any,
    observations: Float[Array, "l o"],
    key: Array,
    *,
    rollouts: int,
    horizon: int,
    gamma: float | Float[Array, ""],
) -> Float[Array, "l a"]:
    """Q of each own action at each step of an inner episode: mean returns of roll-outs in which both play as predicted.

    All roll-outs of a step share their random numbers from action to action, so that differences are less noisy.

    Args:
        env: a repeated game of two players.
        agent: predicts own actions.
        model: predicts the co-player's, from what the agent sees.
        observations: what was seen in the inner episode.
        key: a PRNG key.
        rollouts: how many, for each step and action.
        horizon: their steps; they end with the inner episode.
        gamma: the discount.
    """
    length, actions, size = len(observations), env.num_actions, env.observation_size
    lanes = (length, actions, rollouts)

    def spread(tree: Any) -> Any:
        wide = lambda x: jnp.broadcast_to(x[:, None, None], (*lanes, *x.shape[1:]))  # noqa: E731
        return jax.tree.map(lambda x: wide(x).reshape(math.prod(lanes), *x.shape[1:]), tree)

    start = [spread(readings(policy, observations)) for policy in (agent, model)]
    first = jnp.broadcast_to(jnp.arange(actions)[:, None], lanes).ravel()
    left = spread(length - jnp.arange(length))
    told = spread(observations[:, size:])
    draw_key, env_key = draws.split(key)
    uniforms = draws.uniform(draw_key, (horizon, 2, length, 1, rollouts))
    uniforms = jnp.broadcast_to(uniforms, (horizon, 2, *lanes)).reshape(horizon, 2, -1)

    def step(carry, inputs):
        (own_state, own_logits), (other_state, other_logits) = carry
        n, (own_uniform, other_uniform), key = inputs
        own = jnp.where(n == 0, first, choose(own_logits, own_uniform)[0])
        other = choose(other_logits, other_uniform)[0]
        joint, keys = jnp.stack([own, other], axis=1), draws.split(key, len(own))
        _, following, rewards = jax.vmap(lambda a, k: env.step(None, a, k))(joint, keys)
        seen = jnp.concatenate([following[:, 0], told], axis=1)
        after = [
            (state, logits)
            for state, (logits, _) in (
                jax.vmap(lambda s, o, policy=policy: policy.step(s, o))(state, seen)
                for policy, state in ((agent, own_state), (model, other_state))
            )
        ]
        return after, gamma**n * rewards[:, 0] * (n < left)

    steps = (jnp.arange(horizon), uniforms, draws.split(env_key, horizon))
    _, rewards = jax.lax.scan(step, start, steps)
    return rewards.sum(axis=0).reshape(lanes).mean(axis=-1)


def improved(
    log_probs: Float[Array, "... a"], values: Float[Array, "... a"], inverse_temperature: float | Float[Array, ""]
) -> Float[Array, "... a"]:
    """Chances ~ p(a) exp(beta Q(a))."""
    return jax.nn.softmax(log_probs + inverse_temperature * values)


def prediction_loss(policy: Any, batch: Improved, config: LearnerConfig) -> tuple[Float[Array, ""], dict[str, Any]]:
    """Mean cross-entropy of the improved policy and the prediction, less the bonus for entropy; figures."""
    logits, _ = over_sequences(policy, batch.observations)
    log_probs = jax.nn.log_softmax(logits)
    entropy = -jnp.sum(jnp.exp(log_probs) * log_probs, axis=-1).mean()
    total = -jnp.sum(batch.targets * log_probs, axis=-1).mean()
    return total - config.entropy_coef * entropy, {"policy_loss": total, "entropy": entropy}


def ppi(config: Config, agent: Any, optimiser_state: Any, company: Company, key: Array) -> tuple[Any, Any, Any]:
    """One update: `(agent, optimiser state, metrics)`. Play, improve the prediction at every step played, predict that.

    Args:
        config: the run's.
        agent: the agent's policy, which is its prediction of itself.
        optimiser_state: of its optimiser, and the model of the co-player.
        company: whom it can meet.
        key: a PRNG key.
    """
    play_key, roll_key = draws.split(key)
    played, learner, env = play_pool(config, agent, company, play_key), config.learner, bare_environment(config.game)
    optimiser_state, held = beside.apart(learner, optimiser_state)
    model = held["predicted"].model

    see, sides = beside.MODELS["predicted"].see, played.values()
    lessons = jax.tree.map(lambda *x: jnp.concatenate(x), *(see(model, s.own, s.other, learner)[1] for s in sides))
    taken = [in_sequences(side.own.actions, learner) for side in sides]
    actions = jnp.concatenate([x.reshape(-1, x.shape[2]) for x in taken])
    observations = lessons.observations
    sizes = {"rollouts": learner.rollouts, "horizon": learner.horizon, "gamma": learner.gamma}
    values = jax.lax.map(
        lambda inputs: action_values(env, agent, model, *inputs, **sizes),
        (observations, draws.split(roll_key, len(observations))),
    )
    log_probs = jax.nn.log_softmax(over_sequences(agent, observations)[0])
    targets = improved(log_probs, values, learner.inverse_temperature)
    gain = jnp.sum((targets - jnp.exp(log_probs)) * values, axis=-1).mean()
    agent, optimiser_state, metrics = _fit(
        agent, optimiser_state, Improved(observations, actions, targets), learner, prediction_loss,
        make_optimiser(learner),
    )  # fmt: skip
    for what, (kept, state) in held.items():
        fitted, more = (kept, state), {}
        if what == "predicted":
            *fitted, more = _fit(kept, state, lessons, learner, beside.MODELS[what].loss)
        optimiser_state, metrics = beside.Modelling(optimiser_state, *fitted), metrics | more
    return agent, optimiser_state, metrics | {"improvement": gain} | describe_play(config, played)
