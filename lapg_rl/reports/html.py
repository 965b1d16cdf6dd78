"""Small pieces of HTML: tables, numbers, figures as inline SVG."""

import re
from collections.abc import Sequence
from html import escape
from typing import Any

from lapg_theory.game import look

NUMERIC = re.compile(r"[-+]?[\d.]+( s)?|-|unbounded")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are HTML already; columns of numbers are set flush right."""
    numeric = [all(NUMERIC.fullmatch(row[n]) for row in rows) for n in range(len(heads))]
    mark = [' class="n"' if n else "" for n in numeric]
    head = "".join(f"<th{m}>{h}</th>" for m, h in zip(mark, heads, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{m}>{c}</td>" for m, c in zip(mark, row, strict=True)) + "</tr>" for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def page(title: str, body: str) -> str:
    """A small page that needs nothing else, under its title; `body` is HTML already."""
    style = "body{font:15px sans-serif;margin:2em}td,th{padding:.2em .7em;text-align:left}td.n,th.n{text-align:right}"
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{style}</style>'
    return f"<!doctype html><html lang=en><head>{head}</head><body><h1>{escape(title)}</h1>{body}</body></html>\n"


def prose(text: str) -> str:
    """Text with *emphasis* and `code`, as HTML; whatever else is in it is shown as it is."""
    parts = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
    return re.sub(r"\*([^*\s][^*]*)\*", r"<em>\1</em>", parts)


def number(value: float | None, digits: int = 2) -> str:
    """A number, never minus zero, or a dash."""
    return "-" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"


def dot(colour: str) -> str:
    """A coloured dot that stands before a name."""
    return f'<span class="dot" style="--colour: {colour}"></span>'


def figure(drawing: Any, caption: str) -> str:
    """A matplotlib figure as inline SVG, with its caption."""
    picture = look.svg(drawing)
    return f"<figure>{picture[picture.index('<svg') :]}<figcaption>{caption}</figcaption></figure>"
