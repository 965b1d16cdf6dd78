"""Configurations: round trips, overrides, and refusals that name value, bound and remedy."""

import dataclasses
import functools
import subprocess
import sys
from pathlib import Path

import pytest

from lapg_rl import config
from lapg_rl.config import PRESETS, Config
from lapg_rl.study.in_context import runs_of
from lapg_rl.study.results import runs_in

RESULTS = Path(__file__).parents[2] / "docs/results"


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_the_round_trip_through_toml(name, tmp_path):
    config.save(PRESETS[name], tmp_path / "c.toml")
    assert config.load(tmp_path / "c.toml") == PRESETS[name]


def test_the_published_preset_has_the_published_numbers():
    """Meulemans et al. (2025), appendix, table of the IPD shaping experiment."""
    c = config.preset("ipd-shaping")
    assert (c.updates, c.meta_batch, c.batch, c.inner_episodes, c.steps) == (3000, 128, 16, 20, 10)
    assert (c.game.T, c.game.R, c.game.P, c.game.S) == (2, 1, 0, -1)
    assert (c.pool.p_naive, c.pool.agents, c.pool.naive_population) == (1, 1, 10)
    learner = c.learner
    assert (learner.algorithm, learner.minibatches, learner.epochs, learner.clip) == ("ppo", 2, 4, 0.2)
    assert (learner.optimiser, learner.adam_eps, learner.learning_rate, learner.clip_norm) == ("adam", 1e-5, 3e-4, 1)
    assert (learner.gamma, learner.td_lambda, learner.gae_lambda) == (1, 1, 1)
    assert (learner.value_coef, learner.value_clip, learner.entropy_coef, learner.reward_scale) == (0.5, True, 0, 0.05)
    assert learner.advantages == "raw"
    naive = c.naive
    assert (naive.optimiser, naive.adam_eps, naive.learning_rate, naive.clip_norm) == ("adam", 1e-5, 0.005, 1)
    assert (naive.gamma, naive.td_lambda, naive.gae_lambda) == (0.99, 1, 1)
    assert (naive.value_coef, naive.entropy_coef, naive.reward_scale) == (0.5, 0, 0.05)
    assert naive.normalize_advantages
    model = c.model
    assert (model.kind, model.width, model.depth, model.heads, model.conv_width, model.mlp_width) == (
        "hawk",
        32,
        1,
        2,
        4,
        32,
    )


def test_overrides_take_full_keys_and_unambiguous_last_parts():
    c = config.override(Config(), ["learner.learning_rate=0.01", "estimator=mfos", "meta_batch=4", "value_clip=false"])
    assert (c.learner.learning_rate, c.learner.estimator, c.meta_batch, c.learner.value_clip) == (
        0.01,
        "mfos",
        4,
        False,
    )
    assert config.override(Config(), ["learner.entropy_coef=1"]).learner.entropy_coef == 1.0


@pytest.mark.parametrize(
    ("text", "number"), [(".003", 0.003), ("5.", 5.0), ("+1e-3", 0.001), ("1E2", 100.0), ("007.5", 7.5)]
)
def test_numbers_may_be_written_as_python_and_shells_have_them(text, number):
    assert config.override(Config(), [f"learner.learning_rate={text}"]).learner.learning_rate == number


