"""Axelrod's players as opponents, and agents as its players: against hand-written rules and the matches of the library."""

import dataclasses
import itertools
import json
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from folders import TABULAR, run_of

from lapg_rl.commands.main import main
from lapg_rl.config import PoolConfig
from lapg_rl.envs.build import environment
from lapg_rl.interop.axelrod_players import Seat, _classes, check_game, find_player
from lapg_rl.interop.host import Side, host_batch
from lapg_rl.learn.training_step import initial_state
from lapg_rl.models import memory_one
from lapg_rl.play.company import naive_learner, sizes
from lapg_rl.play.coplayers import FixedStrategy
from lapg_rl.play.rollout import meta_batch
from lapg_rl.study.entrants import fixed
from lapg_rl.study.evaluation import evaluate
from lapg_rl.study.tournament import tournament
from lapg_theory.game import ALLD, TFT, battle_of_the_sexes, prisoners_dilemma, rock_paper_scissors

axelrod = pytest.importorskip("axelrod", reason="needs axelrod < 4.14, which the group `test` installs")

POLICY = (0.3, 0.9, 0.2, 0.6, 0.1)
ALTERNATES = (1.0, 0.0, 0.0, 1.0, 1.0)
#: Long memories, counters, schedules, chance, machines, and what looks at the length or the payoffs of a match.
PLAYERS = [
    "TitFor2Tats",
    "Gradual",
    "Grumpy",
    "BackStabber",
    "FirstByGraaskamp",
    "SecondByChampion",
    "SecondByTranquilizer",
    "Random",
    "EvolvedFSM16",
    "EvolvedLookerUp2_2_2",
    "Adaptive",
    "AntiCycler",
    "Handshake",
    "OmegaTFT",
    "ContriteTitForTat",
    "ZDExtort2",
    "Stalker",
    "Pi",
]


class Given:
    """Stands for a generator of seeds: always the same one."""

    def __init__(self, seed):
        self.seed = seed

    def integers(self, high, size):
        return np.full(size, self.seed)


def taken_in(seat, opponent):
    """The actions of the first of the seat's players against a fixed sequence of actions."""
    seat.begin()
    taken, state = [], 0
    for other in opponent:
        own = int(seat.act(np.full(len(seat.players), state), np.ones(len(seat.players), bool))[0])
        taken.append(own)
        state = 1 + 2 * own + other
    return taken


def agree(names, turns=20):
    """Names of the players that play otherwise in a seat than in a match of Axelrod's with the same seed."""
    game, sequence = prisoners_dilemma(), "CCDCDDDCCC"
    payoffs = axelrod.Game(r=1, s=-1, t=2, p=0)
    differ = []
    for name in names:
        cls = getattr(axelrod, name)
        match = axelrod.Match((cls(), axelrod.Cycler(sequence)), turns=turns, game=payoffs, seed=3)
        seed = axelrod.random_.RandomGenerator(seed=3).random_seed_int()
        own = [int(play is axelrod.Action.D) for play, _ in match.play()]
        seat = Seat(cls, game, turns, 1, Given(seed))
        opponent = [int(sequence[n % 10] == "D") for n in range(turns)]
        if not taken_in(seat, opponent) == taken_in(seat, opponent) == own:  # and the second match is like the first
            differ.append(name)
    return differ


def test_players_play_as_in_matches_of_their_own():
    assert agree(PLAYERS) == []


@pytest.mark.slow
def test_every_player_plays_as_in_matches_of_its_own():
    refuse = []
    for cls in axelrod.strategies:
        try:
            check_game(cls.__name__, prisoners_dilemma(), cls)
        except ValueError:
            refuse.append(cls)
    assert len(refuse) < 30  # zero-determinant players made for other payoffs, and teams with such among them
    assert agree([cls.__name__ for cls in axelrod.strategies if cls not in refuse]) == []


def two_tats(theirs):
    return int(theirs[-2:] == (1, 1))


def against_two_tats(policy, steps):
    """Expected rewards per step of a memory-one policy against tit-for-two-tats, over all its sequences of actions."""
    total = np.zeros(2)
    for own in itertools.product((0, 1), repeat=steps):
        chance, state = 1.0, 0
        rewards = np.zeros(2)
        for t, action in enumerate(own):
            other = two_tats(own[:t])
            chance *= policy[state] if action == 0 else 1 - policy[state]
            rewards += ((1, -1), (2, 0))[action][other], ((1, -1), (2, 0))[other][action]
            state = 1 + 2 * action + other
        total += chance * rewards
    return total / steps


