"""Schedules and the dynamics of the exact pool under them."""

import dataclasses
import functools

import basin_reference
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from basin_reference import cooperation, reward, slope
from metagame_reference import PD, reference_field, small
from scipy.special import expit, logit

from lapg_theory import float64
from lapg_theory.basin import Pool, Stage, integrate, pool_of, random_starts, small_pool
from lapg_theory.basin.course import field, wilson
from lapg_theory.basin.stages import MEASURES, plan
from lapg_theory.game import FiniteHorizon
from lapg_theory.metagame.ascent import learn

LEARNER = np.array([[0.3, -0.5, 0.2, 0.8, -0.1]])
SHORT = Pool(PD, FiniteHorizon(2), 1.5, 1, LEARNER)


compiled = jax.jit(field, static_argnames="updates")


def slopes(pool, theta, share, bonus):
    with float64():
        runs = theta.shape[0]
        now = jnp.asarray(np.repeat([[share], [bonus], [0.02], [1.0]], runs, 1))
        found = compiled(pool.traced, jnp.asarray(np.moveaxis(theta, -1, 0)), now, updates=pool.updates)[0]
        return np.moveaxis(np.asarray(found), 0, -1)


@pytest.mark.parametrize(("share", "bonus"), [(0.0, 0.0), (1.0, 0.0), (0.3, 0.25)])
def test_the_field_is_that_of_every_course_of_play_listed(share, bonus):
    theta = random_starts(1, 2, seed=4)
    found = slopes(SHORT, theta, share, bonus)[0]
    wanted = [slope(PD, theta[0, i], theta[0, 1 - i], share, bonus, LEARNER[0], 1.5, 1, 2) for i in (0, 1)]
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_four_agents_meet_each_other_equally_often():
    theta = random_starts(1, 4, seed=5)
    found = slopes(SHORT, theta, 0.4, 0.1)[0]
    others = [
        [slope(PD, theta[0, i], theta[0, j], 0.4, 0.1, LEARNER[0], 1.5, 1, 2) for j in range(4) if j != i]
        for i in (0, 3)
    ]
    np.testing.assert_allclose(found[[0, 3]], np.mean(others, 1), atol=1e-12)


def test_with_a_discount_it_is_the_field_of_the_meta_game():
    meta = small(0.25)
    theta = random_starts(1, 2, seed=6)
    p = expit(theta[0])
    found = slopes(pool_of(meta, meta.nodes), theta, 0.25, 0.0)[0] / (p * (1 - p))
    np.testing.assert_allclose(found, reference_field(meta, p, p[::-1]), atol=1e-10)


def test_every_run_may_have_its_own_learners():
    theta = random_starts(2, 2, seed=7)
    both = Pool(PD, FiniteHorizon(2), 1.5, 1, np.stack([LEARNER, -LEARNER]))
    found = slopes(both, theta, 0.5, 0.1)
    for k, learner in enumerate((LEARNER, -LEARNER)):
        one = Pool(PD, FiniteHorizon(2), 1.5, 1, learner)
        np.testing.assert_allclose(found[k], slopes(one, theta[k : k + 1], 0.5, 0.1)[0], atol=1e-12)


def test_adamw_is_that_of_the_basins():
    meta = small(0.5)
    starts = random_starts(2, 2, seed=8)
    found = integrate(pool_of(meta, 8), [Stage(0.5)], starts, steps=20, every=10)
    wanted = expit(learn(meta.setting(8), starts, 20, 0.02))
    np.testing.assert_allclose(found.policies[-1], wanted, atol=2e-5)


def test_ascent_follows_the_field_and_a_shared_bias_adds_up_what_all_states_want():
    starts = random_starts(1, 2, seed=9)
    move = {}
    for shared in (False, True):
        run = integrate(SHORT, [Stage(0.5, rate=0.1)], starts, steps=1, every=1, optimiser="ascent", shared=shared)
        p = run.policies[1]
        move[shared] = np.log(p / (1 - p)) - starts
    wanted = 0.1 * slopes(SHORT, starts, 0.5, 0.0)
    np.testing.assert_allclose(move[False], wanted, atol=1e-6)
    np.testing.assert_allclose(move[True], wanted + wanted.sum(-1, keepdims=True), atol=1e-6)


def test_stages_end_by_time_or_by_reward_for_each_run_by_itself():
    starts = np.concatenate([np.full((1, 2, 5), 2.0), np.full((1, 2, 5), -2.0)])
    stages = [Stage(1.0, steps=4), Stage(0.5, among=0.7, rate=0.0), Stage(0.0, rate=0.0)]
    run = integrate(SHORT, stages, starts, steps=10, every=1)
    assert run.switched.tolist() == [[4, 5], [4, -1]]
    assert run.among[5, 0] > 0.7 > run.among[5, 1]
    moved = np.abs(np.diff(run.policies, axis=0)).max((1, 2, 3))
    assert (moved[:4] > 0).all()
    assert not moved[4:].any()


