"""Level L5: sweeps of small training runs, their exact predictions, and the verdicts on where runs end."""

import dataclasses
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lapg_rl import config
from lapg_rl.commands.main import main
from lapg_rl.crossval import ascent, tabular_runs
from lapg_rl.crossval.ladder import LEVELS, RUNGS, chosen
from lapg_rl.crossval.levels import l5_outcome, l5_sequence
from lapg_rl.crossval.levels.l5_sequence import config_of
from lapg_rl.crossval.setting import Setting
from lapg_rl.crossval.simulation import HONEST, learner, plain_learner
from lapg_rl.crossval.tabular_runs import Sweep
from lapg_rl.crossval.verdict import Majority
from lapg_rl.machine import compiling
from lapg_rl.play.rollout import Trajectory
from lapg_rl.study.results import Result
from lapg_theory import defection_certificate
from lapg_theory.dynamics import iterate
from lapg_theory.game import FiniteHorizon, prisoners_dilemma, symmetric_game
from lapg_theory.learning import Lapg

GAME = prisoners_dilemma()


def tiny(players=2, **changes):
    start = np.random.default_rng(0).standard_normal((3, players, 5))
    share = np.array([0.0, 0.5, 1.0]) if players == 2 else np.ones(3)
    fields = {
        "rate": 1.0, "steps": 3, "naive_updates": 1, "batch": 2, "meta_batch": 3, "games": 4, "updates": 6, "every": 2,
    }  # fmt: skip
    return Sweep("tiny", start, share, np.full(3, 2.0), **fields | changes)


def test_the_exact_path_is_that_of_the_learning_rule():
    """Two agents in a mixed pool against `iterate` of the rule, which takes one share and one rate at a time."""
    start = np.random.default_rng(1).standard_normal((2, 2, 5))
    path = ascent.ascend(GAME, start, [0.3, 1.0], [2.0, 1.0], rate=0.7, steps=4, naive_updates=2, updates=6, every=3)
    rule = Lapg(rate=0.7, eta=2.0, updates=2, p_naive=0.3, learners=np.zeros((1, 5)))
    found = iterate(rule, GAME, FiniteHorizon(4), tuple(start[0]), 6, record_every=3)
    np.testing.assert_allclose(path[:, 0, 0], found.row, atol=1e-12)
    np.testing.assert_allclose(path[:, 0, 1], found.column, atol=1e-12)
    assert np.abs(path[:, 0] - path[:, 1]).max() > 0.1


def test_the_window_of_long_episodes_is_the_certificates():
    """T = 200 steps without discount and gamma = 1 - 1/200: no more than 10 % apart at either edge."""
    certified = defection_certificate(GAME, gamma=0.995, eta=1.0, updates=2, init=0.0, nodes=1).window
    found = ascent.window(GAME, steps=200, naive_updates=2)
    np.testing.assert_allclose(found, certified, rtol=0.1)


def test_a_game_without_a_window_has_none():
    assert ascent.window(symmetric_game(3, 2, 1, -5), steps=5, naive_updates=2) is None


@pytest.mark.slow
def test_a_run_that_was_cut_off_ends_where_an_uninterrupted_one_does(tmp_path, monkeypatch):
    whole = tabular_runs.train(tiny(), GAME, tmp_path / "whole", quiet=True)
    assert whole.shape == (4, 3, 2, 5)
    assert np.abs(np.diff(whole, axis=0)).max(axis=(1, 2, 3)).min() > 0
    save, kept = tabular_runs.checkpoint.save, []

    def cut(*arguments, **options):
        save(*arguments, **options)
        kept.append(arguments)
        if len(kept) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(tabular_runs.checkpoint, "save", cut)
    with pytest.raises(KeyboardInterrupt):
        tabular_runs.train(tiny(), GAME, tmp_path / "cut", quiet=True)
    np.testing.assert_array_equal(tabular_runs.train(tiny(), GAME, tmp_path / "cut", quiet=True), whole)
    assert len(kept) == 3
    monkeypatch.undo()
    at_once = tabular_runs.train(tiny(every=6), GAME, tmp_path / "once", quiet=True)
    np.testing.assert_allclose(at_once[-1], whole[-1], rtol=1e-5)  # no update repeats the draws of another


def test_a_sweep_compiles_once_and_runs_do_not_depend_on_their_company(tmp_path, monkeypatch):
    whole = tabular_runs.train(tiny(), GAME, tmp_path / "a", quiet=True)
    traced, update = [], tabular_runs._update
    monkeypatch.setattr(tabular_runs, "_update", lambda *given: (traced.append(given), update(*given))[1])
    start = tiny().start.copy()
    start[1:] += 1
    other = dataclasses.replace(tiny(), start=start, share=np.array([0.0, 0.1, 0.2]))
    found = tabular_runs.train(other, GAME, tmp_path / "b", quiet=True)
    np.testing.assert_array_equal(found[:, 0], whole[:, 0])
    assert np.abs(np.diff(found, axis=0) - np.diff(whole, axis=0))[:, 1:].max(axis=(0, 2, 3)).min() > 1e-3
    tabular_runs.train(dataclasses.replace(other, rate=0.5, seed=6), GAME, tmp_path / "c", quiet=True)
    assert not traced
    tabular_runs.train(dataclasses.replace(other, games=5), GAME, tmp_path / "d", quiet=True)
    assert traced


