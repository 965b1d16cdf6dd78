"""The page of a league, as Markdown and as HTML: the same tables."""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

from lapg_rl.reports import html
from lapg_rl.runs import files
from lapg_rl.study.intervals import Estimate, told
from lapg_rl.study.league import League, Method, Standing
from lapg_rl.study.markdown import plain, table

HEADS = (
    "method", "mean reward against all others", "cannot be told from", "exploiter earns", "agent keeps",
    "gain of exploiting", "best reply earns", "CPU-seconds", "environment steps",
)  # fmt: skip


class Part(NamedTuple):
    """A title, a line of what is shown, and a table."""

    title: str
    says: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


def write(league: League, folder: Path) -> list[Path]:
    """Write `league.md` and `league.html`; the files written."""
    written = [folder / "league.md", folder / "league.html"]
    for path, text in zip(written, (markdown(league), page(league)), strict=True):
        files.replace(path, text)
    return written


def parts(league: League) -> Iterator[Part]:
    """What the page holds, game by game."""
    over = f"Rewards per step, means with 95 % intervals over {league.plan.seeds} seeds."
    for game in league.games:
        yield Part(f"{game.game}: ranking", f"{over} {_exploiters(league)}", HEADS, [_row(m) for m in game.methods])
        names = game.table.names
        others = game.table.players - 1
        seats = "" if others == 1 else f", which has one seat and the column the other {others}"
        says = f"Rewards per step of the row{seats}; of a method against itself, between runs of different seeds."
        yield Part(f"{game.game}: everyone against everyone", says, ("", *names), _cross(game))
        kinds = ("method", "against itself", "against its own run's agents", "against other seeds")
        met = [[c.group, *map(_figure, (c.itself, c.own_run, c.other_seeds))] for c in game.circles]
        if met:
            yield Part(f"{game.game}: among its own kind", "From the most to the least familiar company.", kinds, met)


def _exploiters(league: League) -> str:
    plan = league.plan
    if not plan.restarts:
        return "Nobody was exploited."
    return (
        f"Exploiters: the best of {plan.restarts} that learnt for {plan.exploiter_updates} updates against the frozen first "
        "agent; the best reply is computed, where agents have no memory."
    )


def _row(method: Method) -> list[str]:
    found = (method.reward, method.kept, method.gain, method.best_reply)
    cost = "-" if method.cpu_s is None else f"{method.cpu_s:.0f}"
    alike = ", ".join(method.alike) or "-"
    return [method.name, _figure(method.score), alike, *map(_figure, found), cost, f"{method.steps:.3g}"]


def _cross(game: Standing) -> list[list[str]]:
    table = game.table
    return [
        [name, *("-" if x is None else f"{x:+.3f}" for x in row)]
        for name, row in zip(table.names, table.rewards, strict=True)
    ]


def _figure(estimate: Estimate | None) -> str:
    return "-" if estimate is None else told(estimate.value, estimate.low, estimate.high)


def markdown(league: League) -> str:
    """The page as Markdown."""
    lines = [f"# League {plain(league.plan.name)}", ""]
    for part in parts(league):
        lines += [f"## {plain(part.title)}", "", part.says, "", *table(part.heads, part.rows), ""]
    return "\n".join(lines)


def page(league: League) -> str:
    """The page as one HTML file that needs nothing else."""
    body = []
    for part in parts(league):
        cells = [[escape(cell) for cell in row] for row in part.rows]
        body += [f"<h2>{escape(part.title)}</h2>", f"<p>{escape(part.says)}</p>"]
        body.append(html.table([escape(head) for head in part.heads], cells))
    return html.page(f"League {league.plan.name}", "".join(body))
