"""Integrate the exact dynamics of a pool under a schedule, many runs at once."""

import dataclasses
import functools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from scipy.special import expit
from scipy.stats import norm

from lapg_theory.basin.exact_pool import Meeting, Numbers, Pool, among_agents, product, with_naive
from lapg_theory.basin.stages import Stage, plan
from lapg_theory.exact.chain import from_logits, stacked
from lapg_theory.game import check_count
from lapg_theory.game.words import words
from lapg_theory.metagame.labels import LABELS

Logits = Float[np.ndarray, "runs agents 5"]
#: of AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101), optax's defaults
FIRST, SECOND, TINY, DECAY = 0.9, 0.999, 1e-8, 1e-4


def wilson(count: Any, n: int, level: float = 0.95) -> tuple[Any, Any]:
    """Wilson interval for a share of which `count` of `n` were seen (Wilson 1927, J. Am. Stat. Assoc. 22)."""
    z, share = norm.ppf((1 + level) / 2), np.asarray(count) / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return middle - half, middle + half


@dataclasses.dataclass(frozen=True)
class Course:
    """Paths of many runs of a pool under one schedule.

    Attributes:
        steps: taken at each record, the start first.
        policies: cooperation probabilities, [record, run, agent, state].
        among: agents' reward per step among each other, mean over a run's agents, [record, run].
        versus_naive: their reward from naive learners, likewise.
        labels: the word for each run's end (`lapg_theory.metagame.LABELS`).
        switched: the step at which each run left each stage but the last, [run, stage - 1]; -1 where it never did.
    """

    steps: Int[np.ndarray, " records"]
    policies: Float[np.ndarray, "records runs agents 5"]
    among: Float[np.ndarray, "records runs"]
    versus_naive: Float[np.ndarray, "records runs"]
    labels: tuple[str, ...]
    switched: Int[np.ndarray, "runs switches"]

    @property
    def shares(self) -> dict[str, tuple[float, float, float]]:
        """For each word its share of the runs with a 95% Wilson interval: (share, low, high)."""
        counts, n = Counter(self.labels), len(self.labels)
        bounds = {name: wilson(counts[name], n) for name in LABELS}
        return {name: (counts[name] / n, float(low), float(high)) for name, (low, high) in bounds.items()}

    def reached(self, level: float) -> Float[np.ndarray, " runs"]:
        """First record, in steps, from which on a run earns at least `level` among agents; inf where it ends below."""
        below = self.among < level
        last = np.where(below.any(0), len(below) - 1 - below[::-1].argmax(0), -1)
        steps = np.append(self.steps.astype(float), np.inf)
        return steps[last + 1]


def _now(plan: Any, stage: Any, spent: Any) -> Any:
    """Share, entropy, rate and eta of every run, [4, runs]."""
    ramps, length = plan["ramps"][stage], plan["length"][stage]
    done = jnp.where(jnp.isfinite(length), jnp.minimum(spent / jnp.where(jnp.isfinite(length), length, 1), 1), 0)
    return jnp.moveaxis(ramps[..., 0] + (ramps[..., 1] - ramps[..., 0]) * done[:, None], -1, 0)


def field(
    numbers: Numbers, theta: Any, quantities: Any, updates: int, noise: Any = None
) -> tuple[Any, Meeting, Meeting]:
    """Slope in logits of agents [5, runs, n], and their meetings with each other and naive learners; `quantities` as of `_now`.

    `noise` are (standard deviations of a sampled slope, standard normal numbers [2, 5, runs, n]); see `integrate`.
    """
    share, bonus, _, eta = (x[:, None] for x in quantities)
    own = among_agents(numbers, theta)
    naive = with_naive(numbers, theta, updates, numbers.eta * eta[..., None])
    slope = share * naive.slope + (1 - share) * own.slope
    slope = slope - bonus * theta * (share * naive.visits + (1 - share) * own.visits)
    slope = product(theta) * slope
    if noise is not None:
        sizes, draws = noise
        parts = (share, naive.visits), (1 - share, own.visits)
        for size, draw, (weight, visits) in zip(sizes, draws, parts, strict=True):
            slope = slope + size * weight * jnp.sqrt(visits * product(theta)) * draw
    return slope, own, naive