REFUSALS = {
    "unknown key": (["lerner.clip=0.1"], r"unknown key lerner.clip; did you mean .*clip"),
    "ambiguous key": (["learning_rate=1"], r"ambiguous: write naive.learning_rate or learner.learning_rate"),
    "no value": (["seed"], r"expected key=value, got 'seed'"),
    "fraction for a count": (["updates=2.5"], r"updates.*expected int, got 2.5"),
    "count of zero": (["batch=0"], r"batch must be an integer >= 1, got 0"),
    "word for a number": (["seed=one"], r"seed.*expected int, got 'one'"),
    "gamma outside its range": (["learner.gamma=1.5"], r"learner.gamma must be in \(0, 1\], got 1.5"),
    "gamma not a number": (["learner.gamma=NaN"], r"learner.gamma must be in \(0, 1\], got nan"),
    "gamma not a number in small letters": (["learner.gamma=nan"], r"learner.gamma must be in \(0, 1\], got nan"),
    "an underscore": (["learner.learning_rate=1_0"], "learner.learning_rate: expected float, got '1_0'"),
    "two signs": (["learner.gamma=--inf"], "learner.gamma: expected float, got '--inf'"),
    "an infinite rate": (["learner.learning_rate=-inf"], "learner.learning_rate must be a finite number >= 0, got -inf"),
    "no dilemma": (["game.T=0.5"], r"\(0.5, 1.0, 0.0, -1.0\) is no prisoner's dilemma: it needs T > R > P > S"),
    "unknown estimator": (["estimator=coala"], r"unknown name 'coala' in learner.estimator; known: lapg"),
    "shaping signal lost": (
        ["learner.gamma=0.96", "learner.gae_lambda=0.95", "steps=100"],
        r"\(0.96 \* 0.95\)\^100 = 0.0001 is below 0.01.*raise learner.gamma or learner.gae_lambda",
    ),
    "meta batch does not split": (["meta_batch=5"], r"meta_batch must be a multiple of learner.minibatches = 2, got 5"),
    "share of naive learners": (
        ["p_naive=0.3", "agents=2", "meta_batch=4"], r"p_naive \* meta_batch must be an integer, got 1.2"
    ),
    "nobody to meet": (["p_naive=0.5"], r"pool.agents = 1; set pool.agents >= 2, or pool.p_naive=1"),
    "a2c with epochs": (["algorithm=a2c"], r"a2c needs learner.epochs = 1 .*one on-policy step\), got 4; set learner.epochs=1"),
    "one of the estimators is unknown": (["estimator=lapg,mfoss", "agents=2"], r"'mfoss' in .*did you mean mfos\?"),
    "estimators and agents": (["estimator=lapg,mfos", "agents=3"], r"names 2 estimators for pool.agents = 3"),
    "shares above one": (["p_fixed=0.5", "fixed=tft"], r"must be at most 1, got 1.5; lower one"),
    "a share of nothing": (["p_naive=0.5", "p_fixed=0.5"], r"p_fixed = 0.5 and pool.fixed = '' don't fit; give both"),
    "strategies without a share": (["fixed=tft"], r"p_fixed = 0.0 and pool.fixed = 'tft' don't fit"),
    "unknown strategy": (["p_naive=0.5", "p_fixed=0.5", "fixed=TFT,aldl"], r"'aldl' in pool.fixed; did you mean"),
    "nobody to copy": (["naive_start=dynamic"], r"naive_start = dynamic needs other agents, but pool.agents = 1"),
    "copies of another kind": (
        ["naive_start=dynamic", "agents=2", "naive.model=gru"], r"naive.model must be the agents' own, got 'gru'"
    ),
    "share of random strategies": (["p_naive=0.7", "p_memory_one=0.3"], r"p_naive \* meta_batch must be an integer"),
    "probability": (["p_naive=1.5"], r"pool.p_naive must be a probability, got 1.5"),
    "negative rate": (["learner.learning_rate=-1"], r"learner.learning_rate must be a finite number >= 0, got -1"),
    "heads": (["model.heads=5"], r"model.width must be a multiple of heads = 5, got 32"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_bad_values_are_refused_in_one_line(case):
    assignments, message = REFUSALS[case]
    with pytest.raises(ValueError, match=message) as error:
        config.override(config.preset("ipd-shaping-small"), assignments)
    assert "\n" not in str(error.value)


def test_shares_add_up_and_names_are_tidied():
    changes = [
        "agents=2",
        "p_naive=0.25",
        "p_fixed=0.25",
        "fixed=TFT, ALLD",
        "p_memory_one=0.125",
        "estimator=lapg, mfos",
    ]
    c = config.override(config.preset("ipd-shaping-small"), changes)
    assert c.shares == {"naive": 8, "meta": 12, "fixed": 8, "memory_one": 4}
    assert (c.pool.strategies, c.estimators) == (("tft", "alld"), ("lapg", "mfos"))
    assert config.override(c, ["estimator=mfos"]).estimators == ("mfos", "mfos")


def test_the_published_mixed_preset_has_the_published_numbers():
    """Meulemans et al. (2025), appendix, table of the mixed IPD experiment: as shaping, but for the pool."""
    c = config.preset("ipd-mixed")
    assert (c.pool.p_naive, c.pool.agents, c.pool.naive_population, c.pool.naive_start) == (0.75, 4, 10, "static")
    assert dataclasses.replace(c, name="ipd-shaping", pool=config.PoolConfig()) == config.preset("ipd-shaping")
    assert c.shares == {"naive": 96, "meta": 32}


#: What the commands on the results pages change in presets.
CHANGED = {
    *("seed", "updates", "meta_batch", "checkpoint_every", "keep_checkpoints", "pool.p_naive", "pool.agents"),
    *("learner.estimator", "learner.memory", "learner.learning_rate", "naive.learning_rate", "model.kind"),
    # LOLA-DiCE as in the exact game: tables of logits, plain gradient steps on returns
    *("batch", "inner_episodes", "steps", "model.spread", "pool.naive_start", "naive.optimiser", "naive.gamma"),
    *("naive.normalize_advantages", "naive.reward_scale", "naive.clip_norm", "learner.algorithm", "learner.epochs"),
    *("learner.minibatches", "learner.reward_scale", "learner.clip_norm", "learner.advantages", "learner.entropy_coef"),
    "schedule",
    # an earlier size of cleanup-shaping-small, and CleanUp with cleaning worth while for one
    *("game.cleanup.rows", "game.cleanup.columns", "game.cleanup.alone", "game.cleanup.dirt_rate"),
    "pool.naive_from",
}


@functools.cache
def in_context_steps():
    return {(run.stage, run.planned.config.seed): run.planned.config for run in runs_of(seeds=5)}


@pytest.mark.parametrize("folder", runs_in([RESULTS]), ids=lambda folder: folder.name)
def test_configs_of_kept_results_still_load(folder):
    found = config.load(folder / "config.toml")
    step = in_context_steps().get((found.name.removeprefix("in-context-"), found.seed))
    kept, preset = (config.flat(c) for c in (found, step or config.preset(found.name)))
    assert {key for key in kept if kept[key] != preset[key]} <= CHANGED


def test_choices_are_checked_in_python_too():
    learner = config.LearnerConfig()
    object.__setattr__(learner, "optimiser", "rmsprop")  # the tests' own type checks would stop the constructor
    with pytest.raises(ValueError, match=r"learner.optimiser must be one of adam, sgd, got 'rmsprop'"):
        learner.__post_init__()
    assert dataclasses.replace(config.Config().model, kind="gru", width=33).width == 33  # heads are Hawk's alone


def test_an_unknown_preset_is_refused_with_near_matches():
    with pytest.raises(ValueError, match=r"unknown preset ipd-shapin; did you mean ipd-shaping"):
        config.preset("ipd-shapin")


def test_a_broken_file_is_refused_by_name(tmp_path):
    (tmp_path / "c.toml").write_text("updates = ")
    with pytest.raises(ValueError, match=r"c.toml is no TOML file"):
        config.load(tmp_path / "c.toml")


def test_what_is_no_config_or_no_name_is_refused():
    """In a process of its own: here the types of all arguments are checked first."""
    calls = ["rl.train(x, 'a')", "rl.train_together([(x, 'a')])", "rl.override(x, [])", "rl.initial_state(x, 0)"]
    calls += ["rl.make_train_step(x)", "rl.run_key(x)", "rl.preset(3)", "GameConfig(kind=GameConfig)"]
    lines = ["import lapg_rl as rl", "from lapg_rl.config import GameConfig", "x = 'ipd-aa-small'"]
    for call in calls:
        lines += ["try:", f"    {call}", "except (TypeError, ValueError) as error:", "    print(error)"]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    *six, name, kind = done.stdout.splitlines()
    says = "expected a lapg_rl.Config, got 'ipd-aa-small'; lapg_rl.preset(name) makes one of a preset"
    assert len(six) == 6 and all(line.startswith(says) for line in six)
    assert name == "a preset has a name, got 3; `lapg list presets` shows them"
    assert kind.startswith("game.kind must be a str, got <class") and kind.endswith(
        "by its address, package.module:GameConfig"
    )
