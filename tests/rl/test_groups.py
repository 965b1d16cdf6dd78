"""Games of n players in training: the environment, the rollout of a group, shares of groups, estimators by enumeration."""

import itertools
from fractions import Fraction

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lapg_rl import config
from lapg_rl.commands.main import main
from lapg_rl.config import Config, GameConfig, PoolConfig
from lapg_rl.config.groups import name_of, shares_of_groups
from lapg_rl.envs import IteratedGroupGame, IteratedMatrixGame
from lapg_rl.estimators import ESTIMATORS
from lapg_rl.learn.training_step import initial_state, run_key
from lapg_rl.models import memory_one
from lapg_rl.play.company import Company, play_pool
from lapg_rl.play.coplayers import FixedStrategy, Group, ReinforceLearner
from lapg_rl.play.metrics import describe_play
from lapg_rl.play.rollout import meta_batch
from lapg_rl.runs.loop import train
from lapg_rl.study import records
from lapg_theory.exact.precision import float64
from lapg_theory.game import GROUP_NAMED, group_strategy, normal_form, public_goods

GAME = public_goods(3, factor=2.0)
TABLE = normal_form(GAME).payoffs
SMALL = ["updates=1", "meta_batch=8", "batch=2", "inner_episodes=2", "steps=3", "model.kind=tabular"]
GROUP = ["game.kind=public-goods", "game.players=3", "game.factor=2.0"]


def test_a_step_pays_and_shows_what_the_table_says():
    env = IteratedGroupGame(GAME)
    step = eqx.filter_jit(env.step)
    for joint in itertools.product((0, 1), repeat=3):
        _, seen, rewards = step(None, jnp.array(joint), jax.random.key(0))
        np.testing.assert_allclose(rewards, TABLE[:, *joint], rtol=1e-6)
        for player, action in enumerate(joint):
            others = joint.count(0) - (action == 0)
            assert int(seen[player].argmax()) == 1 + 3 * action + 2 - others
            assert float(seen[player].sum()) == 1


def test_a_group_of_two_plays_the_prisoners_dilemma_that_it_is():
    config_of_two = GameConfig(kind="public-goods", factor=4 / 3, cost=3.0)
    assert config_of_two.dilemma.trps == pytest.approx((2, 1, 0, -1))
    envs = IteratedGroupGame(public_goods(2, 4 / 3, 3.0)), IteratedMatrixGame(config_of_two.repeated)
    for joint in itertools.product((0, 1), repeat=2):
        (_, seen, rewards), (_, same, paid) = (e.step(None, jnp.array(joint), jax.random.key(0)) for e in envs)
        np.testing.assert_array_equal(seen, same)
        np.testing.assert_allclose(rewards, paid, atol=1e-6)


def test_every_learner_of_a_group_learns_from_its_own_rewards():
    """Chances of the recorded actions, recomputed from what each seat saw, did and got."""
    sizes = {"batch": 3, "inner_episodes": 3, "steps": 2}
    start = jnp.asarray(np.random.default_rng(0).uniform(0.2, 0.8, (4, 2, 7)), jnp.float32)
    fixed = jnp.asarray(np.full((4, 1, 7), group_strategy("tft", 3)), jnp.float32)
    for coplayers, identities in (
        (Group((ReinforceLearner(0.05),), (2,)), (start,)),
        (Group((FixedStrategy(), ReinforceLearner(0.05)), (1, 1)), (fixed, start[:, 1:])),
    ):
        ego = memory_one(jnp.full(7, 0.6))
        played = eqx.filter_jit(meta_batch)(
            IteratedGroupGame(GAME), ego, coplayers, identities, jax.random.key(0), **sizes
        )
        assert len(played) == 3
        actions = np.stack([np.asarray(side.actions) for side in played])
        for player, side in enumerate(played):
            np.testing.assert_allclose(side.rewards, TABLE[player][tuple(actions)], rtol=1e-6)
            chances = np.exp(np.asarray(side.log_probs))
            if player == 0:
                np.testing.assert_allclose(chances, np.where(actions[0] == 0, 0.6, 0.4), rtol=1e-5)
                continue
            for k in range(4):
                learns = len(identities) == 1 or player == 2
                q = np.array(start[k, player - 1] if learns else fixed[k, 0], float)
                for m in range(3):
                    states = np.asarray(side.observations[k, :, m]).argmax(-1)
                    did = actions[player, k, :, m]
                    np.testing.assert_allclose(
                        chances[k, :, m], np.where(did == 0, q[states], 1 - q[states]), rtol=1e-4, atol=1e-6
                    )
                    if not learns:
                        continue
                    to_go = np.cumsum(np.asarray(side.rewards[k, :, m])[:, ::-1], axis=1)[:, ::-1]
                    step = np.zeros(7)
                    for b, t in np.ndindex(did.shape):
                        score = 1 / q[states[b, t]] if did[b, t] == 0 else -1 / (1 - q[states[b, t]])
                        step[states[b, t]] += score * to_go[b, t] / 3
                    q = np.clip(q + 0.05 * step, 0.02, 0.98)


