"""Many small runs of training as one compiled program, checkpointed: agents that differ in start, pool and key.

Every run has one agent, or two that also meet one another. An update plays meta-episodes against naive learners and, with
two agents, games of the pair, by the production rollout; credits, loss and optimiser are those of training. The parts are
weighted with the share of naive learners, which may thus be any number.
"""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lapg_rl.config import Config
from lapg_rl.config.schedule import with_numbers
from lapg_rl.crossval.simulation import HONEST, PLAIN, Simulation, compiled, learner, plain_learner, play
from lapg_rl.learn.credit import experience
from lapg_rl.learn.losses import loss
from lapg_rl.models import Tabular
from lapg_rl.optimisers import make_optimiser
from lapg_rl.play.coplayers import MetaAgent
from lapg_rl.play.rollout import Trajectory
from lapg_rl.runs import checkpoint, files
from lapg_rl.runs.progress import Progress
from lapg_theory.game import MatrixGame

#: Parallel games of all runs that are played at once: on a CPU few, for its caches.
GAMES_ON_CPU, GAMES_ON_ACCELERATOR = 2**8, 2**18
TRAINING = dataclasses.replace(PLAIN, estimator="lapg", clip_norm=1e9, learning_rate=1.0)


class Rated(eqx.Module):
    """A naive learner of learning rate 1 whose identity is (its rate, its initial policy).

    Its plain gradient is linear in the rewards it learns from, so they are multiplied by the rate.
    """

    inside: Any

    def init(self, identity: Any, batch: int) -> Any:
        """Start a meta-episode."""
        rate, policy = identity
        return rate, self.inside.init(policy, batch)

    def act(self, state: Any, observations: Any) -> Any:
        """Act as the learner does."""
        rate, state = state
        state, outputs = self.inside.act(state, observations)
        return (rate, state), outputs

    def end_of_inner_episode(self, state: Any, batch: Any) -> Any:
        """Learn at the rate."""
        rate, state = state
        return rate, self.inside.end_of_inner_episode(state, batch._replace(rewards=rate * batch.rewards))


@dataclasses.dataclass(frozen=True, eq=False)
class Sweep:
    """A set of runs, and the sizes that all of them share.

    Attributes:
        name: of its folder.
        start: log-odds of the agents, [runs, players, 5].
        share: of naive learners, [runs], or another one for each update, [updates, runs].
        eta: their learning rate in log-odds on returns per step, [runs].
        rate: step size of the agents, in log-odds, on returns per step.
        steps: T.
        naive_updates: how often a naive learner learns; there is one inner episode more.
        batch: B.
        meta_batch: K, meta-episodes of an update against naive learners.
        games: of the pair, in an update.
        updates: of the agents.
        every: updates between two records, which are also checkpoints.
        seed: of the key.
        entropy: coefficient of an entropy bonus, a number or [updates, runs].
    """

    name: str
    start: Float[np.ndarray, "runs players 5"]
    share: Float[np.ndarray, "*updates runs"]
    eta: Float[np.ndarray, " runs"]
    rate: float
    steps: int
    naive_updates: int
    batch: int
    meta_batch: int
    games: int
    updates: int
    every: int
    seed: int = 0
    entropy: Any = 0.0

    @property
    def sizes(self) -> tuple[int, ...]:
        """What a compiled program depends on."""
        return self.batch, self.naive_updates + 1, self.steps, self.meta_batch, self.games

    @property
    def environment_steps(self) -> int:
        """Joint actions in all."""
        batch, episodes, steps, meta_batch, games = self.sizes
        runs, players, _ = self.start.shape
        each = players * meta_batch * batch * episodes * steps + (games * steps if players > 1 else 0)
        return runs * each * self.updates

    def spec(self) -> dict[str, Any]:
        """Plain data that determine it; long arrays by their hash."""
        found = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        if not np.any(found["entropy"]):
            del found["entropy"]  # which sweeps of earlier versions don't name
        for name in {"start", "share", "eta", "entropy"} & set(found):
            array = np.ascontiguousarray(found[name], float)
            found[name] = f"{array.shape} {hashlib.sha256(array.tobytes()).hexdigest()[:16]}"
        return found


