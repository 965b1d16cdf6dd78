"""Level L4, dynamics: a tabular agent trained by sampled LAPG against the integrated analytic path.

Theory: d theta / d time = gradient of the mean reward per step over the naive learner's M inner episodes, which the
learner's exact gradient steps separate. Training: plain gradient ascent with steps of `rate`, from K meta-episodes each.
Two gaps are *predicted*, and their scaling is what is tested:

* a finite batch B makes the co-player's steps noisy, which shifts the mean path by c / B + d / B^2 + ...;
* the paths of single runs scatter about the mean path with a variance proportional to `rate` (at equal time and K).

What is left of the mean path without that shift must be the analytic path, stepped at the same rate.
"""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lapg_rl.crossval.setting import Setting, derived, logits
from lapg_rl.crossval.simulation import (
    HONEST,
    PLAIN,
    Simulation,
    collected,
    compiled,
    learner,
    plain_learner,
    play,
)
from lapg_rl.crossval.statistics import compare_slope, fit_linear, fitted_slope
from lapg_rl.crossval.verdict import Level, Sampled
from lapg_rl.learn.credit import experience
from lapg_rl.learn.losses import loss
from lapg_rl.models import memory_one
from lapg_rl.optimisers import make_optimiser
from lapg_theory import exact_returns
from lapg_theory.dynamics import integrate, iterate
from lapg_theory.learning import Lapg

#: The number of steps that the time is trained in where the batch is varied.
UPDATES = 8
RUNS = 256
#: A deviation of the end of the path that must not go unseen, as a share of its length.
SHARE = 0.1
#: Where the batch is varied, and the meta-episodes K of an update there.
BATCHES, META_BATCH = (1, 2, 4, 8), 96
#: Updates over the same time where the learning rate is varied, and K there.
STEPS, FEW = (8, 16, 32), 16
#: Updates for which a path has room, so that one program does for all of them.
MOST = max(UPDATES, *STEPS)


@compiled
def _paths(
    simulation: Simulation, game, p: Array, q: Array, value: Array, key: Array, coplayer: Any, rate: Float[Array, ""],
    updates: Int[Array, ""], count: int, sizes: tuple[int, int, int, int],
) -> Float[Array, "n most 5"]:  # fmt: skip
    """Log-odds of the agent after each update, for `count` independent runs of training; 0 after the last one."""
    batch, meta_batch, episodes, steps = sizes
    config = dataclasses.replace(PLAIN, estimator="lapg", clip_norm=1e9, learning_rate=1.0)
    ascent = make_optimiser(config)

    def update(ego, key):
        own, _ = play(
            simulation, game, ego, coplayer, memory_one(q), key, meta_batch,
            batch=batch, inner_episodes=episodes, steps=steps,
        )  # fmt: skip
        played = experience(own, True, config, table=simulation.estimators)
        gradient, _ = eqx.filter_grad(loss, has_aux=True)(
            ego, jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), played), config
        )
        # Log-odds move twice as fast as either of the two logits.
        moves, _ = ascent.update(jax.tree.map(lambda g: g * rate / 2, gradient), ascent.init(gradient))
        ego = eqx.apply_updates(ego, moves)
        return ego, ego.logits[:, 0] - ego.logits[:, 1]

    def run(key):
        ego = eqx.tree_at(lambda table: table.values, memory_one(p), jnp.full(5, value))
        keys = jax.random.split(key, MOST)

        def advance(n, carry):
            ego, path = carry
            ego, now = update(ego, keys[n])
            return ego, path.at[n].set(now)

        return jax.lax.fori_loop(0, updates, advance, (ego, jnp.zeros((MOST, 5))))[1]

    return jax.vmap(run)(jax.random.split(key, count))


def _meta_batch(setting: Setting, count: int) -> int:
    """Meta-episodes of one update at this budget."""
    return max(2, round(count * setting.budget))


def trained(
    simulation: Simulation, setting: Setting, key: Array, batch: int, meta_batch: int, updates: int
) -> np.ndarray:
    """[runs, updates, 5]: the paths of independent runs of training."""
    p, q = (jnp.asarray(x, jnp.float32) for x in setting.players)
    sizes = (batch, meta_batch, setting.inner_episodes, setting.steps)
    coplayer, each = learner(plain_learner(setting.eta)), (setting.time / updates, updates)

    def sample(k, n):
        return _paths(simulation, setting.game, p, q, baseline(setting), k, coplayer, *each, n, sizes)[:, :updates]

    return collected(sample, key, RUNS, batch * meta_batch * setting.steps)


def baseline(setting: Setting) -> Array:
    """The agent's value of every history: half of what it earns in M inner episodes. Any constant leaves LAPG unbiased."""
    return jnp.asarray(setting.inner_episodes / 2 * exact_returns(setting.game, *setting.players, setting.horizon)[0])


def rule(setting: Setting, rate: float = 1.0) -> Lapg:
    """The learning rule of the theory: shape one naive learner, known by its initial policy."""
    start = [logits(setting.players[1])]
    return Lapg(rate=rate, eta=setting.eta, updates=setting.inner_episodes - 1, learners=start)


