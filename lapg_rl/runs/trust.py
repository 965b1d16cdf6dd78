"""Whose code runs: what a run folder names by address is loaded only when the user names or allows it."""

import os
from pathlib import Path
from typing import Any

#: Environment variable: names that are allowed, as module:function, separated by commas.
VARIABLE = "LAPG_TRUST"

_allowed: set[str] = set()


def allow(*names: str) -> None:
    """Allow run folders to load these functions, each named as `package.module:function`, for the rest of this process.

    Raises:
        ValueError: for another name.
    """
    for name in names:
        if not all(part.isidentifier() for part in name.replace(":", ".", 1).split(".")) or name.count(":") != 1:
            raise ValueError(f"--trust names a function as package.module:function, got {name!r}")
    _allowed.update(names)


def check(config: Any, path: Path) -> None:
    """Refuse to play a run whose folder names code to load, unless that was allowed by `allow` or LAPG_TRUST."""
    variable = {part.strip() for part in os.environ.get(VARIABLE, "").split(",")}
    if strange := [name for name in config.addresses if name not in _allowed | variable]:
        options = " ".join(f"--trust {name}" for name in strange)
        raise ValueError(
            f"{path} depends on {', '.join(strange)}, and to load that runs its code; if you trust it, add {options}, or set "
            f"{VARIABLE}={','.join(strange)} (in Python: lapg_rl.runs.trust.allow({', '.join(map(repr, strange))}))"
        )
