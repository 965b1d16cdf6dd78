"""Equilibria and ranks of a tournament's table: Nashpy and OpenSpiel, against indifference and a chain solved by hand."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from lapg_rl.interop.equilibria import alpha_rank, empirical_game, fixation, nash
from lapg_rl.study.standings import player_table
from lapg_theory.evolution import Population

HAWK_DOVE = [[-1.0, 4.0], [0.0, 2.0]]
CYCLE = [[0.0, -1.0, 2.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]


def table(rewards, names="abc"):
    cells = [[None if cell is None else np.full(3, cell) for cell in row] for row in rewards]
    return player_table(list(names[: len(rewards)]), cells, np.full((len(rewards),) * 2, np.nan))


def test_the_game_has_the_rows_of_the_table():
    game, names = empirical_game(table(CYCLE), ["c", "a"])
    assert names == ["c", "a"]
    assert game.payoffs[0].tolist() == [[0, -1], [2, 0]]
    assert game.is_symmetric
    with pytest.raises(ValueError, match=r"b and c did not meet; leave them out: players=\['a'\]"):
        empirical_game(table([[0.0, 1.0, 1.0], [0.0, 0.0, None], [0.0, None, 0.0]]))
    with pytest.raises(ValueError, match="no player 'd' in the table; there are a, b, c"):
        empirical_game(table(CYCLE), ["a", "d"])
    with pytest.raises(ValueError, match="needs a tournament or one of its tables, got 3"):
        empirical_game(3)


def test_equilibria_are_those_of_indifference():
    pytest.importorskip("nashpy", reason="needs nashpy, which the group `test` installs")
    found = nash(table(HAWK_DOVE))
    share = (4 - 2) / (4 - 2 + 0 + 1)  # hawks and doves earn the same
    mixed = [e for e in found if len(e.row) == 2]
    assert len(found) == 3
    assert mixed[0].row == pytest.approx({"a": share, "b": 1 - share})
    assert mixed[0].rewards == pytest.approx([2 * (1 - share)] * 2)
    assert {(*e.row, *e.column) for e in found if len(e.row) == 1} == {("a", "b"), ("b", "a")}
    with pytest.raises(ValueError, match="at most 7, got 8; name some with players="):
        nash(table(np.zeros((8, 8)).tolist(), "abcdefgh"))


def ranked(own, alpha, population):
    """The stationary distribution of the chain of monomorphic populations (Omidshafiei et al. 2019, eqs. 10 to 12)."""
    own, m, n = np.asarray(own), population, len(own)
    chain = np.zeros((n, n))
    for s in range(n):
        for r in set(range(n)) - {s}:
            p = np.arange(1, m)  # mutants r among residents s
            mutant = ((p - 1) * own[r, r] + (m - p) * own[r, s]) / (m - 1)
            resident = (p * own[s, r] + (m - p - 1) * own[s, s]) / (m - 1)
            chain[s, r] = 1 / (1 + np.exp(-alpha * (mutant - resident)).cumprod().sum()) / (n - 1)
        chain[s, s] = 1 - chain[s].sum()
    equations = np.vstack([chain.T - np.eye(n), np.ones(n)])
    return np.linalg.lstsq(equations, np.append(np.zeros(n), 1.0), rcond=None)[0]


@pytest.mark.parametrize("rewards", [CYCLE, HAWK_DOVE])
def test_ranks_are_the_stationary_distribution(rewards):
    pytest.importorskip("pyspiel", reason="needs open_spiel, which the group `test` installs")
    found = alpha_rank(table(rewards), alpha=0.7, population=12)
    expected = ranked(rewards, 0.7, 12)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert [found[name] for name in "abc"[: len(rewards)]] == pytest.approx(expected, abs=1e-8)
    with pytest.raises(ValueError, match="alpha must be a finite number > 0, got 0"):
        alpha_rank(table(rewards), alpha=0)


def test_a_missing_package_is_told_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "nashpy", None)
    with pytest.raises(ValueError, match=r'needs nashpy .*pip install ".\[games\]"'):
        nash(table(CYCLE))
    monkeypatch.setitem(sys.modules, "open_spiel.python.egt", None)
    with pytest.raises(ValueError, match=r'needs open_spiel .*pip install ".\[games\]"'):
        alpha_rank(table(CYCLE))


def takes_over(own, mutant, resident, population, beta):
    """The chance of one mutant, in closed form: sums of lines are parabolas (Traulsen, Nowak & Pacheco 2006, eq. 7)."""
    (a, b), (c, d) = np.asarray(own)[np.ix_([mutant, resident], [mutant, resident])]
    k, n = np.arange(1, population), population
    slope, level = (a - b - c + d) / (n - 1), (n * (b - d) - a + d) / (n - 1)
    return 1 / (1 + np.exp(-beta * (slope * k * (k + 1) / 2 + level * k)).sum())


def test_what_is_paid_by_name_is_a_table_too():
    game, names = empirical_game(Population(("x", "y"), [[1.0, 2.0], [3.0, 4.0]]), ["y", "x"])
    assert (names, game.payoffs[0].tolist()) == (["y", "x"], [[4, 3], [2, 1]])
    with pytest.raises(ValueError, match=r"payoffs of 2 names must have the shape \(2, 2\), got \(1, 2\)"):
        empirical_game(SimpleNamespace(names=["x", "y"], payoffs=[[1.0, 2.0]]))


@pytest.mark.parametrize("beta", [0.01, 0.5])
def test_fixation_is_that_of_the_closed_form(beta):
    pytest.importorskip("egttools", reason='needs the extra "egt", on Python 3.11 or 3.12')
    own, names, size = np.random.default_rng(0).normal(size=(4, 4)), "abcd", 20
    found = fixation(Population(tuple(names), own), beta=beta, population=size)
    for i, resident in enumerate(names):
        for j, mutant in enumerate(names):
            if i != j:
                assert found.chances[resident][mutant] == pytest.approx(takes_over(own, j, i, size, beta), abs=1e-7)
    expected = ranked(own, beta, size)
    assert [found.shares[name] for name in names] == pytest.approx(expected, abs=1e-5)
    assert list(found.shares.values()) == sorted(found.shares.values(), reverse=True)
    drift = fixation(Population(("a", "b"), np.ones((2, 2))), beta=beta, population=size)
    assert drift.chances["a"]["b"] == pytest.approx(1 / size)


def test_selection_that_leaves_several_kinds_for_ever_is_refused():
    pytest.importorskip("egttools", reason='needs the extra "egt", on Python 3.11 or 3.12')
    with pytest.raises(ValueError, match=r"beta = 50.0 is so strong that 2 sets of kinds are never left"):
        fixation(Population(("a", "b"), [[2.0, 0.0], [0.0, 1.0]]), beta=50.0)


def test_a_population_without_egttools_is_refused_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "egttools.analytical", None)
    types = Population(("a", "b"), np.ones((2, 2)))
    with pytest.raises(ValueError, match=r'needs EGTTools .*Python 3.11 and 3.12 only: pip install ".\[egt\]"'):
        fixation(types)
    with pytest.raises(ValueError, match="beta must be a finite number > 0, got 0"):
        fixation(types, beta=0)
    with pytest.raises(ValueError, match=r"players must be at least two, got \['a'\]"):
        fixation(types, ["a"])
