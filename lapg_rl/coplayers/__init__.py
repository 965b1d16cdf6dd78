"""Co-players, with one interface: `init`, `act`, `end_of_inner_episode` (see `lapg_rl.rollout.meta_episode`)."""

from lapg_rl.coplayers.fixed import FixedStrategy as FixedStrategy
from lapg_rl.coplayers.meta import MetaAgent as MetaAgent
from lapg_rl.coplayers.naive import NaiveLearner as NaiveLearner
from lapg_rl.coplayers.reinforce import ReinforceLearner as ReinforceLearner
