"""Matches in which a player is no JAX program: one step at a time on the host, all meta-episodes of a match side by side."""

import functools
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from lapg_rl.config import Config
from lapg_rl.envs.build import environment, repeated_game
from lapg_rl.interop.axelrod_players import AXELROD, Seat, check_game
from lapg_rl.play.rollout import Trajectory, choose


class Side(NamedTuple):
    """A side of a match: the kind of player, and who they are: identities `[k, ...]`, or the class of Axelrod's players."""

    kind: str
    who: Any


class Steps(NamedTuple):
    """A co-player's three functions, over `k` meta-episodes at once."""

    init: Any
    act: Any
    end: Any


@functools.cache
def _game(cfg: Config) -> tuple[Any, Any, bool]:
    """`reset` and `step` over `[k, b]` games, and whether their episodes may end early."""
    env = environment(cfg, "fixed")
    reset, step = (jax.jit(jax.vmap(jax.vmap(function))) for function in (env.reset, env.step))
    return reset, step, getattr(env, "ends", False)


@functools.cache
def _steps(coplayer: Any, batch: int) -> Steps:
    @eqx.filter_jit
    def act(state: Any, seen: Array, key: Array):
        state, (logits, values) = eqx.filter_vmap(coplayer.act)(state, seen)
        return state, *choose(logits, jax.random.uniform(key, seen.shape[:2])), values

    init = eqx.filter_jit(eqx.filter_vmap(lambda identity: coplayer.init(identity, batch)))
    return Steps(init, act, eqx.filter_jit(eqx.filter_vmap(coplayer.end_of_inner_episode)))


class _Computed:
    """A side that is a co-player of ours."""

    def __init__(self, coplayer: Any, who: Any, batch: int):
        self.steps = _steps(coplayer, batch)
        self.state = self.steps.init(who)

    def begin(self) -> None:
        pass

    def act(self, seen: Array, alive: Any, key: Array) -> tuple[Any, Any, Any]:
        del alive
        self.state, *played = self.steps.act(self.state, seen, key)
        return tuple(played)  # type: ignore

    def end(self, episode: Trajectory) -> None:
        self.state = self.steps.end(self.state, episode)


class _Seated:
    """A side of Axelrod's players."""

    def __init__(self, cls: type, cfg: Config, shape: tuple[int, int], key: Array):
        turns = float("inf") if cfg.game.stop else cfg.steps
        seeds = np.random.default_rng(np.asarray(jax.random.key_data(key)).tolist())
        self.shape = shape
        self.seat = Seat(cls, check_game(cls.__name__, repeated_game(cfg.game)), turns, shape[0] * shape[1], seeds)

    def begin(self) -> None:
        self.seat.begin()

    def act(self, seen: Array, alive: Any, key: Array) -> tuple[Any, Any, Any]:
        del key
        states = np.asarray(seen[..., :5]).argmax(axis=-1).ravel()
        going = np.ones(len(states), bool) if alive is None else np.asarray(alive).ravel()
        nothing = jnp.zeros(self.shape)
        return jnp.asarray(self.seat.act(states, going).reshape(self.shape)), nothing, nothing

    def end(self, episode: Trajectory) -> None:
        pass


def host_batch(cfg: Config, sides: tuple[Side, Side], count: int, key: Array, coplayers: Any) -> tuple[Trajectory, ...]:
    """Play `count` meta-episodes: both sides' trajectories `[k, b, m, t]`, by the rules of `rollout.meta_batch`.

    Args:
        cfg: of the sizes and the game, see `matches.what_matters`.
        sides: the players; at least one of them is of kind "axelrod".
        count: meta-episodes, k.
        key: a PRNG key.
        coplayers: by kind the object that plays it.

    Raises:
        ValueError: for a game with noise, in which players of Axelrod's would be told what was intended, not what was done.
    """
    if cfg.game.noisy:
        raise ValueError(
            f"game.execution = {cfg.game.execution}, game.perception = {cfg.game.perception}: players of the Axelrod library "
            "meet agents in games without noise only; leave them out"
        )
    shape, (*side_keys, key) = (count, cfg.batch), jax.random.split(key, 3)
    (reset, step, ends), episodes = _game(cfg), []
    players = [
        _Seated(side.who, cfg, shape, own)
        if side.kind == AXELROD
        else _Computed(coplayers[side.kind], side.who, cfg.batch)
        for side, own in zip(sides, side_keys, strict=True)
    ]
    for m in range(cfg.inner_episodes):
        reset_key, *step_keys = jax.random.split(jax.random.fold_in(key, m), 1 + cfg.steps)
        state, seen = reset(jax.random.split(reset_key, shape))
        alive, record = jnp.ones(shape, bool) if ends else None, []
        for player in players:
            player.begin()
        for step_key in step_keys:
            *act_keys, env_key = jax.random.split(step_key, 3)
            acted = [p.act(seen[:, :, n], alive, k) for n, (p, k) in enumerate(zip(players, act_keys, strict=True))]
            joint = jnp.stack([actions for actions, *_ in acted], axis=-1)
            state, following, rewards, *done = step(state, joint, jax.random.split(env_key, shape))
            after = alive
            if alive is not None:
                after = alive & ~done[0]
                rewards = jnp.where(alive[..., None], rewards, 0)
                following = jnp.where(after[..., None, None], following, 0)
            record.append([(seen[:, :, n], a, rewards[:, :, n], lp, v, alive) for n, (a, lp, v) in enumerate(acted)])
            seen, alive = following, after
        stacked = jax.tree.map(lambda *x: jnp.stack(x, axis=2), *record)
        episode = [Trajectory(*side) for side in stacked]
        for player, own in zip(players, episode, strict=True):
            player.end(own)
        episodes.append(episode)
    return tuple(jax.tree.map(lambda *x: jnp.stack(x, axis=2), *episodes))
