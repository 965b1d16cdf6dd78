"""Runs of the Coin Game: presets, training among scripts, evaluation, reports, refusals."""

import dataclasses
import math
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from coin_reference import means

from lapg_rl import config
from lapg_rl.commands.evaluate import table
from lapg_rl.commands.main import main
from lapg_rl.config import CoinConfig, Config, GameConfig, LearnerConfig, ModelConfig, PoolConfig
from lapg_rl.envs import CoinGame, Reveal, build
from lapg_rl.learn import training_step
from lapg_rl.play import company
from lapg_rl.play.coplayers import CoinScript
from lapg_rl.reports import write
from lapg_rl.runs import checkpoint
from lapg_rl.runs.loop import fresh_state, open_run, train
from lapg_rl.study.evaluation import evaluate
from lapg_rl.study.results import collect
from lapg_rl.study.tournament import tournament

TINY = Config(
    name="tiny",
    updates=2,
    meta_batch=8,
    batch=2,
    inner_episodes=2,
    steps=6,
    game=GameConfig(kind="coin"),
    model=ModelConfig(kind="tabular", spread=1.0),  # a linear policy: quick to compile
    pool=PoolConfig(p_naive=0.25, agents=2, naive_population=2, coplayers="ac=0.25,ad=0.25"),
)


@pytest.mark.parametrize("name", [pytest.param("coin", marks=pytest.mark.slow), "coin-small"])
def test_presets_are_the_game_of_the_leagues(name):
    cfg = config.preset(name)
    assert build.environment(cfg).observation_size == 36
    assert (cfg.steps, cfg.learner.gamma, cfg.naive.gamma, cfg.game.coin.size) == (16, 0.96, 0.96, 3)
    assert cfg.game.title == "Coin Game on 3 x 3 cells"
    smaller = ["meta_batch=8", "batch=2", "inner_episodes=2", "steps=4", "model.kind=tabular"]
    cfg = config.override(cfg, smaller)
    key = training_step.run_key(cfg)
    state, found = training_step.make_train_step(cfg)(training_step.initial_state(cfg, key), key)
    assert all(np.isfinite(value).all() for value in found.values())
    assert {"own_coins_vs_naive", "other_coins_vs_meta", "naive_own_coins"} <= found.keys()
    assert int(state.update) == 1


class Script(eqx.Module):
    """A script as the ego."""

    defects: jax.Array

    def initial_state(self):
        return jnp.zeros(())

    def step(self, state, observation):
        _, (logits, values) = CoinScript(3).act(self.defects, observation[None])
        return state, (logits[0], values[0])


def test_scripts_in_a_pool_earn_what_the_exact_chain_says():
    """AC meets both scripts in 3,072 games each of 16 steps, told whom it meets: rewards of both players within 4.5 standard
    errors of the exact means; a false alarm once in 36,000 keys.
    """
    told = {"reveal": True, "reveal_kinds": "meta,ac,ad"}
    pool = PoolConfig(p_naive=0.0, coplayers="ac=0.5,ad=0.5", **told)
    cfg = dataclasses.replace(TINY, meta_batch=96, batch=32, inner_episodes=2, steps=16, pool=pool)
    assert cfg.shares == {"ac": 48, "ad": 48}
    played = jax.jit(
        lambda key: company.play_pool(cfg, Script(jnp.array(False)), company.Company(jnp.array(0), None, None), key)
    )(jax.random.key(3))
    for n, (name, defects) in enumerate((("ac", False), ("ad", True)), start=1):
        expected, _ = means((False, defects), 16)
        own, other = played[name].own, played[name].other
        assert not played[name].learns
        np.testing.assert_array_equal(np.asarray(own.observations)[..., 36:].reshape(-1, 3), np.eye(3)[[n] * 48 * 1024])
        for side, mean in zip((own, other), expected, strict=True):
            rewards = np.asarray(side.rewards, float).mean(-1).ravel()
            assert abs(rewards.mean() - mean) < 4.5 * rewards.std(ddof=1) / math.sqrt(rewards.size)


def test_scripts_play_their_game_only():
    with pytest.raises(ValueError, match=r"ac is a share of a script for game\.kind = coin, but game\.kind = ipd"):
        dataclasses.replace(TINY, game=GameConfig())
    with pytest.raises(ValueError, match=r"reveal_kinds=naive,meta,fixed,memory_one,ac,ad"):
        dataclasses.replace(TINY.pool, reveal=True)
    with pytest.raises(
        ValueError, match=r"pool.reveal_kinds = naive, but meta is met, too; set pool.reveal_kinds=naive,meta"
    ):
        PoolConfig(reveal=True, reveal_kinds="naive")  # a naive learner meets an agent
    told = Config(pool=PoolConfig(reveal=True, reveal_kinds="naive,meta"))
    with pytest.raises(
        ValueError, match=r"which fixed is not among: pool.reveal_kinds = naive,meta; a run that is to meet"
    ):
        build.environment(told, "fixed")
    with pytest.raises(ValueError, match=r"unknown name 'ace'.*did you mean"):
        PoolConfig(coplayers="ace=0.5")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("coin") / "run"
    train(TINY, folder, quiet=True)
    return folder


