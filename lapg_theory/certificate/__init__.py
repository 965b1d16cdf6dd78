"""The defection certificate: closed forms, thresholds and verdicts for mutual defection among naive learners."""

import importlib
from typing import Any

from lapg_theory.certificate.certificate import Component as Component
from lapg_theory.certificate.certificate import DefectionCertificate as DefectionCertificate
from lapg_theory.certificate.certificate import defection_certificate as defection_certificate
from lapg_theory.certificate.closed_form import DefectionFace as DefectionFace
from lapg_theory.certificate.learners import initial_learners as initial_learners
from lapg_theory.certificate.thresholds import Crossing as Crossing
from lapg_theory.certificate.thresholds import Interval as Interval
from lapg_theory.certificate.verdicts import LocalVerdict as LocalVerdict
from lapg_theory.certificate.verdicts import NashVerdict as NashVerdict


def __getattr__(name: str) -> Any:
    """What needs JAX, loaded when it is asked for."""
    if name in ("critical_time", "group_components"):
        return getattr(importlib.import_module("lapg_theory.certificate.group"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
