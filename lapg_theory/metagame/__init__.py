"""The mixed-pool game of learning-aware agents: field, fixed points, best replies, basins, phase diagrams."""

from lapg_theory.metagame.ascent import Basins as Basins
from lapg_theory.metagame.atlas import Atlas as Atlas
from lapg_theory.metagame.atlas import FixedPoint as FixedPoint
from lapg_theory.metagame.bifurcation import Bifurcation as Bifurcation
from lapg_theory.metagame.bifurcation import bifurcation as bifurcation
from lapg_theory.metagame.cooperation import Cooperation as Cooperation
from lapg_theory.metagame.labels import LABELS as LABELS
from lapg_theory.metagame.newton import project as project
from lapg_theory.metagame.phase import AttractorMap as AttractorMap
from lapg_theory.metagame.phase import PhaseDiagram as PhaseDiagram
from lapg_theory.metagame.phase import attractor_map as attractor_map
from lapg_theory.metagame.phase import phase_diagram as phase_diagram
from lapg_theory.metagame.pool import MetaGame as MetaGame
from lapg_theory.metagame.response import Response as Response
