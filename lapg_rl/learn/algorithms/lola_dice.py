"""LOLA-DiCE: differentiate through the co-player's learning, with its true parameters (Foerster et al. 2018).

A meta-episode against a naive learner is a course of look-aheads: it starts at the co-player's parameters and learns after
each inner episode. The objective is the ego's return in the *last* inner episode, and its gradient goes through all of the
co-player's updates; each is replayed from the recorded play with the DiCE operator, box(x) = exp(x - stop_gradient(x)),
which makes sampled quantities differentiable to any order in the parameters that they were sampled with. Against co-players
that don't learn it is the ordinary policy gradient, so the share of naive learners mixes the two. The mean over the
minibatch replaces the expectation inside an update, so the bias is of order (naive rate)^2 / B.

POLA makes both kinds of steps proximal: the co-player's stay near its policy at the start of the meta-episode
(`naive.proximal`), and an update of the ego is a number of outer steps, each from new play, that stay near its policy before
the update (`learner.proximal`). Nearness is the mean KL divergence over the steps that were played, so where many steps lead
does not depend on how policies are written. With one outer step and co-players that are not proximal it is LOLA-DiCE.

Sources: Foerster et al., "DiCE: the infinitely differentiable Monte Carlo estimator", ICML 2018 (arXiv 1802.05098);
Zhao et al., "Proximal learning with opponent-learning awareness", NeurIPS 2022 (arXiv 2210.10125).
"""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lapg_rl.config import Config, NaiveConfig
from lapg_rl.estimators import discounted_sums, inner_episode
from lapg_rl.learn.credit import experience, targets_of, transform
from lapg_rl.learn.losses import Experience, loss
from lapg_rl.machine import devices
from lapg_rl.models import over_sequences
from lapg_rl.native import draws
from lapg_rl.optimisers import make_optimiser
from lapg_rl.play.company import Company, play_pool
from lapg_rl.play.coplayers.naive import divergence
from lapg_rl.play.metrics import describe_play
from lapg_rl.play.rollout import Trajectory, log_prob, mean_of_played

Signal = Float[Array, "b t"]
Gradient = tuple[Any, dict[str, Float[Array, "..."]]]


