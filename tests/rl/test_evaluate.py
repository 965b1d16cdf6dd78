"""Evaluations of agents whose policy is known, against what the chain of states says that they must earn."""

import dataclasses
import json
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from folders import TABULAR, expected_rewards, run_of

import lapg_rl.commands.evaluate as command
from lapg_rl.commands.main import main
from lapg_rl.config import NaiveConfig, PoolConfig
from lapg_rl.study import records
from lapg_rl.study.evaluation import evaluate, fit_extortion, fit_line, u_shaped
from lapg_rl.study.matches import count_cooperation
from lapg_rl.study.records import Evaluation
from lapg_theory.game import NAMED, prisoners_dilemma
from lapg_theory.game.extortion import extortioner

POLICY = (0.3, 0.9, 0.2, 0.6, 0.1)
OTHER = (0.8, 0.7, 0.4, 0.2, 0.5)
MEETINGS = 200
#: Each comparison is at five standard errors: all of a test's ~20 together fail by chance once in 80,000 times.
SIGMAS = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return run_of(tmp_path_factory.mktemp("known"), [POLICY])


@pytest.fixture(scope="module")
def evaluation(folder):
    return evaluate(folder, meta_batch=MEETINGS)


def test_rewards_against_fixed_strategies_are_those_of_the_chain_of_states(evaluation):
    for name, strategy in NAMED.items():
        match = evaluation.match(name)
        for side, expected in zip((match.own, match.other), expected_rewards(POLICY, strategy, 6), strict=True):
            assert abs(side.reward - expected) < SIGMAS * side.error + 1e-4, (name, side.reward, expected)
            assert 0 < side.error < 0.1


def test_signatures_are_the_policies_and_unvisited_states_have_none(evaluation):
    own = evaluation.match("random").own
    errors = np.sqrt(np.array(POLICY) * (1 - np.array(POLICY)) / np.array(own.visits))
    assert np.all(np.abs(np.array(own.signature) - POLICY) < SIGMAS * errors)
    assert sum(own.visits) == MEETINGS * 4 * 3 * 6
    assert own.visits[0] == MEETINGS * 4 * 3  # one first step an inner episode
    against_defector = evaluation.match("alld")
    assert [against_defector.own.signature[s] for s in (1, 3)] == [None, None]
    assert [against_defector.other.signature[s] for s in (1, 2)] == [None, None]
    assert against_defector.other.signature[4] == 0


def test_curves_average_to_the_whole(evaluation):
    match = evaluation.match("naive")
    for side in (match.own, match.other):
        assert len(side.reward_curve) == len(side.cooperation_curve) == 3
        assert np.mean(side.reward_curve) == pytest.approx(side.reward, abs=1e-6)
        cooperated = sum(p * v for p, v in zip(side.signature, side.visits, strict=True))
        assert np.mean(side.cooperation_curve) == pytest.approx(cooperated / sum(side.visits), abs=1e-6)
    # before its first update a naive learner of zero readouts tosses coins
    first = expected_rewards(POLICY, [0.5] * 5, 6)
    assert abs(match.other.reward_curve[0] - first[1]) < SIGMAS * 1.5 / np.sqrt(MEETINGS * 4 * 6)


def test_naive_learners_learn_within_the_meta_episode(tmp_path):
    cfg = dataclasses.replace(TABULAR, naive=dataclasses.replace(TABULAR.naive, learning_rate=0.5), inner_episodes=8)
    match = evaluate(run_of(tmp_path / "alld", [NAMED["alld"]], cfg), ["naive"], meta_batch=50).match("naive")
    assert match.other.cooperation_curve[0] == pytest.approx(0.5, abs=0.1)
    assert match.other.cooperation_curve[-1] < 0.1
    assert match.other.first_signature[0] > 0.3 > 0.2 > match.other.last_signature[0]