@pytest.mark.optimised
def test_sweeps_are_compiled_with_the_options_of_a_cpu(tmp_path, monkeypatch):
    monkeypatch.setattr(compiling, "QUICKLY", (("no_such_option", 1),))
    with pytest.raises(jax.errors.JaxRuntimeError, match="no_such_option"):
        tabular_runs.train(tiny(), GAME, tmp_path, quiet=True)
    with pytest.raises(jax.errors.JaxRuntimeError, match="no_such_option"):
        tabular_runs.sampled_spread(tiny(), GAME, tiny().start, 2)


def test_a_folder_of_another_sweep_is_refused(tmp_path):
    tabular_runs.train(tiny(), GAME, tmp_path, quiet=True)
    with pytest.raises(ValueError, match=r"holds another sweep \(rate 1.0 there, 2.0 here\); choose another --out"):
        tabular_runs.train(tiny(rate=2.0), GAME, tmp_path, quiet=True)


def test_a_rated_learner_is_the_production_learner_of_that_rate():
    draw = np.random.default_rng(0)
    seen = jnp.asarray(np.eye(5, dtype=np.float32)[draw.integers(5, size=(4, 3))])
    batch = Trajectory(
        seen, jnp.asarray(draw.integers(2, size=(4, 3))), jnp.asarray(draw.normal(size=(4, 3)), jnp.float32),
        jnp.zeros((4, 3)), jnp.zeros((4, 3)),
    )  # fmt: skip
    policy = tabular_runs.tables(jnp.asarray(draw.normal(size=5), jnp.float32))
    plain, rated = learner(plain_learner(7.0)), tabular_runs.Rated(learner(plain_learner(1.0)))
    learn = eqx.filter_jit(lambda player, state: player.end_of_inner_episode(state, batch))
    expected = learn(plain, plain.init(policy, 4)).policy.logits
    _, found = learn(rated, rated.init((jnp.float32(7.0), policy), 4))
    np.testing.assert_allclose(found.policy.logits, expected, rtol=1e-5)
    assert np.abs(expected - policy.logits).max() > 0.1


def test_the_mean_update_is_the_exact_one(tmp_path):
    """One update of many runs from the same start, B large, against the exact step; false alarms: 1 key in 1000."""
    from scipy.stats import chi2

    count, start = 256, np.random.default_rng(3).standard_normal((1, 2, 5))
    many = Sweep(
        "mean", np.repeat(start, count, 0), np.full(count, 0.4), np.full(count, 1.0), rate=1.0, steps=3, naive_updates=1,
        batch=64, meta_batch=2, games=64, updates=1, every=1,
    )  # fmt: skip
    moves = np.diff(tabular_runs.train(many, GAME, tmp_path, quiet=True), axis=0)[0].reshape(count, -1)
    exact = np.diff(
        ascent.ascend(GAME, start, [0.4], [1.0], rate=1.0, steps=3, naive_updates=1, updates=1, every=1), axis=0
    )
    away = moves.mean(0) - exact.ravel()
    statistic = count * away @ np.linalg.solve(np.cov(moves, rowvar=False), away)
    assert statistic < chi2.isf(0.001, 10)
    assert count * exact.ravel() @ np.linalg.solve(np.cov(moves, rowvar=False), exact.ravel()) > 200


def test_phases_of_known_policies():
    """Conditional cooperators, a defector, an extorter of naive learners, and a pair that half cooperates."""
    kinds = {
        "cooperate": (1, 1, 0, 0.3, 0),
        "defect": (0, 0, 0, 0, 0),
        "extort": (0, 1, 0, 0.35, 0),
        "other": (0.5, 0.5, 0.5, 0.5, 0.5),
    }
    policies = np.array([[p, p] for p in kinds.values()], float)
    found = l5_outcome.phases(policies, GAME, np.full(4, 8.0), steps=10, naive_updates=4)
    assert found.tolist() == list(kinds)


def cells(players=1, runs=20):
    swept = Sweep(
        "x", np.zeros((2 * runs, players, 5)), np.ones(2 * runs), np.ones(2 * runs), rate=1.0, steps=3, naive_updates=1,
        batch=2, meta_batch=2, games=2, updates=2, every=1,
    )  # fmt: skip
    return l5_outcome.Cells(swept, ({"tau": 1.0, "eta": 1.0}, {"tau": 9.0, "eta": 9.0}))


def test_cells_are_judged_where_theory_is_sure():
    stays, leaves = l5_outcome.STAYS, l5_outcome.LEAVES
    told = np.array([stays] * 20 + [leaves] * 20)
    seen = np.array([stays] * 19 + [leaves] * 21)
    sure = np.array([True] * 20 + [True] * 9 + [False] * 11)
    found = l5_outcome.judge(cells(), seen, told, sure)
    assert [cell["agree"] for cell in found] == [19, 9]
    assert [cell["judged"] for cell in found] == [20, 9]
    assert found[0]["outcomes"][leaves]["seen"] == 1
    low, high = found[0]["outcomes"][leaves]["interval"]
    assert low == pytest.approx(0.00127, abs=1e-5) and high == pytest.approx(0.24873, abs=1e-5)  # exact for 1 of 20
    (check,) = l5_outcome.checks("window", found)
    assert (check.hits, check.trials) == (19, 20)
    assert check.verdict(0.001) == "confirmed"


