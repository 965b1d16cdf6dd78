"""Co-players, with one interface: `init`, `act`, `end_of_inner_episode` (see `lapg_rl.play.rollout.meta_episode`)."""

from lapg_rl.play.coplayers.as_ego import AsEgo as AsEgo
from lapg_rl.play.coplayers.cleanup import CleanUpScript as CleanUpScript
from lapg_rl.play.coplayers.coin import CoinScript as CoinScript
from lapg_rl.play.coplayers.fixed import FixedStrategy as FixedStrategy
from lapg_rl.play.coplayers.group import Group as Group
from lapg_rl.play.coplayers.meta import MetaAgent as MetaAgent
from lapg_rl.play.coplayers.naive import NaiveLearner as NaiveLearner
from lapg_rl.play.coplayers.reinforce import ReinforceLearner as ReinforceLearner
