"""What agents do from step to step of an inner episode: whether they find out in it whom they face, and what they do then."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lapg_rl.config import Config
from lapg_rl.config.checks import check_draws
from lapg_rl.envs.build import bare_environment, environment, matrix_game
from lapg_rl.interfaces import Kind
from lapg_rl.machine import compiling
from lapg_rl.play.company import Company, kind_of, sizes
from lapg_rl.play.coplayers import FixedStrategy
from lapg_rl.play.rollout import meta_batch as play
from lapg_rl.runs.loop import RunFolder, run_key
from lapg_rl.runs.parents import frozen
from lapg_rl.study import entrants
from lapg_rl.study.intervals import short
from lapg_rl.study.names import check_player
from lapg_theory.game import MatrixGame, check_count
from lapg_theory.game.show import brief

#: Of a key of its own, from which the seed is folded in.
KEY_OFFSET = 2**31 + 2**30 + 2**29


@dataclasses.dataclass(frozen=True)
class Adaptation:
    """A run's agents against one kind of co-player: means over agents, meta-episodes and inner episodes.

    Attributes:
        opponent: a kind of co-player, or the name of a strategy.
        reward: the agents', per step.
        other_reward: the co-players'.
        cooperation: the agents', in each step of an inner episode.
        other_cooperation: the co-players'.
        rewards: the agents', in each step.
    """

    opponent: str
    reward: float
    other_reward: float
    cooperation: list[float]
    other_cooperation: list[float]
    rewards: list[float]

    __repr__ = brief


def adaptation(
    folder: str | Path, opponents: Sequence[str] | None = None, *, meta_batch: int = 256, seed: int = 0
) -> list[Adaptation]:
    """Play a run's agents, in the sizes of the run, and tell what happens in each step of an inner episode.

    Args:
        folder: a run in a repeated game of two players with two actions.
        opponents: kinds of co-players as the run meets them, and memory-one strategies, by the names of `lapg evaluate`; by
            default the kinds that it meets.
        meta_batch: meta-episodes of each agent against each opponent.
        seed: another one plays other games.

    Raises:
        ValueError: for another game, a run without a checkpoint, or an opponent that the run can't meet.

    Example:
        >>> import lapg_rl as rl
        >>> [met] = rl.adaptation(run, ["tft"], meta_batch=2)
        >>> met.opponent, len(met.cooperation) == rl.RunFolder(run).config().steps
        ('tft', True)
    """
    check_count("meta_batch", meta_batch)
    check_draws("seed", seed)
    run = RunFolder(folder)
    cfg = run.trusted_config()
    check_counted(cfg, str(run.path))
    opponents = list(cfg.shares) if opponents is None else list(opponents)
    for name in opponents:
        if not _is_kind(name, cfg):
            _strategy(name, cfg)
    final = run.final_state()
    state = final._replace(frozen=frozen(cfg, run, final))
    key = jax.random.fold_in(jax.random.fold_in(run_key(cfg), KEY_OFFSET), seed)
    return [_met(cfg, name, state, meta_batch, jax.random.fold_in(key, n)) for n, name in enumerate(opponents)]


def check_counted(cfg: Config, what: str) -> None:
    """Refuse games whose steps are not counted here. Raises ValueError."""
    ends = getattr(bare_environment(cfg.game), "ends", False)
    if ends or not isinstance(matrix_game(cfg.game), MatrixGame):
        raise ValueError(
            f"{what} is no run in a repeated game of two players with two actions and inner episodes of full length, which are "
            f"what is counted: game.kind = {cfg.game.kind}, game.stop = {cfg.game.stop}; `lapg evaluate` plays every game"
        )


def _met(cfg: Config, name: str, state: Any, count: int, key: Array) -> Adaptation:
    drawn = _is_kind(name, cfg)
    met_by_name = Kind(FixedStrategy(), lambda company, count, key: _strategy(name, cfg).identities(count))
    kind = kind_of(cfg, name) if drawn else met_by_name
    told = name if drawn else "memory_one" if "memory_one" in cfg.shares else "fixed"  # a code that agents have met
    env, curves = environment(cfg, told), []
    for n in range(cfg.pool.agents):
        draw_key, play_key = jax.random.split(jax.random.fold_in(key, n))
        company = Company(jnp.array(n), state.agents, state.naive_policies, state.frozen)
        agent, met = jax.tree.map(lambda x, n=n: x[n], state.agents), kind.draw(company, count, draw_key)
        curves.append(_curves(env, agent, kind.coplayer, met, play_key, sizes(cfg)))
    own, other, mine, theirs = np.mean(np.asarray(curves, float), axis=0)
    each = [[short(x) for x in curve] for curve in (own, other, mine)]
    return Adaptation(name, short(mine.mean()), short(theirs.mean()), *each)


def _is_kind(name: str, cfg: Config) -> bool:
    return name == "memory_one" or name in cfg.shares


def _strategy(name: str, cfg: Config) -> entrants.Entrant:
    check_player(name, cfg)
    found = entrants.named(name, cfg)
    if found.kind != "fixed":
        raise ValueError(
            f"{name} is no strategy of five probabilities, which is what steps are counted of; take tft, say"
        )
    return found


@compiling.jitted
def _curves(env: Any, agent: Any, coplayer: Any, identities: Any, key: Array, sized: Any) -> Float[Array, "4 t"]:
    """Cooperation and rewards of an agent and its co-players by step."""
    sides = play(env, agent, coplayer, identities, key, **sized)
    figures = [side.actions == 0 for side in sides] + [side.rewards for side in sides]
    return jnp.stack([x.mean(axis=(0, 1, 2)) for x in figures])
