"""Cross-validation in games of k actions: exact parts by a second route, honest training confirmed, mistakes seen, refusals."""

import json
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest

from lapg_rl.commands.main import main
from lapg_rl.crossval.ladder import LEVELS
from lapg_rl.crossval.levels import l0_play, l1_coplayer, l2_exact, l3_sampled
from lapg_rl.crossval.sabotage import SABOTAGES
from lapg_rl.crossval.setting import EGO, NAIVE, Setting, tables_of
from lapg_rl.play.coplayers import ReinforceLearner
from lapg_rl.play.rollout import Trajectory
from lapg_theory import oracle
from lapg_theory.game import FiniteHorizon, NormalFormGame, normal_form, prisoners_dilemma, rock_paper_scissors

SIZES = {"steps": 2, "batch": 2, "gamma": 0.5, "budget": 0.25}
RPS = Setting(game=rock_paper_scissors(), **SIZES)


def drawn(k, seed=0):
    """A game whose seats differ."""
    return NormalFormGame(np.random.default_rng(seed).uniform(-1, 2, (2, k, k)).round(2), f"{k} x {k}")


def table(five):
    """Chances of cooperating as a table of both actions."""
    p = np.array(five, float)
    return np.stack([p, 1 - p], axis=-1)


def test_of_two_actions_the_enumeration_of_tables_is_the_rational_oracle():
    game = prisoners_dilemma()
    setting = Setting(game=game)
    told = oracle.general_expectations(
        normal_form(game), table(EGO), [table(NAIVE)], steps=2, batch=2, rate=float(setting.rate)
    )
    rational = l2_exact.expectations(setting, 2)
    np.testing.assert_allclose(told.J, float(rational.J), atol=1e-12)
    for name in told._fields[1:]:
        np.testing.assert_allclose(getattr(told, name)[:, 0], l2_exact.vector(getattr(rational, name)), atol=1e-12)


@pytest.mark.parametrize("execution", [0.0, 0.1])
def test_lapg_is_the_slope_of_the_return_among_three_actions(execution):
    """By central differences of J in every logit; the other estimators miss it."""
    game = drawn(3).noisy(execution)
    setting = Setting(game=game)
    (p, q), steps = l2_exact.openings(setting), l2_exact.steps_of(setting)
    assert steps == (1 if execution else 2)
    kind = {"steps": steps, "batch": 2, "rate": 0.02}

    def value(theta):
        chances = np.exp(theta) / np.exp(theta).sum(-1, keepdims=True)
        return oracle.general_expectations(game, chances, [q], **kind).J

    told = oracle.general_expectations(game, p, [q], **kind)
    for state, action in ((0, 0), (0, 1), (len(p) - 1, 1)):
        way = np.zeros_like(p)
        way[state, action] = 1e-4
        slope = (value(np.log(p) + way) - value(np.log(p) - way)) / 2e-4
        assert told.gradient[state, action] == pytest.approx(slope, abs=1e-7)
    np.testing.assert_allclose(told.lapg, told.gradient, atol=1e-12)
    for name in ("batch_unaware", "mfos", "inner_episode"):
        assert np.abs(getattr(told, name) - told.gradient).max() > 1e-3


@pytest.mark.parametrize(
    "noise", [{}, {"execution": 0.1}, {"perception": 0.2}], ids=("plain", "execution", "perception")
)
def test_exact_rewards_shares_and_slopes_are_those_of_an_enumeration(noise):
    game = drawn(3, 1).noisy(**noise)
    setting, horizon = Setting(game=game, steps=2), FiniteHorizon(2)
    p, q = setting.players
    played = oracle.general.branches(game, [p, q], 2)
    earned = np.einsum("e,ent->n", played.chance, played.rewards) / 2
    np.testing.assert_allclose(l0_play.exact_rewards(setting, (p, q), horizon), earned, atol=1e-12)
    seen = np.bincount(played.states[:, 0, 1] - 1, played.chance, minlength=9)
    np.testing.assert_allclose(l0_play.exact_shares(setting, (p, q), FiniteHorizon(1)), seen, atol=1e-12)

    def learner_earns(theta):
        moved = np.exp(theta) / np.exp(theta).sum(-1, keepdims=True)
        found = oracle.general.branches(game, [p, moved], 2)
        return np.einsum("e,et->", found.chance, found.rewards[:, 1]) / 2

    told, steps = l1_coplayer.exact_gradient(setting, 2).reshape(10, 2), 1e-5
    for state, action in ((0, 1), (4, 0)):
        way = np.zeros((10, 3))
        way[state, action] = steps
        slope = (learner_earns(np.log(q) + way) - learner_earns(np.log(q) - way)) / (2 * steps)
        assert told[state, action] == pytest.approx(slope, abs=1e-8)


