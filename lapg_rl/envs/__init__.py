"""Environments of two players, as pure functions on pytrees."""

from lapg_rl.envs.matrix_game import IteratedMatrixGame as IteratedMatrixGame
from lapg_rl.envs.reveal import Reveal as Reveal
