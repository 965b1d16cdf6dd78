"""Atomic, hashed checkpoints: one folder each, an `arrays.npz` and a `meta.json` that holds its SHA-256."""

import hashlib
import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np

from lapg_rl.runs import files
from lapg_rl.runs.progress import say
from lapg_rl.runs.steps import folder as folder
from lapg_rl.runs.steps import folders as folders
from lapg_rl.runs.steps import updates as updates

SCHEMA = 1
#: The keys of `meta.json`; the last two are absent in older versions.
KEYS = ("schema", "step", "sha256", "jax", "config", "crc32")
X64 = {"float32", "float64"}


class DamagedError(ValueError):
    """A checkpoint whose files are missing, truncated or altered."""


def leaves(tree: Any) -> dict[str, Any]:
    """The arrays of a tree by the names under which they are stored."""
    arrays, _ = jax.tree_util.tree_flatten_with_path(eqx.filter(tree, eqx.is_array))
    return {jax.tree_util.keystr(path): leaf for path, leaf in arrays}


def save(directory: Path, step: int, tree: Any, keep: int, every: int = 0, config: Any = None) -> Path:
    """`write` checkpoint `step`, then `prune`."""
    final = write(directory, step, tree, config)
    prune(directory, keep, every)
    return final


def write(directory: Path, step: int, tree: Any, config: Any = None) -> Path:
    """Write the arrays of `tree` as checkpoint `step` of a run of `config` (plain data).

    The checkpoint appears under its final name only when it is complete on disk.

    Raises:
        OSError: where it can't be written, as on a full disk; the checkpoints before it are then as they were.
    """
    buffer = io.BytesIO()
    named: Any = {name: np.asarray(leaf) for name, leaf in leaves(tree).items()}
    np.savez(buffer, **named)
    data = buffer.getvalue()
    final = folder(directory, step)
    partial = final.with_suffix(".tmp")
    meta = {"schema": SCHEMA, "step": step, "sha256": hashlib.sha256(data).hexdigest(), "jax": jax.__version__}
    meta |= {"config": config}
    try:
        files.drop(partial)
        partial.mkdir(parents=True)
        files.write(partial / "arrays.npz", data)
        files.write(partial / "meta.json", json.dumps(meta | {"crc32": _sum(meta)}, indent=1).encode())
        files.sync(partial)
    except OSError:
        if partial.is_dir():
            files.drop(partial)
        raise
    for later in (f for f in folders(directory) if f.name >= final.name):  # unsound, or the run would be beyond them
        files.drop(later)
    partial.replace(final)
    files.sync(directory)
    return final


def prune(directory: Path, keep: int, every: int = 0) -> None:
    """Drop all checkpoints but the newest `keep` and the multiples of `every`; with 0 none is kept for ever."""
    for old in folders(directory)[:-keep]:
        if not (every and updates(old) and updates(old) % every == 0):
            files.drop(old)


def drop_after(directory: Path, step: int) -> None:
    """Drop the checkpoints of later updates, the newest first; those updates are to be made again."""
    for later in reversed(folders(directory)):
        if updates(later) > step:
            files.drop(later)


def _sum(meta: dict[str, Any]) -> str:
    return f"{zlib.crc32(json.dumps(meta).encode()):08x}"


def meta_of(folder: Path) -> dict[str, Any]:
    """What `meta.json` says of a checkpoint: schema, step, hash, versions, config (None in older versions).

    Raises:
        DamagedError: for a missing or altered file, or one of another schema.
    """
    try:
        meta = json.loads(files.read(folder / "meta.json", limit=1_000_000))
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedError(f"checkpoint {folder} is unreadable: {_reason(error)}") from None
    known = isinstance(meta, dict) and tuple(meta) in (KEYS, KEYS[:4])
    if not known or meta.get("crc32") not in (None, _sum({key: meta[key] for key in KEYS[:5] if key in meta})):
        raise DamagedError(f"checkpoint {folder} is damaged: meta.json is not what was written")
    if meta["schema"] != SCHEMA or meta["step"] != updates(folder):
        raise DamagedError(
            f"checkpoint {folder} is not of schema {SCHEMA} and update {updates(folder)}: damaged, or written by another "
            "version of lapg"
        )
    return meta | {"config": meta.get("config")}


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error).splitlines()[0]


def load(folder: Path, like: Any) -> Any:
    """The checkpoint in `folder` as a tree of the structure, shapes and dtypes of `like`.

    No array is unpacked before its header says that it has the size of the one in `like`.

    Raises:
        DamagedError: for a missing, truncated or altered file, or one of another schema.
        ValueError: for arrays that don't match `like`; it names the folder and the arrays.
    """
    meta, wanted = meta_of(folder), leaves(like)
    size = sum(leaf.nbytes + 1024 for leaf in wanted.values())
    try:
        data = files.read(folder / "arrays.npz", limit=2 * size + 1_000_000)
    except (OSError, ValueError) as error:
        raise DamagedError(f"checkpoint {folder} is unreadable: {_reason(error)}") from None
    if hashlib.sha256(data).hexdigest() != meta["sha256"]:
        raise DamagedError(f"checkpoint {folder} is damaged: arrays.npz does not match its SHA-256")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as stored:
            return _filled(folder, stored, like, wanted)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, zlib.error) as error:
        raise DamagedError(f"checkpoint {folder} is damaged: arrays.npz: {error}") from None


def _filled(folder: Path, stored: zipfile.ZipFile, like: Any, wanted: dict[str, Any]) -> Any:
    """`like` with the arrays of an open archive instead of its own; see `load`."""
    names = [name.removesuffix(".npy") for name in stored.namelist()]
    if missing := sorted(wanted.keys() ^ set(names)):
        raise ValueError(f"checkpoint {folder} has other arrays than this run: {', '.join(missing)}")
    found = {}
    for name, leaf in wanted.items():
        with stored.open(f"{name}.npy") as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(file)
        if (shape, dtype) != (leaf.shape, leaf.dtype):
            raise ValueError(
                f"checkpoint {folder}: {name} is {dtype}{shape}, this run needs {leaf.dtype}{leaf.shape}"
                + ("; JAX_ENABLE_X64 was set otherwise in the run" if {str(dtype), str(leaf.dtype)} == X64 else "")
            )
        with stored.open(f"{name}.npy") as file:
            found[name] = np.lib.format.read_array(file, allow_pickle=False)
    arrays, static = eqx.partition(like, eqx.is_array)
    paths, structure = jax.tree_util.tree_flatten_with_path(arrays)
    filled = [jax.numpy.asarray(found[jax.tree_util.keystr(path)]) for path, _ in paths]
    return eqx.combine(jax.tree_util.tree_unflatten(structure, filled), static)


def newest(directory: Path, like: Any) -> Any | None:
    """The newest sound checkpoint, or None where there is none at all; see `newest_folder`."""
    found = newest_folder(directory, like)
    return None if found is None else found[1]


def newest_folder(directory: Path, like: Any) -> tuple[Path, Any] | None:
    """The newest sound checkpoint and its folder, or None where there is none at all; damaged ones are named and skipped.

    Raises:
        ValueError: where there are checkpoints but none is sound, or one belongs to another model.
    """
    present = folders(directory)
    for one in reversed(present):
        try:
            return one, load(one, like)
        except DamagedError as error:
            say(f"lapg: {error}; trying the checkpoint before it")
    if present:
        raise ValueError(
            f"no checkpoint in {directory} is sound; restore one, or delete the folder to train from the start"
        )
    return None
