"""A warning at import where the installed JAX is known to be wrong: conda and preinstalled images ignore our pins."""

import warnings

from jaxlib import __version__

WRONG_JAXLIBS = ("0.10.2", "0.11.0", "0.11.1")

if __version__ in WRONG_JAXLIBS:
    warnings.warn(f"jaxlib {__version__} computes wrong or very slowly on CPU: see `lapg doctor`", stacklevel=2)