B, M = 2, 3
#: All 8^6 joint histories of three players in three inner episodes of one step and two parallel games: [player, history, b, m].
HISTORIES = np.moveaxis(
    np.array(list(itertools.product((0, 1), repeat=3 * B * M)), np.int8).reshape(-1, 3, B, M), 1, 0
).astype(int)  # fmt: skip
PAID = TABLE[:, *HISTORIES]


def log_chance_of_learners():
    """Of the actions of two naive learners, each of which ascends its own payoff after an inner episode."""
    found = np.zeros(HISTORIES.shape[1])
    for player, start in ((1, 0.4), (2, 0.7)):
        q = np.full(len(found), start)
        for m in range(M):
            did, reward = HISTORIES[player, :, :, m], PAID[player, :, :, m]
            found += np.log(np.where(did == 0, q[:, None], 1 - q[:, None])).sum(1)
            q = np.clip(
                q + 0.6 / B * (np.where(did == 0, 1 / q[:, None], -1 / (1 - q[:, None])) * reward).sum(1), 0.02, 0.98
            )
    return found


def test_among_two_learners_lapg_alone_is_unbiased():
    """By enumeration, for an ego that remembers its game so far: the others' last two actions, and the inner episode."""
    own, rewards = HISTORIES[0], PAID[0][..., None]  # [history, b, m], and with the axis of steps
    before = np.concatenate([np.zeros_like(own[..., :1]), (HISTORIES[1] + 2 * HISTORIES[2])[..., :-1]], axis=-1)
    context, learners = before + 4 * np.arange(M), log_chance_of_learners()

    def log_policy(theta):
        return jnp.where(own == 0, jax.nn.log_sigmoid(theta[context]), jax.nn.log_sigmoid(-theta[context]))

    with float64():
        theta = jnp.asarray(np.random.default_rng(0).normal(size=4 * M))
        weight = np.exp(np.asarray(log_policy(theta)).sum((1, 2)) + learners)
        assert weight.sum() == pytest.approx(1, abs=1e-10)

        @jax.jit
        def estimate(credits):
            return jax.grad(lambda th: jnp.sum(weight[:, None, None] * credits * log_policy(th)))(theta)

        exact = jax.jit(
            jax.grad(lambda th: jnp.sum(jnp.exp(log_policy(th).sum((1, 2)) + learners) * rewards.sum((2, 3)).mean(1)))
        )(theta)
        gaps = {}
        for name in ("lapg", "batch_unaware", "mfos", "inner_episode"):
            credits = jax.jit(
                jax.vmap(lambda r, n=name: ESTIMATORS[n](r, jnp.zeros_like(r), gamma=1.0, gae_lambda=1.0))
            )(jnp.asarray(rewards))
            gaps[name] = float(jnp.abs(estimate(credits[..., 0]) - exact).max())
    assert gaps.pop("lapg") < 1e-11
    assert all(gap > 3e-3 for gap in gaps.values()), gaps


def test_shares_of_groups_are_those_of_seats_drawn_one_by_one():
    shares = {"naive": 0.5, "meta": 0.25, "fixed": 0.25, "frozen": 0.0}
    found = shares_of_groups(shares, 3)
    assert sum(found.values()) == 1
    counted = {}
    for seats in itertools.product(("naive", "meta", "fixed"), repeat=3):
        order = tuple(sorted(seats, key=list(shares).index))
        counted[order] = counted.get(order, 0) + np.prod([shares[kind] for kind in seats])
    assert {members: float(share) for members, share in found.items()} == pytest.approx(counted)
    assert found["naive", "naive", "meta"] == Fraction(3, 16)
    assert [name_of(x) for x in (("naive",) * 3, ("naive", "mine:odd"), ("naive", "naive", "meta"))] == [
        "naive", "naive+odd", "2naive+meta"
    ]  # fmt: skip


