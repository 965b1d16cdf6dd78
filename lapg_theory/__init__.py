"""Exact theory of learning agents in repeated games: returns, learning dynamics, fixed points, thresholds.

Every name here is loaded when it is first asked for, so that what needs no JAX does not load it.
"""

import lazy_loader

from lapg_theory import _backend as _backend

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
