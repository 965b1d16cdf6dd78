"""Import what a config names by its address, `package.module:name`."""

import importlib
import sys
import sysconfig
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[2]
#: Where code lies that a user did not write.
INSTALLED = (
    *("<", str(HERE / "lapg_rl"), str(HERE / "lapg_theory")),
    *map(sysconfig.get_path, ("stdlib", "platstdlib", "purelib", "platlib")),
)


@contextmanager
def working_folder_on_path() -> Iterator[None]:
    """Let modules in the working folder be imported, after all that are installed, while this lasts.

    JAX has looked for its plugins before, which are imported by their names from wherever they are found.
    """
    import jax

    jax.devices()
    added = "" not in sys.path
    if added:
        sys.path.append("")
    try:
        yield
    finally:
        if added:
            sys.path.remove("")


def first_line(error: Exception) -> str:
    """What an error says first; empty where it says nothing."""
    return next(iter(str(error).splitlines()), "")


def described(error: Exception) -> str:
    """An error's kind, the first line of what it says, and where it was raised in code that is neither a package's nor ours."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(INSTALLED)]
    where = f", {Path(frames[-1].filename).name} line {frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}: {first_line(error)}{where}"


def load(field: str, address: str) -> Any:
    """What lies at an address; where it is the user's, also in the working folder.

    Raises:
        ValueError: where its module can't be imported, or has no such name; it names the field and what went wrong.
    """
    module, _, name = address.partition(":")
    if module.split(".")[0] in ("lapg_rl", "lapg_theory"):
        return getattr(importlib.import_module(module), name)
    try:
        with working_folder_on_path():
            return getattr(importlib.import_module(module), name)
    except Exception as error:  # of any kind: it is the user's code
        raise ValueError(
            f"{field} must name something that Python finds, as package.module:name, got {address!r} "
            f"({described(error)})"
        ) from error


class Yours:
    """What lies at some addresses now: equal to itself alone, as it may be changed and imported again.

    Who uses what cannot be imported says so.
    """

    def __init__(self, addresses: Iterable[str]):
        self.found: list[Any] = []
        for address in addresses:
            with suppress(ValueError):
                self.found.append(load("", address))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Yours) and list(map(id, self.found)) == list(map(id, other.found))

    def __hash__(self) -> int:
        return hash(tuple(map(id, self.found)))


def made(field: str, name: str, function: Any, *arguments: Any, **options: Any) -> Any:
    """What a function returns that a config names; what goes wrong in the user's own is one ValueError."""
    if ":" not in name:
        return function(*arguments, **options)
    try:
        return function(*arguments, **options)
    except Exception as error:  # of any kind: it is the user's code
        raise ValueError(
            f"{field} = {name} failed ({described(error)}); lapg_rl.interfaces says how it is called"
        ) from error