def box(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """The DiCE operator: one in value, its derivative is that of x."""
    return jnp.exp(x - jax.lax.stop_gradient(x))


def dice_credits(rewards: Signal, values: Signal, reached: Signal, before: Signal, gamma: float, lam: float) -> Signal:
    """Credits `sum over k >= t of (gamma lam)^(k - t) [box_k (r_k + gamma V_(k+1)) - box_(k-1) V_k]` of one inner episode.

    In value generalised advantages; `reached` (box_k) and `before` (box_(k-1)) carry how likely step k was reached and acted
    on, as a function of both players' parameters. V_t itself stands with box_t: it multiplies the score of action t, so the
    probability of that action must be differentiated too.
    """
    following = jnp.concatenate([values[:, 1:], jnp.zeros_like(values[:, :1])], axis=1)
    errors = reached * (rewards + gamma * following) - before * values
    return discounted_sums(errors, gamma * lam) + (before - reached) * values


def look_ahead(policy: Any, seen: Trajectory, ego_log_probs: Signal, config: NaiveConfig, near: Any = None) -> Any:
    """The naive learner after its update from `seen` (axes b, t), differentiable in its own and the ego's parameters.

    In value it is the update of `coplayers.NaiveLearner`: gradient descent on `a2c_loss`, clipped by the global norm. `near` is
    the policy that a proximal one stays near.
    """
    parameters, static = eqx.partition(policy, eqx.is_inexact_array)

    def read(parameters):
        logits, values = over_sequences(eqx.combine(parameters, static), seen.observations)
        return logits, log_prob(logits, seen.actions), values

    _, log_probs, values = read(parameters)
    reached = box(jnp.cumsum(ego_log_probs + log_probs, axis=1))
    before = jnp.concatenate([jnp.ones_like(reached[:, :1]), reached[:, :-1]], axis=1)
    arguments = (seen.rewards * config.reward_scale, values, reached, before, config.gamma)
    credits, errors = (dice_credits(*arguments, lam) for lam in (config.gae_lambda, config.td_lambda))

    def objective(varied):  # the weights don't vary with it: they are no part of this gradient, but of the next
        logits, log_probs, values = read(varied)
        entropy = -jnp.sum(jax.nn.softmax(logits) * jax.nn.log_softmax(logits), axis=-1)
        parts = log_probs * credits + config.value_coef * values * errors + config.entropy_coef * entropy * before
        if near is not None:
            start, _ = over_sequences(near, seen.observations)
            parts = parts - config.proximal * divergence(start, logits) * before
        return jnp.mean(parts)

    gradient = jax.grad(objective)(parameters)
    square = sum(jnp.sum(g * g) for g in jax.tree.leaves(gradient))
    rate = config.learning_rate * config.clip_norm / jnp.sqrt(jnp.maximum(square, config.clip_norm**2))
    return eqx.combine(jax.tree.map(lambda x, g: x + rate * g, parameters, gradient), static)


def look_ahead_loss(
    ego: Any,
    identity: Any,
    own: Trajectory,
    other: Trajectory,
    credits: Signal,
    targets: Signal,
    config: Config,
    near: Any = None,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Loss of one meta-episode `[b, m, t]` whose gradient is LOLA's; `credits` and `targets` are those of its last episode.

    With `near` it is POLA's: the ego is to stay near that policy.
    """
    log_probs, (logits, values) = _replay(ego, own)
    start_of_other = identity if config.naive.proximal else None

    def learn(parameters, episode):
        seen, ego_log_probs = episode
        policy = look_ahead(eqx.combine(parameters, static), seen, ego_log_probs, config.naive, start_of_other)
        return eqx.filter(policy, eqx.is_inexact_array), None

    start, static = eqx.partition(identity, eqx.is_inexact_array)
    earlier = jax.tree.map(lambda x: jnp.moveaxis(x[:, :-1], 1, 0), (other, log_probs))  # [m - 1, b, t]
    learnt = eqx.combine(jax.lax.scan(learn, start, earlier)[0], static)
    last = jax.tree.map(lambda x: x[:, -1:], other)
    joint = log_probs[:, -1] + _replay(learnt, last)[0][:, 0]
    entropy = -jnp.sum(jax.nn.softmax(logits) * jax.nn.log_softmax(logits), axis=-1)
    parts = {
        "policy_loss": -jnp.mean(joint * credits),
        "value_loss": 0.5 * jnp.mean((values[:, -1] - targets) ** 2),
        "entropy": entropy.mean(),
    }
    learner = config.learner
    total = parts["policy_loss"] + learner.value_coef * parts["value_loss"] - learner.entropy_coef * parts["entropy"]
    if near is not None:
        parts["divergence"] = divergence(_replay(near, own)[1][0], logits).mean()
        total += learner.proximal * parts["divergence"]
    return total, parts


def _replay(policy: Any, seen: Trajectory) -> tuple[Float[Array, "b m t"], Any]:
    """Log-probabilities of the recorded actions, each inner episode read from its start, and (logits, values)."""
    shape, size = seen.actions.shape, seen.observations.shape[-1]
    logits, values = over_sequences(policy, seen.observations.reshape(-1, shape[-1], size))
    logits, values = logits.reshape(*shape, -1), values.reshape(shape)
    return log_prob(logits, seen.actions), (logits, values)


def _aware(
    config: Config, agent: Any, identities: Any, own: Trajectory, other: Trajectory, near: Any = None
) -> Gradient:
    """Mean LOLA gradient and figures over meta-episodes `[k, b, m, t]`, one at a time."""
    if own.alive is not None:
        raise ValueError(
            f"learner.algorithm = {config.learner.algorithm} replays inner episodes of full length, but the environment may "
            "end them early; take learner.algorithm=ppo, or game.stop=0 and an environment without ends"
        )
    learner = config.learner
    rewards, values = own.rewards[:, :, -1:] * learner.reward_scale, own.values[:, :, -1:]
    discounts = {"gamma": learner.gamma, "gae_lambda": learner.gae_lambda}
    credits = jax.vmap(lambda r, v: inner_episode(r, v, **discounts))(rewards, values)[:, :, 0] * config.batch
    targets = targets_of(rewards, values, learner)[:, :, 0]

    def one(episode):
        identity, mine, theirs, credit, target = episode
        objective = lambda ego: look_ahead_loss(ego, identity, mine, theirs, credit, target, config, near)  # noqa: E731
        (_, parts), gradient = eqx.filter_value_and_grad(objective, has_aux=True)(agent)
        return gradient, parts

    episodes = devices.own((identities, own, other, transform(credits, learner.advantages), targets), "games")
    return devices.averaged(jax.tree.map(lambda x: x.mean(0), jax.lax.map(one, episodes)))


def _unaware(config: Config, agent: Any, own: Trajectory, near: Any = None) -> Gradient:
    """Mean policy gradient and figures against co-players that don't learn: every inner episode on its own."""
    learner = dataclasses.replace(config.learner, estimator="inner_episode")
    played: Experience = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), experience(own, False, learner))
    part = devices.own(played, "games")

    def objective(agent):
        total, parts = loss(agent, part, learner)
        if near is None:
            return total, parts
        before, after = (over_sequences(policy, part.observations)[0] for policy in (near, agent))
        far = mean_of_played(divergence(before, after), part.alive)
        return total + learner.proximal * far, parts | {"divergence": far}

    (_, parts), gradient = eqx.filter_value_and_grad(objective, has_aux=True)(agent)
    return devices.averaged((gradient, parts))


