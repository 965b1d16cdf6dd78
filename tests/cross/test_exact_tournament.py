"""Tournaments of fixed policies against the exact returns of the theory."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "rl"))

from folders import TABULAR, run_of

from lapg_rl.study.tournament import tournament
from lapg_theory import exact_returns
from lapg_theory.game import NAMED, FiniteHorizon, extortioner, prisoners_dilemma

P, Q = (0.3, 0.9, 0.2, 0.6, 0.1), (0.8, 0.7, 0.4, 0.2, 0.5)
STRATEGIES = ("random", "tft", "gtft", "wsls", "alld", "zd-extort-3")


@pytest.mark.parametrize("payoffs", [(2, 1, 0, -1), (5, 3, 1, 0)])
def test_every_cell_is_the_exact_return(tmp_path, payoffs):
    """Each of 64 cells within 5 standard errors (+ 1e-4 for clipped probabilities): by chance once in 27,000 keys."""
    game = prisoners_dilemma(*payoffs)
    settings = dataclasses.replace(TABULAR.game, **dict(zip("TRPS", map(float, payoffs), strict=True)))
    cfg = dataclasses.replace(TABULAR, game=settings)
    folders = [run_of(tmp_path / name, [policy], cfg) for name, policy in (("p", P), ("q", Q))]
    table = tournament(folders, STRATEGIES, meta_batch=150).players
    assert table.names == ["p", "q", *STRATEGIES]
    policies = [P, Q, *(NAMED[name] for name in STRATEGIES[:-1]), extortioner(game, 3)]
    exact = np.array([[exact_returns(game, p, q, FiniteHorizon(6))[0] / 6 for q in policies] for p in policies])
    rewards, errors = np.array(table.rewards), np.array(table.errors)
    assert np.all(np.abs(rewards - exact) < 5 * errors + 1e-4)
    assert errors.max() < 0.1
    others = (rewards.sum(1) - np.diag(rewards)) / (len(policies) - 1)
    assert [rank.name for rank in table.ranking] == [table.names[n] for n in np.argsort(-others)]
    assert [rank.score for rank in table.ranking] == pytest.approx(sorted(others, reverse=True), abs=1e-5)