def test_the_large_batch_limit_is_approached_like_one_over_b():
    setting = Setting(game=rock_paper_scissors())
    assert setting.rate <= l3_sampled.unclipped_rate(setting)
    gaps = [l2_exact.vector(l2_exact.expectations(setting, b).gradient) - l3_sampled.limit(setting) for b in (1, 2)]
    assert np.abs(gaps[0]).max() > 1e-4
    np.testing.assert_allclose(gaps[0], 2 * gaps[1], atol=1e-10)


def test_a_learner_of_two_actions_moves_alike_as_a_table():
    rng = np.random.default_rng(3)
    seen = np.eye(5)[rng.integers(0, 5, (4, 3))]
    done, rewards = jnp.asarray(rng.integers(0, 2, (4, 3))), jnp.asarray(rng.normal(size=(4, 3)))
    batch = Trajectory(jnp.asarray(seen), done, rewards, *[None] * 2)
    learner, start = ReinforceLearner(0.05), jnp.asarray(np.array(NAIVE, float))
    moved = learner.end_of_inner_episode(start, batch)
    both = learner.end_of_inner_episode(jnp.stack([start, 1 - start], axis=-1), batch)
    assert np.abs(moved - start).max() > 0.01
    np.testing.assert_allclose(both, np.stack([moved, 1 - moved], axis=-1), atol=1e-6)


def test_states_of_many_actions_are_put_together_and_tell_both_views_apart():
    setting = Setting(game=drawn(5))
    names, member = setting.groups
    assert len(names) == 4 and (member.sum(1) == 1).all() and len(setting.coordinates) == 16
    slopes = np.random.default_rng(0).normal(size=(26, 4))
    compared = setting.compared(slopes).reshape(4, 4)
    np.testing.assert_allclose(
        compared[1], sum(slopes[1 + 5 * a + b] for a in range(5) for b in range(5) if (a + 2 * b) % 3 == 0)
    )
    assert (member[1 + 5 * 1 + 2] != member[1 + 5 * 2 + 1]).any()


def test_a_noisy_game_of_three_actions_is_named_on_the_command_line(tmp_path, capsys):
    line = [
        "crossval",
        "--level",
        "L0",
        "--payoffs",
        "[[2,0,1],[3,1,0],[0,4,1]]",
        "--budget",
        "0.1",
        "--execution",
        "0.1",
    ]
    assert main([*line, "--gamma", "0.5", "--steps", "2", "--out", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["setting"]["ego"]) == 30 and told["levels"]["L0"]["verdict"] != "refuted"
    assert "3 actions, with Noise(execution=0.1" in (tmp_path / "report.html").read_text()


@pytest.mark.slow
def test_a_wrong_view_is_noticed_in_play():
    assert LEVELS["L0"].run(RPS, SABOTAGES["player-view"][1]).verdict == "refuted"


@pytest.mark.slow
@pytest.mark.parametrize(
    "game",
    [RPS.game, drawn(4).noisy(0.1), drawn(5), drawn(16)],
    ids=("rock-paper-scissors", "noisy", "five", "sixteen"),
)
@pytest.mark.parametrize("code", ["L0", "L1", "L3"])
def test_honest_training_is_not_refuted(game, code):
    """At false-alarm rate 0.001 a level, with a fixed key."""
    assert LEVELS[code].run(Setting(game=game, **SIZES)).verdict != "refuted"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["batch-factor", "learner-sum", "payoff-sign"])
def test_mistakes_are_noticed(kind):
    assert LEVELS["L3"].run(RPS, SABOTAGES[kind][1]).verdict == "refuted"


@pytest.mark.slow
def test_a_wrong_view_is_noticed_in_estimates():
    """A learner that plays nearly at random does much the same after whatever it sees, so one that does not."""
    naive = tuple(tables_of(3)["ego"][::-1])
    setting = Setting(game=drawn(3), naive=naive, alpha=Fraction(1, 500), **SIZES)
    assert LEVELS["L3"].run(setting, SABOTAGES["player-view"][1]).verdict == "refuted"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--game", "rock_paper_scissors", "--level", "L4"], "L4 is about 2x2 games without noise, but this is rock-paper-sc"),
        (["--game", "rock_paper_scissors", "--ego", "1/2,1/2"], "--ego needs 30 numbers"),
        (["--game", "rock_paper_scissors", "--ego", ",".join(["1/2"] * 30)], "ego needs 3 probabilities that sum to 1"),
        (["--payoffs", json.dumps(np.eye(7).tolist()), "--execution", "0.1", "--level", "L3"], "take --level L0,L1"),
    ],
)  # fmt: skip
def test_what_is_not_compared_is_refused_in_one_line(options, says, capsys):
    assert main(["crossval", "--out", "unused", *options]) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1
