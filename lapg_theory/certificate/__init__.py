"""The defection certificate: closed forms, thresholds and verdicts for mutual defection among naive learners."""

from lapg_theory.certificate.certificate import Component as Component
from lapg_theory.certificate.certificate import DefectionCertificate as DefectionCertificate
from lapg_theory.certificate.certificate import defection_certificate as defection_certificate
from lapg_theory.certificate.closed_form import DefectionFace as DefectionFace
from lapg_theory.certificate.group import critical_time as critical_time
from lapg_theory.certificate.group import group_components as group_components
from lapg_theory.certificate.learners import initial_learners as initial_learners
from lapg_theory.certificate.thresholds import Crossing as Crossing
from lapg_theory.certificate.thresholds import Interval as Interval
from lapg_theory.certificate.verdicts import LocalVerdict as LocalVerdict
from lapg_theory.certificate.verdicts import NashVerdict as NashVerdict