def test_payoff_lines(tmp_path, monkeypatch):
    line = evaluate(run_of(tmp_path / "alld", [NAMED["alld"]]), meta_batch=MEETINGS).lines[0]
    assert (line.slope, line.intercept, line.r_squared) == pytest.approx((-1 / 2, 0, 1), abs=1e-3)
    assert line.low <= line.slope <= line.high < line.low + 1e-3
    assert len(line.points) == MEETINGS
    # an extorter of factor 3 over long episodes: the line of slope 1/3
    x, f = 3, 1 / 8
    extorter = (0, 1 - f * (x - 1), 1 - f * (1 + 2 * x), f * (x + 2), 0)
    monkeypatch.setattr("lapg_rl.study.evaluation.strategies", lambda _: ())  # the line is that of the random ones
    cfg = dataclasses.replace(TABULAR, steps=300, inner_episodes=2)
    line = evaluate(run_of(tmp_path / "extorter", [extorter], cfg), meta_batch=60).lines[0]
    assert line.slope == pytest.approx(1 / 3, abs=0.03)
    assert line.low < 1 / 3 < line.high < line.low + 0.06
    assert line.intercept == pytest.approx(0, abs=0.05)  # the start of an episode weighs 1/300, sampling the rest


def test_agents_of_a_pool_meet_each_other(tmp_path):
    cfg = dataclasses.replace(TABULAR, pool=PoolConfig(p_naive=0.5, agents=2, naive_population=2))
    evaluation = evaluate(run_of(tmp_path / "pool", [POLICY, OTHER], cfg), meta_batch=MEETINGS)
    for agent, (p, q) in enumerate([(POLICY, OTHER), (OTHER, POLICY)]):
        match = evaluation.match(f"agent {1 - agent}", agent)
        for side, expected in zip((match.own, match.other), expected_rewards(p, q, 6), strict=True):
            assert abs(side.reward - expected) < SIGMAS * side.error
    own = evaluation.match("agent 0", 0).own  # against itself
    assert abs(own.reward - expected_rewards(POLICY, POLICY, 6)[0]) < SIGMAS * own.error
    assert len(evaluation.lines) == 2
    with pytest.raises(KeyError, match="agent 2"):
        evaluation.match("agent 2")


def test_dynamic_naive_learners_start_as_copies_of_the_other_agents(tmp_path):
    """At learning rate 0 they stay that: each agent earns from them what it earns from the others, on average."""
    pool, policies = PoolConfig(p_naive=0.5, agents=3, naive_start="dynamic"), [POLICY, OTHER, NAMED["alld"]]
    cfg = dataclasses.replace(TABULAR, pool=pool, naive=NaiveConfig(learning_rate=0.0))
    folder = run_of(tmp_path / "pool", policies, cfg)
    evaluation = evaluate(folder, ["naive"], meta_batch=MEETINGS)
    for agent, policy in enumerate(policies):
        match = evaluation.match("naive", agent)
        met = [expected_rewards(policy, q, 6) for n, q in enumerate(policies) if n != agent]
        for side, expected in zip((match.own, match.other), np.mean(met, axis=0), strict=True):
            assert abs(side.reward - expected) < SIGMAS * side.error, (agent, side.reward, expected)
    assert "naive learners start as copies of the other agents" in command.table(folder, evaluation)


def test_named_opponents_and_other_runs_are_met_instead(folder, tmp_path):
    cfg = dataclasses.replace(TABULAR, pool=PoolConfig(p_naive=0.5, agents=2, naive_population=2), batch=2)
    other = run_of(tmp_path / "other", [OTHER, NAMED["alld"]], cfg)
    evaluation = evaluate(folder, ["zd-extort-2", str(other)], meta_batch=MEETINGS)
    assert [m.opponent for m in evaluation.matches] == ["zd-extort-2", "other/0", "other/1"]
    assert evaluation.lines == []
    extorter = (0, 1 - 1 / 10, 1 - 5 / 10, 4 / 10, 0)  # x = 2, a = 1, c = 2, f = 1/5 at most: the middle is 1/10
    for match, q in zip(evaluation.matches, [extorter, OTHER, NAMED["alld"]], strict=True):
        for side, expected in zip((match.own, match.other), expected_rewards(POLICY, q, 6), strict=True):
            assert abs(side.reward - expected) < SIGMAS * side.error


