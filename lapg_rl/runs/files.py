"""Files that survive a crash: on disk before what follows them, whole or not there at all, never through a planted link."""

import json
import os
import re
import shutil
import stat
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

#: A line of a run's JSONL files: JSON whose last key is the CRC-32 of the line up to there, begun with that of the line before.
CHECKED = re.compile(rb'(?P<body>\{.*), "crc32": "(?P<sum>[0-9a-f]{8})"\}')

#: What a crash may leave of such a line, or of one of an older version.
TORN = re.compile(rb'((?!"crc32").)*("crc32": "?[0-9a-f]{0,8}"?)?', re.DOTALL)

_PLAIN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def check_regular(path: Path, follow: bool = False) -> None:
    """Refuse what is there but no regular file: a FIFO or a device would hang; a link leads out of the folder.

    Raises:
        ValueError: it names the path and says what it is; the remedy is to put the file itself there.
    """
    try:
        mode = (path.stat() if follow else path.lstat()).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        kinds = {stat.S_ISLNK: "a symbolic link", stat.S_ISDIR: "a folder", stat.S_ISFIFO: "a FIFO"}
        what = next((name for test, name in kinds.items() if test(mode)), "a device or socket")
        raise ValueError(f"{path} is {what}, not a regular file; put the file itself there, or remove it")


def archive_of(path: Path) -> Path | None:
    """The archive of runs that a path names or leads into, or None."""
    return next((p for p in (path, *path.parents) if p.suffix == ".zip" and p.is_file()), None)


def read(path: Path, limit: int | None = None, follow: bool = False) -> bytes:
    """The bytes of a regular file of at most `limit` bytes. Raises ValueError for anything else, and OSError."""
    check_regular(path, follow)
    if limit is not None and (size := path.stat().st_size) > limit:
        raise ValueError(f"{path} has {size} bytes, and no such file has more than {limit}; restore it")
    return path.read_bytes()


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    if os.name == "nt" and path.is_dir():  # has no handles of folders
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write(path: Path, data: bytes) -> None:
    """Write a new file and wait until it is on the disk; what was there, a link too, goes first."""
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _PLAIN, 0o666)
    with os.fdopen(handle, "wb") as file:
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
        if partial.is_file():
            partial.unlink()
        raise
    sync(path.parent)


def drop(folder: Path) -> None:
    """Remove a folder and all in it; of a link only the link."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def line(row: dict[str, Any], before: int) -> tuple[bytes, int]:
    """A row as a line of JSON with its checksum, which is begun with the one `before`, and that checksum."""
    body = json.dumps(row).encode().removesuffix(b"}")
    total = zlib.crc32(body, before)
    return body + f', "crc32": "{total:08x}"}}\n'.encode(), total


def text_of(rows: Iterable[dict[str, Any]]) -> str:
    """Rows as a whole file of such lines."""
    text, total = [], 0
    for row in rows:
        data, total = line(row, total)
        text.append(data.decode())
    return "".join(text)


def append(path: Path, row: dict[str, Any]) -> None:
    """Add a line of JSON and put it on the disk before anything that follows; a torn line before it goes.

    Raises:
        ValueError: where the file is no regular file.
        OSError: where it can't be written.
    """
    check_regular(path)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | _PLAIN, 0o666)
    with os.fdopen(handle, "r+b") as file:
        end, last = _last_line(file)
        if file.seek(0, os.SEEK_END) > end:
            file.truncate(end)
        file.seek(end)
        found = CHECKED.fullmatch(last)
        file.write(line(row, int(found["sum"], 16) if found else 0)[0])
        file.flush()
        os.fsync(file.fileno())


def _last_line(file: Any) -> tuple[int, bytes]:
    """Where the last whole line ends, and that line without its end."""
    size, tail = file.seek(0, os.SEEK_END), b""
    while len(tail) < size:
        start = max(0, size - 2 * len(tail) - 4096)
        file.seek(start)
        tail = file.read(size - start)
        if tail.count(b"\n") > 1:
            break
    whole = tail[: tail.rfind(b"\n") + 1]
    return size - len(tail) + len(whole), whole.removesuffix(b"\n").rpartition(b"\n")[2]


def _split(data: bytes) -> Iterator[bytes]:
    """The lines of `data`, one at a time: a file of line ends alone must not fill the memory."""
    start = 0
    while (end := data.find(b"\n", start)) >= 0:
        yield data[start:end]
        start = end + 1
    yield data[start:]


def rows(path: Path, upto: int | None = None, torn: bool = False) -> list[dict[str, Any]]:
    """The rows of a JSONL file that `append` wrote, or an older version, which had no checksums.

    A last line without its end, which a crash leaves, is no row, unless it is whole.

    Args:
        path: the file; no file has no rows.
        upto: read no more rows, so that damage behind them does not count.
        torn: leave out torn lines between those of an older version, which began the next one after a crash.

    Raises:
        ValueError: for a damaged, changed, lost or inserted line; it names the file and the line.
    """
    found: list[dict[str, Any]] = []
    data = read(path) if path.exists() or path.is_symlink() else b""
    count, before = data.count(b"\n") + 1 if data else 0, None
    for number, text in enumerate(_split(data) if data else (), start=1):
        if upto is not None and len(found) >= upto:
            break
        row, before = _row(text, before)
        cut = b'"crc32"' not in text if number < count else TORN.fullmatch(text)
        if row is not None:
            found.append(row)
        elif not cut or (number < count and not (torn and text[:1] == b"{" and text[-1:] != b"}")):
            raise ValueError(
                f"{path}, line {number}, is damaged, or a line beside it is lost: restore the file from a copy, or train in "
                "another folder"
            )
    return found


def _row(text: bytes, before: int | None) -> tuple[dict[str, Any] | None, int | None]:
    """The row of a line, None if it is damaged, and its checksum; `before` is None as long as no line had one."""
    total = before
    if found := CHECKED.fullmatch(text):
        total = zlib.crc32(found["body"], before or 0)
        if f"{total:08x}".encode() != found["sum"]:
            return None, total
        text = found["body"] + b"}"
    elif before is not None or text.endswith(b'"}'):  # a checksum is the only text that ends a line
        return None, before
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        row = None
    return (row if isinstance(row, dict) else None), total
