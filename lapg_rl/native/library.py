"""Build the kernels once for a machine, keep them in the user's cache folder, and give them to JAX."""

import atexit
import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jaxlib

from lapg_rl.machine.cache import OFF, own_folder

#: "off", or a C++ compiler to use instead of the first of `COMPILERS` that is found.
SWITCH = "LAPG_NATIVE"
COMPILERS = ("c++", "g++", "clang++")
SOURCES = ("kernels.cc", "lanes.h", "adam.h", "linear.h", "mlp.h", "gru.h", "hawk.h", "threefry.h", "transformer.h")
#: What `kernels.cc` exports.
KERNELS = (
    "adam",
    "embed",
    "embed_back",
    "project",
    "project_back",
    "gru",
    "gru_kept",
    "gru_back",
    "hawk",
    "hawk_kept",
    "hawk_back",
    "transformer",
    "transformer_kept",
    "transformer_back",
    "transformer_step",
    "threefry",
)
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-shared", "-fPIC", "-w")
HERE = Path(__file__).parent


class Library(NamedTuple):
    """The file of the kernels, None where lapg works without them, and what a user should know of it."""

    path: Path | None
    words: str


@functools.cache
def loaded() -> Library:
    """Register the kernels with JAX; the first time on a machine they are built, which takes seconds.

    Raises:
        ValueError: where the compiler that `LAPG_NATIVE` names isn't there or doesn't build them.
    """
    named = os.environ.get(SWITCH)
    if named == OFF:
        return Library(None, f"switched off by {SWITCH}")
    compiler = first_of([named] if named else COMPILERS)
    if not compiler:
        missing = f"no C++ compiler ({named or ', '.join(COMPILERS)}) was found"
        return _without(named, f"{missing}; with one sequence models learn faster")
    try:
        path = built(compiler)
        try:
            kernels = _opened(path)
        except (OSError, AttributeError):  # damaged, or in a folder whose files may not be run
            path.unlink(missing_ok=True)
            kernels = _opened(path := built(compiler))
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        return _without(
            named, f"{compiler} doesn't build them: {next((line for line in said if 'error' in line), error)}"
        )
    except (OSError, AttributeError, subprocess.SubprocessError) as error:
        return _without(named, f"what {compiler} builds cannot be used: {error}")
    for name, kernel in kernels.items():
        jax.ffi.register_ffi_target(f"lapg_{name}", jax.ffi.pycapsule(kernel), platform="cpu")
    return Library(path, f"{path}, built by {compiler}")


def first_of(names: Sequence[str]) -> str | None:
    """The first program of these that is there."""
    return next((found for name in names if (found := shutil.which(name))), None)


def in_use() -> Path | None:
    """The file of the kernels, if JAX computes on a CPU and they are there."""
    return loaded().path if jax.default_backend() == "cpu" else None


def _without(named: str | None, words: str) -> Library:
    if named:
        raise ValueError(f"{SWITCH}={named}: {words}; name another compiler, or {OFF}, or unset it")
    return Library(None, words)


def _opened(path: Path) -> dict[str, Any]:
    library = ctypes.CDLL(str(path))
    return {name: getattr(library, f"lapg_{name}") for name in KERNELS}


def _temporary() -> Path:
    """A folder that goes when this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="lapg-native-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def built(compiler: str) -> Path:
    """The file of the kernels that this compiler makes; `loaded` says what may go wrong."""
    version = subprocess.run([compiler, "--version"], capture_output=True, check=True, timeout=60).stdout
    parts = [
        version,
        jaxlib.__version__.encode(),
        repr(FLAGS).encode(),
        *((HERE / name).read_bytes() for name in SOURCES),
    ]
    folder = own_folder("native") or _temporary()
    path = folder / f"{hashlib.sha256(b'/'.join(parts)).hexdigest()[:16]}.so"
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=folder) as own:  # several may build at once
            fresh = Path(own) / path.name
            command = [compiler, *FLAGS, "-I", jax.ffi.include_dir(), str(HERE / SOURCES[0]), "-o", str(fresh)]
            subprocess.run(command, capture_output=True, check=True, timeout=300)
            fresh.replace(path)
    return path
