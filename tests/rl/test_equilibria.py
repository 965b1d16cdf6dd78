"""Equilibria and ranks of a tournament's table: Nashpy and OpenSpiel, against indifference and a chain solved by hand."""

import sys

import numpy as np
import pytest

from lapg_rl.interop.equilibria import alpha_rank, empirical_game, nash
from lapg_rl.study.standings import player_table

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
    with pytest.raises(ValueError, match=r'needs nashpy .*pip install "lapg\[games\]"'):
        nash(table(CYCLE))
    monkeypatch.setitem(sys.modules, "open_spiel.python.egt", None)
    with pytest.raises(ValueError, match=r'needs open_spiel .*pip install "lapg\[games\]"'):
        alpha_rank(table(CYCLE))