def mixed(*changes):
    cfg = config.override(config.preset("ipd-mixed"), [*SMALL, *GROUP, "pool.agents=3", "p_naive=0.5"])
    return config.override(cfg, changes)


def test_a_mixed_pool_plays_every_group_its_share_of_the_games():
    cfg = mixed()
    assert cfg.shares == {"naive": 2, "naive+meta": 4, "meta": 2}
    state = initial_state(cfg, run_key(cfg))
    tables = jnp.arange(3.0)[:, None, None] * jnp.array([1.0, 0.0]) + jnp.zeros((3, 7, 2))  # agent n: log-odds n
    agents = eqx.tree_at(lambda a: a.logits, state.agents, tables)
    company = Company(jnp.array(1), agents, state.naive_policies)
    ego = jax.tree.map(lambda x: x[1], agents)

    @eqx.filter_jit
    def play(ego, company, key):
        played = play_pool(cfg, ego, company, key)
        return played, describe_play(cfg, played)

    played, figures = play(ego, company, jax.random.key(0))
    assert {name: side.own.rewards.shape for name, side in played.items()} == {
        name: (count, 2, 2, 3) for name, count in cfg.shares.items()
    }
    assert {name: (cfg.groups[name], bool(side.learns)) for name, side in played.items()} == {
        "naive": (("naive", "naive"), True), "naive+meta": (("naive", "meta"), True), "meta": (("meta", "meta"), False)
    }  # fmt: skip
    met = []
    for side in (played["naive+meta"].others[1], *played["meta"].others):  # seats of agents other than agent 1
        log_odds = np.abs(np.log(np.exp(-np.asarray(side.log_probs)) - 1))  # |log odds| of agents 0 and 2
        assert (np.isclose(log_odds, 0, atol=1e-3) | np.isclose(log_odds, 2, atol=1e-3)).all()
        met.append(log_odds[:, 0, 0, 0].round())
    assert len({tuple(seat) for seat in met[1:]}) == 2  # seats are drawn apart
    group = played["naive+meta"]
    assert figures["reward_vs_naive+meta"] == pytest.approx(float(group.own.rewards.mean()), rel=1e-5)
    both = [float(side.rewards.mean()) for side in group.others]
    assert figures["naive+meta_reward"] == pytest.approx(np.mean(both), rel=1e-5)
    assert figures["naive_in_naive+meta_reward"] == pytest.approx(both[0], rel=1e-5)
    assert figures["meta_in_naive+meta_cooperation"] == pytest.approx(float((group.others[1].actions == 0).mean()))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (["game.factor=NaN"], "game.factor must be between 1 and game.players = 3, exclusive, got nan"),
        (["game.factor=3.0"], "it is no dilemma otherwise"),
        (["game.players=40"], "game.players must be an integer <= 16, got 40"),
        (["game.players=1"], "players must be an integer >= 2, got 1"),
        (["game.cost=-1.0"], "game.cost must be > 0, got -1.0"),
        (["game.T=3.0"], "game.T = 3.0 is of no use with game.kind = public-goods"),
        (["game.payoffs=[[1,2],[3]]"], "game.payoffs must be one k x k table"),
        (["game.payoffs=[[1,2],[3,4]]"], "says which matrix game is played, but game.kind = public-goods"),
        (["game.kind=ipd", "game.factor=1.6"], "game.kind = ipd is a game of two players, got game.players = 3"),
        (["game.kind=ipd", "game.players=2"], "game.factor = 2.0 is of a public good, but game.kind = ipd"),
        (["meta_batch=6"], "make the group naive 1/4 of the meta-episodes, which is no whole number of meta_batch = 6; take a "
         "multiple of 4"),
        (["pool.reveal=true"], "set pool.reveal=false"),
        (["estimator=loqa"], "learner.estimator = loqa models the one co-player of a game of two"),
        (["pool.coplayers=naive=0.5,ac=0.5"], "script for game.kind = coin"),
    ],
)  # fmt: skip
def test_what_is_no_game_of_a_group_is_refused_in_one_line(changes, says):
    with pytest.raises(ValueError) as raised:
        mixed(*changes)
    assert says in str(raised.value) and "\n" not in str(raised.value)


