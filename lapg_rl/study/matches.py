"""Matches: two players meet in independent meta-episodes, and what they did is added up and described."""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from lapg_rl.config import Config, LearnerConfig, PoolConfig
from lapg_rl.config.loading import Yours
from lapg_rl.config.tables import is_address
from lapg_rl.envs.build import bare_environment, environment
from lapg_rl.interop.axelrod_players import AXELROD
from lapg_rl.interop.host import host_batch
from lapg_rl.machine import compiling
from lapg_rl.machine.cache import make_room
from lapg_rl.play.company import kind_of, naive_learner, sizes
from lapg_rl.play.coplayers import FixedStrategy, Group, MetaAgent
from lapg_rl.play.metrics import measure
from lapg_rl.play.rollout import Trajectory, mean_of_played, meta_batch
from lapg_rl.study.intervals import short
from lapg_rl.study.names import scripts
from lapg_rl.study.records import Player
from lapg_theory.game import MatrixGame

#: Bytes that a step of one trajectory takes while a match is played: what both players saw and did, and copies.
STEP_BYTES = 256


class Tally(NamedTuple):
    """What two players did in `[k]` meta-episodes, over the parallel trajectories; player 0 is the row player.

    In a group the second player stands for all co-players, but those that are on the row player's side (`Meeting.partners`):
    means, and for visits sums, over them. `visits` and `cooperated`
    are of a 2x2 game or a group, s states in its own view, else None. `measures` holds what the environment measures; it is
    empty for a prisoner's dilemma, of which the other two tell more. `sound` says of co-players of the user's own whether the
    actions that they took had finite logits.
    """

    rewards: Float[Array, "2 k m"]  # per step
    visits: Float[Array, "2 m s"] | None  # how often each player was in each state, own view
    cooperated: Float[Array, "2 m s"] | None  # how often it took action 0 there
    measures: dict[str, Float[Array, "2 k m"]]  # per step
    sound: Bool[Array, ""] | None = None


#: A kind of co-player; in a group the kinds in the other seats in their order, each with the number of its seats.
CoPlayers = str | tuple[tuple[str, int], ...]


def make_play(cfg: Config, coplayer: Any, kind: CoPlayers = "naive") -> Any:
    """The jitted `play(agent, identities, key) -> Tally` against one kind of co-player, in the sizes of `cfg`."""
    return compiling.jitted(_play(cfg, coplayer, kind))


def _play(cfg: Config, coplayer: Any, kind: CoPlayers, partners: int = 0) -> Callable[[Any, Any, Array], Tally]:
    env, tally = environment(cfg, kind if isinstance(kind, str) else "naive"), _tally(cfg, partners)

    def play(agent: Any, identities: Any, key: Array) -> Tally:
        sides = meta_batch(env, agent, coplayer, identities, key, **sizes(cfg))
        return tally(sides)._replace(sound=_sound(sides[1:]) if _own(kind) else None)

    return play


def _sound(others: Sequence[Trajectory]) -> Bool[Array, ""]:
    """Whether all actions that were taken had finite logits."""
    over = [False if side.alive is None else ~side.alive for side in others]
    return jnp.stack([(jnp.isfinite(s.log_probs) | end).all() for s, end in zip(others, over, strict=True)]).all()


def _tally(cfg: Config, partners: int = 0) -> Callable[[Sequence[Trajectory]], Tally]:
    """What the trajectories `[k, b, m, t]` of the agent and its co-players add up to."""
    bare = bare_environment(cfg.game)
    game, group = getattr(bare, "game", None), getattr(bare, "group", None)
    states = 2 * group.players + 1 if group else 5 if isinstance(game, MatrixGame) else 0
    dilemma = isinstance(game, MatrixGame) and game.is_dilemma

    def tally(sides: Sequence[Trajectory]) -> Tally:
        own = sides[0]
        mean = functools.partial(mean_of_played, alive=own.alive, axis=(1, 3))

        def both(of_one: Callable[[Any], Any], share: bool = True) -> Array:
            found = [of_one(side) for side in sides]
            parts = found[: 1 + partners], found[1 + partners :]
            return jnp.stack([sum(part[1:], start=part[0]) / (len(part) if share else 1) for part in parts])

        rewards = both(lambda side: mean(side.rewards))
        means = {}
        if not dilemma:
            names = jax.eval_shape(lambda: measure(bare, own))
            means = {name: both(lambda side, n=name: mean(measure(bare, side)[n])) for name in names}
        if not states:
            return Tally(rewards, None, None, means)
        visits = both(lambda side: side.observations[..., :states].sum(axis=(0, 1, 3)), share=False)
        cooperated = both(lambda side: count_cooperation(side.observations[..., :states], side.actions), share=False)
        return Tally(rewards, visits, cooperated, means)

    return tally


