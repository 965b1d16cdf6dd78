"""Ways to update an agent; see `lapg_rl.interfaces.Algorithm`."""

from lapg_rl.learn.algorithms.lola_dice import lola_dice as lola_dice
from lapg_rl.learn.algorithms.lola_dice import pola as pola
from lapg_rl.learn.algorithms.policy_gradient import policy_gradient as policy_gradient
from lapg_rl.learn.algorithms.ppi import ppi as ppi
from lapg_rl.learn.algorithms.shaper import shaper as shaper
