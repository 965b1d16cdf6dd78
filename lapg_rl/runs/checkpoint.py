"""Atomic, hashed checkpoints: one folder each, an `arrays.npz` and a `meta.json` that holds its SHA-256."""

import hashlib
import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np

from lapg_rl.runs import files

SCHEMA = 1


class DamagedError(ValueError):
    """A checkpoint whose files are missing, truncated or altered."""


def leaves(tree: Any) -> dict[str, Any]:
    """The arrays of a tree by the names under which they are stored."""
    arrays, _ = jax.tree_util.tree_flatten_with_path(eqx.filter(tree, eqx.is_array))
    return {jax.tree_util.keystr(path): leaf for path, leaf in arrays}


def folders(directory: Path) -> list[Path]:
    """The finished checkpoints in `directory`, oldest first."""
    return sorted(p for p in directory.glob("step_*") if p.suffix != ".tmp")


def folder(directory: Path, step: int) -> Path:
    """Where checkpoint `step` lies."""
    return directory / f"step_{step:09d}"


def updates(folder: Path) -> int:
    """The number of updates after which a checkpoint was written."""
    return int(folder.name.removeprefix("step_"))


def save(directory: Path, step: int, tree: Any, keep: int, every: int = 0) -> Path:
    """Write the arrays of `tree` as checkpoint `step`, then drop all but the newest `keep` and the multiples of `every`.

    The checkpoint appears under its final name only when it is complete on disk. With `every` 0 none is kept for ever.

    Raises:
        OSError: where it can't be written, as on a full disk; the checkpoints before it are then as they were.
    """
    buffer = io.BytesIO()
    named: Any = {name: np.asarray(leaf) for name, leaf in leaves(tree).items()}
    np.savez(buffer, **named)
    data = buffer.getvalue()
    final = folder(directory, step)
    partial = final.with_suffix(".tmp")
    shutil.rmtree(partial, ignore_errors=True)
    meta = {"schema": SCHEMA, "step": step, "sha256": hashlib.sha256(data).hexdigest(), "jax": jax.__version__}
    try:
        partial.mkdir(parents=True)
        files.write(partial / "arrays.npz", data)
        files.write(partial / "meta.json", json.dumps(meta, indent=1).encode())
        files.sync(partial)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    for later in (f for f in folders(directory) if f.name >= final.name):  # unsound, or the run would be beyond them
        shutil.rmtree(later)
    partial.replace(final)
    files.sync(directory)
    for old in folders(directory)[:-keep]:
        if not (every and updates(old) and updates(old) % every == 0):
            shutil.rmtree(old)
    return final


def drop_after(directory: Path, step: int) -> None:
    """Drop the checkpoints of later updates, the newest first; those updates are to be made again."""
    for later in reversed(folders(directory)):
        if updates(later) > step:
            shutil.rmtree(later)


def load(folder: Path, like: Any) -> Any:
    """The checkpoint in `folder` as a tree of the structure, shapes and dtypes of `like`.

    Raises:
        DamagedError: for a missing, truncated or altered file.
        ValueError: for another schema, or arrays that don't match `like`; it names the folder and the arrays.
    """
    try:
        meta = json.loads((folder / "meta.json").read_text())
        data = (folder / "arrays.npz").read_bytes()
    except (OSError, ValueError) as error:
        raise DamagedError(f"checkpoint {folder} is unreadable: {error}") from None
    if not isinstance(meta, dict) or meta.get("schema") != SCHEMA:
        raise ValueError(f"checkpoint {folder} is not of schema {SCHEMA}; it was written by another version of lapg")
    if hashlib.sha256(data).hexdigest() != meta.get("sha256"):
        raise DamagedError(f"checkpoint {folder} is damaged: arrays.npz does not match its SHA-256")
    stored = np.load(io.BytesIO(data))
    wanted = leaves(like)
    if missing := sorted(wanted.keys() ^ set(stored.files)):
        raise ValueError(f"checkpoint {folder} has other arrays than this run: {', '.join(missing)}")
    for name, leaf in wanted.items():
        if (stored[name].shape, stored[name].dtype) != (leaf.shape, leaf.dtype):
            raise ValueError(
                f"checkpoint {folder}: {name} is {stored[name].dtype}{stored[name].shape}, this run needs "
                f"{leaf.dtype}{leaf.shape}"
            )
    arrays, static = eqx.partition(like, eqx.is_array)
    paths, structure = jax.tree_util.tree_flatten_with_path(arrays)
    filled = [jax.numpy.asarray(stored[jax.tree_util.keystr(path)]) for path, _ in paths]
    return eqx.combine(jax.tree_util.tree_unflatten(structure, filled), static)


def newest(directory: Path, like: Any) -> Any | None:
    """The newest sound checkpoint, or None where there is none at all; damaged ones are named and skipped.

    Raises:
        ValueError: where there are checkpoints but none is sound, or one belongs to another model or schema.
    """
    present = folders(directory)
    for folder in reversed(present):
        try:
            return load(folder, like)
        except DamagedError as error:
            print(f"lapg: {error}; trying the checkpoint before it", file=sys.stderr)
    if present:
        raise ValueError(
            f"no checkpoint in {directory} is sound; restore one, or delete the folder to train from the start"
        )
    return None
