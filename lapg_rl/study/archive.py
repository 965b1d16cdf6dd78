"""Many small run folders in one file: `runs.zip`, which everything that reads runs takes for a folder with runs inside."""

import atexit
import functools
import os
import shutil
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

#: The name by which archives inside folders are found.
NAME = "runs.zip"
#: An archive that would unpack to more than this is refused.
MOST = 2**28

_ORIGINS: dict[Path, Path] = {}


def pack(folder: Path, archive: Path) -> None:
    """Write all files inside `folder` into an archive; the same files give the same bytes."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    fresh = archive.with_name(f".{archive.name}.{os.getpid()}")
    try:
        _pack(folder, fresh)
        fresh.replace(archive)  # an interrupt leaves what was there
    finally:
        fresh.unlink(missing_ok=True)


def _pack(folder: Path, archive: Path) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), (1980, 1, 1, 0, 0, 0))
            entry.external_attr, entry.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            packed.writestr(entry, path.read_bytes())


def unpacked(archive: Path) -> Path:
    """A folder with what the archive holds, for as long as this process lives.

    Raises:
        ValueError: for a file that is no archive, is damaged, or would write too much or outside of its folder.
    """
    return _unpacked(archive.resolve(), archive.stat().st_mtime_ns)


@functools.cache
def _unpacked(archive: Path, changed: int) -> Path:
    del changed
    try:
        with zipfile.ZipFile(archive) as packed:
            entries = packed.infolist()
            if (size := sum(entry.file_size for entry in entries)) > MOST:
                raise ValueError(
                    f"{archive} would unpack to {size} bytes, at most {MOST} are allowed; unpack it yourself"
                )
            for entry in entries:
                parts = PurePosixPath(entry.filename)
                if parts.is_absolute() or ".." in parts.parts or (entry.external_attr >> 28) == 0xA:
                    raise ValueError(
                        f"{archive} holds {entry.filename!r}, which leads outside of it; unpack it yourself"
                    )
            target = Path(tempfile.mkdtemp(prefix="lapg-runs-")).resolve()
            atexit.register(shutil.rmtree, target, ignore_errors=True)
            packed.extractall(target)
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise ValueError(f"{archive} is no archive of runs, or damaged ({error}); restore it") from None
    _ORIGINS[target] = archive
    return target


def origin(folder: Path) -> Path | None:
    """The archive that a folder was unpacked from, or None."""
    return next((archive for target, archive in _ORIGINS.items() if folder.resolve().is_relative_to(target)), None)