def test_opponents_that_cannot_be_met_are_refused(folder, tmp_path):
    with pytest.raises(ValueError, match="unknown co-player 'tftt'; did you mean tft"):
        evaluate(folder, ["tftt"])
    with pytest.raises(ValueError, match=r"factor must be at least 1 and finite, got 0\.5"):
        evaluate(folder, ["zd-extort-0.5"])
    with pytest.raises(ValueError, match=r"a co-player must name something that Python finds, .* 'numpy:NOPE'"):
        evaluate(folder, ["numpy:NOPE"])
    longer = run_of(tmp_path / "longer", [OTHER], dataclasses.replace(TABULAR, steps=7))
    with pytest.raises(ValueError, match="cannot play each other: they differ in steps 6 and 7"):
        evaluate(folder, [str(longer)])
    with pytest.raises(ValueError, match="longer is named twice"):
        evaluate(folder, [str(longer), str(longer / ".." / "longer")])


def test_an_evaluation_is_a_function_of_folder_and_seed(folder, evaluation):
    again = evaluate(folder, meta_batch=MEETINGS)
    assert again == evaluation
    assert evaluate(folder, meta_batch=MEETINGS, seed=1).match("tft") != evaluation.match("tft")


def test_one_meta_episode_has_no_standard_error(folder):
    assert evaluate(folder, ["tft"], meta_batch=1).match("tft").own.error is None


def test_bad_input_is_refused(folder, tmp_path):
    with pytest.raises(ValueError, match="meta_batch must be an integer >= 1, got 0"):
        evaluate(folder, meta_batch=0)
    with pytest.raises(ValueError, match=r"holds no run.*lapg train"):
        evaluate(tmp_path)


def test_records_survive_their_files_and_damage_is_named(tmp_path, evaluation):
    assert records.load(Evaluation, tmp_path) is None
    records.save(evaluation, tmp_path)
    assert records.load(Evaluation, tmp_path) == evaluation
    for damage in ("{", json.dumps({"updates": 1})):
        (tmp_path / "evaluation.json").write_text(damage)
        with pytest.raises(ValueError, match=r"evaluation\.json is unreadable.*delete it"):
            records.load(Evaluation, tmp_path)


def test_what_cannot_be_kept_is_shown_all_the_same(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("lapg_rl.study.evaluation.evaluate", lambda *_, **__: Evaluation(7, 1, 0, [], []))
    monkeypatch.setattr(command, "RunFolder", lambda _: SimpleNamespace(check_trained=lambda: None))
    monkeypatch.setattr(command, "check_opponents", lambda *_: [])
    (tmp_path / "evaluation.tmp").mkdir()  # where the file would be written
    assert main(["evaluate", str(tmp_path)]) == 2
    shown = capsys.readouterr()
    assert "after 7 updates" in shown.out
    assert "evaluation.tmp" in shown.err


def test_cooperation_is_counted_by_inner_episode_and_state():
    rng = np.random.default_rng(0)
    states, actions = rng.integers(0, 5, (2, 3, 4, 6)), rng.integers(0, 2, (2, 3, 4, 6))
    counted = count_cooperation(jnp.asarray(np.eye(5)[states], jnp.float32), jnp.asarray(actions))
    expected = np.zeros((4, 5))
    for index in np.ndindex(states.shape):
        expected[index[2], states[index]] += actions[index] == 0
    assert np.array_equal(counted, expected)


def test_fit_line_agrees_with_polyfit():
    x, y = np.random.default_rng(1).normal(size=(2, 30))
    slope, intercept, r_squared = fit_line(x, y)
    assert (slope, intercept) == pytest.approx(tuple(np.polyfit(x, y, 1)))
    assert r_squared == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2)
    assert fit_line(np.ones(3), np.arange(3.0)) == (None, None, None)
    assert fit_line(np.arange(3.0), np.ones(3)) == (0, 1, None)


def test_random_strategies_have_the_moments_of_the_arcsine_law():
    draws = np.asarray(u_shaped((np.arange(10_000) + 0.5) / 10_000), float)
    assert (draws.mean(), draws.var(), (draws**4).mean()) == pytest.approx((1 / 2, 1 / 8, 35 / 128), abs=1e-4)


def test_a_factor_is_stated_of_what_plays_like_an_extortioner_only():
    """Win-stay lose-shift cooperates after DD, where no extortioner does: by that state alone it is 1/2 away."""
    game = prisoners_dilemma()
    assert str(fit_extortion(game, extortioner(game, 3))).startswith("fitted extortion factor 3.00 (rms distance 0.000")
    wsls = fit_extortion(game, NAMED["wsls"])
    assert wsls.residual >= 0.5 and str(wsls) == f"no extortioner is near (rms distance {wsls.residual:.3f}, above 0.2)"
