"""Where the checkpoints of a run lie, and which there are: no JAX is needed to know."""

import re
from pathlib import Path

NAME = re.compile(r"step_\d{9}")


def folders(directory: Path) -> list[Path]:
    """The finished checkpoints in `directory`, oldest first."""
    return sorted(p for p in directory.glob("step_*") if NAME.fullmatch(p.name))


def folder(directory: Path, step: int) -> Path:
    """Where checkpoint `step` lies."""
    return directory / f"step_{step:09d}"


def updates(folder: Path) -> int:
    """The number of updates after which a checkpoint was written."""
    return int(folder.name.removeprefix("step_"))
