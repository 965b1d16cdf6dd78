"""How a trained agent behaves: against naive learners, fixed strategies, random co-players, and other agents."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from lapg_rl.config import Config
from lapg_rl.config.checks import check_draws, several
from lapg_rl.config.groups import name_of
from lapg_rl.config.loading import load
from lapg_rl.envs.build import matrix_game
from lapg_rl.learn.rehearsal import rehearse_coplayer
from lapg_rl.play.company import Company
from lapg_rl.runs.loop import RunFolder, run_key
from lapg_rl.runs.parents import frozen
from lapg_rl.study import entrants, intervals
from lapg_rl.study.entrants import Entrant
from lapg_rl.study.intervals import short
from lapg_rl.study.matches import Meeting, describe, discrepancies, matches_at_once, play_all
from lapg_rl.study.names import NAIVE, check_opponents, is_own, scripts, seats_of, strategies
from lapg_rl.study.records import Evaluation, ExtortionFit, Match, PayoffLine
from lapg_rl.study.results import opened
from lapg_theory.game import GROUP_NAMED, MatrixGame, check_count, nearest_extortioner

#: Evaluations draw from keys that no training step uses: `fold_in(run key, KEY_OFFSET + seed)`.
KEY_OFFSET = 2**31
CLOUD = "random co-players"
#: Stands for naive learners, which are not the same for every agent.
LEARNERS = Entrant(NAIVE, NAIVE, None)


def evaluate(
    folder: str | Path, opponents: Sequence[str] | None = None, *, meta_batch: int = 128, seed: int = 0
) -> Evaluation:
    """Play the newest checkpoint of a run; nothing learns but the naive learners, within their meta-episodes.

    Unless told otherwise, each agent of the pool meets fresh naive learners and every agent of the pool, itself included; in a
    repeated game also its fixed strategies (`lapg_rl.study.names.strategies`), in a prisoner's dilemma `meta_batch` random
    memory-one strategies, which give its payoff line; in the Coin Game and CleanUp-lite the scripts. Where the players' seats
    differ no agent takes the column player's, in which none has learnt. In a group the opponent sits in all other seats, and
    mixed groups of learners and agents are met as in training. Naive learners start as in training, from the run's own
    initialisations or as copies of the other agents, each equally often.

    Args:
        folder: a run folder, also one in an archive whose runs kept their agents (`runs.zip/NAME`).
        opponents: whom to meet instead: `naive`, names of fixed strategies or of scripts of the game, other run folders (all
            their agents), a kind of co-player of your own (`module:name`, as in `pool.coplayers`). In a group `naive`, a
            strategy or a kind of your own in all other seats, or who sits there: `naive+alld`.
        meta_batch: independent meta-episodes a match; sizes within a meta-episode are those of the run.
        seed: another seed draws other games.

    Raises:
        ValueError: for a folder without a run or sound checkpoint, an unknown opponent, a run of another game, or a
            count that is no integer >= 1.

    Example:
        >>> import lapg_rl as rl
        >>> evaluation = rl.evaluate(run, ["naive", "tft"], meta_batch=2)
        >>> [match.opponent for match in evaluation.matches]
        ['naive', 'tft']
    """
    check_count("meta_batch", meta_batch)
    check_draws("seed", seed)
    opponents = None if opponents is None else several(opponents)
    run = RunFolder(opened(folder))
    cfg, state = run.trusted_config(), run.final_state()
    if any(map(is_own, opponents or ())):  # who may draw from all that the agents meet
        state = state._replace(frozen=frozen(cfg, run, state))
    pool = [agent._replace(name=f"agent {agent.agent}") for agent in entrants.agents(run.path)]
    game = matrix_game(cfg.game)
    dilemma = game if isinstance(game, MatrixGame) and game.is_dilemma else None
    if cfg.game.players > 2:
        met = _groups(opponents, cfg, pool)
    elif opponents is None:
        fixed = [entrants.fixed(name, game) for name in strategies(game)] if game else []
        fixed += [entrants.script(name, cfg) for name in scripts(cfg)]
        met = [LEARNERS, *fixed, *(pool if game is None or game.is_symmetric else ())]
    else:
        met = _named(opponents, run.path)
    key = jax.random.fold_in(run_key(cfg), KEY_OFFSET + seed)
    played: list[tuple[int, str, Meeting]] = []
    for index, agent in enumerate(pool):
        own_key, naive = jax.random.fold_in(key, index), entrants.naive_of(cfg, state, index)
        if opponents is None and dilemma:
            drawn = u_shaped(jax.random.uniform(jax.random.fold_in(own_key, 0), (meta_batch, 5)))
            played.append((index, CLOUD, Meeting(agent.ego(), "fixed", drawn, jax.random.fold_in(own_key, 1))))
        company = Company(jnp.array(index), state.agents, state.naive_policies, state.frozen)
        around = Around(cfg, naive, company, jax.random.fold_in(own_key, 0))
        for salt, other in enumerate(met, start=2):
            others = [(around.who(one), n) for one, n in other.seats] if isinstance(other, Seats) else around.who(other)
            play_key = jax.random.fold_in(own_key, salt)
            played.append((index, other.name, entrants.meeting(agent, others, meta_batch, play_key)))
    tallies = dict(play_all(cfg, [meeting for *_, meeting in played], matches_at_once(cfg, meta_batch)))
    matches, lines = [], []
    for n, (index, name, _) in enumerate(played):
        if name == CLOUD and dilemma:
            lines.append(payoff_line(index, tallies[n].rewards, dilemma.trps[2]))
        else:
            sides = (describe(tallies[n], player) for player in (0, 1))
            matches.append(Match(index, name, *sides, discrepancies=discrepancies(tallies[n])))
    signatures = [(m.own.signature, m.agent) for m in matches if m.opponent == NAIVE]
    fits = [fit for s in signatures if dilemma and (fit := fit_extortion(dilemma, *s)) is not None]
    return Evaluation(int(state.update), meta_batch, seed, matches, lines, fits, cfg.pool.naive_start)


class Around(NamedTuple):
    """What the co-players of one agent depend on: the config, its naive learners, whom else it can meet, a key for draws."""

    config: Config
    naive: Entrant
    company: Company
    key: Array

    def who(self, one: Entrant) -> Entrant:
        """Who that is before this agent: naive learners and kinds of the user's own differ between agents."""
        if one.policy is not None:
            return one
        return self.naive if one is LEARNERS else entrants.own_kind(one.name, self.config, self.company, self.key)


