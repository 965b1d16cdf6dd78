"""One inner episode, recorded; of CleanUp-lite also shown: as text, as a GIF, as an HTML page."""

import io
import json
import string
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from lapg_rl.config import Config
from lapg_rl.config.checks import check_draws
from lapg_rl.envs import CleanUp, IteratedGroupGame, IteratedMatrixGame
from lapg_rl.envs.build import bare_environment, environment
from lapg_rl.envs.cleanup import ACTIONS, ZAP
from lapg_rl.interop.axelrod_players import PREFIX
from lapg_rl.machine import compiling
from lapg_rl.play.company import sizes
from lapg_rl.play.rollout import meta_batch
from lapg_rl.reports.courses import Course, course_of
from lapg_rl.runs import files
from lapg_rl.runs.loop import RunFolder, run_key
from lapg_rl.study import entrants
from lapg_rl.study.entrants import NAIVE, Entrant
from lapg_rl.study.matches import coplayer_of
from lapg_rl.study.names import check_player, seats_of

#: Recordings draw from keys that neither training nor evaluations use: `fold_in(run key, KEY_OFFSET + seed)`.
KEY_OFFSET = 2**31 + 2**30
COLOURS = {"land": "#e9e4d8", "river": "#a9d3ee", "dirt": "#7a5a36", "apple": "#c8402f", "A": "#0072B2", "B": "#D55E00"}
NAMES = "AB"


class Frame(NamedTuple):
    """What stood where before a step, and what was done in it; player 0, A, is the agent that was asked for."""

    step: int
    cells: list[tuple[int, int] | None]  # of A and B; None for who is not there
    frozen: list[bool]
    dirt: list[tuple[int, int]]
    apples: list[tuple[int, int]]
    actions: list[str]
    rewards: list[float]


class Episode(NamedTuple):
    """A recorded inner episode on a grid of rows x columns."""

    title: str
    rows: int
    columns: int
    frames: list[Frame]


def record(
    folder: str | Path, opponent: str = NAIVE, *, agent: int = 0, inner_episode: int | None = None, seed: int = 0
) -> Episode | Course:
    """Play one meta-episode of a run's agent and keep one inner episode of its first trajectory, by default the last.

    Args:
        folder: a run folder.
        opponent: `naive`, for a naive learner such as the agent meets in training, or the number of an agent of the run,
            which may be the same one, or a fixed strategy or script by its name; in a group who sits in all other seats, or in
            each of them: `naive+0`.
        agent: which agent of the run is A.
        inner_episode: counted from 0.
        seed: another seed draws another game.

    Raises:
        ValueError: for a run of another game than CleanUp-lite or a repeated one, or an agent or inner episode that it has
            not.

    Example:
        >>> import lapg_rl as rl
        >>> course = rl.record(run)
        >>> course.players, len(course.actions[0])
        (['agent 0', 'naive learner'], 3)
    """
    check_draws("seed", seed, bits=30)
    run = RunFolder(folder)
    cfg = run.trusted_config()
    game = bare_environment(cfg.game)
    if not isinstance(game, CleanUp | IteratedMatrixGame | IteratedGroupGame):
        stop = f", game.stop = {cfg.game.stop}" if cfg.game.stop else ""
        raise ValueError(
            f"only CleanUp-lite and repeated games can be watched, episodes of full length, but {run.path} has game.kind = "
            f"{cfg.game.kind}{stop}"
        )
    chosen = cfg.inner_episodes - 1 if inner_episode is None else inner_episode
    if not 0 <= chosen < cfg.inner_episodes:
        raise ValueError(f"inner episode must be between 0 and {cfg.inner_episodes - 1}, got {chosen}")
    pool = entrants.agents(run.path)
    if not 0 <= agent < len(pool):
        raise ValueError(f"agent must be between 0 and {len(pool) - 1}, got {agent}")
    seats = seats_of(opponent, cfg.game.players - 1) if cfg.game.players > 2 else [(opponent, 1)]
    naive = entrants.naive_of(cfg, run.final_state(), agent)
    key = jax.random.fold_in(run_key(cfg), KEY_OFFSET + seed)
    others = [(_drawn(naive, key) if name == NAIVE else _opponent(pool, name, cfg), count) for name, count in seats]
    meeting = entrants.meeting(pool[agent], others if cfg.game.players > 2 else others[0][0], 1, key)
    env, coplayer = environment(cfg, others[0][0].kind), coplayer_of(cfg, meeting.kind)

    @compiling.jitted
    def play(policy, identities, key):
        sides = meta_batch(env, policy, coplayer, identities, key, **sizes(cfg))
        return [(s.observations[0, 0, chosen], s.actions[0, 0, chosen], s.rewards[0, 0, chosen]) for s in sides]

    played = play(meeting.policy, meeting.identities, key)
    seen, actions, rewards = (np.stack([np.asarray(side[n]) for side in played]) for n in range(3))
    start = " that started as a copy of an agent" if cfg.pool.naive_start == "dynamic" else ""
    called = {NAIVE: f"naive learner{start}"} | {str(n): f"agent {n}" for n in range(len(pool))}
    met = [called.get(name, name) for name, n in seats for _ in range(n)]
    if not isinstance(game, CleanUp):
        title, dilemma = (
            f"agent {agent} against {' and '.join(met)}, inner episode {chosen}",
            "cooperation" in measures(game),
        )
        return course_of(title, [f"agent {agent}", *met], actions, rewards, dilemma)
    title = f"agent {agent} (A) against {'a ' * (seats[0][0] == NAIVE)}{met[0]} (B), inner episode {chosen}"
    return Episode(title, game.rows, game.columns, frames_of(game, seen[0], actions.T, rewards.T))


