"""An environment of the user's own, by the name of the function that makes it."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax

#: What an environment must have; `lapg_rl.envs` says what each is.
NEEDED = ("num_actions", "observation_size", "one_hot", "reset", "step", "measures", "shared", "compared")


@contextmanager
def working_folder_on_path() -> Iterator[None]:
    """Let modules in the working folder be imported, after all that are installed, while this lasts.

    JAX has looked for its plugins before, which are imported by their names from wherever they are found.
    """
    jax.devices()
    added = "" not in sys.path
    if added:
        sys.path.append("")
    try:
        yield
    finally:
        if added:
            sys.path.remove("")


def custom(factory: str) -> Any:
    """The environment that the function `package.module:function`, which takes no arguments, returns.

    Raises:
        ValueError: where it can't be imported, raises, or returns no environment; it names the function and the cause.
    """
    module, _, name = factory.partition(":")
    how = "game.factory must name a function without arguments that returns an environment, as package.module:function"
    try:
        with working_folder_on_path():
            made = getattr(importlib.import_module(module), name)()
    except Exception as error:  # of any kind: it is the user's code
        reason = next(iter(str(error).splitlines()), "")
        raise ValueError(f"{how}, got {factory!r} ({type(error).__name__}: {reason})") from error
    if missing := [part for part in NEEDED if not hasattr(made, part)]:
        raise ValueError(
            f"{how}, but {factory!r} returned {type(made).__name__}, which lacks {', '.join(missing)}; `lapg_rl.envs` "
            "says what each is"
        )
    return made