class Seats(NamedTuple):
    """Who sits in the other seats of a group, each with the number of its seats; `name` is what a match calls them."""

    name: str
    seats: list[tuple[Entrant, int]]


def _groups(opponents: Sequence[str] | None, cfg: Config, pool: Sequence[Entrant]) -> list[Seats]:
    """The groups that an agent meets: those that were asked for, or learners, strategies, each agent, and as in training."""
    game, others = cfg.game.group, cfg.game.players - 1

    def entrant(name: str) -> Entrant:
        if name == NAIVE:
            return LEARNERS
        if own := _own(name, cfg):
            return own
        if game is None:
            raise ValueError(f"{name} is a strategy of a repeated group, but here game.kind = {cfg.game.kind}")
        return entrants.fixed(name, game)

    if opponents is not None:
        return [Seats(name, [(entrant(one), n) for one, n in seats_of(name, others)]) for name in opponents]
    found = [Seats(name, [(entrant(name), others)]) for name in (NAIVE, *(GROUP_NAMED if game else ()))]
    found += [Seats(agent.name, [(agent, others)]) for agent in pool]
    for members in cfg.groups.values():
        if set(members) == {NAIVE, "meta"}:
            learners, rest = members.count(NAIVE), members.count("meta")
            name = name_of(members)
            found += [Seats(name.replace("meta", agent.name), [(LEARNERS, learners), (agent, rest)]) for agent in pool]
    return found


def fit_extortion(game: MatrixGame, signature: Sequence[float | None], agent: int = 0) -> ExtortionFit | None:
    """The extortion policy nearest to a signature; None where too few states were visited to tell.

    See `lapg_theory.game.nearest_extortioner`.
    """
    found = nearest_extortioner(game, np.array(signature, float))
    if found is None:
        return None
    factor = found.factor if math.isfinite(found.factor) else None
    return ExtortionFit(agent, factor, found.scale, found.distance, list(found.policy))


def _named(opponents: Sequence[str], folder: Path) -> list[Entrant]:
    """The opponents that were asked for; a name is a strategy before it is a folder."""
    cfg = RunFolder(folder).config()
    runs = check_opponents(opponents, cfg)
    folders = [run for found in runs.values() for run in found]
    labels, met = dict(zip(folders, entrants.labels(folders), strict=True)), []
    for name in opponents:
        if name not in runs:
            met.append(LEARNERS if name == NAIVE else _own(name, cfg) or entrants.named(name, cfg))
        for run in runs.get(name, ()):
            others = [(labels[run], RunFolder(run).trusted_config())]
            entrants.check_compatible((folder.name, cfg), others, learners=False)
            entrants.check_seats(folder.name, cfg)
            met += entrants.agents(run, labels[run])
    return met


def _own(name: str, cfg: Config) -> Entrant | None:
    """A kind of co-player of the user's own, rehearsed: an address of a function, not of probabilities."""
    if not (is_own(name) and callable(load("a co-player", name))):
        return None
    rehearse_coplayer(cfg, name, "opponent", "be met")
    return Entrant(name, name, None)


def u_shaped(uniform: Any) -> Any:
    """Uniform numbers turned into draws from the density 1 / (pi sqrt(p (1 - p))): random memory-one strategies.

    They cover the cube of strategies up to its corners (Nowak & Sigmund 1993).
    """
    return jnp.sin(0.5 * jnp.pi * uniform) ** 2


def payoff_line(agent: int, rewards: Any, base: float) -> PayoffLine:
    """See `PayoffLine`; from the rewards `[2, k, m]` of the agent and its random co-players."""
    own, other = np.asarray(rewards, float).mean(axis=-1) - base
    interval = intervals.bootstrap(lambda drawn: fit_line(*drawn.T)[0], np.stack([own, other], axis=1))
    figures = [
        None if value is None else short(value) for value in (*fit_line(own, other), *(interval or (None, None)))
    ]
    points = [(short(x), short(y)) for x, y in zip(other, own, strict=True)]
    return PayoffLine(agent, *figures, points=points)


def fit_line(x: np.ndarray, y: np.ndarray) -> tuple[float | None, float | None, float | None]:
    """(slope, intercept, R^2) of y on x by least squares; None where x (or, for R^2, y) does not vary."""
    dx, dy = x - x.mean(), y - y.mean()
    if not dx @ dx > 0:
        return None, None, None
    slope = dx @ dy / (dx @ dx)
    explained = float((dx @ dy) ** 2 / (dx @ dx) / (dy @ dy)) if dy @ dy > 0 else None
    return float(slope), float(y.mean() - slope * x.mean()), explained
