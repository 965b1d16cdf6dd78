"""Level L1, co-player: the sampled update of the naive learner against the exact gradient step, in mean and covariance."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lapg_rl.config import NaiveConfig
from lapg_rl.crossval.setting import Setting, chances, logits
from lapg_rl.crossval.simulation import (
    HONEST,
    Simulation,
    collected,
    compiled,
    learner,
    plain_learner,
    play,
)
from lapg_rl.crossval.statistics import compare_means, joined, quadratic
from lapg_rl.crossval.verdict import Level
from lapg_rl.models import memory_one
from lapg_theory import float64, general_returns, oracle
from lapg_theory.exact.gradients import returns_and_gradients
from lapg_theory.game import COOPERATE, FiniteHorizon, MatrixGame
from lapg_theory.oracle import episodes as ep

UPDATES = 2**14
BATCHES = (1, 4, 16)
#: The covariance is enumerated over all inner episodes: at most this many steps, and episodes.
MOST_STEPS, MOST_EPISODES = 5, 5000
PLAIN = plain_learner(1.0)
#: The same learner with one thing after another as in the published settings.
VARIANTS = {
    "plain gradient": PLAIN,
    "normalised advantages": dataclasses.replace(PLAIN, normalize_advantages=True),
    "Adam": dataclasses.replace(PLAIN, optimiser="adam", adam_eps=1e-5),
}


@compiled
def _updates(
    simulation: Simulation, game, p: Array, q: Array, key: Array, coplayer: tuple, count: int, sizes: tuple[int, int]
) -> tuple[Float[Array, "n s *a"], ...]:
    batch, steps = sizes
    naive, first = [simulation.coplayer(one) for one in coplayer], memory_one(q)
    _, seen, *_ = play(
        simulation, game, memory_one(p), coplayer[0], first, key, count, batch=batch, inner_episodes=1, steps=steps
    )

    def change(one, episode):
        state = one.end_of_inner_episode(one.init(first, batch), episode)
        moved = state.policy.logits - first.logits
        return moved[:, 0] - moved[:, 1] if moved.shape[1] == 2 else 2 * moved[:, :-1]

    return jax.vmap(lambda episode: tuple(change(one, episode) for one in naive))(
        jax.tree.map(lambda x: x[:, :, 0], seen)
    )


def sampled_updates(
    simulation: Simulation,
    setting: Setting,
    configs: Iterable[NaiveConfig],
    key: Array,
    count: int,
    batch: int,
    steps: int,
) -> list[np.ndarray]:
    """[n, states] for each learner: how much one update moves its log-odds, from independent minibatches that all of them see.

    With k actions [n, coordinates]: twice what it moves the logits by, since its rate is half of that in log-odds.
    """
    p, q = (jnp.asarray(x, jnp.float32) for x in setting.players)
    learners = tuple(map(learner, configs))
    sample = lambda k, n: _updates(simulation, setting.game, p, q, k, learners, n, (batch, steps))  # noqa: E731
    return [setting.compared(moved) for moved in collected(sample, key, count, batch * steps)]


def exact_gradient(setting: Setting, steps: int) -> np.ndarray:
    """Slope of the co-player's return per step in its own log-odds, or in what `Setting.compared` has of them."""
    if not isinstance(setting.game, MatrixGame):
        return setting.compared(_slope_in_general(setting, steps))
    found = returns_and_gradients(setting.game, *setting.players, FiniteHorizon(steps), space="probability")
    q = setting.players[1]
    return q * (1 - q) * np.asarray(found.column_by_q) / steps


def _slope_in_general(setting: Setting, steps: int) -> np.ndarray:
    """The same in a group, where the first of the learners moves and the others stay, or with k actions in all logits."""
    horizon, (p, q) = FiniteHorizon(steps), setting.players
    others = [q] * (setting.players_count - 2)
    with float64():

        def earned(theta):
            return general_returns(setting.game, [p, chances(theta), *others], horizon)[1] / steps

        return np.asarray(jax.grad(earned)(jnp.asarray(logits(q))))


def enumerated_steps(setting: Setting) -> int:
    """The steps of the inner episodes over which the covariance is a sum."""
    if setting.plain:
        return min(setting.steps, MOST_STEPS)
    for steps in range(min(setting.steps, MOST_STEPS), 1, -1):
        if oracle.general.size(setting.game, setting.players_count, steps) <= MOST_EPISODES:
            return steps
    return 1


def exact_covariance(setting: Setting, steps: int) -> np.ndarray:
    """[states, states] covariance of the update from one trajectory, as a sum over all inner episodes: 4^T in a 2x2 game."""
    if not setting.plain:
        return _covariance_of_branches(setting, steps)
    p, q = ep.policy("ego", setting.ego), ep.policy("naive", setting.naive)
    payoffs = tuple(ep.number(value) for value in setting.game.column_payoffs)
    likely, steps_taken = [], []
    for episode in ep.episodes(steps):  # in the co-player's view
        step = np.zeros(5)
        for (state, action), value in zip(ep.visits(episode), ep.rewards_to_go(payoffs, episode), strict=True):
            step[state] += float(((action == COOPERATE) - q[state]) * value / steps)
        likely.append(float(ep.probability(q, episode) * ep.probability(p, ep.swap(episode))))
        steps_taken.append(step)
    chance, step = np.array(likely), np.array(steps_taken)
    mean = chance @ step
    return (chance[:, None] * step).T @ step - np.outer(mean, mean)


