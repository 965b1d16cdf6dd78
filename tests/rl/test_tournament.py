"""Tournaments: who plays, what is grouped, what intervals say, what is refused, which files appear."""

import csv
import dataclasses
import json
import re

import jax
import numpy as np
import pytest
from folders import TABULAR, expected_rewards, run_of

from lapg_rl import config
from lapg_rl.commands.main import main
from lapg_rl.commands.tournament import text
from lapg_rl.config import GameConfig, LearnerConfig, ModelConfig, PoolConfig
from lapg_rl.envs.build import environment, repeated_game
from lapg_rl.interop.equilibria import empirical_game
from lapg_rl.learn import training_step
from lapg_rl.play import company, rollout
from lapg_rl.play.coplayers import MetaAgent
from lapg_rl.study import entrants, matches
from lapg_rl.study.intervals import of_mean
from lapg_rl.study.standings import Group, circle, group_table
from lapg_rl.study.tournament import tournament
from lapg_theory.game import ALLD, TFT

POLICY = (0.3, 0.9, 0.2, 0.6, 0.1)
PAIR = dataclasses.replace(TABULAR, pool=PoolConfig(p_naive=0.5, agents=2, naive_population=2))


def seeds(root, count=3, cfg=TABULAR):
    policies = [tuple(np.random.default_rng(n).uniform(size=5)) for n in range(count)]
    folders = [run_of(root / f"s{n}", [p], dataclasses.replace(cfg, seed=n)) for n, p in enumerate(policies)]
    return folders, policies


def test_agents_without_an_estimator_go_by_their_algorithm(tmp_path):
    more = ["learner.algorithm=shaper", "learner.gamma=1", "learner.epochs=1", "learner.minibatches=1"]
    run = run_of(tmp_path / "s", [TFT], config.override(TABULAR, more))
    assert tournament([run], ["tft"], meta_batch=2).members == {"shaper": ["s"], "tft": ["tft"]}


def test_runs_of_one_setting_are_grouped_with_an_interval_over_seeds(tmp_path):
    folders, policies = seeds(tmp_path)
    pair = run_of(tmp_path / "pair", [TFT, ALLD], PAIR)
    played = tournament([*folders, pair], ["tft"], meta_batch=100)
    assert played.members == {
        "lapg p_naive=1.0 agents=1": ["s0", "s1", "s2"],
        "lapg p_naive=0.5 agents=2": ["pair/0", "pair/1"],
        "tft": ["tft"],
    }
    table = played.groups
    exact = of_mean(
        [expected_rewards(p, TFT, 6)[0] for p in policies]
    )  # three runs against tft: an ordinary t-interval
    assert [table.rewards[0][2], table.low[0][2], table.high[0][2]] == pytest.approx(
        [exact.value, exact.low, exact.high], abs=0.1
    )
    crossed = [expected_rewards(p, q, 6)[0] for p in policies for q in policies if p is not q]
    assert table.rewards[0][0] == pytest.approx(np.mean(crossed), abs=0.05)
    by_pairs = np.mean([expected_rewards(p, q, 6)[0] for p in (TFT, ALLD) for q in (TFT, ALLD)])
    assert table.rewards[1][1] == pytest.approx(by_pairs, abs=1e-3)
    assert table.low[1][1] is None
    (found,) = played.circles
    assert found.itself.value == pytest.approx(np.mean([expected_rewards(p, p, 6)[0] for p in policies]), abs=0.05)
    assert found.own_run is None
    assert found.other_seeds.value == pytest.approx(table.rewards[0][0], abs=1e-5)


def test_a_match_does_not_depend_on_who_else_plays_nor_on_how_many_play_at_once(tmp_path, monkeypatch):
    (one, two, three), _ = seeds(tmp_path)
    alone = tournament([one, two], ["tft"], meta_batch=3, seed=4).players
    shapes = []
    monkeypatch.setattr("lapg_rl.study.tournament.matches_at_once", lambda *_: 4)
    stacked = matches.play_all
    monkeypatch.setattr(
        "lapg_rl.study.tournament.play_all", lambda c, m, n: shapes.append((len(m), n)) or stacked(c, m, n)
    )
    more = tournament([three, two, one], ["alld", "tft"], meta_batch=3, seed=4).players
    assert shapes == [(15, 4)]
    for row in alone.names:
        for column in alone.names:
            i, j, row_there, column_there = (t.names.index(n) for t in (alone, more) for n in (row, column))
            assert more.rewards[row_there][column_there] == pytest.approx(alone.rewards[i][j], abs=1e-5)
    assert tournament([one, two], ["tft"], meta_batch=3, seed=5).players.rewards != alone.rewards


