"""Environments of two players, as pure functions on pytrees.

Each has `reset`, `step`, `num_actions`, `observation_size` and `one_hot`: whether every observation is a one-hot.
"""

from lapg_rl.envs.matrix_game import IteratedMatrixGame as IteratedMatrixGame
from lapg_rl.envs.reveal import Reveal as Reveal