def _measures(theta: Any, own: Meeting, naive: Meeting) -> Any:
    """The MEASURES of each agent, [measure, runs, n]. Visits are shares of its decisions, so they weigh its cooperation."""
    cooperate = stacked(from_logits(theta).cooperate)
    return jnp.stack([x for meeting in (naive, own) for x in (meeting.value, (meeting.visits * cooperate).sum(0))])


def _copied(learners: Any, measures: Any, weights: Any) -> Any:
    """Arrays [k, runs, n] in which all agents of a run are the one with the most, where its weights [runs, measure] are any."""
    best = jnp.einsum("rm,mrn->rn", weights, measures).argmax(-1)[None, :, None]
    alike = jax.tree.map(lambda x: jnp.broadcast_to(jnp.take_along_axis(x, best, -1), x.shape), learners)
    return jax.tree.map(lambda x, y: jnp.where(weights.any(-1)[:, None], x, y), alike, learners)


def logits(table: Any) -> Any:
    """The five logits of parameters [5, ...], or [6, ...] where the last is a bias that all states share."""
    return table[:5] + table[5:] if len(table) == 6 else table


def _advance(plan: Any, stage: Any, spent: Any, t: Any, among: Any, naive: Any) -> tuple[Any, Any]:
    over = (spent + 1 >= plan["steps"][stage]) | (t >= plan["until"][stage])
    over |= (among >= plan["among"][stage]) | (naive >= plan["naive"][stage])
    return jnp.where(over, stage + 1, stage), jnp.where(over, 0.0, spent + 1)


@functools.partial(jax.jit, static_argnames=("updates", "records", "every", "adam"))
def _integrate(
    numbers: Numbers, table: Any, plan: Any, noise: Any, *, updates: int, records: int, every: int, adam: bool
) -> Any:
    def step(carry, t):
        table, first, second, stage, spent, left = carry
        now, theta, drawn = _now(plan, stage, spent), logits(table), None
        if noise is not None:
            sizes, key = noise
            drawn = sizes, jax.random.normal(jax.random.fold_in(key, t.astype(int)), (2, *theta.shape), theta.dtype)
        slope, own, met = field(numbers, theta, now, updates, drawn)
        among, naive = own.value.mean(-1), met.value.mean(-1)
        slope = jnp.concatenate([slope, slope.sum(0, keepdims=True)])[: len(table)]
        rate = now[2][:, None]
        if adam:
            first, second = FIRST * first + (1 - FIRST) * slope, SECOND * second + (1 - SECOND) * slope**2
            move = first / (1 - FIRST**t) / (jnp.sqrt(second / (1 - SECOND**t)) + TINY) - DECAY * table
        else:
            move = slope
        new, later = _advance(plan, stage, spent, t, among, naive)
        passed = jnp.arange(left.shape[1]) == stage[:, None]
        left = jnp.where(passed & (new > stage)[:, None], t.astype(left.dtype), left)
        weights = plan["copies"][new] * (new > stage)[:, None]
        learners = _copied((table + rate * move, first, second), _measures(theta, own, met), weights)
        return (*learners, new, later, left), (theta, among, naive)

    def stretch(carry, t):
        carry, seen = jax.lax.scan(step, carry, t)
        return carry, jax.tree.map(lambda x: x[0], seen)

    runs, stages = table.shape[1], plan["length"].shape[0]
    stage, spent = jnp.zeros(runs, int), jnp.zeros(runs, table.dtype)
    carry = table, 0 * table, 0 * table, stage, spent, jnp.full((runs, stages - 1), -1.0, table.dtype)
    times = jnp.arange(1, records * every + 1, dtype=table.dtype).reshape(records, every)
    carry, seen = jax.lax.scan(stretch, carry, times)
    theta = logits(carry[0])
    _, own, met = field(numbers, theta, _now(plan, carry[3], carry[4]), updates)
    last = theta, own.value.mean(-1), met.value.mean(-1)
    return jax.tree.map(lambda x, y: jnp.concatenate([x, y[None]]), seen, last), carry[5]


