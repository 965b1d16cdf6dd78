"""Exact theory of learning agents in iterated 2x2 games: returns, learning dynamics, fixed points, thresholds."""

from lapg_theory import _backend as _backend
