"""Learning rules, one file each, one signature: `rule.step(game, horizon, joint_policy) -> joint_policy`."""

from lapg_theory.learning.alignment import AdvantageAlignment as AdvantageAlignment
from lapg_theory.learning.alignment import Loqa as Loqa
from lapg_theory.learning.cgd import Cgd as Cgd
from lapg_theory.learning.crld import ActorCritic as ActorCritic
from lapg_theory.learning.crld import Sarsa as Sarsa
from lapg_theory.learning.dice import LolaDice as LolaDice
from lapg_theory.learning.lapg import Lapg as Lapg
from lapg_theory.learning.lola import LolaFoerster as LolaFoerster
from lapg_theory.learning.lola import LolaTaylor as LolaTaylor
from lapg_theory.learning.lookahead import LookAhead as LookAhead
from lapg_theory.learning.naive import Naive as Naive
from lapg_theory.learning.pola import Pola as Pola
from lapg_theory.learning.rule import Match as Match
from lapg_theory.learning.rule import Rule as Rule
from lapg_theory.learning.sga import Sga as Sga
from lapg_theory.learning.sos import Sos as Sos
from lapg_theory.shaping.initialisations import expectation as expectation
from lapg_theory.shaping.initialisations import sobol_logits as sobol_logits
from lapg_theory.shaping.returns import naive_course as naive_course
from lapg_theory.shaping.returns import shaping_return as shaping_return
from lapg_theory.shaping.returns import shaping_value_and_gradient as shaping_value_and_gradient
from lapg_theory.shaping.weighting import effective_p_naive as effective_p_naive