def test_a_stage_may_end_at_a_step_of_the_whole_schedule():
    stages = [Stage(1.0, naive=9.0, until=4), Stage(0.5, steps=2), Stage(0.25, until=3), Stage(0.0)]
    run = integrate(SHORT, stages, random_starts(2, 2), steps=9, every=1)
    assert run.switched.tolist() == [[4, 6, 7]] * 2


@functools.cache
def measured(runs):
    """MEASURES of each agent at the third step of the runs below, by every course of play listed."""
    found = dict.fromkeys(MEASURES, ())
    for agents in runs:
        for k, p in enumerate(agents):
            path = basin_reference.course(PD, jnp.array(p), jnp.array(LEARNER[0]), 1.5, 1, 2)
            others = [q for n, q in enumerate(agents) if n != k]
            means = [
                float(np.mean([of(q) for q in company]))
                for company in (path, others)
                for of in (lambda q, p=p: reward(PD, p, q, 2), lambda q, p=p: cooperation(p, q, 2))
            ]
            found = {name: (*found[name], mean) for name, mean in zip(MEASURES, means, strict=True)}
    return {name: np.reshape(values, np.shape(runs)[:2]) for name, values in found.items()}


@pytest.mark.parametrize("copies", [*((name,) for name in MEASURES), ("reward_vs_naive", "cooperation_vs_meta")])
def test_copies_are_of_the_agent_that_stands_out_in_its_run(copies):
    starts, kind = random_starts(12, 3, seed=14, spread=2.0), {"every": 1, "optimiser": "ascent"}
    first, then = Stage(1.0, rate=0.5, steps=3), Stage(0.5, rate=0.5)
    whole = integrate(SHORT, [first, dataclasses.replace(then, copies=copies)], starts, steps=5, **kind)
    before = integrate(SHORT, [first], starts, steps=3, **kind)
    table = measured(tuple(tuple(map(tuple, agents)) for agents in before.policies[2].tolist()))
    best = sum(table[name] for name in copies).argmax(-1)
    assert len({tuple(table[name].argmax(-1)) for name in MEASURES}) == len(MEASURES)  # each tells another
    alike = np.repeat(before.policies[3][np.arange(12), best][:, None], 3, 1)
    np.testing.assert_allclose(whole.policies[3], alike, atol=1e-6)
    after = integrate(SHORT, [then], logit(alike), steps=2, **kind)
    np.testing.assert_allclose(whole.policies[3:], after.policies, atol=1e-5)


def test_copies_keep_the_optimisers_state_so_they_stay_alike():
    starts = random_starts(3, 3, seed=13)
    stages = [Stage(0.5, steps=3, rate=0.1), Stage(0.5, rate=0.1, copies=("reward_vs_meta",))]
    path = integrate(SHORT, stages, starts, steps=6, every=1).policies
    assert np.ptp(path[:3], axis=2).max((1, 2)).min() > 0.1
    np.testing.assert_allclose(path[3:], path[3:, :, :1].repeat(3, 2), atol=1e-6)


def test_ramps_are_linear_over_their_stage():
    theta = random_starts(1, 2, seed=10)
    ramp = integrate(SHORT, [Stage(0.5, rate=(0.2, 0.0), steps=4)], theta, steps=6, every=1, optimiser="ascent")
    here = theta
    for rate in (0.2, 0.15, 0.1, 0.05, 0.0, 0.0):
        here = here + rate * slopes(SHORT, here, 0.5, 0.0)
    np.testing.assert_allclose(ramp.policies[-1], expit(here), atol=1e-6)


def test_the_naive_rate_of_a_stage_is_a_factor():
    theta = random_starts(1, 2, seed=11)
    fast = Pool(PD, FiniteHorizon(2), 3.0, 1, LEARNER)
    found = [
        integrate(pool, [Stage(1.0, eta=eta)], theta, steps=5, every=5) for pool, eta in ((SHORT, 2.0), (fast, 1.0))
    ]
    np.testing.assert_allclose(found[0].policies, found[1].policies, atol=1e-6)


