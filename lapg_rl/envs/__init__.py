"""Environments of two players, as pure functions on pytrees."""

from lapg_rl.envs.matrix_game import IteratedMatrixGame as IteratedMatrixGame
