"""Which end a pool reaches, foretold: the edge and window of pure shaping, the folds of entropy, the time to leave E."""

import dataclasses
import functools
import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from basin_reference import slope
from metagame_reference import PD, reference_field, small
from scipy.special import expit, logit
from scipy.stats import t as student

from lapg_rl.commands import training
from lapg_rl.commands.main import main, parsed
from lapg_rl.config import override, preset
from lapg_theory import MetaGame, exact_returns
from lapg_theory.basin import (
    Pool,
    Stage,
    escape,
    folds,
    follow,
    integrate,
    limit_time,
    pool_of,
    random_starts,
    shaping_path,
    small_pool,
)
from lapg_theory.basin.entropy import Branching
from lapg_theory.basin.shaping_path import estimate
from lapg_theory.commands import basin
from lapg_theory.game import CD, Discounted, FiniteHorizon, prisoners_dilemma

LEARNER = np.array([[0.3, -0.5, 0.2, 0.8, -0.1]])
SHORT = Pool(PD, FiniteHorizon(2), 1.5, 1, LEARNER)


def test_gradients_on_the_path_are_those_of_every_course_of_play_listed():
    path = shaping_path(SHORT, random_starts(1, 2, seed=1)[0], steps=4, every=2)
    assert path.steps.tolist() == [0, 2, 4]
    for run in (0, 1):
        theta = logit(path.policies[2, run])
        given = (LEARNER[0], 1.5, 1, 2)
        np.testing.assert_allclose(path.shaping[2, run], slope(PD, theta, theta, 1.0, 0.0, *given), atol=1e-9)
        np.testing.assert_allclose(path.own[2, run], slope(PD, theta, theta, 0.0, 0.0, *given), atol=1e-9)


def test_at_the_edge_forgiveness_stands_still():
    meta = small(0.25)
    path = shaping_path(pool_of(meta, meta.nodes), np.zeros((1, 5)), steps=300, every=20)
    k = int(np.where(path.shaping[:, 0, CD] < 0, path.bound(CD)[:, 0], 0).argmax())
    edge, p = float(path.edge[0]), path.policies[k, 0]
    assert 0.3 < edge < 0.9
    for share, sign in ((edge - 0.02, 1), (edge + 0.02, -1)):
        mixed = MetaGame(PD, gamma=0.99, eta=4.0, updates=5, nodes=32, p_naive=share)
        assert np.sign(reference_field(mixed, p, p)[0, CD]) == sign


@pytest.mark.slow
@pytest.mark.parametrize(("gamma", "eta", "edge"), [(0.9, 2, 0.48), (0.95, 2, 0.66), (0.99, 2, 0.75), (0.99, 1, 0.75)])
def test_edges_that_an_independent_kernel_found(gamma, eta, edge):
    meta = MetaGame(PD, gamma=gamma, eta=eta, p_naive=0.5)
    path = shaping_path(pool_of(meta, 64, 4), np.zeros((4, 5)), steps=600, every=10)
    found = estimate(path.edge)
    assert abs(found.value - edge) < found.half + 0.01
    assert [window["opens"]["versus_naive"] for window in path.window()] == pytest.approx([0.62] * 4, abs=0.11)


def test_the_window_is_where_self_play_builds_every_part_of_cooperation():
    path = shaping_path(small_pool(), np.zeros((1, 5)), steps=300, every=10)
    (window,) = path.window()
    inside = [(reference > 0).all() for reference in path.own[:, 0]]
    seen = path.steps[np.flatnonzero(inside)]
    assert (window["opens"]["steps"], window["closes"]["steps"]) == (seen[0], seen[-1] + 10)
    assert 0.5 < window["opens"]["versus_naive"] < 0.75

    def returns(theta):
        p = expit(theta)
        return [exact_returns(PD, expit(theta + h), p, FiniteHorizon(10))[0] / 10 for h in 1e-5 * np.eye(5)]

    for k, sign in ((inside.index(True), 1), (1, -1)):
        theta = logit(path.policies[k, 0])
        slopes = (
            np.array(returns(theta)) - exact_returns(PD, expit(theta), expit(theta), FiniteHorizon(10))[0] / 10
        ) / 1e-5
        np.testing.assert_allclose(slopes, path.own[k, 0], atol=1e-5)
        assert (np.sign(slopes) == sign).all()


