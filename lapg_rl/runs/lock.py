"""One process a run folder: a lock that goes with the process, and that nobody loses by deleting a file."""

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lapg_rl.runs import files

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


class Lock:
    """What a process holds while it trains in `folder`: handles by the paths at which they were opened."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.held: dict[Path, int] = {}

    def take(self, path: Path, flags: int) -> None:
        """Lock a file or folder. Raises BlockingIOError where another process has it, OSError where it can't be locked."""
        handle = os.open(path, flags, 0o666)
        try:
            if fcntl:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            else:
                _lock_on_windows(handle)
        except OSError:
            os.close(handle)
            raise
        self.held[path] = handle

    def check(self) -> None:
        """Refuse to go on where the folder was deleted, moved or replaced, or the lock is not held any more.

        Raises:
            ValueError: it names the folder.
        """
        watched = self.folder if self.folder in self.held else self.folder / ".lock"
        try:
            same = os.path.samestat(os.fstat(self.held[watched]), watched.stat())
        except FileNotFoundError:
            same = False
        if not same:
            raise ValueError(
                f"{watched} was deleted, moved or replaced while this process trained in it; nothing more is written there: "
                "train in another folder, or restore it"
            )

    def release(self) -> None:
        """Give everything back."""
        for handle in self.held.values():
            os.close(handle)
        self.held.clear()


def _lock_on_windows(handle: int) -> None:
    msvcrt: Any = importlib.import_module("msvcrt")
    try:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    except OSError:
        raise BlockingIOError from None


@contextmanager
def locked(folder: Path) -> Iterator[Lock]:
    """Keep other processes out of a run folder; the lock goes with the process, however that ends.

    The file `.lock` is locked, and where the disk allows it (one of this machine does) the folder itself, too.

    Raises:
        ValueError: where another process holds it, or `.lock` is no regular file.
        OSError: where the folder can't be written.
    """
    lock = Lock(folder)
    try:
        _take_both(lock)
        yield lock
    finally:
        lock.release()


def _take_both(lock: Lock) -> None:
    files.check_regular(lock.folder / ".lock")
    try:
        lock.take(lock.folder / ".lock", os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0))
        try:
            lock.take(lock.folder, os.O_RDONLY)
        except BlockingIOError:
            raise
        except OSError:
            pass  # a network disk, or Windows: then `.lock` alone has to do
    except BlockingIOError:
        raise ValueError(
            f"another process is training in {lock.folder}; wait for it, or choose another folder"
        ) from None
