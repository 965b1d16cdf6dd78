"""Files that survive a crash: on disk before what follows them, whole or not there at all, one writer at a time."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write(path: Path, data: bytes) -> None:
    """Write a file and wait until it is on the disk."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace(path: Path, text: str) -> None:
    """Write a file anew; whenever this is cut short, `path` holds all of the old or all of the new."""
    partial = path.with_suffix(".tmp")
    try:
        write(partial, text.encode())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    sync(path.parent)


def append(path: Path, row: dict[str, Any]) -> None:
    """Add a line of JSON and put it on the disk before anything that follows; a torn line before it stays by itself."""
    with path.open("a+b") as file:
        torn = False
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            torn = file.read(1) != b"\n"
        file.write(b"\n" * torn + json.dumps(row).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def rows(path: Path) -> list[Any]:
    """The rows of a JSONL file; None for each line that is torn. Raises ValueError for a line that is no row."""
    found = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            row = None
        else:
            if not isinstance(row, dict):
                raise ValueError(f"{path} holds {line[:40]!r}, which is no row of it; restore the file")
        found.append(row)
    return found


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of a run folder; the lock goes with the process, however that ends.

    Raises:
        ValueError: where another process holds it.
        OSError: where the folder can't be written.
    """
    with (folder / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"another process is training in {folder}; wait for it, or choose another --run folder"
            ) from None
        yield