@derived
def stepped(setting: Setting, updates: int) -> np.ndarray:
    """[updates + 1, 5]: the analytic path by exact gradient ascent in `updates` steps."""
    start = logits(setting.players[0])
    found = iterate(
        rule(setting, setting.time / updates), setting.game, setting.horizon, (start, start), updates, record_every=1
    )
    return np.asarray(found.row)


@derived
def integrated(setting: Setting) -> tuple[np.ndarray, np.ndarray]:
    """(times, path): the analytic path integrated."""
    start = logits(setting.players[0])
    found = integrate(rule(setting), setting.game, setting.horizon, (start, start), setting.time, records=65)
    return np.asarray(found.times), np.asarray(found.row)


def _batches(simulation: Simulation, setting: Setting, key: Array) -> tuple[Sampled, dict[str, Any]]:
    """The mean end of training minus the analytic end, for several B: is it c / B + d / B^2 and nothing else?"""
    path, gaps, covariances, shown = stepped(setting, UPDATES), [], [], []
    for n, batch in enumerate(BATCHES):
        runs = trained(
            simulation, setting, jax.random.fold_in(key, n), batch, _meta_batch(setting, META_BATCH), UPDATES
        )
        gaps.append(runs[:, -1].mean(0) - path[-1])
        spread = np.cov(runs[:, -1], rowvar=False) / len(runs)
        covariances.append(spread * (len(runs) - 1) / (len(runs) - len(spread) - 2))  # makes its inverse unbiased
        shown.append({"batch": batch, "gap": gaps[-1].tolist(), "error": np.sqrt(np.diag(covariances[-1])).tolist(),
                      "mean_path": runs.mean(0).tolist()})  # fmt: skip
    samples = len(BATCHES) * RUNS * UPDATES * _meta_batch(setting, META_BATCH)
    inverse = 1 / np.array(BATCHES, float)
    design = np.stack([inverse, inverse**2], axis=1)
    coefficients, left = fit_linear(design, gaps, covariances)
    offset = np.tile(SHARE * (path[-1] - path[0]), (len(BATCHES), 1))
    check = Sampled(
        "mean end of training = analytic end + c / B + d / B^2",
        left,
        5 * (len(BATCHES) - design.shape[1]),
        fit_linear(design, offset, covariances)[1],
        samples,
        f"an end that is off by {SHARE:.0%} of the path at every B",
    )
    constant = fit_linear(np.ones((len(BATCHES), 1)), gaps, covariances)[1]
    return check, {"batches": shown, "coefficients": coefficients.tolist(), "left": left, "constant": constant}


def _rates(simulation: Simulation, setting: Setting, key: Array) -> tuple[Sampled, list[dict[str, Any]]]:
    """Scatter of single runs about their mean, against the learning rate."""
    shown, total = [], 0
    for n, updates in enumerate(STEPS):
        runs = trained(
            simulation, setting, jax.random.fold_in(key, n), setting.batch, _meta_batch(setting, FEW), updates
        )
        count = len(runs)
        away = ((runs[:, -1] - runs[:, -1].mean(0)) ** 2).sum(1) * count / (count - 1)
        distance = np.linalg.norm(runs[:, -1] - integrated(setting)[1][-1], axis=1).mean()
        shown.append({"rate": setting.time / updates, "scatter": float(away.mean()), "distance": float(distance),
                      "error": float(away.std() / np.sqrt(count))})  # fmt: skip
        total += count * updates * _meta_batch(setting, FEW)
    slope, error = fitted_slope(*zip(*((s["rate"], s["scatter"], s["error"]) for s in shown), strict=True))
    name = f"variance over runs against learning rate: exponent {slope:.2f} +- {error:.2f}, predicted 1"
    return compare_slope(name, slope, error, 1.0, 0.5, total), shown


def level(setting: Setting, simulation: Simulation = HONEST) -> Level:
    """Train at several batch sizes and learning rates, and compare ends, gaps and scatter with the analytic path."""
    keys = jax.random.split(jax.random.fold_in(jax.random.key(setting.seed), 4), 2)
    ends, data = _batches(simulation, setting, keys[0])
    scatter, rates = _rates(simulation, setting, keys[1])
    times, path = integrated(setting)
    data |= {"rates": rates, "times": times.tolist(), "path": path.tolist()}
    notes = (
        "Predicted systematic gap: the analytic path is that of an infinite batch. At finite B the co-player's steps are "
        "noisy, which moves the mean path by c / B + d / B^2 with c and d unknown; they are fitted, and what is left must be "
        f"nothing. A gap that did not shrink with B would leave a chi-square of {data['constant']:.0f} instead of "
        f"{data['left']:.0f}.",
        "Single runs scatter about their mean with a variance proportional to the learning rate, at equal time and equal "
        "meta-batch: their distance from the analytic end goes like its square root. Training uses a constant value "
        "baseline, which leaves LAPG unbiased.",
    )
    return Level("L4", (ends, scatter), data, notes, setting.false_alarms)