@pytest.mark.parametrize(
    ("hits", "verdict"),
    [(20, "confirmed"), (17, "confirmed"), (16, "underpowered"), (4, "underpowered"), (3, "refuted")],
)
def test_the_verdict_of_a_cell(hits, verdict):
    """By the binomial table of n = 20: P(X >= 17) = .00129, P(X >= 16) = .0059."""
    assert Majority("", hits, 20).verdict(0.002) == verdict
    assert Majority("", hits, 20).row(0.002)["verdict"] == verdict


def test_the_needed_number_of_runs_decides():
    """Runs that end as predicted in 4 of 5 cases: with so many more, nine of ten samples are confirmed."""
    needed = int(np.ceil(Majority("", 8, 10).needed(0.001)))
    hits = np.random.default_rng(0).binomial(needed, 0.8, 2000)
    assert np.mean([Majority("", int(h), needed).verdict(0.001) == "confirmed" for h in hits]) == pytest.approx(
        0.9, abs=0.06
    )
    assert Majority("", 5, 10).needed(0.001) == np.inf
    assert np.isfinite(Majority("", 10, 10).needed(0.001))


def test_an_unknown_kind_of_agent_is_refused(tmp_path, capsys):
    assert main(["crossval", "--level", "L5", "--model", "human", "--out", str(tmp_path / "x")]) == 2
    assert "--model must be tabular, gru or hawk, got 'human'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_levels_that_train_are_carried_out_only_where_asked_for():
    assert chosen([]) == list(LEVELS)
    assert chosen(["L4-L6"]) == ["L4", "L5", "L6"]
    assert set(RUNGS) - set(LEVELS) == {"L5", "L6", "L7"}


def test_predictions_cross_the_window_and_are_unsure_at_its_edges():
    found, edges = l5_outcome.window(Setting(budget=0.25), 2)
    etas = np.array([edges[0] * 0.5, edges[0] * 1.05, np.sqrt(edges[0] * edges[1]), edges[1] * 4])
    few = dataclasses.replace(found.sweep, start=found.sweep.start[:4], share=np.ones(4), eta=etas)
    told, sure, _ = l5_outcome.predicted(l5_outcome.Cells(few, ()), GAME)
    assert told.tolist() == [told[0], told[1], l5_outcome.LEAVES, l5_outcome.STAYS] and told[0] == l5_outcome.STAYS
    assert sure.tolist() == [True, False, True, True]


@pytest.mark.slow
def test_the_preset_agrees(tmp_path):
    """At the small budget; every cell that counts is confirmed or undecided, one false alarm in a thousand keys."""
    found = l5_outcome.level(Setting(budget=0.25), HONEST, tmp_path, quiet=True)
    assert found.verdict != "refuted"


@pytest.mark.slow
def test_recurrent_agents_in_a_tiny_pool(tmp_path, monkeypatch):
    """Trained by the ordinary loop, read from the run folders, carried on without a step more."""
    monkeypatch.setattr(l5_sequence, "SHARES", (0.5,))
    monkeypatch.setattr(l5_sequence, "STEPS", 4)
    small = config.override(
        config_of("gru", Setting(), 0.5), ["updates=2", "meta_batch=2", "batch=2", "inner_episodes=2"]
    )
    monkeypatch.setattr(
        l5_sequence, "config_of", lambda kind, setting, share, seed: dataclasses.replace(small, seed=seed)
    )
    found = l5_sequence.level(Setting(), "gru", 2, tmp_path, quiet=True)
    (cell,) = found.data["pool"]
    assert sum(o["seen"] for o in cell["outcomes"].values()) == 2
    assert sum(o["predicted"] for o in cell["outcomes"].values()) == pytest.approx(2)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("arrays.npz")}
    assert len(files) == 2
    assert l5_sequence.level(Setting(), "gru", 2, tmp_path, quiet=True).data == found.data
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("arrays.npz")} == files


@pytest.mark.parametrize(
    ("together", "against", "expected"),
    [(0.9, 0.3, "cooperate"), (0.1, 0.36, "extort"), (0.1, 0.34, "defect"), (0.5, 0.9, "other"), (None, 0.9, "extort"),
     (0.1, None, "defect")],
)  # fmt: skip
def test_the_phase_of_a_trained_run(together, against, expected):
    """A defector earns 0.3 from naive learners; a pool without one kind of company has no metric of it."""
    metrics = {"reward_vs_meta": together, "reward_vs_naive": against}
    run = Result(
        "", config_of("gru", Setting(), 0.5), {k: np.full(3, v) for k, v in metrics.items() if v is not None}, [], None,
        None, Path(), {},
    )  # fmt: skip
    assert l5_sequence.outcome_of(run, 0.3) == expected
