"""How a trained agent behaves: against naive learners, fixed strategies, random co-players, and other agents."""

import functools
import math
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lapg_rl.config import Config, GameConfig, LearnerConfig, NaiveConfig
from lapg_rl.coplayers import FixedStrategy, MetaAgent
from lapg_rl.envs import IteratedMatrixGame
from lapg_rl.pools import naive_learner
from lapg_rl.records import Evaluation, Match, PayoffLine, Player
from lapg_rl.rollout import meta_batch
from lapg_rl.run import RunFolder, run_key
from lapg_theory.game import NAMED, check_count

#: Evaluations draw from keys that no training step uses: `fold_in(run key, KEY_OFFSET + seed)`.
KEY_OFFSET = 2**31


class Tally(NamedTuple):
    """What two players did in `[k]` meta-episodes, summed over the parallel trajectories; player 0 is the agent."""

    rewards: Float[Array, "2 k m"]  # per step
    visits: Float[Array, "2 m 5"]  # how often each player was in each state, own view
    cooperated: Float[Array, "2 m 5"]  # how often it cooperated there


def evaluate(folder: str | Path, *, meta_batch: int = 128, seed: int = 0) -> Evaluation:
    """Play the newest checkpoint of a run; nothing learns but the naive learners, within their meta-episodes.

    Each agent of the pool meets fresh naive learners (from the run's own initialisations, each equally often), every
    named memory-one strategy, `meta_batch` random memory-one strategies, and every other agent of the pool.

    Args:
        folder: a run folder.
        meta_batch: independent meta-episodes a match; sizes within a meta-episode are those of the run.
        seed: another seed draws other games.

    Raises:
        ValueError: for a folder without a run or sound checkpoint, or a count that is no integer >= 1.
    """
    check_count("meta_batch", meta_batch)
    check_count("seed", seed, least=0)
    run = RunFolder(folder)
    cfg, state = run.config(), run.final_state()
    key = jax.random.fold_in(run_key(cfg), KEY_OFFSET + seed)
    plays = _plays(cfg.game, cfg.naive, cfg.batch, cfg.inner_episodes, cfg.steps)
    matches, lines = [], []
    for index in range(cfg.pool.agents):
        policy = jax.tree.map(lambda x, i=index: x[i], state.agents)
        agent = _Agent(cfg, plays, policy, index, meta_batch, jax.random.fold_in(key, index))
        matches += [agent.against_naive(state.naive_policies), *agent.against_fixed()]
        matches += agent.against_others(state.agents)
        lines.append(agent.payoff_line())
    return Evaluation(int(state.update), meta_batch, seed, matches, lines)


@functools.cache
def _plays(game: GameConfig, naive: NaiveConfig, batch: int, inner_episodes: int, steps: int) -> dict[str, Any]:
    """The play against each kind of co-player; kept, so that runs that differ in nothing else are compiled once."""
    sizes = {"batch": batch, "inner_episodes": inner_episodes, "steps": steps}
    cfg = Config(game=game, learner=LearnerConfig(estimator="inner_episode"), **sizes)
    coplayers = {"naive": naive_learner(naive), "fixed": FixedStrategy(), "meta": MetaAgent()}
    return {kind: make_play(cfg, coplayer) for kind, coplayer in coplayers.items()}


