"""Whom an agent meets in one update: the kinds of co-players, how each is drawn, and the play against them."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from lapg_rl.config import Config, NaiveConfig, tables
from lapg_rl.config.groups import Members
from lapg_rl.config.loading import load, made
from lapg_rl.envs.build import environment
from lapg_rl.interfaces import CoPlayer, Kind, check_protocol
from lapg_rl.native import draws
from lapg_rl.optimisers import make_optimiser
from lapg_rl.play.coplayers import FixedStrategy, Group, MetaAgent, NaiveLearner
from lapg_rl.play.rollout import Trajectory, meta_batch
from lapg_theory.game import NAMED, check_policy, group_strategy


class Company(NamedTuple):
    """Whom agent `index` can meet: the meta agents as they are now, the naive policies, the agents of `pool.frozen`."""

    index: Int[Array, ""]
    agents: Any
    naive_policies: Any
    frozen: Any = None


class Played(NamedTuple):
    """Meta-episodes against one kind of co-player, or one group: trajectories `[k, b, m, t]`, and who the co-players were.

    Attributes:
        own: the agent's.
        other: the co-player's; of a group the first one's.
        identities: of the co-player, or of a `Group`.
        learns: whether any of them learnt.
        value_scales: of each, see `Kind`.
        more: those of the rest of a group; the kinds of all are those of `Config.groups`.
    """

    own: Trajectory
    other: Trajectory
    identities: Any
    learns: bool = False
    value_scales: tuple[float, ...] = (1.0,)
    more: tuple[Trajectory, ...] = ()

    @property
    def others(self) -> tuple[Trajectory, ...]:
        """Those of all co-players."""
        return self.other, *self.more


def naive_learner(config: NaiveConfig) -> NaiveLearner:
    """The naive co-player that `config` describes."""
    return NaiveLearner(make_optimiser(config), config)


def naive_copies(naive_policies: Any, agents: Any) -> Any:
    """Agents as naive policies: their parameters, with what is static (how far back they look) of `naive_policies`."""
    return jax.tree.unflatten(jax.tree.structure(naive_policies), jax.tree.leaves(agents))


def _others(config: Config, company: Company, count: int, key: Array) -> Any:
    """Agents other than oneself, uniformly with replacement."""
    shift = draws.randint(key, (count,), 1, config.pool.agents)
    return jax.tree.map(lambda x: x[jnp.mod(company.index + shift, config.pool.agents)], company.agents)


def naive(config: Config) -> Kind:
    """Naive learners, from the fixed population or as copies of the other agents."""

    def draw(company: Company, count: int, key: Array) -> Any:
        if config.pool.naive_start == "dynamic":
            return naive_copies(company.naive_policies, _others(config, company, count, key))
        drawn = draws.randint(key, (count,), 0, config.pool.naive_population)
        return jax.tree.map(lambda x: x[drawn], company.naive_policies)

    scale = config.learner.reward_scale / config.naive.reward_scale
    return Kind(naive_learner(config.naive), draw, learns=True, value_scale=scale)


def meta(config: Config) -> Kind:
    """The other agents of the pool."""
    return Kind(MetaAgent(forgets(config)), lambda company, count, key: _others(config, company, count, key))


def fixed_strategy(name: str, players: int = 2, field: str = "pool.fixed") -> tuple[float, ...]:
    """The five probabilities of a named strategy, or of an address; in a group of n players 2 n + 1.

    Raises:
        ValueError: where there are none; it names the `field` that asked for an address.
    """
    found = load(field, name) if tables.is_address(name) else None
    if callable(found):
        raise ValueError(
            f"{name} is a function, so it can be a kind of co-player, not a fixed strategy; it is met in pool.coplayers and by "
            f"lapg evaluate RUN {name}"
        )
    if players > 2:
        found = group_strategy(name, players) if found is None else found
        if np.shape(found) != (2 * players + 1,) or not all(0 <= p <= 1 for p in np.asarray(found, float)):
            raise ValueError(
                f"{name} must be {2 * players + 1} probabilities for a group of {players}, got {found!r:.60}"
            )
        return tuple(found)
    return NAMED[name] if found is None else tuple(check_policy(name, found))


def fixed(config: Config) -> Kind:
    """The strategies of `pool.fixed`, each equally often: from a drawn one on, in turn."""
    found = [fixed_strategy(name, config.game.players) for name in config.pool.strategies]
    table = jnp.array(np.array(found), jnp.float32)

    def draw(company: Company, count: int, key: Array) -> Any:
        del company
        return table[(draws.randint(key, (), 0, len(table)) + jnp.arange(count)) % len(table)]

    return Kind(FixedStrategy(), draw)


def memory_one(config: Config) -> Kind:
    """Memory-one strategies drawn uniformly from the cube, a new one each meta-episode."""
    entries = 2 * config.game.players + 1
    return Kind(FixedStrategy(), lambda company, count, key: draws.uniform(key, (count, entries)))


def frozen(config: Config) -> Kind:
    """The agents of `pool.frozen`, each equally often: from a drawn one on, in turn. They remember as the agents do."""

    def draw(company: Company, count: int, key: Array) -> Any:
        there = len(jax.tree.leaves(company.frozen)[0])
        drawn = (draws.randint(key, (), 0, there) + jnp.arange(count)) % there
        return jax.tree.map(lambda x: x[drawn], company.frozen)

    return Kind(MetaAgent(forgets(config)), draw)


def kind_of(config: Config, name: str) -> Kind:
    """The kind of co-player of a name or an address. Raises ValueError where it is none."""
    kind = made("pool.coplayers", name, tables.find("pool.coplayers", name, tables.COPLAYERS), config)
    if not isinstance(kind, Kind):
        raise ValueError(f"{name} must return a lapg_rl.interfaces.Kind, got {kind!r:.60}")
    check_protocol(f"the co-player of {name}", kind.coplayer, CoPlayer)
    return kind


def forgets(config: Config) -> bool:
    """Whether the agents remember nothing but the current inner episode."""
    return config.learner.memory == "inner_episode"


def sizes(config: Config) -> dict[str, Any]:
    """What `rollout.meta_batch` needs to know of the config."""
    numbers = {name: getattr(config, name) for name in ("batch", "inner_episodes", "steps")}
    return {**numbers, "forget": forgets(config)}


def _keys(config: Config, key: Array) -> dict[str, tuple[Array, Array]]:
    """For each kind the key of its draw and that of its play.

    The first two kinds share one split, as they did when there were no others; every later one has a `fold_in` of its place,
    but those of the user keep the places that they had behind the first four. So a kind that is added at the end changes the
    numbers of no run without it.
    """
    first, kinds = draws.split(key, 4), list(tables.COPLAYERS)
    later = [(kind, draws.split(draws.fold_in(key, n))) for kind, n in _places(config).items() if n >= 2]
    return {kinds[0]: (first[0], first[2]), kinds[1]: (first[1], first[3])} | {kind: (k[0], k[1]) for kind, k in later}


def _places(config: Config) -> dict[str, int]:
    """A number for each kind that stays the same when kinds are added."""
    places = {kind: n if n < 4 else 2**16 + n for n, kind in enumerate(tables.COPLAYERS)}
    return places | {kind: 4 + n for n, kind in enumerate(config.pool.others)}


def play_pool(config: Config, agent: Any, company: Company, key: Array) -> dict[str, Played]:
    """Play an agent's `meta_batch` meta-episodes against every kind of co-player that it meets.

    The shares of the kinds, and of the groups in a game of more players, are exact, not drawn. Agents are met uniformly, with
    replacement, and never oneself; so are the initial policies of naive learners.
    """
    keys, played = _keys(config, key), {}
    for name, count in config.shares.items():
        if config.game.players > 2:
            played[name] = _play_group(config, agent, company, config.groups[name], count, key)
            continue
        kind, (draw_key, play_key) = kind_of(config, name), keys[name]
        identities = kind.draw(company, count, draw_key)
        own, other = meta_batch(environment(config, name), agent, kind.coplayer, identities, play_key, **sizes(config))
        played[name] = Played(own, other, identities, kind.learns, (kind.value_scale,))
    return played


def _play_group(config: Config, agent: Any, company: Company, members: Members, count: int, key: Array) -> Played:
    """The meta-episodes of an agent with one group of co-players, each of whom is drawn for itself, seat by seat."""
    places, key = _places(config), draws.fold_in(key, 2**17)
    for member in members:  # so a kind that is added at the end changes no other group
        key = draws.fold_in(key, places[member])
    play_key, *draw_keys = draws.split(key, 1 + len(members))
    names = list(dict.fromkeys(members))
    kinds = {name: kind_of(config, name) for name in names}
    drawn = [kinds[m].draw(company, count, k) for m, k in zip(members, draw_keys, strict=True)]
    identities = tuple(
        jax.tree.map(
            lambda *seats: jnp.stack(seats, axis=1), *(d for d, m in zip(drawn, members, strict=True) if m == name)
        )
        for name in names
    )
    group = Group(tuple(kinds[name].coplayer for name in names), tuple(members.count(name) for name in names))
    own, first, *more = meta_batch(environment(config), agent, group, identities, play_key, **sizes(config))
    scales = tuple(kinds[m].value_scale for m in members)
    return Played(own, first, identities, any(k.learns for k in kinds.values()), scales, tuple(more))