def test_look_ahead_through_several_learners_is_refused():
    one_step = [
        "epochs=1",
        "minibatches=1",
        "memory=inner_episode",
        "naive.optimiser=sgd",
        "normalize_advantages=false",
    ]
    with pytest.raises(ValueError, match=r"needs game\.players = 2"):
        mixed("algorithm=lola_dice", *one_step)


def test_strategies_of_groups_are_met_by_name():
    cfg = Config(
        game=GameConfig(kind="public-goods", players=4),
        meta_batch=8,
        pool=PoolConfig(p_naive=0.5, p_fixed=0.5, fixed="tft,alld"),
    )
    assert cfg.shares == {"naive": 1, "2naive+fixed": 3, "naive+2fixed": 3, "fixed": 1}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A short run of a mixed pool in groups of three."""
    folder = tmp_path_factory.mktemp("groups") / "run"
    train(config.override(mixed(), ["updates=2", "model.spread=1.0"]), folder, quiet=True)
    return folder


@pytest.mark.slow
def test_a_run_in_groups_is_evaluated_reported_watched_and_compared(run, tmp_path, capsys):
    assert main(["evaluate", str(run), "--meta-batch", "4"]) == 0
    told = capsys.readouterr().out
    assert "cooperation after s0, C2, C1, C0, D2, D1, D0" in told or "reward" in told
    evaluation = records.load(records.Evaluation, run)
    met = [match.opponent for match in evaluation.matches if match.agent == 0]
    assert met == [
        "naive",
        *GROUP_NAMED,
        "agent 0",
        "agent 1",
        "agent 2",
        "naive+agent 0",
        "naive+agent 1",
        "naive+agent 2",
    ]
    defectors = evaluation.match("alld")
    often = np.mean(defectors.own.measures["cooperation"])  # alone against two D, C pays -1/3 and D 0
    assert defectors.own.reward == pytest.approx(-often / 3, abs=1e-3)
    assert defectors.other.reward == pytest.approx(2 / 3 * often, abs=1e-3)
    assert len(defectors.own.signature) == 7
    assert main(["evaluate", str(run), "naive+alld", "--meta-batch", "2", "--json"]) == 0
    capsys.readouterr()
    assert main(["report", str(run), "--out", str(tmp_path / "report.html")]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "Public goods game of 3 players (factor 2, cost 1), in" in page and "2 co-players" in page
    assert main(["compare", str(run), "--metrics", "reward_vs_naive+meta"]) == 0
    assert "reward_vs_naive+meta" in capsys.readouterr().out
    assert main(["watch", str(run), "naive+1", "--out", str(tmp_path), "--inner-episode", "0"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "agent 0 against naive learner and agent 1, inner episode 0"
    letters = [line.split()[-6:-3] for line in lines[1:4]]  # three steps, then the reward "per step"
    paid = [float(line.split()[-3]) for line in lines[1:4]]
    joint = np.array([["CD".index(letter) for letter in row] for row in letters])
    np.testing.assert_allclose(paid, TABLE[:, *joint].mean(1), atol=1e-3)
    assert (tmp_path / "episode.html").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "says"),
    [
        (["tournament", "RUN", "--with", "nosuch"], "unknown co-player 'nosuch' for a group; known: naive, allc"),
        (
            ["tournament", "RUN", "--with", "axelrod:TitForTat"],
            "unknown co-player 'axelrod:TitForTat' for a group; known",
        ),
        (["tournament", "RUN", "--with", "wsls"], "unknown co-player 'wsls' for a group; known: naive, allc"),
        (["evaluate", "RUN", "zd-extort-3"], "unknown co-player 'zd-extort-3' for a group; known: naive, allc"),
        (
            ["evaluate", "RUN", "3naive"],
            "must name who sits in the 2 other seats, as in naive for all of them or naive+alld",
        ),
        (["watch", "RUN", "7"], "this run has no agent 7; it has 3, counted from 0"),
    ],
)
def test_what_a_group_cannot_do_is_refused_in_one_line(run, line, says, capsys):
    assert main([str(run) if part == "RUN" else part for part in line]) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1
