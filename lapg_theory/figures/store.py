"""Figures and their numbers as files: NAME.json holds settings and numbers, NAME.svg (or .png) the picture."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lapg_theory.figures.catalogue import Figure

#: Significant digits of the numbers that are kept: more than any quadrature here has.
DIGITS = 5


def _plain(array: Any) -> Any:
    """Nested lists of numbers, rounded; null where there is none."""
    if isinstance(array, list):
        return [_plain(inner) for inner in array]
    if isinstance(array, float):
        return float(f"{array:.{DIGITS}g}") if np.isfinite(array) else None
    return array


def write_numbers(
    folder: Path, name: str, settings: Mapping[str, Any], numbers: Mapping[str, np.ndarray]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Write NAME.json and return what `read_numbers` will read from it.

    Args:
        folder: where the file goes.
        name: of the figure.
        settings: that the numbers were computed with.
        numbers: arrays by name.
    """
    content = {
        "figure": name,
        "settings": dict(settings),
        "numbers": {key: _plain(np.asarray(value).tolist()) for key, value in numbers.items()},
    }
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in content["numbers"].items()]
    head = json.dumps({"figure": name, "settings": content["settings"]})[:-1]
    text = f'{head},\n "numbers": {{\n' + ",\n".join(lines) + "\n }\n}\n"
    (folder / f"{name}.json").write_text(text)
    return read_numbers(folder, name)


def read_numbers(folder: Path, name: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Settings and numbers of a figure from NAME.json.

    Raises:
        ValueError: where there is no such file, or it is none of ours.
    """
    path = folder / f"{name}.json"
    try:
        content = json.loads(path.read_text())
        numbers = {key: np.array(value, dtype=float) for key, value in content["numbers"].items()}
        return content["settings"], numbers
    except FileNotFoundError:
        raise ValueError(f"{path} is not there: compute it first, without --redraw") from None
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} does not hold the numbers of a figure ({error}); compute it anew") from error


def save(
    folder: Path, name: str, figure: Figure, settings: Mapping[str, Any], numbers: Mapping[str, np.ndarray]
) -> Path:
    """Draw a figure into NAME.svg or NAME.png; the same numbers give the same bytes.

    Args:
        folder: where the picture goes.
        name: of the figure.
        figure: its row in the catalogue.
        settings: that the numbers were computed with.
        numbers: what is drawn.
    """
    path = folder / f"{name}.{'png' if figure.raster else 'svg'}"
    picture = figure.drawn(numbers, settings)
    if figure.raster:
        from PIL import Image

        full = io.BytesIO()
        picture.savefig(full, dpi=90, format="png")
        Image.open(full).convert("RGB").quantize(128, method=Image.Quantize.MAXCOVERAGE).save(
            path, optimize=True
        )  # a third of the size
    else:
        import matplotlib

        with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "lapg"}):
            picture.savefig(path, metadata={"Date": None})
    return path
