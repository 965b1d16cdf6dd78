"""Exact theory of learning agents in iterated 2x2 games: returns, learning dynamics, fixed points, thresholds.

The certificate, the mixed-pool game and the zero-determinant toolbox are imported when they are first asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

from lapg_theory import _backend as _backend
from lapg_theory.exact.precision import float64 as float64
from lapg_theory.exact.returns import action_values as action_values
from lapg_theory.exact.returns import exact_returns as exact_returns
from lapg_theory.exact.returns import occupancy as occupancy
from lapg_theory.shaping.optimum import Shaper as Shaper
from lapg_theory.shaping.optimum import train_shaper as train_shaper
from lapg_theory.shaping.returns import naive_course as naive_course
from lapg_theory.shaping.returns import shaping_return as shaping_return
from lapg_theory.shaping.returns import shaping_value_and_gradient as shaping_value_and_gradient

if TYPE_CHECKING:
    from lapg_theory import zd as zd
    from lapg_theory.certificate import DefectionCertificate as DefectionCertificate
    from lapg_theory.certificate import defection_certificate as defection_certificate
    from lapg_theory.metagame import MetaGame as MetaGame

_LATER = {
    "DefectionCertificate": "lapg_theory.certificate",
    "defection_certificate": "lapg_theory.certificate",
    "MetaGame": "lapg_theory.metagame",
    "general_returns": "lapg_theory.exact.general",
}


def __getattr__(name: str) -> Any:
    if name == "zd":
        return importlib.import_module("lapg_theory.zd")
    if name in _LATER:
        return getattr(importlib.import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
