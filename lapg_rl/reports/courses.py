"""One inner episode of a repeated game, step by step: who did what, and what everybody earned; as text, as an HTML page."""

from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int


class Course(NamedTuple):
    """A recorded inner episode of a repeated game.

    Attributes:
        title: what was recorded.
        players: who sat in each seat; the first is the agent that was asked for.
        actions: what each did in each step: C and D where the game is a dilemma, else the number of the action.
        rewards: what each earned in each step.
    """

    title: str
    players: list[str]
    actions: list[list[str]]
    rewards: list[list[float]]


def course_of(
    title: str, players: list[str], actions: Int[np.ndarray, "n t"], rewards: Float[np.ndarray, "n t"], dilemma: bool
) -> Course:
    """The course of recorded actions and rewards."""
    letters = [["CD"[a] if dilemma else str(a) for a in row] for row in actions.tolist()]
    return Course(title, players, letters, [[round(x, 6) for x in row] for row in rewards.tolist()])


def text(course: Course) -> str:
    """The course for a terminal: a line a player, a column a step, and the reward per step at the end."""
    width, wide = max(map(len, course.players)), max(len(a) for row in course.actions for a in row)
    lines = [course.title]
    for player, actions, rewards in zip(course.players, course.actions, course.rewards, strict=True):
        done = " ".join(f"{a:>{wide}}" for a in actions)
        lines.append(f"{player:{width}}  {done}  {np.mean(rewards):+.3f} per step")
    return "\n".join(lines)


def html(course: Course) -> str:
    """The course as one HTML page without anything from elsewhere: what each did, and below it what that paid."""

    def cells(values: list[Any], tag: str = "td") -> str:
        return "".join(f"<{tag}>{escape(str(v))}</{tag}>" for v in values)

    heads = "<tr>" + cells(["", *range(len(course.actions[0])), "per step"], "th") + "</tr>"
    rows = [
        f'<tr><th scope="row">{escape(player)}</th>'
        + "".join(f"<td>{escape(a)}<br><small>{r:+g}</small></td>" for a, r in zip(actions, rewards, strict=True))
        + f"<td>{np.mean(rewards):+.3f}</td></tr>"
        for player, actions, rewards in zip(course.players, course.actions, course.rewards, strict=True)
    ]
    style = "body{font:16px system-ui,sans-serif;margin:2rem}td,th{padding:.3rem .5rem;text-align:center}"
    title = escape(course.title)
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{title}</title><style>{style}</style>\n'
        f"<h1>{title}</h1><table>{heads}{''.join(rows)}</table></html>\n"
    )


def side_by_side(pages: Sequence[str]) -> str:
    """Pages beside each other in one that holds them, without anything from elsewhere."""
    frames = "".join(f'<iframe srcdoc="{escape(page, quote=True)}"></iframe>' for page in pages)
    style = "body{display:flex;margin:0;height:100vh}iframe{flex:1;border:0;min-width:0}"
    head = f'<meta charset="utf-8"><title>{len(pages)} episodes</title><style>{style}</style>'
    return f'<!doctype html>\n<html lang="en">{head}\n<body>{frames}</body></html>\n'