@pytest.mark.slow
def test_noise_spreads_a_step_by_visits_and_by_chance():
    """All play one half, so each state is seen in (T - 1) / (4 T) of the decisions; 800 draws, six standard errors."""
    pool, rate, steps = small_pool(steps=5, episodes=2), 0.5, 5
    starts = np.zeros((400, 2, 5))
    for share, noise, size in ((0.0, (9.0, 0.2), 0.2), (0.25, (0.4, 0.0), 0.1)):
        stages = [Stage(share, rate=rate)]
        kind = {"steps": 1, "every": 1, "optimiser": "ascent"}
        noisy, quiet = (integrate(pool, stages, starts, noise=x, seed=1, **kind).policies[1] for x in (noise, None))
        moved = (noisy - quiet) / (1 / 4)
        visits = np.array([1 / steps] + [(steps - 1) / (4 * steps)] * 4)
        spread = rate * size * np.sqrt(visits / 4)
        assert np.abs(moved.std((0, 1)) / spread - 1).max() < 6 / np.sqrt(2 * 800)
        assert np.abs(moved.mean((0, 1)) / spread).max() < 6 / np.sqrt(800)
        again = integrate(pool, stages, starts, noise=noise, seed=2, **kind).policies[1]
        assert np.abs(noisy - again).min() > 0


def test_intervals_are_those_of_wilson():
    low, high = wilson(8, 10)
    np.testing.assert_allclose(
        [low, high], [0.4901625, 0.9433178], atol=1e-6
    )  # p with (8/10 - p)^2 = z^2 p (1 - p) / 10


def test_times_are_the_first_from_which_on_a_level_is_kept():
    run = integrate(SHORT, [Stage(1.0)], random_starts(3, 2), steps=4, every=1)
    object.__setattr__(run, "among", np.array([[0, 1, 0, 1, 1], [1, 1, 1, 1, 1], [1, 1, 1, 1, 0]]).T)
    assert run.reached(0.5).tolist() == [3, 0, np.inf]


def test_ends_have_the_words_of_the_atlas():
    policies = np.log(np.clip([(1, 1, 0, 0.38, 0), (0, 1, 0, 0.38, 0), (0, 0, 0, 0, 0)], 1e-6, 1 - 1e-6) ** -1.0 - 1)
    starts = np.repeat(-policies[:, None], 3, 1)
    run = integrate(small_pool(), [Stage(0.5, rate=0.0)], starts, steps=1, every=1)
    assert run.labels == ("cooperate", "extort", "defect")
    assert run.shares["extort"][0] == 1 / 3
    np.testing.assert_allclose(run.among[0], [1, 0, 0], atol=1e-3)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Stage(1.5), "share must be a number, or (from, to), in [0, 1]"),
        (lambda: Stage((1, 0.5)), "give the stage steps"),
        (lambda: Stage(1, steps=2.5), "steps must be an integer"),
        (lambda: Stage(1, entropy=-0.1), "entropy must be"),
        (lambda: plan([]), "at least one stage"),
        (lambda: plan([Stage(1), Stage(0.5)]), "stage 0 never ends: give it steps, until, naive or among"),
        (lambda: plan([Stage(1, copies=("reward_vs_meta",))]), "the first stage can't begin with copies"),
        (lambda: Stage(1, copies=("reward_vs_meta",) * 2), "copies must be a tuple of some of reward_vs_naive, "),
        (lambda: Stage(1, copies=("entropy",)), "copies must be a tuple of some of reward_vs_naive, "),
        (lambda: Stage(1, until=0), "until must be an integer"),
        (lambda: Pool(PD, FiniteHorizon(2), -1, 2, LEARNER), "eta must be"),
        (lambda: Pool(PD, FiniteHorizon(2), 1, 2, LEARNER[:, :4]), "learners must be"),
        (lambda: integrate(SHORT, [Stage(1)], np.zeros((3, 1, 5))), "agents >= 2"),
        (lambda: integrate(SHORT, [Stage(1)], np.zeros((3, 2, 5)), optimiser="sgd"), 'must be "adamw"'),
        (
            lambda: integrate(SHORT, [Stage(1)], np.zeros((3, 2, 5)), noise=(-1.0, 0.0)),
            "two finite standard deviations",
        ),
    ],
)
def test_refusals(make, text):
    with pytest.raises(ValueError) as found:
        make()
    assert text in str(found.value)


def test_a_meta_game_runs_schedules():
    meta = small(0.25)
    run = meta.schedule([Stage(1.0, steps=5), Stage(0.25)], 3, agents=3, nodes=8, steps=10, every=5)
    assert run.policies.shape == (3, 3, 3, 5)
    alone = integrate(pool_of(meta, 8), [Stage(1.0, steps=5), Stage(0.25)], random_starts(3, 3), steps=10, every=5)
    np.testing.assert_array_equal(run.policies, alone.policies)