def measures(game: IteratedMatrixGame | IteratedGroupGame) -> Iterable[str]:
    """The names of what a repeated game measures."""
    return game.measures(jnp.zeros((1, game.observation_size)), jnp.zeros(1, int))


def _drawn(naive: Entrant, key: Array) -> Entrant:
    """The naive learners in an order that begins with a drawn one."""
    there = len(jax.tree.leaves(naive.policy)[0])
    order = (jax.random.randint(key, (), 0, there) + jnp.arange(there)) % there
    return naive._replace(policy=jax.tree.map(lambda x: x[order], naive.policy))


def _opponent(pool: Sequence[Entrant], name: str, cfg: Config) -> Entrant:
    if name in map(str, range(len(pool))):
        return pool[int(name)]
    if name.isdigit():
        raise ValueError(f"this run has no agent {name}; it has {len(pool)}, counted from 0")
    if name.startswith(PREFIX):
        raise ValueError(f"{name} plays in evaluations and tournaments; watch naive, an agent or a named strategy")
    check_player(name, cfg)
    return entrants.named(name, cfg)


def frames_of(env: CleanUp, seen: Any, actions: Any, rewards: Any) -> list[Frame]:
    """Frames from the observations `[t, o]` of player 0 and the actions and rewards `[t, 2]` of both."""
    look = env.look(jnp.asarray(seen, jnp.float32)[..., : env.observation_size])
    spots = lambda mask: [(int(r), int(c)) for r, c in np.argwhere(mask > 0)]  # noqa: E731
    return [
        Frame(
            t,
            [next(iter(spots(np.asarray(side[t]))), None) for side in (look.own, look.other)],
            [bool(x) for x in np.asarray(look.frozen[t])],
            spots(np.asarray(look.things[t, ..., 1])),
            spots(np.asarray(look.things[t, ..., 0])),
            [ACTIONS[int(a)] for a in actions[t]],
            [float(r) for r in rewards[t]],
        )
        for t in range(len(actions))
    ]


def text(episode: Episode) -> str:
    """The episode for a terminal: A and B (a and b while frozen), o apples, # dirt, ~ clean river."""
    return "\n\n".join([episode.title, *(_text(episode, frame) for frame in episode.frames)])


