"""Runs of any repeated game of two players: by its name or its payoffs, any number of actions, symmetric or not."""

import dataclasses
import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from folders import TABULAR, metrics, run_of

from lapg_rl import config
from lapg_rl.commands.main import main
from lapg_rl.config import Config, GameConfig
from lapg_rl.config.payoffs import canonical, game_of, spelled
from lapg_rl.envs import IteratedMatrixGame
from lapg_rl.learn.training_step import initial_state, make_train_step, run_key
from lapg_rl.reports.make import report
from lapg_rl.runs import checkpoint
from lapg_rl.runs.loop import fresh_state, open_run
from lapg_rl.study.evaluation import evaluate
from lapg_rl.study.names import strategies
from lapg_rl.study.tournament import classics, tournament
from lapg_theory import general_returns
from lapg_theory.game import (
    FiniteHorizon,
    MatrixGame,
    NormalFormGame,
    matching_pennies,
    prisoners_dilemma,
    rock_paper_scissors,
    stag_hunt,
)

SIZES = {key: getattr(TABULAR, key) for key in ("meta_batch", "batch", "inner_episodes", "steps", "model", "pool")}
STAG = dataclasses.replace(TABULAR, game=GameConfig(kind="matrix", name="stag_hunt"))
RPS = dataclasses.replace(TABULAR, game=GameConfig(kind="matrix", name="rock_paper_scissors"))
POLICY = (0.3, 0.9, 0.2, 0.6, 0.1)


def two_updates(cfg):
    key, step = run_key(cfg), make_train_step(cfg)
    state = initial_state(cfg, key)
    for update in range(2):
        state, told = step(state, jax.random.fold_in(key, update))
    return jax.tree.leaves(eqx.filter(state.agents, eqx.is_array)), told


