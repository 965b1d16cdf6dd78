"""Figures of other games: the numbers that are drawn, against formulas by hand and published ones."""

import numpy as np
import pytest

import lapg_theory as lt
from lapg_theory.ess import is_ess
from lapg_theory.figures.flows import CORNERS
from lapg_theory.game import Discounted, graded_dilemma, public_goods, rock_paper_scissors, stag_hunt, symmetric_game
from lapg_theory.learning import ActorCritic, Sarsa

COMMONS = {"n": 2, "f": 1.2, "c": 5, "m": -5, "q_r": 0.01}


def shares(line):
    """Drawn points as three chances again."""
    return np.linalg.solve(
        np.vstack([CORNERS.T, np.ones(3)]), np.vstack([*line.get_data(), np.ones(len(line.get_xdata()))])
    ).T


@pytest.mark.parametrize("game", [rock_paper_scissors(win=2), graded_dilemma()], ids=lambda game: game.name)
def test_paths_of_three_actions_take_the_steps_of_the_gradient(game):
    """d(p A p') / dlogits = p (A p' - p A p')."""
    start = np.array([0.5, 0.3, 0.2])
    path = shares(lt.plot.actions(game, [start], eta=0.3, updates=5).lines[1])
    theta = np.log(start)
    for drawn in path:
        p = np.exp(theta) / np.exp(theta).sum()
        np.testing.assert_allclose(drawn, p, atol=1e-12)
        worth = game.payoffs[0] @ p
        theta = theta + 0.3 * p * (worth - p @ worth)


def test_ends_on_the_triangle():
    even = shares(lt.plot.actions(rock_paper_scissors(), [[1 / 3] * 3], updates=50).lines[1])
    np.testing.assert_allclose(even, 1 / 3, atol=1e-12)
    defecting = shares(lt.plot.actions(graded_dilemma(), [[0.4, 0.3, 0.3]], eta=2.0, updates=400).lines[1])
    assert defecting[-1, 2] > 0.95


@pytest.mark.parametrize(
    ("rule", "beta"), [(ActorCritic(), None), (Sarsa(beta=50.0), 50.0)], ids=("actor-critic", "SARSA")
)
def test_the_flow_turns_at_the_published_separatrix(rule, beta):
    """Stag hunt R 1, T .8, S -.5, P 0: the row player gains by C if x > 5/7; with 1 / beta of exploration a little off it."""
    ax = lt.plot.flow(rule, stag_hunt(0.8, 1, 0, -0.5), Discounted(0.9), points=13)  # a grid of fourteenths
    (arrows,) = ax.collections
    x, y, along = arrows.X, arrows.Y, arrows.U
    slope = (0.7 * y - 0.5) * 0.1 if beta is None else beta * (0.7 * y - 0.5) * 0.1 - np.log(x / (1 - x))
    np.testing.assert_array_equal(np.sign(np.round(along, 9)), np.sign(np.round(slope, 9)))
    if beta is None:
        assert np.isclose(y, 5 / 7).any() and np.abs(along[np.isclose(y, 5 / 7)]).max() < 1e-6


def test_invaders_by_their_share():
    """In the dilemma (2, 1, 0, -1) a defector earns 1 above cooperators whatever its share; below tit-for-tat as by hand."""
    setting = {"game": lt.prisoners_dilemma(), "horizon": Discounted(0.9)}
    lines = {line.get_label(): line for line in lt.plot.invasion("allc", ["alld"], **setting, points=3).lines}
    np.testing.assert_allclose(lines["alld"].get_ydata(), 1)
    x = np.linspace(0, 1, 3)
    lines = {line.get_label(): line for line in lt.plot.invasion("tft", ["alld", "allc"], **setting, points=3).lines}
    np.testing.assert_allclose(lines["allc"].get_ydata(), 0, atol=1e-12)
    np.testing.assert_allclose(lines["alld"].get_ydata(), (1 - x) * (0.2 - 1) + x * (0 + 0.1), atol=1e-12)
    assert is_ess("tft", ["alld"], **setting)
    group = {"game": public_goods(3, 2), "horizon": Discounted(0.9)}
    (_, line) = lt.plot.invasion("grim", ["alld"], **group, points=3).lines
    ends = [0.4 / 3 - 1, 0.0 - (-1 / 30)]  # 4/3 once against 1; alone among defectors -1/3 once against 2/3 of 1 once
    ends[1] = 0.0 - -0.1 / 3
    np.testing.assert_allclose(line.get_ydata()[[0, -1]], ends, atol=1e-12)


def test_thresholds_of_the_commons_are_the_published_ones():
    ax = lt.plot.commons(over="q_c", values=[0.1, 0.2, 0.4], **COMMONS)
    assert [line.get_ydata()[1] for line in ax.lines] == pytest.approx([0.671141, 0.911002], abs=5e-7)
    regions = {region.get_label(): region.get_paths()[0].get_extents() for region in ax.collections}
    assert regions["all defect"].y0 == 0 and regions["all cooperate"].y1 == 1
    with pytest.raises(ValueError, match="needs a number for m"):
        lt.plot.commons(over="q_c", values=[0.1], n=2, f=1.2, c=5, q_r=0.01)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ((symmetric_game(2, 1, 0, -1), [[1.0]]), "three actions"),
        ((rock_paper_scissors(), [[0.5, 0.5, 0.5]]), "sum to 1"),
    ],
)
def test_what_is_no_triangle_is_refused(given, says):
    with pytest.raises(ValueError, match=says):
        lt.plot.actions(*given)


def test_a_phase_picture_reads_as_its_table_does(tmp_path):
    """From top to bottom, every cell inside, with a legend of the letters."""
    pool = lt.MetaGame(lt.prisoners_dilemma(), gamma=0.99, p_naive=0.5, eta=4.0, updates=5, nodes=8)
    ax = lt.plot.phase(lt.attractor_map(pool, p_naive=[0, 0.995], over="tau", values=[2, 20]))
    assert [text.get_text() for text in ax.get_yticklabels()] == ["2", "20"] and ax.get_ylim() == (1.5, -0.5)
    assert ax.get_xlim() == (-0.5, 1.5)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["D defect", "E extort", "C cooperate"]
    with pytest.raises(ValueError, match=r"width must be a finite number, got '3\.3in'"):
        lt.plot.save(ax, tmp_path / "x.pdf", width="3.3in")
    with pytest.raises(ValueError, match="width must be > 0 and <= 60 inches, got 84"):
        lt.plot.save(ax, tmp_path / "x.pdf", width=84)
