"""Tournaments of fixed policies against the exact returns of the theory."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "rl"))

from folders import TABULAR, run_of

from lapg_rl.config import GameConfig
from lapg_rl.study.tournament import tournament
from lapg_theory import exact_returns, general_returns
from lapg_theory.game import (
    NAMED,
    FiniteHorizon,
    extortioner,
    group_strategy,
    normal_form,
    prisoners_dilemma,
    public_goods,
)

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


def test_every_composition_of_a_group_earns_its_exact_return(tmp_path):
    """Four players, every way to share the seats: each of 40 figures within 5 standard errors, by chance once in 4,600 keys.

    The exact returns tell the players apart: 16 joint actions, where the tournament counts cooperators.
    """
    n, names = 4, ["p", "tft", "grim", "random"]
    game = GameConfig(kind="public-goods", players=n, factor=2.0)
    policy = (0.3, 0.9, 0.7, 0.2, 0.6, 0.8, 0.4, 0.3, 0.1)
    folder = run_of(tmp_path / "p", [policy], dataclasses.replace(TABULAR, game=game, steps=3))
    cup = tournament([folder], names[1:], meta_batch=60, curves=True)
    policies = {"p": policy} | {name: group_strategy(name, n) for name in names[1:]}

    def apart(found):
        rows = [found[0]]
        for s in range(16):
            own, *others = (s >> 3 - k & 1 for k in range(4))
            rows.append(found[1 + 4 * own + sum(others)])
        return np.array(rows)

    def exact(one, other, seats):
        held = [apart(policies[one])] * seats + [apart(policies[other])] * (n - seats)
        found = general_returns(normal_form(public_goods(n, 2.0)), held, FiniteHorizon(3)) / 3
        return found[0], found[-1]

    table = cup.players
    assert table.names == names
    expected = np.array([[exact(one, other, 1 if one != other else n)[0] for other in names] for one in names])
    assert np.all(np.abs(np.array(table.rewards) - expected) < 5 * np.array(table.errors) + 1e-4)
    assert np.array(table.errors).max() < 0.05
    assert len(cup.curves) == 6
    for curve in cup.curves:
        expected = np.array([exact(*curve.names, seats) for seats in (1, 2, 3)]).T
        assert np.all(np.abs(np.array(curve.rewards) - expected) < 5 * np.array(curve.errors) + 1e-4)
        i, j = (names.index(name) for name in curve.names)
        assert [curve.rewards[0][0], curve.rewards[1][2]] == [table.rewards[i][j], table.rewards[j][i]]
