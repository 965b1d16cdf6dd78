"""A warning at import where the installed JAX is known to be wrong: conda and preinstalled images ignore our pins."""

import sys
import warnings
from importlib import metadata

WRONG_JAXLIBS = ("0.10.2", "0.11.0", "0.11.1")


def installed() -> str:
    """The version of jaxlib: of the one that is loaded, else of the one that would be; nothing is loaded for it."""
    loaded = sys.modules.get("jaxlib")
    try:
        return loaded.__version__ if loaded else metadata.version("jaxlib")
    except metadata.PackageNotFoundError:
        return "unknown"


if installed() in WRONG_JAXLIBS:
    warnings.warn(f"jaxlib {installed()} computes wrong or very slowly on CPU: see `lapg doctor`", stacklevel=2)