class _Agent(NamedTuple):
    """One trained agent and the compiled plays; each match draws from its own fold of the key."""

    cfg: Config
    plays: dict[str, Any]
    policy: Any
    index: int
    count: int
    key: Array

    def tally(self, kind: str, identities: Any, salt: int) -> Tally:
        return self.plays[kind](self.policy, identities, jax.random.fold_in(self.key, salt))

    def match(self, opponent: str, kind: str, identities: Any, salt: int) -> Match:
        tally = self.tally(kind, identities, salt)
        return Match(self.index, opponent, describe(tally, 0), describe(tally, 1))

    def against_naive(self, policies: Any) -> Match:
        drawn = jnp.arange(self.count) % self.cfg.pool.naive_population
        return self.match("naive", "naive", jax.tree.map(lambda x: x[drawn], policies), 0)

    def against_fixed(self) -> list[Match]:
        strategies = [jnp.broadcast_to(jnp.array(s, jnp.float32), (self.count, 5)) for s in NAMED.values()]
        return [self.match(name, "fixed", s, 2 + n) for n, (name, s) in enumerate(zip(NAMED, strategies, strict=True))]

    def against_others(self, agents: Any) -> list[Match]:
        repeat = lambda x, other: jnp.broadcast_to(x[other], (self.count, *x.shape[1:]))  # noqa: E731
        return [
            self.match(f"agent {other}", "meta", jax.tree.map(lambda x, o=other: repeat(x, o), agents), 1000 + other)
            for other in range(self.cfg.pool.agents)
            if other != self.index
        ]

    def payoff_line(self) -> PayoffLine:
        strategies = u_shaped(jax.random.uniform(jax.random.fold_in(self.key, 1), (self.count, 5)))
        tally = self.tally("fixed", strategies, 1)
        own, other = np.asarray(tally.rewards, float).mean(axis=-1) - self.cfg.game.P
        return PayoffLine(
            self.index, *fit_line(other, own), points=list(zip(other.tolist(), own.tolist(), strict=True))
        )


def u_shaped(uniform: Any) -> Any:
    """Uniform numbers turned into draws from the density 1 / (pi sqrt(p (1 - p))): random memory-one strategies.

    They cover the cube of strategies up to its corners (Nowak & Sigmund 1993).
    """
    return jnp.sin(0.5 * jnp.pi * uniform) ** 2


def make_play(cfg: Config, coplayer: Any) -> Any:
    """The jitted `play(agent, identities, key) -> Tally` against one kind of co-player, in the sizes of `cfg`."""
    env = IteratedMatrixGame(cfg.game.build())
    sizes = {"batch": cfg.batch, "inner_episodes": cfg.inner_episodes, "steps": cfg.steps}

    @eqx.filter_jit
    def play(agent: Any, identities: Any, key: Array) -> Tally:
        sides = meta_batch(env, agent, coplayer, identities, key, **sizes)
        rewards = jnp.stack([side.rewards.mean(axis=(1, 3)) for side in sides])
        visits = jnp.stack([side.observations.sum(axis=(0, 1, 3)) for side in sides])
        cooperated = jnp.stack([count_cooperation(side.observations, side.actions) for side in sides])
        return Tally(rewards, visits, cooperated)

    return play


def count_cooperation(observations: Float[Array, "k b m t 5"], actions: Int[Array, "k b m t"]) -> Float[Array, "m 5"]:
    """How often action 0 was taken in each inner episode and state."""
    return jnp.einsum("kbmto,kbmt->mo", observations, (actions == 0).astype(observations.dtype))


def describe(tally: Tally, player: int) -> Player:
    """The figures of one player."""
    rewards = np.asarray(tally.rewards[player], float)
    visits, cooperated = (np.asarray(x[player], float) for x in (tally.visits, tally.cooperated))
    means = rewards.mean(axis=1)
    return Player(
        reward=float(means.mean()),
        error=float(means.std(ddof=1) / math.sqrt(len(means))) if len(means) > 1 else None,
        reward_curve=rewards.mean(axis=0).tolist(),
        cooperation_curve=(cooperated.sum(1) / visits.sum(1)).tolist(),
        signature=_frequencies(cooperated.sum(0), visits.sum(0)),
        first_signature=_frequencies(cooperated[0], visits[0]),
        last_signature=_frequencies(cooperated[-1], visits[-1]),
        visits=visits.sum(0).tolist(),
    )


def _frequencies(cooperated: np.ndarray, visits: np.ndarray) -> list[float | None]:
    return [float(c / v) if v else None for c, v in zip(cooperated, visits, strict=True)]


def fit_line(x: np.ndarray, y: np.ndarray) -> tuple[float | None, float | None, float | None]:
    """(slope, intercept, R^2) of y on x by least squares; None where x (or, for R^2, y) does not vary."""
    dx, dy = x - x.mean(), y - y.mean()
    if not dx @ dx > 0:
        return None, None, None
    slope = dx @ dy / (dx @ dx)
    explained = float((dx @ dy) ** 2 / (dx @ dx) / (dy @ dy)) if dy @ dy > 0 else None
    return float(slope), float(y.mean() - slope * x.mean()), explained
