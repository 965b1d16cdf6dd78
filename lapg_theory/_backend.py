"""A warning at import where the installed JAX is known to be wrong: conda and preinstalled images ignore our pins."""

import warnings

from jaxlib import __version__

if __version__ in ("0.10.2", "0.11.0", "0.11.1"):
    warnings.warn(f"jaxlib {__version__} computes wrong or very slowly on CPU: see `lapg doctor`", stacklevel=2)