def tables(theta: Float[Array, "*n 5"]) -> Tabular:
    """Memory-one policies with the given log-odds, along new leading axes."""
    logits = jnp.stack([theta, -theta], axis=-1) / 2
    like = Tabular(5, 2, key=jax.random.key(0))
    return eqx.tree_at(lambda t: (t.logits, t.values), like, (logits, jnp.zeros_like(theta)))


def with_baseline(own: Trajectory) -> Trajectory:
    """The same with values: the mean return to go at this step of the *other* meta-episodes `[k]`; so nothing is biased."""
    count = len(own.rewards)
    flat = own.rewards.reshape(*own.rewards.shape[:2], -1)
    to_go = jnp.flip(jnp.cumsum(jnp.flip(flat, -1), -1), -1).reshape(own.rewards.shape).mean(1, keepdims=True)
    others = (to_go.sum(0, keepdims=True) - to_go) / (count - 1)
    return own._replace(values=jnp.broadcast_to(others, own.values.shape))


def slope(simulation: Simulation, ego: Any, own: Trajectory, learns: bool, entropy: Any = 0.0) -> Any:
    """The gradient of the production loss: minus the estimate of the slope of the return per step, and of the bonus."""
    played = experience(with_baseline(own), learns, TRAINING, table=simulation.estimators)
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), played)
    now = with_numbers(Config(learner=TRAINING), {"learner.entropy_coef": entropy}).learner
    return eqx.filter_grad(loss, has_aux=True)(ego, flat, now)[0]


def _update(
    simulation: Simulation,
    game: MatrixGame,
    sizes: tuple[int, ...],
    theta: Array,
    eta: Array,
    rate: Array,
    now: Any,
    key,
) -> Array:
    """One update of the agents `theta` [players, 5] of one run; `now` are share and entropy coefficient."""
    share, entropy = now
    batch, episodes, steps, meta_batch, games = sizes
    keys = jax.random.split(key, len(theta) + 1)
    agents = [tables(row) for row in theta]
    naive = Rated(learner(plain_learner(1.0)))
    gradients = []
    for agent, k in zip(agents, keys[1:], strict=True):
        shape = {"batch": batch, "inner_episodes": episodes, "steps": steps}
        own, _ = play(simulation, game, agent, naive, (eta, tables(jnp.zeros(5))), k, meta_batch, **shape)
        gradients.append(slope(simulation, agent, own, True, entropy))
    if len(agents) == 2:
        # The agents remember nothing, so an inner episode of their own is all there is to a game of the pair.
        sides = play(
            simulation, game, agents[0], MetaAgent(), agents[1], keys[0], games, batch=1, inner_episodes=1, steps=steps
        )
        pair = [slope(simulation, agent, side, False, entropy) for agent, side in zip(agents, sides, strict=True)]
        mix = lambda a, b: share * a + (1 - share) * b  # noqa: E731
        gradients = [jax.tree.map(mix, a, b) for a, b in zip(gradients, pair, strict=True)]
    ascent, found = make_optimiser(TRAINING), []
    for agent, gradient in zip(agents, gradients, strict=True):
        # Log-odds move twice as fast as either of the two logits.
        moves, _ = ascent.update(jax.tree.map(lambda g: g * rate / 2, gradient), ascent.init(gradient))
        agent = eqx.apply_updates(agent, moves)
        found.append(agent.logits[:, 0] - agent.logits[:, 1])
    return jnp.stack(found)


@compiled
def _advance(
    simulation: Simulation, game: MatrixGame, sizes: tuple[int, ...], at_once: int, theta: Array, course: Any, eta: Array,
    rate: Array, key: Array, done: Array,
) -> Array:  # fmt: skip
    """The agents of all runs after some more updates; update n of run r has the key fold_in(fold_in(key, n), r).

    `course` are share and entropy coefficient of each update and run, [updates, runs].
    """
    runs = jnp.arange(len(theta))

    def update(theta, step):
        n, now = step
        key_now = jax.random.fold_in(key, n)

        def one(run):
            theta, now, eta, r = run
            return _update(simulation, game, sizes, theta, eta, rate, now, jax.random.fold_in(key_now, r))

        return jax.lax.map(one, (theta, now, eta, runs), batch_size=at_once), None

    return jax.lax.scan(update, theta, (done + jnp.arange(len(course[0])), course))[0]