def test_estimates_have_the_interval_of_student():
    found = estimate([1.0, 2.0, 4.0])
    assert found.value == pytest.approx(7 / 3)
    assert found.half == pytest.approx(student.ppf(0.975, 2) * np.std([1, 2, 4], ddof=1) / 3**0.5)
    assert np.isnan(estimate([1.0]).half)


@functools.cache
def branches(share):
    return folds(small_pool(eta=3.0), share)


def test_policies_on_a_branch_are_at_rest():
    found = branches(0.5)["extort"]
    theta = logit(found.policies[5, 0])
    run = integrate(
        small_pool(eta=3.0), [Stage(0.5, entropy=found.temperatures[5, 0], rate=1.0)], np.tile(theta, (1, 2, 1)), steps=50,
        every=50, optimiser="ascent",
    )  # fmt: skip
    np.testing.assert_allclose(run.policies[-1], run.policies[0], atol=1e-4)


def test_extortion_is_left_above_its_fold_and_kept_below():
    found = branches(0.5)["extort"]
    (fold,) = found.folds
    k = int(np.abs(found.temperatures[:, 0] - 0.85 * fold).argmin())
    start = np.tile(logit(found.policies[k, 0]), (1, 2, 1))
    ends = [
        integrate(small_pool(eta=3.0), [Stage(0.5, entropy=T)], start, steps=1200, every=100).among[-1, 0]
        for T in (0.9 * fold, 1.15 * fold)
    ]
    assert ends[0] < 0.05 < 0.8 < ends[1]


def test_without_naive_learners_defection_outlasts_any_bonus():
    """Where answers depend on nothing, defecting gains T - R = P - S = 1 everywhere: p = 1 / (1 + exp(1 / temperature))."""
    given = logit(np.array([[0.01, 0.05, 0.01, 0.05, 0.01]])) + np.zeros((1, 2, 1))
    for temperature in (0.2, 0.4):
        found = integrate(small_pool(), [Stage(0.0, entropy=temperature)], given, steps=2000, every=500)
        np.testing.assert_allclose(found.policies[-1], 1 / (1 + np.exp(1 / temperature)), rtol=0.02)
    assert np.max(folds(small_pool(), 0.0)["cooperate"].folds) == pytest.approx(0.306, abs=1e-3)


def test_brackets_that_hysteresis_found():
    assert 0.1 < branches(0.5)["extort"].fold.value < 0.2
    assert np.isinf(branches(0.5)["cooperate"].fold.value)
    assert np.isinf(branches(0.75)["extort"].fold.value)
    assert 0.1 < branches(0.75)["cooperate"].fold.value < 0.2
    assert np.isnan(branches(0.5)["extort"].fold.half), "one set of learners has no error bar"


def test_a_branch_that_starts_at_the_wrong_end_is_refused():
    with pytest.raises(ValueError, match=r"no rest point near the end 'extort' was found from T = 0\.5 on"):
        follow(small_pool(eta=3.0), 0.5, "extort", start=0.5, stop=1.0)


def test_a_fold_is_found_where_the_end_cannot_be_begun_from_at_the_usual_temperature(capsys):
    """Axelrod's payoffs, (5, 3, 1, 0) in units of R - P: tables begun a little to each side of the fold stay and leave."""
    pool = small_pool(game=prisoners_dilemma(2, 1, 0, -0.5))
    found = follow(pool, 0.25, "extort")
    (fold,) = found.folds
    k = int(np.abs(found.temperatures[:, 0] - 0.95 * fold).argmin())
    start = np.tile(logit(found.policies[k, 0]), (1, 2, 1))
    stays, leaves = (
        integrate(pool, [Stage(0.25, entropy=T)], start, steps=1500, every=100).among[-1, 0]
        for T in (0.9 * fold, 1.2 * fold)
    )
    assert stays < 0.05 < 0.8 < leaves

    assert (
        main(["theory", "basin", "--payoffs", "2,1,0,-0.5", "--shares", "0.25", "--runs", "1", "--agent-updates", "1"])
        == 0
    )
    said = capsys.readouterr().out
    assert f"0.25   {fold:.3f}" in said and "below a share of 0." in said
    assert "    lapg train ipd-steered-small game.S=-0.5 --run runs/steered" in said.splitlines()
    assert "where these payoffs are" not in said