def test_groups_by_hand():
    """Two groups, of three runs of one agent and two runs of two: means and leave-one-out errors written out."""
    means = np.random.default_rng(0).normal(size=(7, 7))
    groups = [Group("a", [[0], [1], [2]]), Group("b", [[3, 4], [5, 6]])]
    table = group_table(groups, means, np.zeros((7, 7)))
    block = np.array([[means[i, 3:5].mean(), means[i, 5:7].mean()] for i in range(3)])
    assert table.rewards[0][1] == pytest.approx(block.mean(), rel=1e-5)
    rows, columns = block.mean(1), block.mean(0)
    assert table.errors[0][1] == pytest.approx(np.sqrt(rows.var(ddof=1) / 3 + columns.var(ddof=1) / 2), rel=1e-5)
    assert table.high[0][1] - table.rewards[0][1] == pytest.approx(12.7062 * table.errors[0][1], rel=1e-4)  # t, 1 df
    off = [means[i, j] for i in range(3) for j in range(3) if i != j]
    assert table.rewards[0][0] == pytest.approx(np.mean(off), rel=1e-5)
    without = [(means[i, j] + means[j, i]) / 2 for i, j in ((1, 2), (0, 2), (0, 1))]
    assert table.errors[0][0] == pytest.approx(np.sqrt(2 / 3 * np.sum((without - np.mean(without)) ** 2)), rel=1e-5)
    assert table.rewards[1][1] == pytest.approx((means[3:5, 5:7].mean() + means[5:7, 3:5].mean()) / 2, rel=1e-5)
    assert table.errors[1][1] is None  # one run fewer leaves no pair
    assert [rank.name for rank in table.ranking] == sorted(
        "ab", key=lambda n: -table.rewards["ab".index(n)]["ba".index(n)]
    )
    found = circle(groups[1], means)
    assert found.itself.value == pytest.approx(np.mean([means[i, i] for i in range(3, 7)]))
    assert found.own_run.value == pytest.approx(np.mean([means[3, 4], means[4, 3], means[5, 6], means[6, 5]]))
    assert found.other_seeds.low is None


def test_bad_input_is_refused(tmp_path):
    (one, two), _ = seeds(tmp_path, 2)
    other = run_of(tmp_path / "other", [TFT], dataclasses.replace(TABULAR, steps=7, batch=2))
    with pytest.raises(
        ValueError, match="s0 and other cannot play each other: they differ in batch 4 and 2, steps 6 and 7"
    ):
        tournament([one, other])
    with pytest.raises(ValueError, match=r"they differ in steps 6 and 7$"):  # B concerns naive learners only
        tournament([one, other], ["tft"])
    with pytest.raises(ValueError, match="unknown co-player 'ttf'; did you mean tft"):
        tournament([one, two], ["ttf"])
    with pytest.raises(ValueError, match="s0 is named twice"):
        tournament([one, two, one])
    with pytest.raises(ValueError, match="needs at least two players"):
        tournament([one], [])
    with pytest.raises(ValueError, match="meta_batch must be an integer >= 1"):
        tournament([one, two], meta_batch=0)