@compiled
def _spread(game: MatrixGame, sizes: tuple[int, ...], slopes: int, theta: Array, eta: Array, keys: Array) -> Array:
    def one(case):
        theta, key = case
        moves = [_update(HONEST, game, sizes, theta, eta, jnp.float32(1), (share, 0.0), key) for share in (1.0, 0.0)]
        return jnp.stack(moves)[:, 0] - theta[0]

    found = jax.lax.map(one, (jnp.repeat(theta, slopes, 0), keys))
    return found.reshape(len(theta), slopes, 2, 5).std(1, ddof=1)


def sampled_spread(
    sweep: Sweep, game: MatrixGame, theta: Float[np.ndarray, "n 2 5"], slopes: int
) -> tuple[Float[np.ndarray, "n 5"], Float[np.ndarray, "n 5"]]:
    """Standard deviation of the first agent's sampled slope over so many samples: from naive learners, and from its like.

    Args:
        sweep: sizes, the naive rate (of the first run) and the key.
        game: what is played.
        theta: log-odds of pairs.
        slopes: samples of each.
    """
    keys = jax.random.split(jax.random.key(sweep.seed), slopes * len(theta))
    eta = jnp.float32(sweep.eta[0])
    found = np.asarray(_spread(game, sweep.sizes, slopes, jnp.asarray(theta, jnp.float32), eta, keys), float)
    return found[:, 0], found[:, 1]


def at_once(sweep: Sweep) -> int:
    """Runs that are advanced side by side."""
    on_cpu = jax.default_backend() == "cpu"
    games = max(sweep.meta_batch * sweep.batch, sweep.games)
    return min(len(sweep.start), max(1, (GAMES_ON_CPU if on_cpu else GAMES_ON_ACCELERATOR) // games))


def train(
    sweep: Sweep, game: MatrixGame, folder: Path, simulation: Simulation = HONEST, *, quiet: bool = False
) -> Float[np.ndarray, "records runs players 5"]:
    """Log-odds of the agents at the start and after every `sweep.every` updates; carries on from the last checkpoint.

    Raises:
        ValueError: where the folder holds another sweep, or no sound checkpoint.
    """
    place = folder / sweep.name
    _claim(place, sweep.spec())
    count = sweep.updates // sweep.every
    like = jnp.zeros((count + 1, *sweep.start.shape), jnp.float32).at[0].set(jnp.asarray(sweep.start, jnp.float32))
    found = checkpoint.newest(place, {"path": like, "record": jnp.zeros((), jnp.int32)})
    path, done = (np.array(like), 0) if found is None else (np.array(found["path"]), int(found["record"]))
    whole = (sweep.updates, len(sweep.start))
    course = [simulation.schedule(np.broadcast_to(x, whole)).astype(np.float32) for x in (sweep.share, sweep.entropy)]
    eta, rate, key = jnp.asarray(sweep.eta, jnp.float32), jnp.float32(sweep.rate), jax.random.key(sweep.seed)
    progress = Progress(f"{folder.name} {sweep.name}", done * sweep.every, sweep.updates, quiet=quiet)
    for n in range(done, count):
        these = slice(n * sweep.every, (n + 1) * sweep.every)
        now = _advance(
            simulation, game, sweep.sizes, at_once(sweep), jnp.asarray(path[n]), [x[these] for x in course], eta, rate, key,
            jnp.int32(these.start),
        )  # fmt: skip
        path[n + 1] = np.asarray(now)
        if not np.isfinite(path[n + 1]).all():
            raise FloatingPointError(f"a policy became non-finite before update {(n + 1) * sweep.every} of {place}")
        checkpoint.save(place, n + 1, {"path": jnp.asarray(path), "record": jnp.int32(n + 1)}, keep=2)
        progress.show((n + 1) * sweep.every)
    progress.done()
    return path.astype(float)


def _claim(place: Path, spec: dict[str, Any]) -> None:
    """Write down what the folder holds, or refuse it if it holds something else."""
    file = place / "sweep.json"
    if file.exists():
        there = json.loads(file.read_text())
        other = [
            f"{name} {there.get(name)} there, {value} here" for name, value in spec.items() if there.get(name) != value
        ]
        if other:
            raise ValueError(f"{place} holds another sweep ({'; '.join(other)}); choose another --out folder")
    else:
        place.mkdir(parents=True, exist_ok=True)
        files.replace(file, json.dumps(spec, indent=1) + "\n")
