"""The page on extending is followed to the letter: its code becomes a file outside of the package, its commands are run."""

import dataclasses
import functools
import importlib
import itertools
import json
import re
import shlex
import sys
from pathlib import Path

import jax
import pytest
from folders import TABULAR, metrics, run_of

from lapg_rl.commands.main import main
from lapg_rl.config import override, preset
from lapg_rl.learn import rehearsal
from lapg_rl.learn.training_step import make_train_step
from lapg_rl.runs import loop, trust
from lapg_rl.study.evaluation import evaluate
from lapg_rl.study.results import collect
from lapg_theory.game import NAMED

PAGE = (Path(__file__).parents[2] / "docs" / "extending.md").read_text()
BLOCKS = re.findall(r"```python\n# (\w+)\.py\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [shlex.split(line) for line in re.findall(r"^    lapg (.+)$", PAGE, re.MULTILINE)]
TRAIN = [line[1:] for line in COMMANDS if line[0] == "train"]
SMALL = ["updates=1", "meta_batch=4", "batch=2", "inner_episodes=2", "steps=3", "naive.model=tabular", "--quiet"]


def test_the_page_has_one_of_each():
    named = [re.search(r"(\S+)=\S*mine:", " ".join(line))[1].split("=")[0] for line in TRAIN]
    assert named == ["learner.estimator", "pool.fixed", "pool.coplayers", "model.kind", "game.kind"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with the page's file; runs in it share a compiled step, and the rehearsal what it traced of it."""

    @functools.cache
    def make(cfg, seeds=1, mesh=None):
        return make_train_step(dataclasses.replace(cfg, updates=1), seeds, mesh)

    monkeypatch.setattr(loop, "step_of", make)
    monkeypatch.setattr(rehearsal, "make_train_step", make)
    (tmp_path / "mine.py").write_text("\n".join(text for name, text in BLOCKS if name == "mine"))
    monkeypatch.chdir(tmp_path)
    for name in ("mine", "wrong"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


@pytest.mark.parametrize("line", TRAIN, ids=lambda line: line[-1].split(":")[-1].split("=")[0])
def test_what_is_yours_is_trained_resumed_evaluated_and_reported(here, line, monkeypatch, capsys):
    own = [] if "model.kind" in " ".join(line) else ["model.kind=tabular"]
    small = [s for s in SMALL if s.split("=")[0] not in " ".join(line)]
    assert main(["train", *line, *own, *small, "--run", "run"]) == 0, capsys.readouterr().err
    address = re.search(r"mine:\w+", " ".join(line))[0]
    assert address in (here / "run" / "config.toml").read_text()
    assert main(["evaluate", "run", "naive", "--meta-batch", "2"]) == 0  # what this process has trained it may play
    monkeypatch.setattr(trust, "_allowed", set())  # as in another process
    assert main(["train", "--resume", "run", "updates=2", "--quiet"]) == 2  # nobody has said that this code may run
    assert address in capsys.readouterr().err
    monkeypatch.setenv("LAPG_TRUST", address)
    assert main(["train", "--resume", "run", "updates=2", "--quiet"]) == 0
    assert main(["evaluate", "run", "naive", "--meta-batch", "2", "--out", "one.json"]) == 0, capsys.readouterr().err
    assert main(["report", "run", "--quick"]) == 0
    result = collect("run")
    assert result.updates == 2
    if "coplayers" in " ".join(line):
        assert "reward_vs_copycats" in result.metrics


@pytest.mark.optimised
def test_what_is_yours_is_trained_as_users_train_it(here, capsys):
    """Most tests compile without options, with which JAX refuses functions within functions."""
    line = ["ipd-shaping-small", "learner.estimator=mine:myopic", "model.kind=tabular", *SMALL]
    assert main(["train", *line, "--run", "run"]) == 0, capsys.readouterr().err
    assert main(["evaluate", "run", "mine:copycats", "--meta-batch", "2"]) == 0, capsys.readouterr().err


def test_a_strategy_of_yours_is_met_in_evaluations(here, capsys):
    sizes = [s for s in SMALL if not s.startswith("naive")]
    assert main(["train", "ipd-shaping-small", "model.kind=tabular", *sizes, "--run", "run"]) == 0
    assert main(["evaluate", "run", "mine:FORGIVER", "--meta-batch", "2"]) == 0
    assert "mine:FORGIVER" in capsys.readouterr().out


KINDS = """
import jax.numpy as jnp
import lapg_rl as rl
from lapg_rl.play import company
from mine import Copycat

friends = lambda config: rl.Kind(Copycat(), lambda company, count, key: jnp.zeros(count))  # open with cooperation
learners, pool = company.naive, company.meta
"""


def test_a_learner_of_yours_learns(here, capsys):
    """The page's imitator, facing always-cooperate (which plays as an agent of a run made by hand), comes to cooperate."""
    cfg = dataclasses.replace(TABULAR, updates=1, inner_episodes=6)
    run_of(metrics(here / "run", cfg, 0.0, 0.0), [NAMED["allc"]], cfg)
    assert main(["evaluate", "run", "mine:imitators", "--meta-batch", "8", "--out", "met.json"]) == 0
    (match,) = json.loads((here / "met.json").read_text())["matches"]
    # rewards of the donation game: the ego gets 2 c - 1 from who cooperates with chance c, which goes half the way to 1
    earned = match["own"]["reward_curve"]
    chances = [(x + 1) / 2 for x in earned]
    assert chances[0] == pytest.approx(0.5, abs=0.25) and chances[-1] > 0.9
    assert all(b > a for a, b in itertools.pairwise(chances[:4]))


def test_what_you_change_and_import_again_is_played_as_it_is_now(here, monkeypatch):
    """As in a notebook: the process goes on, the module is another one."""
    monkeypatch.setenv("LAPG_TRUST", "kinds:friends")
    cfg = dataclasses.replace(TABULAR, updates=1)
    run_of(metrics(here / "run", cfg, 0.0, 0.0), [NAMED["alld"]], cfg)
    found = []
    for opens in ("zeros", "ones"):  # with cooperation, with defection; then as the agent, which defects
        (here / "kinds.py").write_text(KINDS.replace("zeros", opens))
        importlib.invalidate_caches()
        monkeypatch.delitem(sys.modules, "kinds", raising=False)
        found.append(evaluate("run", ["kinds:friends"], meta_batch=2).matches[0].own.reward)
    assert found == pytest.approx([2 / cfg.steps, 0])


def test_a_model_that_you_change_is_drawn_as_it_is_now(here, monkeypatch):
    source = "import jax\nfrom mine import Counter\n"
    source += "def model(*sizes, **more):\n    return jax.tree.map(lambda x: x + {}, Counter(*sizes, **more))\n"
    monkeypatch.setenv("LAPG_TRUST", "models:model")
    cfg = override(preset("ipd-shaping-small"), ["model.kind=models:model", "naive.model=tabular", *SMALL[:5]])
    drawn = []
    for scale in (1, 0.0):  # of other lengths: of files of one second Python tells no more
        (here / "models.py").write_text(source.format(scale))
        importlib.invalidate_caches()
        monkeypatch.delitem(sys.modules, "models", raising=False)
        drawn.append(loop.fresh_state(cfg).agents)
    for one, other in zip(*map(jax.tree.leaves, drawn), strict=True):
        assert (other == one - 1).all()


def test_kinds_of_yours_play_as_the_same_ones_of_ours(here, monkeypatch):
    (here / "kinds.py").write_text(KINDS)
    monkeypatch.delitem(sys.modules, "kinds", raising=False)
    monkeypatch.setenv("LAPG_TRUST", "kinds:friends,kinds:learners,kinds:pool")
    small = [s for s in SMALL if not s.startswith("naive")]
    alone = ["pool.naive_population=1", "pool.naive_start=static", "model.kind=tabular", "learner.memory=inner_episode"]
    assert main(["train", "ipd-mixed-small", "pool.agents=2", *alone, *small, "--run", "run"]) == 0

    def told(who):
        return [(m.own, m.other) for m in evaluate("run", [who], meta_batch=3).matches]

    assert told("kinds:friends") == told("tft") != told("kinds:learners")
    assert told("kinds:learners") == told("naive")  # it learns, and starts from the population
    assert told("kinds:pool")[1] == told("run")[2]  # the second agent's only co-player is the first


AMISS = """
import jax.numpy as jnp
import lapg_rl as rl
from mine import Copycat

class Three(Copycat):
    def act(self, opening, observations):
        return opening, (jnp.zeros((len(observations), 3)), jnp.zeros(len(observations)))

class NoValue(Copycat):
    def act(self, opening, observations):
        return opening, jnp.zeros((len(observations), 2))

class Raising(Copycat):
    def end_of_inner_episode(self, opening, batch):
        raise KeyError("oops")

class Changing(Copycat):
    def end_of_inner_episode(self, opening, batch):
        return opening[:1]

class Unknown(Copycat):
    def act(self, opening, observations):
        return opening, (jnp.full((len(observations), 2), jnp.nan), jnp.zeros(len(observations)))

def kind(who):
    return lambda config: rl.Kind(who(), lambda company, count, key: jnp.zeros(count))

three, novalue, raising, changing, unknown = map(kind, (Three, NoValue, Raising, Changing, Unknown))
uncounted = lambda config: rl.Kind(Copycat(), lambda company, count, key: jnp.zeros(3))
"""
UNMET = {
    "three": "the logits of act must have the shape [2, 2], got (2, 3)",
    "novalue": "act must give (state, (logits, values)), got ((2,), (2, 2))",
    "raising": "KeyError: 'oops', amiss.py line",
    "changing": "end_of_inner_episode must give a state like that of init, 'float32[2]', got 'float32[1]'",
    "unknown": "amiss:unknown gave logits that are not finite",
    "uncounted": "draw must give identities with the leading axis count = 2, got [3]",
}


def test_wrong_kinds_are_refused_as_opponents(here, monkeypatch, capsys):
    (here / "amiss.py").write_text(AMISS)
    monkeypatch.setenv("LAPG_TRUST", ",".join(f"amiss:{name}" for name in UNMET))
    small = [s for s in SMALL if not s.startswith("naive")]
    assert main(["train", "ipd-shaping-small", "model.kind=tabular", *small, "--run", "run"]) == 0
    for name, says in UNMET.items():
        assert main(["evaluate", "run", f"amiss:{name}", "--meta-batch", "2"]) == 2
        error = capsys.readouterr().err
        assert says in error and error.count("\n") == 1


def test_a_kind_of_yours_sits_in_groups_and_in_other_games(here, monkeypatch, capsys):
    (here / "kinds.py").write_text(KINDS + "collectors = lambda config: company.kind_of(config, 'ac')")
    monkeypatch.delitem(sys.modules, "kinds", raising=False)
    monkeypatch.setenv("LAPG_TRUST", "kinds:learners,kinds:collectors")
    small = ["updates=1", "meta_batch=4", "batch=2", "inner_episodes=2", "steps=3", "--quiet"]
    few = ["pool.naive_population=1", "model.kind=tabular"]
    assert main(["train", "public-goods-small", *few, *small, "--run", "group"]) == 0
    mine, theirs = (evaluate("group", [name], meta_batch=3).matches for name in ("kinds:learners+alld", "naive+alld"))
    assert [(m.own, m.other) for m in mine] == [(m.own, m.other) for m in theirs]
    assert main(["train", "coin-small", "model.kind=gru", "model.width=16", *small, "--run", "coin"]) == 0
    mine, theirs = (evaluate("coin", [name], meta_batch=3).matches for name in ("kinds:collectors", "ac"))
    assert [(m.own, m.other) for m in mine] == [(m.own, m.other) for m in theirs]
    assert main(["tournament", "coin", "--with", "kinds:collectors", "--meta-batch", "2"]) == 2
    assert "a kind of co-player, not a fixed strategy" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("learner.estimator", "mine:nothing", "AttributeError"),
        ("learner.estimator", "nowhere:nothing", "ModuleNotFoundError"),
        ("model.kind", "mine:myopic", "TypeError"),
        ("game.kind", "mine:FORGIVER", "TypeError: 'tuple' object is not callable"),
        ("game.kind", "mine:Copycat", "lacks num_actions, observation_size"),
        ("pool.coplayers", "mine:Copycat=1.0", "TypeError"),
        ("learner.estimator", "lagp", "did you mean lapg"),
    ],
)
def test_what_is_none_is_refused_in_one_line(here, key, value, says, capsys):
    sizes = [s for s in SMALL if not s.startswith("naive")] + ["model.kind=tabular"] * (key != "model.kind")
    extra = ["pool.p_naive=0"] if key == "pool.coplayers" else []
    status = main(["train", "ipd-shaping-small", *extra, f"{key}={value}", *sizes, "--run", "run"])
    error = capsys.readouterr().err
    assert status == 2 and says in error and error.count("\n") == 1, error


WRONG = """
import equinox as eqx
import jax.numpy as jnp
from mine import Commons, Copycat, Counter
import lapg_rl as rl

def flat(rewards, values, *, gamma, gae_lambda): return rewards.sum()
def infinite(rewards, values, *, gamma, gae_lambda): return rewards / (rewards.std() - rewards.std())
def divides(rewards, values, *, gamma, gae_lambda): return rewards / rewards.std()
def raises(rewards, values, *, gamma, gae_lambda): raise KeyError("a\\nb")
class ThreeLogits(Counter):
    def step(self, state, observation): return state + 1, (jnp.zeros(3), jnp.zeros(()))
class OtherStep(Counter):
    def step(self, state, observation): return state + 1, (jnp.ones(2) * state, jnp.zeros(()))
class Unmeasured(Commons):
    def measures(self, observations, actions): return {"stock": observations[..., 0]}
class OneReward(Commons):
    def step(self, stock, actions, key): return stock, self._seen(stock), jnp.zeros(1)
class NotOneHot(Commons):
    one_hot = True
class Wide(Copycat):
    def act(self, opening, observations): return opening, (jnp.zeros((len(observations), 3)), jnp.zeros(len(observations)))
def wide(config): return rl.Kind(Wide(), lambda company, count, key: jnp.zeros(count))
def few(config): return rl.Kind(Copycat(), lambda company, count, key: jnp.zeros(1))
def naive(config): return wide(config)
FOUR = (1.0, 0.0, 1.0, 0.0)
def pairs(config, agent, optimiser, company, key): return agent, optimiser, {"pair": jnp.zeros(2)}
"""


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("learner.estimator=wrong:flat", "must have the shape [2, 3, 4], got ()"),
        ("learner.estimator=wrong:infinite", "the credits for random rewards must be finite, got ["),
        ("learner.estimator=wrong:divides", "the credits for rewards that are all 0 must be finite, got [nan"),
        ("learner.estimator=wrong:raises", ", wrong.py line "),
        ("model.kind=wrong:ThreeLogits", "the logits of step must have the shape [2], got (3,)"),
        ("model.kind=wrong:OtherStep", "must agree"),
        ("game.kind=wrong:Unmeasured", "measures must give greed"),
        ("game.kind=wrong:OneReward", "the rewards of step must have the shape [2], got (1,)"),
        ("game.kind=wrong:NotOneHot", "one_hot = True, so each observation must hold one 1 and zeros; reset gave ["),
        ("pool.coplayers=naive=0.5,wrong:wide=0.5", "the logits of act must have the shape [2, 2], got (2, 3)"),
        ("pool.coplayers=naive=0.5,wrong:few=0.5", "the leading axis count"),
        ("pool.coplayers=naive=0.5,wrong:naive=0.5", "give your function another name"),
        ("pool.fixed=wrong:FOUR", "five probabilities"),
        (
            "learner.algorithm=wrong:pairs",
            "the metric pair, a number of each agent, must have the shape [1], got (1, 2)",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_there_is_a_folder(here, setting, says, capsys):
    (here / "wrong.py").write_text(WRONG)
    key = setting.split("=")[0]
    small = [s for s in SMALL if key != "model.kind" or not s.startswith("model")]
    extra = ["pool.p_naive=0.5", "pool.p_fixed=0.5"] if key == "pool.fixed" else []
    own = ["model.kind=tabular"] if key != "model.kind" else []
    assert main(["train", "ipd-shaping-small", setting, *own, *extra, *small, "--run", "run"]) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1, error
    assert not (here / "run").exists()


def test_what_is_yours_meets_frozen_agents(here, capsys):
    """Also where both the game and the estimator are one's own, as in `lapg exploit` of such a run."""
    small = ["model.kind=tabular", *SMALL]
    own = ["game.kind=mine:Commons", "learner.estimator=mine:myopic"]
    assert main(["train", "ipd-shaping-small", *own, *small, "--run", "first"]) == 0
    pool = ["pool.p_naive=0.5", "pool.p_frozen=0.5", "pool.frozen=first"]
    assert main(["train", "ipd-shaping-small", *own, *small, *pool, "--run", "second"]) == 0, capsys.readouterr().err
    assert "reward_vs_frozen" in collect("second").metrics
    (here / "theirs.py").write_text(
        "import lapg_rl as rl, jax, jax.numpy as jnp\nfrom lapg_rl.play.coplayers import MetaAgent\n"
        "def kept(config):\n"
        "    first = lambda company, count: jax.tree.map(lambda x: jnp.repeat(x[:1], count, axis=0), company.frozen)\n"
        "    return rl.Kind(MetaAgent(), lambda company, count, key: first(company, count))\n"
    )
    assert main(["evaluate", "second", "theirs:kept", "--meta-batch", "2", "--json"]) == 0, capsys.readouterr().err


def test_what_becomes_infinite_later_is_looked_for_in_your_own_first(here, capsys):
    text = "def late(rewards, values, *, gamma, gae_lambda): return rewards / (rewards.shape[-1] - 3)\n"
    (here / "wrong.py").write_text(text)  # well at the length of the rehearsal, not at that of the run
    line = ["train", "ipd-shaping-small", "learner.estimator=wrong:late", "model.kind=tabular", *SMALL, "--run", "run"]
    assert main(line) == 1
    error = capsys.readouterr().err
    assert re.search(r"became non-finite .* See first that what wrong:late gives is finite; else lower lear", error)


def test_one_key_in_two_spellings_is_refused():
    for settings in (["pool.coplayers=naive=0.5", "pool.p_naive=0.25"], ["p_naive=0.25", "pool.coplayers=naive=0.5"]):
        with pytest.raises(ValueError, match="p_naive is given twice"):
            override(preset("ipd-mixed-small"), settings)
    with pytest.raises(ValueError, match=r"gives pool\.p_naive twice"):
        override(preset("ipd-mixed-small"), ["schedule=1: p_naive=0.25 coplayers=naive=0.5"])


def test_a_learning_rule_of_yours_is_iterated():
    (text,) = (text for name, text in BLOCKS if name == "rule")
    held = {"__name__": "rule"}
    exec(compile(text, "rule.py", "exec"), held)
    assert held["path"].rewards[-1].min() > 0.9