def random_starts(runs: int, agents: int, seed: int = 0, spread: float = 1.0, shift: float = 0.0) -> Logits:
    """Independent N(shift, spread^2) logits, [runs, agents, 5].

    Args:
        runs: how many pools.
        agents: how many agents in each.
        seed: of the draws.
        spread: standard deviation of the logits.
        shift: their mean.
    """
    return shift + spread * np.random.default_rng(seed).standard_normal((runs, agents, 5))


def integrate(
    pool: Pool,
    stages: Sequence[Stage],
    starts: Any,
    *,
    steps: Any = 1500,
    every: Any = 25,
    optimiser: str = "adamw",
    shared: bool = False,
    noise: tuple[float | int, float | int] | None = None,
    seed: int = 0,
) -> Course:
    """The paths of runs of agents that all learn at once, by the exact field of the pool, under a schedule; float32.

    Args:
        pool: whom they meet.
        stages: what they go through.
        starts: initial logits, [runs, agents, 5], at least two agents.
        steps: in all; rounded up to a multiple of `every`.
        every: steps between records.
        optimiser: "adamw" (in logits, as everywhere in this library) or "ascent", rate x slope.
        shared: logits are a parameter for each state and a bias that all states share (at first 0), as in a network
            with a bias at its end; to plain ascent that is another metric.
        noise: of sampled learning, (from games with naive learners, from games among agents), or None. A sampled slope in
            the logit of a state has the standard deviation noise x sqrt(visits x p (1 - p)): the score of an action that is
            taken at random, times the spread of what follows. For N games of T steps the number is about the standard
            deviation of what follows over sqrt(N T); states are independent here, which they are only nearly in games.
        seed: of the noise.

    Raises:
        ValueError: for starts of another shape or not finite, counts that are none, an unknown optimiser, noise that is no
            pair of finite numbers >= 0, or a schedule that `plan` refuses.
    """
    theta = np.asarray(starts, float)
    if theta.ndim != 3 or theta.shape[1] < 2 or theta.shape[2] != 5 or not np.isfinite(theta).all():
        raise ValueError(f"starts must be finite logits [runs, agents >= 2, 5], got shape {theta.shape}")
    if optimiser not in ("adamw", "ascent"):
        raise ValueError(f'optimiser must be "adamw" or "ascent", got {optimiser!r}')
    check_count("steps", steps)
    check_count("every", every)
    if noise is not None and not (len(noise) == 2 and all(0 <= x < np.inf for x in noise)):
        raise ValueError(f"noise must be two finite standard deviations >= 0, got {noise!r}")
    drawn = None if noise is None else (jnp.asarray(noise, jnp.float32), jax.random.key(seed))
    arrays = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), plan(stages))
    records = -(-steps // every)
    table = jnp.asarray(np.moveaxis(theta, -1, 0), jnp.float32)
    table = jnp.concatenate([table, 0 * table[:1]]) if shared else table
    kind = {"records": records, "every": every, "adam": optimiser == "adamw"}
    (path, among, naive), left = _integrate(pool.traced, table, arrays, drawn, updates=pool.updates, **kind)
    policies = expit(np.moveaxis(np.asarray(path, float), 1, -1))
    among, naive = np.asarray(among, float), np.asarray(naive, float)
    return Course(
        every * np.arange(records + 1), policies, among, naive, ends(pool, policies[-1], among[-1], naive[-1]),
        np.asarray(left, int)[:, : len(stages) - 1],
    )  # fmt: skip


def ends(pool: Pool, policies: Any, among: Any, naive: Any) -> tuple[str, ...]:
    """The word for each run's end, from what its agents [runs, n, 5] earn in the mean and open with."""
    gain = naive - np.asarray(_defectors_value(pool.traced, updates=pool.updates))
    return tuple(words(pool.game, among, gain=gain, opening=policies[:, :, 0].min(-1)).tolist())


@functools.partial(jax.jit, static_argnames="updates")
def _defectors_value(numbers: Numbers, *, updates: int) -> Any:
    """What unconditional defection earns from naive learners, for each run that has its own."""
    theta = jnp.full((5, numbers.learners.shape[1], 1), -40.0, numbers.learners.dtype)
    return with_naive(numbers, theta, updates, visits=False).value[:, 0]