def test_every_set_of_learners_begins_where_it_can():
    """One set's branch can be followed from .015 alone, another's only from above."""
    game = prisoners_dilemma(2, 1, 0, -0.5)
    drawn = np.random.default_rng(0).normal(size=(1, 5))
    sets = [np.zeros((1, 5)), drawn]
    together = follow(Pool(game, FiniteHorizon(10), 2.7088, 19, np.stack(sets)), 0.25, "extort").folds
    alone = [follow(Pool(game, FiniteHorizon(10), 2.7088, 19, each), 0.25, "extort").folds[0] for each in sets]
    assert np.isfinite(together).all()
    np.testing.assert_allclose(together, alone, rtol=1e-3)


def training_of(options):
    arguments = parsed(["theory", "basin", *options.split()])
    return basin.training(basin.pools(arguments)[1], arguments)


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        ("", []),
        ("--payoffs=5,3,1,0", ["game.S=-0.5"]),
        ("--payoffs=3,1,0,-2 --steps 5 --agents 2", ["game.T=3", "game.S=-2", "steps=5", "pool.agents=2"]),
    ],
)
def test_the_command_that_trains_what_was_foretold_is_in_units_of_the_dilemma(options, changes):
    _, *words = shlex.split(training_of(options))
    given = parsed(words)
    ((found, _),) = training.fresh(given)
    assert given.run == Path("runs/steered")
    assert found == dataclasses.replace(override(preset("ipd-steered-small"), changes), name=found.name)


def test_no_training_is_told_of_where_there_is_no_dilemma_or_a_discount():
    for options in ("--payoffs=3,4,1,0", "--noise 0.05", "--gamma 0.9 --nodes 2 --scramblings 1"):
        assert training_of(options) is None


@pytest.mark.parametrize("more", ["", "--noise 0.05", "--gamma 0.9 --nodes 2 --scramblings 1"])
def test_what_is_foretold_knows_no_units_of_payoffs(more):
    """Axelrod's payoffs as he wrote them, 2 to the unit and 1 above 0, are those in units of R - P above P."""

    def pools(payoffs):
        return basin.pools(parsed(["theory", "basin", f"--payoffs={payoffs}", *more.split()]))

    np.testing.assert_equal([vars(one) for one in pools("5,3,1,0")], [vars(one) for one in pools("2,1,0,-0.5")])


def test_who_gives_other_units_is_told_which_ones_are_printed(capsys):
    few = "theory basin --payoffs=5,3,1,0 --shares 0.5 --runs 1 --agent-updates 1 --quiet"
    assert main(few.split()) == 0
    assert "in units of R - P above P, where these payoffs are 2,1,0,-0.5; so is --eta" in capsys.readouterr().out


@pytest.mark.parametrize(("payoffs", "got"), [("2,0,1,3", "R = 0 and P = 1"), ("2,1,1,0", "R = 1 and P = 1")])
def test_a_pool_without_gains_from_cooperation_has_no_unit(capsys, payoffs, got):
    assert main(["theory", "basin", f"--payoffs={payoffs}", "--quiet"]) == 2
    assert (
        f"--payoffs needs R > P, whose difference is the unit of what agents earn, got {got}" in capsys.readouterr().err
    )


def test_a_branch_that_was_lost_is_not_one_without_a_fold():
    lost = Branching(np.ones((1, 2)), np.ones((1, 2, 5)), np.ones((1, 2)), np.array([np.nan, np.inf]))
    assert np.isnan(lost.fold.value)