def _text(episode: Episode, frame: Frame) -> str:
    grid = [["." for _ in range(episode.columns - 1)] + ["~"] for _ in range(episode.rows)]
    for mark, cells in (("o", frame.apples), ("#", frame.dirt)):
        for row, column in cells:
            grid[row][column] = mark
    for name, cell, frozen in zip(NAMES, frame.cells, frame.frozen, strict=True):
        if cell is not None:
            grid[cell[0]][cell[1]] = name.lower() if frozen else name
    return "\n".join([caption(frame), *(" ".join(row) for row in grid)])


def caption(frame: Frame) -> str:
    """What is done in the step, in words; who is frozen does nothing."""
    done = []
    for name, cell, frozen, action, reward in zip(
        NAMES, frame.cells, frame.frozen, frame.actions, frame.rewards, strict=True
    ):
        if cell is not None:
            what = "frozen" if frozen else "zaps" if action == ACTIONS[ZAP] else action
            done.append(f"{name} {what}" + (f" +{reward:g}" if reward else ""))
    return f"step {frame.step:3}: {', '.join(done)}"


def gif(path: Path, episodes: Sequence[Episode], side: int = 48, milliseconds: int = 350) -> None:
    """Write episodes beside each other as an animated GIF with cells of `side` pixels; one that is over stands still."""
    from PIL import Image

    images, gap = [], side // 2
    for t in range(max(len(episode.frames) for episode in episodes)):
        parts = [_picture(one, one.frames[min(t, len(one.frames) - 1)], side) for one in episodes]
        whole = Image.new("RGB", (sum(p.width + gap for p in parts) - gap, max(p.height for p in parts)), "white")
        for n, part in enumerate(parts):
            whole.paste(part, (sum(p.width + gap for p in parts[:n]), 0))
        images.append(whole)
    moving = io.BytesIO()
    images[0].save(moving, "GIF", save_all=True, append_images=images[1:], duration=milliseconds, loop=0)
    files.write(path, moving.getvalue())


def _picture(episode: Episode, frame: Frame, side: int) -> Any:
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (episode.columns * side, episode.rows * side + 18), "white")
    draw = ImageDraw.Draw(image)
    for row in range(episode.rows):
        for column in range(episode.columns):
            ground = "river" if column == episode.columns - 1 else "land"
            box = (column * side, row * side, (column + 1) * side - 2, (row + 1) * side - 2)
            draw.rectangle(box, fill=COLOURS["dirt" if (row, column) in frame.dirt else ground])
            if (row, column) in frame.apples:
                draw.ellipse(_inside(row, column, side, 0.34), fill=COLOURS["apple"])
    for name, cell, frozen in zip(NAMES, frame.cells, frame.frozen, strict=True):
        if cell is not None:
            box = _inside(*cell, side, 0.2)
            draw.ellipse(box, fill="#ffffff" if frozen else COLOURS[name], outline=COLOURS[name], width=3)
            draw.text((box[0] + 0.24 * side, box[1] + 0.18 * side), name, fill=COLOURS[name] if frozen else "white")
    draw.text((3, episode.rows * side + 3), caption(frame), fill="black")
    return image


def _inside(row: int, column: int, side: int, margin: float) -> tuple[float, ...]:
    return tuple(side * x for x in (column + margin, row + margin, column + 1 - margin, row + 1 - margin))


def html(episode: Episode) -> str:
    """The episode as one HTML page without anything from elsewhere: a grid, a slider, a button."""
    frames = [{**frame._asdict(), "caption": caption(frame)} for frame in episode.frames]
    template = resources.files("lapg_rl.reports").joinpath("watch.html").read_text("utf-8")
    return string.Template(template).substitute(
        title=episode.title,
        rows=episode.rows,
        columns=episode.columns,
        last=len(frames) - 1,
        frames=json.dumps(frames).replace("</", "<\\/"),
        colours=json.dumps(COLOURS),
    )