def test_the_dilemma_by_its_payoffs_trains_as_kind_ipd_byte_for_byte():
    (ours, told), (by_kind, told_by_kind) = (
        two_updates(Config(**SIZES, game=game))
        for game in (GameConfig(kind="matrix", payoffs="[[1, -1], [2, 0]]"), GameConfig())
    )
    assert told.keys() == told_by_kind.keys()
    for a, b in zip([*ours, *told.values()], [*by_kind, *told_by_kind.values()], strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


@pytest.mark.parametrize(
    ("given", "row", "column"),
    [
        ([[4, 0], [3, 2.0]], [[4, 0], [3, 2]], [[4, 3], [0, 2]]),
        ("[[[1,-1],[-1,1]],[[-1,1],[1,-1]]]", [[1, -1], [-1, 1]], [[-1, 1], [1, -1]]),
        (np.eye(3), np.eye(3), np.eye(3)),
    ],
)
def test_payoffs_are_read_in_any_spelling_and_kept_in_one(given, row, column, tmp_path):
    cfg = Config(game=GameConfig(kind="matrix", payoffs=given))
    game = game_of(cfg.game.payoffs)
    found = game.payoffs if isinstance(game, NormalFormGame) else [game.row, game.column]
    np.testing.assert_array_equal(found, [row, column])
    env = IteratedMatrixGame(game)
    for a in range(len(row)):
        for b in range(len(row)):
            _, seen, rewards = env.step(None, jnp.array([a, b]), jax.random.key(0))
            assert rewards.tolist() == [row[a][b], column[a][b]]
            assert seen.argmax(1).tolist() == [1 + len(row) * a + b, 1 + len(row) * b + a]
    config.save(cfg, tmp_path / "c.toml")
    assert config.load(tmp_path / "c.toml") == cfg
    assert canonical(cfg.game.payoffs) == cfg.game.payoffs == spelled(game)


def test_equal_games_are_equal_configs_and_toml_takes_lists(tmp_path):
    (tmp_path / "c.toml").write_text('[game]\nkind = "matrix"\npayoffs = [[4.0, 0], [3, 2]]\n')
    twice = GameConfig(kind="matrix", payoffs=" [[[4,0],[3,2]], [[4,3],[0,2]]]")
    assert config.load(tmp_path / "c.toml").game == twice == GameConfig(kind="matrix", payoffs="[[4,-0.0],[3,2]]")


@pytest.mark.parametrize("name", config.tables.ZOO)
def test_every_game_of_the_zoo_is_named_and_its_actions_too(name):
    game = GameConfig(kind="matrix", name=name).repeated
    count = 2 if isinstance(game, MatrixGame) else game.actions[0]
    assert len(config.tables.ZOO[name].actions) == count
    assert config.tables.ZOO[name].label == game.name.replace("prisoner's dilemma", config.tables.ZOO[name].label)


NUMBER = "must be finite numbers between -1e.06 and 1e.06, got "
SHAPE = "must be one k x k table of numbers"
REFUSALS = {
    "[[NaN,0],[3,2]]": NUMBER + "nan",
    "[[nan,0],[3,2]]": NUMBER + "nan",
    "[[-inf,0],[3,2]]": NUMBER + "nan",
    "[[Infinity,0],[3,2]]": NUMBER + "inf",
    "[[1e7,0],[3,2]]": NUMBER + "10000000.0; rescale",
    f"[[1{'0' * 400},0],[3,2]]": NUMBER + r"1000+\.\.\.",
    '[["4",0],[3,2]]': NUMBER + "'4'",
    "[[true,0],[3,2]]": NUMBER + "True",
    "[[4,0],[3]]": SHAPE + r".* got \[\[4, 0\], \[3\]\]; as in",
    "[[4,0,1],[3,2,1]]": SHAPE,
    "[[[4,0],[3,2]],[[4,0,1],[3,2,1],[3,2,1]]]": SHAPE,
    "[[[4,0],[3,2]],[[4]]]": "must have 2 to 16 actions a player, got 1",
    "[[[[4],0],[3,2]],[[4,0],[3,2]]]": SHAPE,
    "[4,0,3,2]": SHAPE,
    "[]": SHAPE,
    "stag hunt": SHAPE + ".* got 'stag hunt'",
    "[" * 9999: SHAPE + r".*\(10001 characters\)",
    "[[1]]": "must have 2 to 16 actions a player, got 1; play others as an environment of your own",
    json.dumps([[0] * 40] * 40): "must have 2 to 16 actions a player, got 40",
}


@pytest.mark.parametrize("text", REFUSALS, ids=range(len(REFUSALS)))
def test_hostile_payoffs_are_refused_in_one_line(text):
    with pytest.raises(ValueError, match=REFUSALS[text]) as error:
        config.override(Config(), ["game.kind=matrix", f"game.payoffs={text}"])
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


CONFLICTS = {
    "a hunt by T, R, P, S": (["game.T=3", "game.R=4", "game.P=2"], r"game.kind=matrix game.payoffs=\[\[4,-1\],\[3,2\]\]$"),
    "neither": (["game.kind=matrix"], "takes one of game.name and game.payoffs, got '' and ''"),
    "both": (["game.kind=matrix", "game.name=chicken", "game.payoffs=[[4,0],[3,2]]"], "takes one of game.name and"),
    "another kind": (["game.name=chicken"], "game.name = chicken says which .* game.kind = ipd; set game.kind=matrix"),
    "near miss": (["game.kind=matrix", "game.name=stag-hunt"], "unknown name 'stag-hunt' in game.name; did you mean stag_hunt"),
    "T of any game": (["game.kind=matrix", "game.name=chicken", "game.T=5"], r"5.0 is of no use .*=\[\[R,S\],\[T,P\]\]$"),
    "2x2 strategies": (
        ["game.kind=matrix", "game.name=rock_paper_scissors", "p_naive=0.5", "p_memory_one=0.5"],
        r"strategies for 2x2 matrix games, but game.kind = matrix \(rock-paper-scissors\); set it to 0",
    ),
    "agents in the other seat": (
        ["game.kind=matrix", "game.name=matching_pennies", "p_naive=0.5", "agents=2"], "p_meta = 0.5 .* not symmetric"
    ),
    "copies in the other seat": (
        ["game.kind=matrix", "game.name=battle_of_the_sexes", "naive_start=dynamic", "agents=2"], "naive_start = dynamic puts",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CONFLICTS)
def test_what_does_not_fit_is_refused_in_one_line(case):
    assignments, message = CONFLICTS[case]
    with pytest.raises(ValueError, match=message) as error:
        config.override(config.preset("ipd-shaping-small"), assignments)
    assert "\n" not in str(error.value)


def test_symmetry_of_seats():
    assert rock_paper_scissors().is_symmetric
    assert stag_hunt().is_symmetric
    assert not matching_pennies().is_symmetric
    third = np.random.default_rng(0).normal(size=(2, 2, 2))
    third += third.swapaxes(1, 2)  # the co-players are not told apart
    every = np.stack([third, third.swapaxes(0, 1), third.swapaxes(0, 2)])
    assert NormalFormGame(every).is_symmetric
    every[1, 0, 1, 0] += 1
    assert not NormalFormGame(every).is_symmetric
    assert not NormalFormGame(np.zeros((2, 2, 3))).is_symmetric


def of_table(folder, table, cfg=RPS):
    """A finished run whose one agent plays a table of probabilities."""
    run, state = open_run(cfg, folder), fresh_state(cfg)
    agents = eqx.tree_at(lambda a: a.logits, state.agents, jnp.log(jnp.asarray(table, jnp.float32))[None])
    checkpoint.save(run.checkpoints, cfg.updates, state._replace(agents=agents, update=jnp.array(cfg.updates)), keep=1)
    return folder


def test_three_actions_are_evaluated_and_play_tournaments(tmp_path):
    """Against the exact returns of the general theory."""
    table = np.random.default_rng(1).dirichlet(np.ones(3), size=10)
    exact = {
        name: general_returns(rock_paper_scissors(), [table, rows], FiniteHorizon(6)) / 6
        for name, rows in {
            **{f"always-{n}": np.tile(np.eye(3)[n], (10, 1)) for n in range(3)}, "random": np.full((10, 3), 1 / 3)
        }.items()
    }  # fmt: skip
    folder = of_table(tmp_path / "rps", table)
    evaluation = evaluate(folder, list(exact), meta_batch=300)
    for name, (own, other) in exact.items():
        match = evaluation.match(name)
        assert [match.own.reward, match.other.reward] == pytest.approx([own, other], abs=0.03)
        assert sum(np.mean(curve) for curve in match.own.measures.values()) == pytest.approx(1, abs=1e-4)
        assert (match.own.signature, match.own.cooperation_curve) == ([], [])
    assert evaluation.match("always-1").other.measures["action_1"] == [1.0] * 3
    played = tournament([folder], ["always-0", "always-2"], meta_batch=100).players
    assert played.rewards[0][1:] == pytest.approx([exact["always-0"][0], exact["always-2"][0]], abs=0.05)
    assert played.rewards[1][2] == pytest.approx(1, abs=1e-4)  # rock breaks scissors
    for wrong, message in {"tft": "of 2x2 games, but this game has 3", "always-3": "of this game are 0 to 2"}.items():
        with pytest.raises(ValueError, match=message):
            evaluate(folder, [wrong], meta_batch=1)


def test_whom_evaluations_and_tournaments_meet_by_default():
    three, hunt, dilemma = rock_paper_scissors(), stag_hunt(), prisoners_dilemma()
    assert strategies(three) == ("always-0", "always-1", "always-2", "random")
    assert classics(three) == (*strategies(three), "naive")
    assert strategies(dilemma) == (*strategies(hunt), "zd-extort-3")
    assert classics(hunt) == tuple(name for name in classics(dilemma) if name != "zd-extort-3")
    assert strategies(None) == ()


def test_other_games_are_told_without_the_words_of_the_dilemma(tmp_path, capsys):
    folder = run_of(tmp_path / "hunt", [POLICY], STAG)
    names = ("reward_vs_naive", "naive_reward", "action_0_vs_naive", "naive_action_0")
    rows = [{"update": n, **{name: [0.5] for name in names}} for n in range(STAG.updates)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["evaluate", str(folder), "--meta-batch", "2"]) == 0
    assert main(["tournament", str(folder), "--meta-batch", "2", "--out", str(tmp_path / "cup"), "--quiet"]) == 0
    report([folder], tmp_path / "report.html", figure=tmp_path / "figure.svg")
    told = (
        capsys.readouterr().out + (tmp_path / "cup/tournament.csv").read_text() + (tmp_path / "figure.svg").read_text()
    )
    page = (tmp_path / "report.html").read_text()
    assert "Stag hunt (actions: 0 stag, 1 hare; payoffs [[3,0],[2,1]])" in page
    assert "after\n11" in page or "after 11" in page or ">11<" in page
    assert "Against fixed strategies" in page
    for word in ("cooperat", "extort", "defect", "dilemma"):
        assert word not in told.lower()
        assert word not in page.split("Configuration")[0].lower()
    table = json.loads((tmp_path / "cup/tournament.json").read_text())
    assert table["marks"] == {"highest": 3, "lowest": 0}
    assert table["settings"]["game.name"] == "stag_hunt"


def test_a_dilemma_by_its_payoffs_keeps_its_words(tmp_path):
    cfg = dataclasses.replace(TABULAR, game=GameConfig(kind="matrix", payoffs="[[3,0],[5,1]]"))
    folder = run_of(tmp_path / "run", [POLICY], cfg)
    metrics(folder, cfg, 3.8, 3.8)
    report([folder], tmp_path / "report.html", quick=True)
    page = (tmp_path / "report.html").read_text()
    assert "(T, R, P, S) = (5, 3, 1, 0)" in page
    assert '<div class="verdict">cooperate' in page


def test_where_seats_differ_agents_meet_no_agents(tmp_path):
    folder = run_of(
        tmp_path / "pennies",
        [POLICY],
        dataclasses.replace(TABULAR, game=GameConfig(kind="matrix", name="matching_pennies")),
    )
    assert "agent 0" not in {m.opponent for m in evaluate(folder, meta_batch=1).matches}
    for refused in (lambda: evaluate(folder, [str(folder)], meta_batch=1), lambda: tournament([folder], meta_batch=1)):
        with pytest.raises(ValueError, match="learnt in the row player's seat, and matching pennies is not symmetric"):
            refused()
