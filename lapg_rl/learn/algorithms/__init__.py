"""Ways to update an agent other than by credits on sampled play: `(config, agent, optimiser state, company, key)` each.

`lapg_rl.learn.training_step.ALGORITHMS` is the table of all.
"""

from lapg_rl.learn.algorithms.lola_dice import lola_dice as lola_dice
from lapg_rl.learn.algorithms.shaper import shaper as shaper
