"""Who plays: agents of run folders, fixed strategies, fresh naive learners; and whether they can play each other."""

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from lapg_rl import config
from lapg_rl.config import Config
from lapg_rl.config.tables import is_address
from lapg_rl.envs.build import matrix_game, repeated_game
from lapg_rl.interop.axelrod_players import AXELROD, PREFIX, check_game, find_player
from lapg_rl.interop.host import Side
from lapg_rl.learn.training_step import TrainState, initial_state
from lapg_rl.models import memory_one
from lapg_rl.models.forgetful import Forgetful
from lapg_rl.play.company import Company, fixed_strategy, forgets, kind_of, naive_copies
from lapg_rl.play.coplayers import AsEgo
from lapg_rl.runs.loop import RunFolder
from lapg_rl.study.matches import Meeting, what_matters
from lapg_rl.study.names import ALWAYS, NAIVE, is_own, scripts, strategies
from lapg_theory.game import AnonymousGame, MatrixGame, NormalFormGame, named_policy

#: In this order a match has its row and its column player: only the first two, whose parameters are fixed, can be the row
#: player of a compiled match. Players of the last kind make it one that is played on the host.
KINDS = ("meta", "fixed", "naive", AXELROD)


class Entrant(NamedTuple):
    """A player: `policy` is a model (meta), probabilities (fixed), or initial models along a first axis (naive).

    Of a script of a game, whose kind is its name, it is a model, too; of a player of Axelrod's its class; of a kind of the
    user's own, an address, how it is drawn: `(count, seat) -> identities`.
    """

    name: str
    kind: str
    policy: Any
    config: Config | None = None
    agent: int | None = None

    @property
    def rank(self) -> int:
        """Where it comes in the order of `KINDS`; scripts come with the fixed strategies."""
        return KINDS.index(self.kind if self.kind in KINDS else "fixed")

    def identities(self, count: int, seat: int = 0) -> Any:
        """What `count` meta-episodes need to play against this player; naive initialisations come equally often.

        Several of them in one group, by `seat`, start differently, in changing pairs.
        """
        if is_address(self.kind):
            return self.policy(count, seat)
        if self.kind == NAIVE:
            there, episode = len(jax.tree.leaves(self.policy)[0]), jnp.arange(count)
            drawn = (episode + seat * (1 + episode // there)) % there
            return jax.tree.map(lambda x: x[drawn], self.policy)
        return jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *x.shape)), self._playing())

    def ego(self) -> Any:
        """The policy of a row player."""
        return memory_one(self.policy) if self.kind == "fixed" else self._playing()

    def _playing(self) -> Any:
        """The policy, which sees to it itself that it forgets, if it learnt so: matches clear nobody's memory."""
        if self.config is None or not forgets(self.config):
            return self.policy
        return Forgetful(self.policy, self.config.steps) if remembers(self.policy) else self.policy


def remembers(policy: Any) -> bool:
    """Whether what a policy does depends on more than what it sees now."""
    return any(x.size for x in jax.tree.leaves(policy.initial_state()))


def meeting(
    row: Entrant, column: Entrant | Sequence[tuple[Entrant, int]], count: int, key: Array, partners: int = 0
) -> Meeting:
    """The match of two players over `count` meta-episodes; unless it is played on the host, the row player must not learn.

    Args:
        row: player 0.
        column: the other; in a group who sits in the other seats, each with the number of its seats.
        count: of meta-episodes.
        key: a PRNG key.
        partners: in a group, how many of these seats count with the row player, the first ones.
    """
    if isinstance(column, Entrant) and column.kind == AXELROD:
        sides = [Side(p.kind, p.policy if p.kind == AXELROD else p.identities(count)) for p in (row, column)]
        return Meeting(count, AXELROD, tuple(sides), key)
    if isinstance(column, Entrant):
        return Meeting(row.ego(), column.kind, column.identities(count), key)
    column = [(entrant, seats) for entrant, seats in column if seats]
    kinds = tuple((entrant.kind, seats) for entrant, seats in column)
    stack = lambda *seats: jnp.stack(seats, axis=1)  # noqa: E731
    identities = [
        jax.tree.map(stack, *(entrant.identities(count, seat) for seat in range(seats))) for entrant, seats in column
    ]
    return Meeting(row.ego(), kinds, tuple(identities), key, partners)


def fixed(name: str, game: MatrixGame | NormalFormGame | AnonymousGame) -> Entrant:
    """A fixed strategy by name: one of `STRATEGIES`, zd-extort-X, always-ACTION, an address, or a player axelrod:CLASS.

    Raises:
        ValueError: for an action that the game has not, or a strategy of other games.
    """
    if isinstance(game, AnonymousGame):
        return Entrant(name, "fixed", jnp.array(fixed_strategy(name, game.players, "a co-player"), jnp.float32))
    if name.startswith(PREFIX):
        found = find_player(name)
        check_game(name, game, found)
        return Entrant(name, AXELROD, found)
    count = 2 if isinstance(game, MatrixGame) else game.actions[0]
    if always := ALWAYS.fullmatch(name):
        if (action := int(always[1])) >= count:
            raise ValueError(f"{name} needs an action {action}, but the actions of this game are 0 to {count - 1}")
        policy = np.eye(count)[action]
    elif isinstance(game, MatrixGame):
        found = fixed_strategy(name, field="a co-player") if is_address(name) else named_policy(game, name)
        return Entrant(name, "fixed", jnp.array(found, jnp.float32))
    elif name == "random":
        policy = np.full(count, 1 / count)
    else:
        known = ", ".join(strategies(game))
        raise ValueError(f"{name} is a strategy of 2x2 games, but this game has {count} actions; known here: {known}")
    table = np.full(5, policy[0]) if isinstance(game, MatrixGame) else np.tile(policy, (1 + count**2, 1))
    return Entrant(name, "fixed", jnp.array(table, jnp.float32))


