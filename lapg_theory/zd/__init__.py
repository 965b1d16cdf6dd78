"""Zero-determinant strategies: construct, test for feasibility, fit, and look at what they enforce."""

from lapg_theory.zd.enforce import Feasibility as Feasibility
from lapg_theory.zd.enforce import enforce as enforce
from lapg_theory.zd.enforce import equaliser as equaliser
from lapg_theory.zd.enforce import extortionate as extortionate
from lapg_theory.zd.enforce import feasible as feasible
from lapg_theory.zd.enforce import gamma_min as gamma_min
from lapg_theory.zd.enforce import generous as generous
from lapg_theory.zd.fit import ExtortionFit as ExtortionFit
from lapg_theory.zd.fit import Fit as Fit
from lapg_theory.zd.fit import extortion_fit as extortion_fit
from lapg_theory.zd.fit import fit as fit
from lapg_theory.zd.group import enforce_in_group as enforce_in_group
from lapg_theory.zd.polygon import PayoffPolygon as PayoffPolygon
from lapg_theory.zd.polygon import payoff_polygon as payoff_polygon