def lola_gradient(
    config: Config, agent: Any, company: Company, key: Array, near: Any = None
) -> tuple[Any, dict[str, Any]]:
    """The gradient of the loss (descend it), and metrics, from one meta-batch of play; POLA's agent is to stay `near`."""
    played = play_pool(config, agent, company, key)
    found = []
    for kind, side in played.items():
        own, other = side.own, side.other
        if side.learns:
            part = _aware(config, agent, side.identities, own, other, near)
        else:
            part = _unaware(config, agent, own, near)
        found.append(jax.tree.map(lambda x, s=config.shares[kind] / config.meta_batch: s * x, part))
    gradient, metrics = jax.tree.map(lambda *x: sum(x), *found)
    return gradient, metrics | describe_play(config, played)


def lola_dice(config: Config, agent: Any, optimiser_state: Any, company: Company, key: Array) -> tuple[Any, Any, Any]:
    """One gradient step of an agent that looks ahead of the naive learners' updates: `(agent, optimiser state, metrics)`.

    Args:
        config: the run's.
        agent: the agent's policy.
        optimiser_state: of its optimiser.
        company: whom it can meet.
        key: a PRNG key.
    """
    return _step(config, agent, optimiser_state, company, key)


def pola(config: Config, agent: Any, optimiser_state: Any, company: Company, key: Array) -> tuple[Any, Any, Any]:
    """One proximal update of an agent that looks ahead of proximal learners' updates: `(agent, optimiser state, metrics)`.

    It takes `learner.epochs` outer steps, each with play of its own against the same company.

    Args:
        config: the run's.
        agent: the agent's policy.
        optimiser_state: of its optimiser.
        company: whom it can meet.
        key: a PRNG key.
    """

    def outer(now, key):
        policy, state, metrics = _step(config, now[0], now[1], company, key, agent)
        return (policy, state), metrics

    (found, optimiser_state), metrics = jax.lax.scan(
        outer, (agent, optimiser_state), draws.split(key, config.learner.epochs)
    )
    return found, optimiser_state, jax.tree.map(lambda x: x.mean(0), metrics)


def _step(
    config: Config, agent: Any, optimiser_state: Any, company: Company, key: Array, near: Any = None
) -> tuple[Any, Any, Any]:
    gradient, metrics = lola_gradient(config, agent, company, key, near)
    metrics["gradient_norm"] = jnp.sqrt(sum(jnp.sum(g * g) for g in jax.tree.leaves(gradient)))
    updates, optimiser_state = make_optimiser(config.learner).update(gradient, optimiser_state)
    return eqx.apply_updates(agent, updates), optimiser_state, metrics
