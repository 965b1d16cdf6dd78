"""Two extorters that learn from each other: the closed forms, and the table's script against other integrators and games."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit, logit

from lapg_theory import exact_returns, iterate
from lapg_theory.basin import Pool, escape
from lapg_theory.game import Discounted, prisoners_dilemma
from lapg_theory.learning import Naive
from lapg_theory.symbolic.zd import gain_of_cooperating, least_determinism
from lapg_theory.zd import enforce, extortionate

PAGE = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "results" / "two_extorters.py"))
PD, GAMMA = PAGE["GAME"], PAGE["GAMMA"]


def advantages(game, p, q, gamma):
    """What cooperating adds in each state, by a dense solve; q in its own view."""
    q = q[[0, 1, 3, 2, 4]]
    moves = np.stack([p * q, p * (1 - q), (1 - p) * q, (1 - p) * (1 - q)], axis=1)
    after = np.linalg.solve(np.eye(4) - gamma * moves[1:], game.row_payoffs)
    return q * (after[0] - after[2]) + (1 - q) * (after[1] - after[3])


def test_between_two_who_enforce_lines_cooperating_gains_the_same_in_every_state():
    game = prisoners_dilemma(5, 3, 1, 0.2)
    for slopes, phis, baselines in (((0.4, 0.7), (0.12, 0.08), (1, 1)), ((0.3, 0.6), (0.1, 0.07), (1, 3))):
        pair = [
            enforce(game, 0.97, baseline=at, slope=s, phi=f) for at, s, f in zip(baselines, slopes, phis, strict=True)
        ]
        wanted = gain_of_cooperating()(s=slopes[0], s_2=slopes[1], phi=phis[0])
        np.testing.assert_allclose(advantages(game, *pair, 0.97), wanted, rtol=1e-10)


@pytest.mark.parametrize(("benefit", "cost", "chi", "phi"), [(2, 1, 2, 0.2), (4, 1, 3, 0.1)])
def test_all_slopes_of_softened_extorters_turn_at_the_least_determinism(benefit, cost, chi, phi):
    game = prisoners_dilemma(benefit, benefit - cost, 0, -cost)
    policy, least = extortionate(game, 0.98, chi, phi=phi), least_determinism()(b=benefit, c=cost, chi=chi, phi=phi)
    for determinism, sign in ((least - 1e-3, -1), (least + 1e-3, 1)):
        p, step = 0.5 + determinism * (policy - 0.5), 1e-5 * np.eye(5)
        up, down = (exact_returns(game, p + h, p, Discounted(0.98))[0] for h in (step, -step))
        assert (np.sign(up - down) == sign).all()


def test_the_drives_out_of_extortion_are_that_gain_by_visits():
    policy = extortionate(PD, GAMMA, 2, phi=0.2)
    drives = escape(Pool(PD, Discounted(GAMMA), 0.0, 0, np.zeros((1, 5))), policy, 0.0)
    gain = gain_of_cooperating()(s=0.5, s_2=0.5, phi=0.2)
    assert (drives.opening, drives.forgiving) == pytest.approx(((1 - GAMMA) * gain, GAMMA * gain), rel=1e-9)


def test_deterministic_extorters_come_to_cooperate_and_come_to_defect_again():
    """The table's course in float64 by the naive rule; the collapse is not of float32, nor of the pool's code."""
    policy = extortionate(PD, GAMMA, 2)
    found = PAGE["trained"](policy, 0.99, 0.1, "ascent", pairs=2, steps=400)
    starts = logit(found.policies[0])
    path = iterate(Naive(rate=2.0), PD, Discounted(GAMMA), (starts[:, 0], starts[:, 1]), 400, record_every=20)
    np.testing.assert_allclose(found.among[:4], path.rewards.mean(-1)[:4], atol=2e-3)
    for among in (found.among, path.rewards.mean(-1)):
        assert (among.max(0) > 0.75).all() and (among[-1] < 0.25).all()
    assert PAGE["outcome"](found).endswith("; 0, 2")


def sampled(p, q, gamma, rng, games=300):
    """Gradients in logits of both returns per step, from games that end with chance 1 - gamma after each step."""
    theirs, pay = np.array([0, 1, 3, 2, 4]), np.array([PD.row_payoffs, np.take(PD.row_payoffs, [0, 2, 1, 3])], float)
    state, going, scores, rewards = np.zeros(games, int), np.ones(games, bool), [], []
    while going.any():
        chances = np.stack([p[state], q[theirs[state]]])
        cooperates = rng.random((2, games)) < chances
        score = np.zeros((2, games, 5))
        for seat, seen in enumerate((state, theirs[state])):
            score[seat, np.arange(games), seen] = (cooperates[seat] - chances[seat]) * going
        outcome = 3 - 2 * cooperates[0] - cooperates[1]
        scores.append(score)
        rewards.append(pay[:, outcome] * going)
        state, going = 1 + outcome, going & (rng.random(games) < gamma)
    left = np.cumsum(np.array(rewards)[::-1], 0)[::-1]
    return (np.array(scores) * left[..., None]).sum(0).mean(1) * (1 - gamma)


def test_sampled_learners_come_to_cooperate_above_the_least_determinism_and_not_below():
    """REINFORCE on tables, played out in NumPy. One fixed seed; over four seeds the ends lie within .05 of each other, so
    the chance of a false alarm with another one is far below a thousandth."""
    gamma, ends = 0.95, {}
    policy = extortionate(PD, gamma, 1.5)
    for determinism in (0.5, 0.97):
        rng, logits = np.random.default_rng(0), np.tile(logit(0.5 + determinism * (policy - 0.5)), (2, 1))
        for _ in range(16):
            logits = logits + 2.0 * sampled(*expit(logits), gamma, rng)
        ends[determinism] = float(sum(exact_returns(PD, *expit(logits), Discounted(gamma))) * (1 - gamma) / 2)
    assert ends[0.5] < 0.4 and ends[0.97] > 0.5, ends
