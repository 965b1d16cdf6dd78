"""Where compiled programs are kept from one command to the next: in the user's cache folder, apart for each kind of machine."""

import hashlib
import os
import platform
import sys
import warnings
from contextlib import suppress
from pathlib import Path

#: "off", or a folder to use instead of the user's cache folder.
SWITCH = "LAPG_COMPILATION_CACHE"
OFF = "off"
#: Bytes that are kept at most; what was used longest ago goes first, down to half of it.
MOST = 512 * 2**20
#: Compilations that take less are done again.
LEAST_SECONDS = 0.1
#: Where Linux says how many pieces of memory a process may have mapped; a compiled update takes more than a thousand.
MOST_MAPS, MAPS = Path("/proc/sys/vm/max_map_count"), Path("/proc/self/maps")


def keep_compiled(folder: Path | None = None) -> Path | None:
    """Have JAX keep compiled programs, here and in processes that are started from here; returns the folder, None for none.

    JAX's own key of a program holds its version, its flags and the device, so that another of any compiles anew. By default
    the folder is what `LAPG_COMPILATION_CACHE` says, else what JAX itself was told to use, else the user's cache folder; where
    there is none that this user owns and can write to, nothing is kept and nothing said.

    Raises:
        ValueError: for a `folder` that cannot be used.
    """
    warnings.filterwarnings("ignore", message="Error (reading|writing) persistent compilation cache")
    named = folder or os.environ.get(SWITCH)
    if str(named) == OFF:
        _tell_jax(jax_enable_compilation_cache="false")
        return None
    if not named and "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return None
    place = _prepared(Path(named)) if named else own_folder("compiled")
    if place is None and folder is not None:
        raise ValueError(
            f"--compilation-cache {folder} is no folder that you own and can write to; name another, or off"
        )
    if place is not None:
        least = str(LEAST_SECONDS)
        _tell_jax(jax_compilation_cache_dir=str(place), jax_persistent_cache_min_compile_time_secs=least)
    return place


def make_room() -> None:
    """Have JAX forget what it compiled where that is half of what Linux lets a process map; at all of it a process crashes."""
    with suppress(OSError, ValueError), MAPS.open() as maps:
        if "jax" in sys.modules and 2 * sum(1 for _ in maps) > int(MOST_MAPS.read_text()):
            sys.modules["jax"].clear_caches()


def _tell_jax(**settings: str) -> None:
    os.environ.update({name.upper(): value for name, value in settings.items()})
    if "jax" in sys.modules:
        for name, value in settings.items():
            typed = {"false": False, str(LEAST_SECONDS): LEAST_SECONDS}.get(value, value)
            sys.modules["jax"].config.update(name, typed)


def own_folder(purpose: str) -> Path | None:
    """A folder in the user's cache folder for what is made for this kind of machine, or None where it can't be used."""
    return _prepared(_user_folder(purpose))


def _user_folder(purpose: str) -> Path | None:
    """The folder for this kind of machine: what was compiled for one processor may not run on another with the same home."""
    with suppress(RuntimeError):  # no home
        home = Path.home()
        if sys.platform == "win32":
            base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
        elif sys.platform == "darwin":
            base = home / "Library" / "Caches"
        else:
            base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
        return base / "lapg" / purpose / _kind_of_machine() if base.is_absolute() else None
    return None


def _kind_of_machine() -> str:
    features = ""
    with suppress(OSError), Path("/proc/cpuinfo").open() as lines:
        features = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return f"{platform.machine()}-{hashlib.sha256(features.encode()).hexdigest()[:8]}"


def _prepared(folder: Path | None) -> Path | None:
    """The folder, made and pruned; None where it cannot be used."""
    if folder is None:
        return None
    try:
        folder = folder.resolve()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mine = not hasattr(os, "geteuid") or folder.stat().st_uid == os.geteuid()  # JAX unpickles what lies there
        if not (mine and os.access(folder, os.W_OK | os.X_OK)):
            return None
        _prune(folder)
    except (OSError, RuntimeError):
        return None
    return folder


def _prune(folder: Path) -> None:
    found = [(entry.path, entry.stat()) for entry in os.scandir(folder) if entry.name.endswith("-cache")]
    size = sum(stat.st_size for _, stat in found)
    if size <= MOST:
        return
    for path, stat in sorted(found, key=lambda each: max(each[1].st_atime, each[1].st_mtime)):
        if size <= MOST // 2:
            return
        with suppress(FileNotFoundError):
            Path(path).unlink()
        size -= stat.st_size