def test_training_evaluation_and_report(trained, tmp_path, capsys):
    assert main(["evaluate", str(trained), "--meta-batch", "4"]) == 0
    printed = capsys.readouterr().out
    met = ["naive", "ac", "ad", "agent 0", "agent 1"]
    assert re.findall(r"agent 1 against (.*)", printed) == met
    result = collect(trained)
    assert {f"{m}_vs_{k}" for m in ("reward", "own_coins", "other_coins") for k in ("naive", "meta", "ac", "ad")} | {
        "ac_reward",
        "ad_other_coins",
    } <= result.metrics.keys()
    match = result.evaluation.match("ad", 1)
    assert all(len(curve) == 2 for curve in (*match.own.measures.values(), match.own.reward_curve))
    lost = 2 * np.array(match.other.measures["other_coins"])
    gained = np.array(match.own.measures["own_coins"]) + match.own.measures["other_coins"]
    np.testing.assert_allclose(match.own.reward_curve, gained - lost, atol=1e-3)
    write([result], tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "Coin Game on 3 x 3 cells" in text
    assert "reward vs ad" in text
    assert "prisoner" not in text


def test_evaluation_meets_the_scripts_that_are_named(trained, capsys):
    found = evaluate(trained, ["ad", "ac"], meta_batch=4)
    assert [(m.agent, m.opponent) for m in found.matches] == [(a, o) for a in (0, 1) for o in ("ad", "ac")]
    assert "agent 0 against ac" in table(trained, found)
    assert main(["evaluate", str(trained), "tft"]) == 2
    assert main(["watch", str(trained)]) == 2
    assert capsys.readouterr().err.count("game.kind = coin") == 2


def test_a_script_that_has_no_entry_in_what_is_revealed_is_not_met(tmp_path):
    pool = PoolConfig(reveal=True, reveal_kinds="naive,meta,fixed,ad")
    cfg = dataclasses.replace(TINY, pool=pool)
    assert isinstance(build.environment(cfg), Reveal)
    run = open_run(cfg, tmp_path / "run")
    state = fresh_state(cfg)._replace(update=jnp.array(cfg.updates))
    checkpoint.save(run.checkpoints, cfg.updates, state, keep=1)
    assert [m.opponent for m in evaluate(run.path, meta_batch=2).matches] == ["naive", "ad", "agent 0"]
    with pytest.raises(ValueError, match="unknown co-player 'ac'"):
        evaluate(run.path, ["ac"], meta_batch=2)


def test_configs_from_before_the_coin_game_load(tmp_path):
    file = tmp_path / "config.toml"
    config.save(Config(), file)
    file.write_text(re.sub(r"\[game.coin\]\n(\w+ = .*\n)+", "", file.read_text()))
    assert "coin" not in file.read_text()
    assert config.load(file, complete=True) == Config()
    assert build.environment(config.override(TINY, ["game.coin.size=4", "start=independent"])).observation_size == 64
    assert CoinGame(4, "independent").distinct is False
    assert CoinConfig() == Config().game.coin


@pytest.mark.slow
def test_ppo_learns_to_take_the_coins_of_a_cooperator():
    """Independent PPO among always-cooperate: from what a random walk earns to two thirds of what always-defect does."""
    learner = LearnerConfig(
        estimator="inner_episode",
        memory="inner_episode",
        learning_rate=1e-2,
        gamma=0.96,
        advantages="normalised",
        reward_scale=0.1,
    )
    cfg = Config(
        updates=100,
        meta_batch=32,
        batch=4,
        inner_episodes=1,
        steps=16,
        game=GameConfig(kind="coin"),
        learner=learner,
        pool=PoolConfig(p_naive=0.0, coplayers="ac=1.0"),
    )
    key, step = training_step.run_key(cfg), training_step.make_train_step(cfg)
    state, rewards = training_step.initial_state(cfg, key), []
    for update in range(cfg.updates):
        state, metrics = step(state, jax.random.fold_in(key, update))
        rewards.append(float(metrics["reward_vs_ac"][0]))
    walk, defector = (means((first, False), cfg.steps)[0][0] for first in (None, True))
    assert rewards[0] == pytest.approx(walk, abs=0.05)
    assert np.mean(rewards[-20:]) > 2 / 3 * defector


def test_agents_and_scripts_play_a_tournament(trained, tmp_path, capsys):
    """Scripts meet in 384 inner episodes of 6 steps, in either seat: rewards within 4.5 standard errors of the exact means; a
    false alarm once in 49,000 keys. A name of another game is refused, by the command before anything is played.
    """
    played = tournament([trained], ["ac", "ad"], meta_batch=96).players
    assert played.names == ["run/0", "run/1", "ac", "ad"]
    for row, column in (("ac", "ad"), ("ad", "ac"), ("ac", "ac")):
        i, j = (played.names.index(name) for name in (row, column))
        expected = means((row == "ad", column == "ad"), TINY.steps)[0][0]
        assert abs(played.rewards[i][j] - expected) < 4.5 * played.errors[i][j]
    assert main(["tournament", str(trained), "--with", "tft", "--out", str(tmp_path / "cup")]) == 2
    assert "unknown co-player 'tft' for game.kind = coin; known: naive, ac, ad" in capsys.readouterr().err
