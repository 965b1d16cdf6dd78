"""How results show themselves: in a few lines, with arrays as kind and shape, whatever their size."""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

#: Sequences of plain numbers up to this length are shown, longer ones counted.
FEW = 6


def brief(value: Any) -> str:
    """A `__repr__` that fits a screen: the fields of a dataclass or named tuple, each in few characters."""
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
    else:
        names = list(getattr(value, "_fields", ()))
    shown = ", ".join(f"{name}={_short(getattr(value, name))}" for name in names)
    return f"{type(value).__name__}({shown})"


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]], title: str = "", below: str = "") -> str:
    """A table as HTML, for notebooks: texts are escaped, numbers have four digits, None is a dash.

    Args:
        heads: of the columns; none where they are all empty.
        rows: of cells.
        title: stands above it.
        below: stands below it.
    """
    line = lambda kind, cells: "<tr>" + "".join(f"<{kind}>{_cell(cell)}</{kind}>" for cell in cells) + "</tr>"  # noqa: E731
    head = f"<thead>{line('th', heads)}</thead>" if any(heads) else ""
    parts = [
        f"<b>{escape(title)}</b>" * bool(title),
        f"<table>{head}<tbody>{''.join(line('td', row) for row in rows)}</tbody></table>",
    ]
    return f"<div>{''.join(parts)}{f'<p>{escape(below)}</p>' * bool(below)}</div>"


def text(rows: Iterable[Sequence[Any]], title: str = "", below: str = "") -> str:
    """The same as text: a line a row, columns under each other."""
    cells = [[_plain(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([title] * bool(title) + lines + [below] * bool(below))


def _plain(value: Any) -> str:
    if isinstance(value, bool | None):
        return {True: "yes", False: "no", None: "-"}[value]
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _cell(value: Any) -> str:
    return escape(_plain(value))


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.ndim == 1 and 1 < value.size <= FEW and value.dtype.kind in "if":
        return _short(value.tolist())
    if hasattr(value, "shape") and hasattr(value, "dtype") and math.prod(value.shape) > 1:
        return f"{value.dtype}[{','.join(map(str, value.shape))}]"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return f"{{{', '.join(map(str, list(value)[:FEW]))}{', ...' * (len(value) > FEW)}}}"
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        if len(value) > FEW or any(dataclasses.is_dataclass(one) for one in value):
            return f"<{len(value)} items>"
        inside = ", ".join(map(_short, value))
        return f"[{inside}]" if isinstance(value, list) else f"({inside}{',' * (len(value) == 1)})"
    if dataclasses.is_dataclass(value) or hasattr(value, "_fields"):
        return f"{type(value).__name__}(...)"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:70]}..."


def state_names(count: int, dilemma: bool) -> tuple[str, ...]:
    """What the states of a signature are called: by joint actions, or in a group by the own one and how many others did C."""
    if count == 5:
        return "s0", *(("CC", "CD", "DC", "DD") if dilemma else ("00", "01", "10", "11"))
    return "s0", *(f"{own}{n}" for own in ("CD" if dilemma else "01") for n in range(count // 2 - 1, -1, -1))
