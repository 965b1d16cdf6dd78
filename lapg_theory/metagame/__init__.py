"""The mixed-pool game of learning-aware agents: field, fixed points, best replies, basins, phase diagrams."""

from lapg_theory.metagame.atlas import Atlas as Atlas
from lapg_theory.metagame.atlas import FixedPoint as FixedPoint
from lapg_theory.metagame.cooperation import Cooperation as Cooperation
from lapg_theory.metagame.labels import LABELS as LABELS
from lapg_theory.metagame.pool import MetaGame as MetaGame
from lapg_theory.metagame.pool import project as project
from lapg_theory.metagame.response import Response as Response