def script(name: str, cfg: Config) -> Entrant:
    """A script of the run's game, by name."""
    kind = kind_of(cfg, name)
    (identity,) = kind.draw(None, 1, jax.random.key(0))
    return Entrant(name, name, AsEgo(kind.coplayer, identity))


def named(name: str, cfg: Config) -> Entrant:
    """A fixed strategy, or a script of the run's game, by name. Raises ValueError as `fixed`, or where the game has none."""
    if name in scripts(cfg):
        return script(name, cfg)
    if is_own(name):
        fixed_strategy(name, cfg.game.players, "a co-player")  # which a function isn't
    return fixed(name, cfg.game.group or repeated_game(cfg.game))


def own_kind(name: str, cfg: Config, company: Company, key: Array) -> Entrant:
    """The co-players that a function at an address draws for an agent in this company, each seat anew."""
    kind = kind_of(cfg, name)
    return Entrant(name, name, lambda count, seat: kind.draw(company, count, jax.random.fold_in(key, seat)))


def naive_of(cfg: Config, state: TrainState, agent: int) -> Entrant:
    """The naive learners that an agent of a run meets: initial policies of the run or, if `dynamic`, copies of the others."""
    policies = state.naive_policies
    if cfg.pool.naive_start == "dynamic":
        others = jnp.array([n for n in range(cfg.pool.agents) if n != agent])
        policies = naive_copies(policies, jax.tree.map(lambda x: x[others], state.agents))
    return Entrant(NAIVE, NAIVE, policies)


def fresh_naive(cfg: Config, count: int, key: Array) -> Entrant:
    """`count` naive learners with newly drawn initial policies."""
    plain = what_matters(cfg)  # who learns how else is of no concern to them, and may not fit a single agent
    pool = dataclasses.replace(plain.pool, naive_population=count)
    drawing = dataclasses.replace(plain, model=cfg.model, naive=cfg.naive, pool=pool)
    return Entrant(NAIVE, NAIVE, initial_state(drawing, key).naive_policies)


def agents(folder: Path, label: str | None = None) -> list[Entrant]:
    """The agents of a run's newest checkpoint, called `label` (by default the folder), with /0, /1 if there are several."""
    run = RunFolder(folder)
    cfg, state = run.trusted_config(), run.final_state()
    label = folder.resolve().name if label is None else label
    names = [label] if cfg.pool.agents == 1 else [f"{label}/{n}" for n in range(cfg.pool.agents)]
    return [
        Entrant(name, "meta", jax.tree.map(lambda x, n=n: x[n], state.agents), cfg, n) for n, name in enumerate(names)
    ]


def labels(folders: Sequence[Path]) -> list[str]:
    """Short names of folders, all different: the last part of each path, or as many as it takes.

    Raises:
        ValueError: where a folder is named twice.
    """
    parts = [folder.resolve().parts for folder in folders]
    if twice := {path for path in parts if parts.count(path) > 1}:
        raise ValueError(f"{Path(*min(twice))} is named twice; a run plays itself anyway")
    for length in range(1, max(map(len, parts), default=1) + 1):
        names = ["/".join(path[-length:]) for path in parts]
        if len(set(names)) == len(names):
            return names
    raise AssertionError("paths that differ have different names")


def check_seats(label: str, cfg: Config) -> None:
    """Refuse to let agents meet agents where the players' seats differ: they have learnt in the row player's only."""
    game = matrix_game(cfg.game)
    if game is not None and not game.is_symmetric:
        raise ValueError(
            f"the agents of {label} learnt in the row player's seat, and {game.name} is not symmetric, so none can take the "
            "column player's; let them meet naive learners and fixed strategies: lapg evaluate"
        )


def check_compatible(first: tuple[str, Config], others: Iterable[tuple[str, Config]], learners: bool) -> None:
    """Refuse runs that were trained in different games: payoffs, steps, inner episodes; naive learners too, if they play.

    Raises:
        ValueError: it names every key that differs, with both values.
    """
    label, cfg = first
    shared = (
        "game.",
        "steps",
        "inner_episodes",
        "pool.reveal",
        *(("batch", "naive.") if learners else ()),
    )
    for name, other in others:
        ours, theirs = config.flat(cfg), config.flat(other)
        what = [
            f"{key} {ours[key]} and {theirs[key]}"
            for key in ours
            if key.startswith(shared) and ours[key] != theirs[key]
        ]
        if what:
            raise ValueError(f"{label} and {name} cannot play each other: they differ in {', '.join(what)}")