def test_a_tournament_with_them_gives_what_their_rules_say(tmp_path):
    pair = dataclasses.replace(TABULAR, pool=PoolConfig(p_naive=0.5, agents=2))
    run = run_of(tmp_path / "run", [POLICY, ALTERNATES], pair)
    met = ["axelrod:TitFor2Tats", "alld"]
    cup = tournament([run], met, meta_batch=40, seed=1).players
    assert cup.names == ["run/0", "run/1", *met]
    reward = {(a, b): cup.rewards[i][j] for i, a in enumerate(cup.names) for j, b in enumerate(cup.names)}
    assert [reward["run/0", met[0]], reward[met[0], "run/0"]] == pytest.approx(against_two_tats(POLICY, 6), abs=0.1)
    assert reward["run/1", met[0]] == pytest.approx((3 * 1 + 3 * 2) / 6)  # it takes every second defection
    assert reward[met[0], "run/1"] == pytest.approx(0)
    assert reward["alld", met[0]] == pytest.approx(2 * 2 / 6)
    assert reward[met[0], met[0]] == 1
    assert cup.cooperation[1][2] == pytest.approx(0.5)


def test_matches_depend_on_the_seed_and_on_nobody_else(tmp_path):
    run = run_of(tmp_path / "run", [POLICY])
    rewards = tournament([run], ["axelrod:Random"], meta_batch=3, seed=1).players.rewards
    more = tournament([run], ["tft", "axelrod:Random"], meta_batch=3, seed=1).players.rewards
    assert [[more[i][j] for j in (0, 2)] for i in (0, 2)] == rewards
    assert rewards[0][1] != tournament([run], ["axelrod:Random"], meta_batch=3, seed=2).players.rewards[0][1]


def test_evaluations_meet_them_too(tmp_path):
    run = run_of(tmp_path / "run", [ALLD])
    (match,) = evaluate(run, ["axelrod:TitFor2Tats"], meta_batch=2).matches
    assert match.own.reward_curve == pytest.approx([2 / 3] * 3)  # each inner episode is a match of its own


def test_learners_learn_on_the_host_as_in_a_compiled_match():
    """Learners whose first actions are certain: what they have learnt after it is the same to rounding."""
    cfg = dataclasses.replace(TABULAR, batch=2, steps=3, naive=dataclasses.replace(TABULAR.naive, learning_rate=0.5))
    learners = initial_state(cfg, jax.random.key(0)).naive_policies
    sure = eqx.tree_at(lambda p: p.logits, learners, jnp.broadcast_to(jnp.array([20.0, -20.0]), learners.logits.shape))
    fixed = jnp.broadcast_to(jnp.array(TFT, jnp.float32), (2, 5))
    coplayers = {"fixed": FixedStrategy(), "naive": naive_learner(cfg.naive)}
    ours = host_batch(cfg, (Side("fixed", fixed), Side("naive", sure)), 2, jax.random.key(1), coplayers)
    compiled = meta_batch(
        environment(cfg), memory_one(fixed[0]), coplayers["naive"], sure, jax.random.key(2), **sizes(cfg)
    )
    for one, two in zip(ours, compiled, strict=True):
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
            assert a.shape == b.shape
            np.testing.assert_allclose(a, b, atol=1e-5)
    assert np.ptp(np.asarray(ours[1].values), axis=2).max() > 1e-3  # they did learn


def test_matches_that_end_at_random_have_no_known_length(tmp_path):
    cfg = dataclasses.replace(TABULAR, game=dataclasses.replace(TABULAR.game, stop=0.5))
    run = run_of(tmp_path / "run", [ALLD], cfg)
    assert tournament([run], ["axelrod:Cooperator"], meta_batch=3).players.rewards[0][1] == pytest.approx(2)
    known = Seat(axelrod.BackStabber, prisoners_dilemma(), 6, 1, Given(0))
    unknown = Seat(axelrod.BackStabber, prisoners_dilemma(), float("inf"), 1, Given(0))
    assert taken_in(known, [0] * 6) == [0, 0, 0, 0, 1, 1]
    assert taken_in(unknown, [0] * 6) == [0] * 6