def count_cooperation(observations: Float[Array, "k b m t s"], actions: Int[Array, "k b m t"]) -> Float[Array, "m s"]:
    """How often action 0 was taken in each inner episode and state."""
    return jnp.einsum("kbmto,kbmt->mo", observations, (actions == 0).astype(observations.dtype))


def what_matters(cfg: Config) -> Config:
    """A config that differs from another one's only where the play does."""
    kept = {name: getattr(cfg, name) for name in ("game", "batch", "inner_episodes", "steps")}
    naive = dataclasses.replace(cfg.naive, model="same")
    learner = LearnerConfig(estimator="inner_episode")
    return Config(
        learner=learner,
        naive=naive,
        pool=PoolConfig(reveal=cfg.pool.reveal, reveal_kinds=cfg.pool.reveal_kinds),
        **kept,
    )


def coplayer_of(cfg: Config, kind: CoPlayers) -> Any:
    """How co-players of a kind play, or those in the seats of a group."""
    if isinstance(kind, str):
        return kind_of(cfg, kind).coplayer if is_address(kind) else _coplayers(cfg)[kind]
    return Group(tuple(coplayer_of(cfg, one) for one, _ in kind), tuple(count for _, count in kind))


def play_of(cfg: Config, kind: CoPlayers, several: bool, partners: int = 0) -> Any:
    """The play against a kind of co-player, for one match or for several at once, along a leading axis.

    Kept, so that runs that differ in nothing else are compiled once.
    """
    own, plain = _own(kind), what_matters(cfg)
    needed = cfg if own else plain  # a function of the user's own, which draws co-players, may read the whole config
    return _kept(needed, kind, several, partners, Yours([*plain.addresses, *own]))


@functools.cache
def _kept(cfg: Config, kind: CoPlayers, several: bool, partners: int, _: Yours) -> Any:
    function = _play(cfg, coplayer_of(cfg, kind), kind, partners)
    return compiling.jitted(eqx.filter_vmap(function) if several else function)


def _own(kind: CoPlayers) -> list[str]:
    """The kinds of the user's own among those that play."""
    return [name for name in ([kind] if isinstance(kind, str) else [one for one, _ in kind]) if is_address(name)]


@functools.cache
def _coplayers(cfg: Config) -> dict[str, Any]:
    """What plays each kind of co-player."""
    coplayers = {"naive": naive_learner(cfg.naive), "fixed": FixedStrategy(), "meta": MetaAgent()}
    return coplayers | dict.fromkeys(scripts(cfg), MetaAgent())


class Meeting(NamedTuple):
    """One match to be played: the row player's policy, the co-player's kind and identities `[k, ...]`, a key.

    In a group the co-players in the first `partners` seats count with the row player. A match that is played on the host, of
    kind "axelrod", has k in the place of the policy and both sides in that of identities.
    """

    policy: Any
    kind: CoPlayers
    identities: Any
    key: Array
    partners: int = 0


def matches_at_once(cfg: Config, meta_batch: int) -> int:
    """How many matches to play side by side: one on a CPU, else what takes a quarter of the accelerator's memory."""
    device = jax.devices()[0]
    if device.platform == "cpu":
        return 1
    memory = (device.memory_stats() or {}).get("bytes_limit", 8e9)
    steps = meta_batch * cfg.batch * cfg.inner_episodes * cfg.steps * cfg.game.players / 2
    return max(1, int(memory / 4 / (STEP_BYTES * steps)))


