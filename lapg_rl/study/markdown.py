"""Text of any origin inside a Markdown page: shown as it is, never taken for markup, links or HTML."""

from collections.abc import Sequence
from urllib.parse import quote

_MARKUP = {ord(c): f"\\{c}" for c in "\\`*[]|"} | {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}


def plain(text: str) -> str:
    """The text, with markup and what can't be printed escaped; an underscore inside a word is no markup."""
    return printable(text).translate(_MARKUP)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table of plain cells."""
    lines = [[plain(cell) for cell in row] for row in (heads, *rows)]
    return ["| " + " | ".join(line) + " |" for line in (lines[0], ["---"] * len(heads), *lines[1:])]


def code(text: str) -> str:
    """The text as a code span, in which only a backtick means something, and in a table a bar."""
    return f"`{printable(text).replace('`', chr(39))}`".replace("|", "\\|")


def link(text: str, target: str) -> str:
    """A link to a relative path."""
    return f"[{plain(text)}]({quote(target, safe='/+=,@.-_~')})"


def printable(text: str) -> str:
    """The text on one line, with every character that can't be printed escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