def test_the_pull_at_extortion_is_what_the_other_answers_to_a_first_cooperation():
    gamma, p_DC = 0.99, 0.6
    pool = Pool(PD, Discounted(gamma), 2.0, 1, LEARNER)
    value = (-1 + gamma * p_DC * 2) / (1 - (gamma * p_DC) ** 2)  # S, then T after p_DC, and so on by turns
    found = escape(pool, (0.3, 0.9, 0.0, p_DC, 0.7), 0.0)
    assert found.opening == pytest.approx((1 - gamma) * value)
    assert found.forgiving == pytest.approx(gamma * value)


@pytest.mark.parametrize(("state", "other"), [(0, 4), (4, 0)])
def test_extortion_is_left_in_the_time_that_the_closed_form_says(state, other):
    pool, policy = small_pool(), np.array([1e-5, 1 - 1e-6, 1e-6, 1 - 1e-6, 1e-5])
    policy[other] = 1e-9
    found = escape(pool, policy, 0.0)
    drive = (found.opening, found.forgiving)[state == 4]
    assert drive > 0
    rate = 0.02 / (drive * policy[state])
    steps = found.steps(policy[0], policy[4], rate, to=2 * policy[state])
    assert steps == pytest.approx(0.5 / (rate * drive * policy[state]), rel=1e-3), "half of 1 / (rate a p)"
    held = Stage(0.0, rate=rate)
    run = integrate(pool, [held], np.tile(logit(policy), (1, 2, 1)), steps=60, every=1, optimiser="ascent")
    passed = np.interp(2 * policy[state], run.policies[:, 0, 0, state], run.steps)
    assert passed == pytest.approx(steps, rel=0.05)


def test_where_forgiveness_is_in_between_it_grows_along_and_the_limit_flow_says_how_long_it_takes():
    pool, policy = small_pool(), np.array([1e-4, 0.95, 0.095, 0.495, 1e-4])
    time = limit_time(pool, policy)
    assert limit_time(pool, policy * [0.1, 1, 1, 1, 0.1]) == pytest.approx(10 * time, rel=1e-6)
    assert time < 0.2 * escape(pool, policy, 0.0).steps(1e-4, 1e-4, 1.0)
    held = Stage(0.0, rate=time / 500)
    run = integrate(pool, [held], np.tile(logit(policy), (1, 2, 1)), steps=550, every=1, optimiser="ascent")
    left = run.steps[np.argmax(run.policies[:, 0, 0, [0, 4]].max(1) > 0.3)]
    assert left == pytest.approx(500, rel=0.03)
    assert np.isinf(limit_time(pool, (1e-4, 0.95, 0.01, 0.1, 1e-4)))


def test_what_nothing_pulls_at_is_never_left():
    found = escape(small_pool(), (0, 1, 0, 0.38, 0), 0.5)
    assert found.opening < 0 and found.forgiving < 0
    assert found.steps(0.01, 0.01, 1.0) == np.inf
    with pytest.raises(ValueError, match="below to"):
        found.steps(0.6, 0.01, 1.0)


@pytest.mark.slow
def test_the_command(capsys):
    options = ["--runs", "4", "--agents", "2", "--updates-of-agents", "400", "--shares", "0.5,0.75"]
    assert main(["theory", "basin", *options, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert 0.1 < printed["path"]["edge"]["value"] < 0.4
    assert [x["T_E"]["value"] == "inf" for x in printed["folds"]] == [False, True]
    assert printed["recipes"]["recipe"]["shares"]["cooperate"][0] == 1
    assert printed["recipes"]["entropy at .75"]["shares"]["cooperate"][0] == 0
    assert printed["recipes"]["copies"]["shares"]["cooperate"][0] == 1
    assert printed["recipes"]["copies of extorters"]["shares"]["extort"][0] == 1
    assert main(["theory", "basin", *options]) == 0
    assert "none below 1" in capsys.readouterr().out