def test_a_mistyped_name_is_told_without_importing_the_library_and_no_strategy_is_taken_for_one(monkeypatch):
    assert {cls.__name__ for cls in axelrod.all_strategies} <= set(_classes())
    monkeypatch.setattr("lapg_rl.interop.axelrod_players.package", None)
    with pytest.raises(ValueError, match=r"^axelrod 4\S+ has no strategy 'Gradul'; did you mean axelrod:Gradual"):
        find_player("axelrod:Gradul")


def test_what_cannot_play_is_named_in_one_line(tmp_path, monkeypatch):
    run = run_of(tmp_path / "run", [TFT])
    with pytest.raises(ValueError, match=r"has no strategy 'TitForTwoTats'; did you mean axelrod:TitFor2Tats\?$"):
        tournament([run], ["axelrod:TitForTwoTats"])
    with pytest.raises(ValueError, match=r"has no strategy 'Gradul'; did you mean axelrod:Gradual"):
        find_player("axelrod:Gradul")
    with pytest.raises(ValueError, match=r"has no strategy 'MockPlayer'"):
        find_player("axelrod:MockPlayer")
    with pytest.raises(ValueError, match=r"axelrod:Darwin breaks the rules of Axelrod's tournaments"):
        tournament([run], ["axelrod:Darwin"])
    with pytest.raises(ValueError, match=r"axelrod:Random plays symmetric 2x2 games only, but .*rock.*, of 3 actions"):
        fixed("axelrod:Random", rock_paper_scissors())
    with pytest.raises(ValueError, match=r"axelrod:Random plays symmetric 2x2 games only, but .*, whose seats differ"):
        fixed("axelrod:Random", battle_of_the_sexes())
    with pytest.raises(ValueError, match=r"axelrod:ZDSet2 does not play the payoffs .*\(ValueError\); leave it out"):
        tournament([run], ["axelrod:ZDSet2"])
    monkeypatch.setitem(sys.modules, "axelrod", None)
    with pytest.raises(ValueError, match=r'axelrod:... needs the package axelrod .*pip install ".\[axelrod\]"'):
        tournament([run], ["axelrod:TitForTat"])


def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run_of(tmp_path / "run", [ALLD])
    line = ["tournament", "run", "--with", "axelrod:TitFor2Tats", "--meta-batch", "2", "--json", "--quiet"]
    assert main(line) == 0
    table = json.loads(capsys.readouterr().out)["players"]
    assert table["names"] == ["run", "axelrod:TitFor2Tats"]
    assert table["rewards"][0][1] == pytest.approx(2 / 3, abs=1e-4)


def test_an_agent_plays_in_axelrods_matches(tmp_path):
    from lapg_rl.interop.axelrod_agent import TrainedAgent

    run = run_of(
        tmp_path / "run", [ALTERNATES, POLICY], dataclasses.replace(TABULAR, pool=PoolConfig(p_naive=0.5, agents=2))
    )
    c, d = axelrod.Action.C, axelrod.Action.D
    plays = axelrod.Match((TrainedAgent(str(run)), axelrod.TitForTat()), turns=4, seed=0).play()
    assert plays == [(c, c), (d, c), (c, d), (d, c)]
    match = axelrod.Match((TrainedAgent(str(run), 1), axelrod.Random(0.4)), turns=30, seed=5)
    first, second = match.play(), match.play()
    again = axelrod.Match((TrainedAgent(str(run), 1), axelrod.Random(0.4)), turns=30, seed=5).play()
    assert first == again != second
    with pytest.raises(ValueError, match="agent must be an integer from 0 to 1"):
        TrainedAgent(str(run), 2)
    long = axelrod.Match((TrainedAgent(str(run), 1), axelrod.Random(0.5)), turns=2000, seed=1).play()
    after = [own is c for (before, own) in zip(long, (own for own, _ in long[1:]), strict=False) if before == (c, c)]
    assert np.mean(after) == pytest.approx(0.9, abs=0.07)
    cup = axelrod.Tournament(
        [TrainedAgent(str(run)), axelrod.Defector(), axelrod.Cooperator()], turns=5, repetitions=2, seed=1
    )
    assert len(cup.play(progress_bar=False).ranked_names) == 3