def test_the_command_writes_tables_and_heat_map(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small = dataclasses.replace(TABULAR, inner_episodes=2, steps=2, batch=2)
    (tmp_path / "x").mkdir()
    run_of(tmp_path / "x" / "run", [POLICY], small)
    (tmp_path / "y").mkdir()
    wide = dataclasses.replace(small, model=ModelConfig(kind="tabular", width=8))
    run_of(tmp_path / "y" / "run", [TFT], wide)
    line = ["tournament", "x/run", "y/run", "--with", "ALLD, naive", "--meta-batch", "2", "--quiet"]
    assert main(line) == 0
    out = capsys.readouterr().out
    assert "ranking by the mean over all other players" in out
    data = json.loads((tmp_path / "tournament" / "tournament.json").read_text())
    assert data["players"]["names"] == ["x/run", "y/run", "alld", "naive"]
    assert data["groups"] is None
    assert data["players"]["rewards"][2][2] == 0
    assert data["players"]["rewards"][3][3] is None
    with (tmp_path / "tournament" / "tournament.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 16
    assert float(rows[1]["reward"]) == data["players"]["rewards"][0][1]
    assert ">x/run<" in (tmp_path / "tournament" / "tournament.svg").read_text()  # text stays text
    assert (tmp_path / "tournament" / "tournament.png").read_bytes()[:4] == b"\x89PNG"
    files = {p.name: p.read_bytes() for p in (tmp_path / "tournament").iterdir()}
    assert main([*line, "--out", "again"]) == 0
    assert {p.name: p.read_bytes() for p in (tmp_path / "again").iterdir()} == files


@pytest.mark.parametrize("forget", [True, False])
def test_agents_bring_their_own_memory(forget):
    """A match among agents that forget after each inner episode is the play that clears their memory, and no other one."""
    cfg = dataclasses.replace(
        TABULAR,
        inner_episodes=3,
        batch=64,
        model=ModelConfig(kind="gru", width=4),
        learner=LearnerConfig(memory="inner_episode"),
    )
    key = jax.random.key(1)
    agent = training_step.initial_state(cfg, key).agents
    one = entrants.Entrant("one", "meta", jax.tree.map(lambda x: 2 * jax.random.normal(key, x[0].shape), agent), cfg, 0)
    identities = jax.tree.map(lambda x: x[None], one.policy)
    ((_, tally),) = matches.play_all(cfg, [entrants.meeting(one, one, 1, key)])
    play = rollout.meta_batch(
        environment(cfg), one.policy, MetaAgent(forget), identities, key, **{**company.sizes(cfg), "forget": forget}
    )
    expected = [side.rewards.mean((1, 3)) for side in play]
    assert np.allclose(tally.rewards, expected, atol=1e-6) == forget


def test_groups_meet_with_learners_in_one_seat_and_in_all_others(tmp_path, capsys):
    """Among three with factor 2 a contribution costs 1 and gives everybody 2/3: defectors tell from each other's rewards."""
    group = GameConfig(kind="public-goods", players=3, factor=2.0)
    small = dataclasses.replace(TABULAR, game=group, inner_episodes=2, steps=2, batch=2)
    one, two = (run_of(tmp_path / name, [(x,) * 7], small) for name, x in (("c", 1.0), ("d", 0.0)))
    line = ["tournament", str(one), str(two), "--with", "naive", "--meta-batch", "3", "--curves", "--json"]
    assert main([*line, "--out", str(tmp_path)]) == 0
    cup = json.loads(capsys.readouterr().out)
    table = cup["players"]
    assert (table["names"], table["players"], cup["settings"]["game.players"]) == (["c", "d", "naive"], 3, 3)
    rewards, often = (np.array(table[name], float) for name in ("rewards", "cooperation"))
    np.testing.assert_allclose(often[:2, :2], [[1, 1], [0, 0]], atol=1e-3)
    np.testing.assert_allclose(rewards[:2, :2], [[1, -1 / 3], [4 / 3, 0]], atol=1e-3)
    assert 0 < often[2, 1] < 1 and np.isnan(rewards[2, 2])
    assert rewards[2, 1] == pytest.approx(-often[2, 1] / 3, abs=1e-3)  # one naive learner with two defectors
    shared = {tuple(curve["names"]): curve["rewards"] for curve in cup["curves"]}
    np.testing.assert_allclose(shared["c", "d"], [[-1 / 3, 1 / 3], [2 / 3, 4 / 3]], atol=1e-3)
    alone, learners = (earned[0] for earned in shared["c", "naive"])
    often_paid = (alone + 1 / 3) * 3 / 4  # by the learners
    assert learners - alone == pytest.approx(1 - often_paid, abs=1e-3)
    played = tournament([one, two], ["naive"], meta_batch=3, curves=True)
    assert [curve.rewards for curve in played.curves] == [curve["rewards"] for curve in cup["curves"]]
    (first, second), (own, other) = played.curves[0].names, played.curves[0].rewards
    shown = text(played)
    for name, met, earned in (
        (first, second, own),
        (second, first, other[::-1]),
    ):  # by the seats of the one named first
        assert re.search(
            rf"{re.escape(name)} +with {re.escape(met)} +" + " +".join(f"\\{x:+.3f}" for x in earned), shown
        )
    assert "with 2 of" in played._repr_html_()
    told = text(played)
    assert "in one seat, the column player in the other 2; 3 meta-episodes" in told and "d     with c" in told
    with pytest.raises(ValueError, match="matches of 3 players make no game of two"):
        empirical_game(played)


def test_curves_are_of_groups(tmp_path):
    with pytest.raises(ValueError, match="this is a game of two players; leave them out"):
        tournament(seeds(tmp_path, 2)[0], curves=True)


LOLA = ["learner.algorithm=lola_dice", "learner.memory=inner_episode", "learner.epochs=1", "learner.minibatches=1"]


@pytest.mark.parametrize("learner", [["learner.estimator=lapg,mfos"], LOLA], ids=["each its own", "lola"])
def test_new_naive_learners_do_not_depend_on_how_agents_learn(learner):
    """Such settings may fit the agents of a run, and no single agent; the learners are those of any other run."""
    cfg = dataclasses.replace(
        TABULAR, pool=PoolConfig(p_naive=0.0, agents=2), model=ModelConfig(kind="tabular", spread=1.0)
    )
    other = config.override(cfg, learner)
    found, same = (entrants.fresh_naive(one, 3, jax.random.key(1)).policy.logits for one in (other, cfg))
    np.testing.assert_array_equal(found, same)
    assert np.ptp(found) > 0.1


def test_few_matches_are_not_played_as_often_as_memory_allows(tmp_path, monkeypatch):
    """Several of one shape fill one program with themselves; one alone is played once."""
    sizes, made = [], matches.play_of

    def counted(cfg, kind, several, partners):
        play = made(cfg, kind, several, partners)
        return lambda policies, *more: (sizes.append(len(policies.logits)), play(policies, *more))[1]

    monkeypatch.setattr(matches, "play_of", counted)
    run = run_of(tmp_path / "run", [TFT])
    (agent,) = entrants.agents(run)
    met = [
        entrants.meeting(agent, entrants.fixed("alld", repeated_game(TABULAR.game)), 2, jax.random.key(n))
        for n in range(3)
    ]
    assert len(list(matches.play_all(TABULAR, met[:1], at_once=50))) == 1
    assert len(list(matches.play_all(TABULAR, met, at_once=2))) == 3
    assert sizes == [1, 2, 2]