def play_all(cfg: Config, meetings: Sequence[Meeting], at_once: int = 1) -> Iterator[tuple[int, Tally]]:
    """Play meetings in the sizes of `cfg`: (index, tally) as they finish; those of one shape `at_once` at a time.

    Raises:
        ValueError: where a co-player of the user's own gave logits that are not finite.
    """
    for index, tally in _played(cfg, meetings, at_once):
        if tally.sound is not None and not tally.sound:
            raise ValueError(
                f"{' and '.join(_own(meetings[index].kind))} gave logits that are not finite, so what was played means nothing"
            )
        yield index, tally


def _played(cfg: Config, meetings: Sequence[Meeting], at_once: int) -> Iterator[tuple[int, Tally]]:
    make_room()
    plain, tally = what_matters(cfg), _tally(cfg)
    alike: dict[Any, list[int]] = {}
    for index, meeting in enumerate(meetings):
        if meeting.kind == AXELROD:
            yield index, tally(host_batch(plain, meeting.identities, meeting.policy, meeting.key, _coplayers(plain)))
            continue
        alike.setdefault(_shape(meeting) if at_once > 1 else index, []).append(index)
    for indices in alike.values():
        size = min(at_once, len(indices))
        for start in range(0, len(indices), size):
            chunk = indices[start : start + size]
            if at_once == 1:
                policy, kind, identities, key, partners = meetings[chunk[0]]
                yield chunk[0], play_of(cfg, kind, False, partners)(policy, identities, key)
                continue
            padded = (chunk * size)[:size]  # one compiled shape; what is played twice is dropped
            inputs = [(meetings[i].policy, meetings[i].identities, meetings[i].key) for i in padded]
            policies, identities, keys = jax.tree.map(lambda *x: jnp.stack(x), *inputs)
            _, kind, *_, partners = meetings[chunk[0]]
            tallies = play_of(cfg, kind, True, partners)(policies, identities, keys)
            yield from ((i, jax.tree.map(lambda x, n=n: x[n], tallies)) for n, i in enumerate(chunk))


def _shape(meeting: Meeting) -> Any:
    trees = (meeting.policy, meeting.identities)
    shapes = tuple((x.shape, str(x.dtype)) for x in jax.tree.leaves(trees))
    return meeting.kind, meeting.partners, jax.tree.structure(trees), shapes


def describe(tally: Tally, player: int) -> Player:
    """The figures of one player."""
    rewards = np.asarray(tally.rewards[player], float)
    means = rewards.mean(axis=1)
    earned: dict[str, Any] = {
        "reward": short(means.mean()),
        "error": short(means.std(ddof=1) / math.sqrt(len(means))) if len(means) > 1 else None,
        "reward_curve": [short(x) for x in rewards.mean(axis=0)],
    }
    curves = {name: np.asarray(x[player], float).mean(axis=0) for name, x in tally.measures.items()}
    earned["measures"] = {name: [short(x) for x in curve] for name, curve in curves.items()}
    if tally.visits is None or tally.cooperated is None:
        return Player(**earned)
    visits, cooperated = (np.asarray(x[player], float) for x in (tally.visits, tally.cooperated))
    return Player(
        **earned,
        cooperation_curve=[] if curves else [short(x) for x in cooperated.sum(1) / visits.sum(1)],
        signature=_frequencies(cooperated.sum(0), visits.sum(0)),
        first_signature=_frequencies(cooperated[0], visits[0]),
        last_signature=_frequencies(cooperated[-1], visits[-1]),
        visits=visits.sum(0).tolist(),
    )


def discrepancies(tally: Tally) -> dict[str, list[float]]:
    """Absolute differences between the players' means over an inner episode, averaged over meta-episodes: curves."""
    apart = {name: np.abs(np.asarray(x[0]) - np.asarray(x[1])) for name, x in tally.measures.items()}
    return {name: [short(x) for x in difference.mean(axis=0)] for name, difference in apart.items()}


def _frequencies(cooperated: np.ndarray, visits: np.ndarray) -> list[float | None]:
    return [short(c / v) if v else None for c, v in zip(cooperated, visits, strict=True)]