def _covariance_of_branches(setting: Setting, steps: int) -> np.ndarray:
    """The same in a group, or with noise, for the first of the learners."""
    p, q = setting.players
    if setting.actions > 2 and steps == 1:  # of a single step the openings are read only
        p, q = p[:1], q[:1]
    played = oracle.general.branches(setting.game, [p] + [q] * (setting.players_count - 1), steps)
    step = setting.compared(played.by_state(1, played.scores(1, q), played.to_go[:, 1] / steps))
    mean = played.chance @ step
    return (played.chance[:, None] * step).T @ step - np.outer(mean, mean)


def _mean(simulation: Simulation, setting: Setting, key: Array):
    exact = exact_gradient(setting, setting.steps)
    count = setting.samples(8 * UPDATES)
    sample = sampled_updates(simulation, setting, [PLAIN], key, count, setting.batch, setting.steps)[0]
    check = compare_means(
        f"mean update, T = {setting.steps}, B = {setting.batch}", sample, exact, 0.05 * exact, "5% of the gradient"
    )
    shown = {"exact": exact.tolist(), "sampled": sample.mean(0).tolist(),
             "error": (sample.std(0) / np.sqrt(len(sample))).tolist()}  # fmt: skip
    return check, shown


def _covariance(simulation: Simulation, setting: Setting, key: Array):
    """The squared distance of an update from its mean, in units of the exact covariance over B, is its rank on average."""
    steps = enumerated_steps(setting)
    mean, covariance = exact_gradient(setting, steps), exact_covariance(setting, steps)
    parts, traces = [], []
    for n, batch in enumerate(BATCHES):
        sample = sampled_updates(
            simulation, setting, [PLAIN], jax.random.fold_in(key, n), setting.samples(UPDATES), batch, steps
        )[0]
        away = sample - mean
        rank = quadratic(np.zeros(len(mean)), covariance)[1]
        distance = batch * np.einsum("ni,ij,nj->n", away, np.linalg.pinv(covariance, 1e-10, hermitian=True), away)
        parts.append(compare_means("", distance[:, None], [rank], [0.1 * rank], ""))
        squares = (away**2).sum(1)
        traces.append((squares.mean(), squares.std() / np.sqrt(len(squares))))
    sizes = ", ".join(map(str, BATCHES))
    check = joined(f"covariance = exact / B, T = {steps}, B = {sizes}", parts, "10% of the covariance")
    shown = {"batches": BATCHES, "exact": [float(np.trace(covariance)) / b for b in BATCHES],
             "sampled": [t for t, _ in traces], "error": [e for _, e in traces]}  # fmt: skip
    return check, shown


def _variants(simulation: Simulation, setting: Setting, key: Array) -> list[dict[str, Any]]:
    """Where the published learner's settings lead: the mean update's angle to the gradient and its length."""
    exact, found = exact_gradient(setting, setting.steps), []
    samples = sampled_updates(simulation, setting, VARIANTS.values(), key, setting.samples(UPDATES), 16, setting.steps)
    for name, sample in zip(VARIANTS, samples, strict=True):
        mean = sample.mean(0)
        length = float(np.linalg.norm(mean) / np.linalg.norm(exact))
        cosine = float(mean @ exact / (np.linalg.norm(mean) * np.linalg.norm(exact)))
        found.append({"name": name, "mean": mean.tolist(), "length": length, "cosine": cosine})
    return found


def level(setting: Setting, simulation: Simulation = HONEST) -> Level:
    """Compare mean and covariance of one update; show what normalisation and Adam make of it."""
    keys = jax.random.split(jax.random.fold_in(jax.random.key(setting.seed), 1), 3)
    mean, shown_mean = _mean(simulation, setting, keys[0])
    covariance, shown_covariance = _covariance(simulation, setting, keys[1])
    variants = _variants(simulation, setting, keys[2])
    words = "; ".join(f"{v['name']}: cosine {v['cosine']:.3f}, length {v['length']:.2f}" for v in variants)
    notes = (
        "The learner is the one that training uses, with a memory-one table, plain gradient descent, raw advantages and "
        "gamma = 1. Two logits a state make its log-odds move twice as fast as its learning rate says.",
        f"The mean update beside the exact gradient, B = 16: {words}. Normalised advantages divide by the spread of the "
        "returns in the minibatch (and centre by its mean, which acts as a baseline). Adam's first step has the length of "
        "its learning rate in every logit, whatever the slope.",
    )
    data = {"states": setting.coordinates, "mean": shown_mean, "covariance": shown_covariance, "variants": variants}
    return Level("L1", (mean, covariance), data, notes, setting.false_alarms)
