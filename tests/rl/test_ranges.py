"""Every value of a config is taken or refused when it is given: its range, its kind, its spelling, its size in memory."""

import copy
import dataclasses
import fractions
import math
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lapg_rl import config
from lapg_rl.commands.training import consecutive_seeds
from lapg_rl.config import Config, GameConfig, ModelConfig, PoolConfig
from lapg_rl.learn.training_step import initial_state
from lapg_rl.machine import memory
from lapg_rl.study import sweep

PRESET = config.preset("ipd-shaping-small")
NUMBERS = {key: type(value) for key, value in config.flat(PRESET).items() if type(value) in (int, float)}


@pytest.mark.parametrize("key", [key for key, kind in NUMBERS.items() if kind is float])
@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e308", "1e38", "-1e9", "1e400"])
def test_no_rate_is_infinite_or_beyond_its_range(key, text):
    with pytest.raises(ValueError, match=re.escape(key.split(".")[-1]) + r"|no prisoner's dilemma") as refusal:
        config.override(PRESET, [f"{key}={text}"])
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 300


@pytest.mark.parametrize("key", [key for key, kind in NUMBERS.items() if kind is int])
@pytest.mark.parametrize("text", ["-1", "1" + 20 * "0", "1" + 5000 * "0", "1.5", "NaN", "true", "[" * 5000])
def test_no_count_is_beyond_its_range(key, text):
    with pytest.raises(ValueError, match=re.escape(key.split(".")[-1])) as refusal:
        config.override(PRESET, [f"{key}={text}"])
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 300


@pytest.mark.parametrize("where", ["naive.reward_scale", "learner.reward_scale", "learner.clip", "learner.clip_norm"])
def test_a_scale_of_nothing_is_refused(where):
    with pytest.raises(ValueError, match=rf"{where} must be > 0, got 0"):
        config.override(PRESET, [f"{where}=0"])


def test_seeds_that_jax_would_take_for_one_are_refused():
    last = config.override(PRESET, ["seed=4294967295"])
    assert jax.random.key_data(jax.random.key(last.seed)).tolist() == [0, 4294967295]
    for seed in (2**32, 2**63):
        with pytest.raises(ValueError, match=rf"seed must be an integer <= 4294967295, got {seed}"):
            config.override(PRESET, [f"seed={seed}"])
    with pytest.raises(ValueError, match="seed must be an integer <= 4294967295, got 4294967296"):
        consecutive_seeds(last, 2)
    with pytest.raises(ValueError, match="--seeds must be an integer <= 10000, got 10000000"):
        consecutive_seeds(PRESET, 10_000_000)


def built(kind, **values):
    """A section built of values that the tests' own type checks would stop."""
    made = kind()
    for name, value in values.items():
        object.__setattr__(made, name, value)
    made.__post_init__()
    return made


@pytest.mark.parametrize("number", [np.int64(3), np.uint8(3), np.array(3), jnp.int32(3), jnp.array(3)])
def test_counts_of_other_libraries_are_pythons(number):
    assert type(built(Config, seed=number).seed) is int
    assert built(Config, seed=number) == Config(seed=3)


@pytest.mark.parametrize(
    "number", [np.float32(0.5), np.float64(0.5), np.array(0.5), jnp.float32(0.5), fractions.Fraction(1, 2)]
)
def test_rates_of_other_libraries_are_pythons(number):
    made = built(config.LearnerConfig, learning_rate=number)
    assert type(made.learning_rate) is float and made.learning_rate == 0.5
    assert config.from_dict(config.to_dict(Config(learner=made))).learner == made


def test_truths_of_other_libraries_are_pythons():
    assert built(PoolConfig, reveal=np.bool_(True)).reveal is True
    assert built(PoolConfig, reveal=jnp.array(False)).reveal is False


WRONG = {
    "seed": (Config, [1.0, np.float64(1), True, "1", None, jnp.array([1]), np.array([1, 2]), fractions.Fraction(2)]),
    "learning_rate": (config.LearnerConfig, [True, "1", None, 1j, np.array([0.1, 0.2]), jnp.array(True)]),
    "reveal": (PoolConfig, [1, 0.0, "true", None, jnp.array(1)]),
    "name": (Config, [3, None, b"x"]),
    "game": (Config, [None, "ipd", {}]),
}


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, (_, values) in WRONG.items() for value in values]
)
def test_values_of_another_kind_get_one_refusal_when_built(field, value):
    with pytest.raises(ValueError, match=rf"{field} must be an? "):
        built(WRONG[field][0], **{field: value})


def test_a_traced_rate_gets_one_refusal():
    with pytest.raises(ValueError, match=r"learner.learning_rate must be a number, got"):
        jax.jit(lambda x: built(config.LearnerConfig, learning_rate=x).learning_rate)(0.1)


SHARES = {
    ("p_naive=0.3333333", "meta_batch=3"): "0.3333333333333333 or 0.6666666666666666|0.0 or 0.3333333333333333",
    ("p_naive=1e-7", "meta_batch=32"): r"0.0 or 0.03125",
    ("p_naive=1e-12", "meta_batch=32"): r"0.0 or 0.03125",
    ("p_naive=0.3", "meta_batch=4"): r"got 1.2; .*0.25 or 0.5",
}


@pytest.mark.parametrize("assignments", SHARES)
def test_a_share_that_is_no_whole_number_of_games_is_refused_with_the_nearest(assignments):
    with pytest.raises(ValueError, match=rf"pool.p_naive \* meta_batch must be an integer.*({SHARES[assignments]})"):
        config.override(PRESET, [*assignments, "agents=2", "minibatches=1"])


@pytest.mark.parametrize("count", [3, 7, 300, 4099])
def test_shares_as_floats_have_them_are_whole(count):
    for n in {0, 1, count // 3, count - 1}:
        made = config.override(PRESET, [f"p_naive={n / count!r}", f"meta_batch={count}", "agents=2", "minibatches=1"])
        assert made.shares == {key: value for key, value in {"naive": n, "meta": count - n}.items() if value}


def test_one_key_in_two_spellings_is_refused():
    for first, second in (("estimator=lapg", "learner.estimator=mfos"), ("learner.estimator=lapg", "estimator=mfos")):
        with pytest.raises(ValueError, match=rf"learner.estimator is given twice, by {first} and {second}"):
            config.override(PRESET, [first, second])
    with pytest.raises(ValueError, match=r"estimator and learner.estimator are one key"):
        sweep.plan(PRESET, ["estimator=lapg,mfos", "learner.estimator=lapg"], 1, _nowhere())
    with pytest.raises(ValueError, match=r"learning_rate=1e-3 and learner.learning_rate=0.001 are one setting"):
        sweep.plan(PRESET, ["learner.learning_rate=1e-3,0.001"], 1, _nowhere())
    with pytest.raises(ValueError, match="this sweep has 10800 runs, and may have at most 10000"):
        sweep.plan(PRESET, ["seed=0,1,2", f"updates={','.join(map(str, range(1, 3601)))}"], 1, _nowhere())


def _nowhere():
    from pathlib import Path

    return Path("nowhere")


def test_a_section_is_no_key():
    with pytest.raises(ValueError, match=r"key model is a section: write naive.model or model.kind or model.width"):
        config.override(PRESET, ["model=gru"])
    assert config.override(PRESET, ["naive.model=gru"]).naive.model == "gru"
    with pytest.raises(ValueError, match=r"key learner is a section: write learner.estimator"):
        config.override(PRESET, ["learner=lapg"])


@pytest.mark.parametrize(
    "name",
    ["", "..", ".hidden", "../../../escaped", "/abs", "a/b", "a\\b", "a\nb", "a\x1b[2J", "a.", "x" * 101, "con:x"],
)
def test_names_that_are_no_folder_names_are_refused(name):
    with pytest.raises(ValueError, match=r"^name must be 1 to 100 letters, digits") as refusal:
        dataclasses.replace(PRESET, name=name)
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize("name", ["ipd-shaping", "größer_2", "a.b+c=3,d@e"])
def test_names_of_letters_and_digits_are_taken(name):
    assert dataclasses.replace(PRESET, name=name).name == name


@pytest.mark.parametrize("factory", ["evil", "a:b:c", "a/b:f", "a b:f", "../x:f", ":f", "m:", "a.:f", "m:f()"])
def test_what_names_no_function_is_refused(factory):
    with pytest.raises(ValueError, match=r"game.factory must be the name of a function, as package.module:function"):
        GameConfig(kind="custom", factory=factory)


@pytest.mark.parametrize(
    "key", ["model.kind", "learner.optimiser", "pool.fixed", "learner.estimator", "name", "game.factory"]
)
def test_a_line_break_in_a_value_gives_one_line_of_our_own_words(key):
    with pytest.raises(ValueError, match=r"a\\nb") as refusal:
        config.override(PRESET, [f"{key}=a\nb"])
    assert "\n" not in str(refusal.value) and "typing" not in str(refusal.value)


def test_presets_can_be_copied_and_files_are_utf8(tmp_path):
    assert dict(copy.deepcopy(config.PRESETS)) == dict(config.PRESETS)
    config.save(dataclasses.replace(PRESET, name="größer"), tmp_path / "c.toml")
    assert 'name = "größer"' in (tmp_path / "c.toml").read_bytes().decode("utf-8")


def test_files_of_nested_nothing_or_endless_digits_are_refused_by_name(tmp_path):
    for text in ("a = " + "[" * 5000, "seed = 1" + "0" * 5000, "seed = 1\nseed = 2", "\xff", "[[game]]"):
        (tmp_path / "c.toml").write_bytes(text.encode("latin-1"))
        with pytest.raises(ValueError, match=r"c.toml.*") as refusal:
            config.load(tmp_path / "c.toml")
        assert "\n" not in str(refusal.value)


# memory


@pytest.mark.parametrize("kind", ["tabular", "gru", "hawk", "transformer"])
@pytest.mark.parametrize("width", [4, 32])
def test_the_bound_on_parameters_is_one(kind, width):
    cfg = dataclasses.replace(PRESET, model=ModelConfig(kind=kind, width=width, mlp_width=width, depth=2, heads=1))
    state = eqx.filter_eval_shape(initial_state, cfg, jax.random.key(0))
    actual = sum(
        math.prod(x.shape[1:]) for x in jax.tree.leaves(eqx.filter(state.agents, lambda x: hasattr(x, "shape")))
    )
    assert memory.parameters(cfg.model) <= actual
    assert width < 32 or kind == "tabular" or actual < 5 * memory.parameters(cfg.model)


GREEDY = {
    "naive_population=99999999": "pool.naive_population",
    "model.kind=gru model.width=1000000": "the sizes in model",
    "meta_batch=99999998": "meta_batch, batch",
    "inner_episodes=99999999": "inner_episodes or steps",
}


@pytest.mark.parametrize("assignment", GREEDY)
def test_a_run_that_cannot_fit_is_refused_before_anything_is_built(assignment, tmp_path):
    from lapg_rl.runs.loop import open_run

    cfg = config.override(PRESET, assignment.split())
    with pytest.raises(
        ValueError, match=rf"needs at least \S+ GB of memory, and there are \S+ GB; lower .*{GREEDY[assignment]}"
    ):
        open_run(cfg, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    memory.check(PRESET)
    with pytest.raises(ValueError, match="for 9 seeds together"):
        memory.check(PRESET, seeds=9, there=8.5 * sum(memory.needs(PRESET).values()))


def test_a_long_assignment_that_is_given_twice_is_told_in_short():
    with pytest.raises(
        ValueError, match=r"^batch is given twice, by batch=0 and batch=9+\.\.\. \(5006 characters\); give it once$"
    ):
        config.override(PRESET, ["batch=0", "batch=" + "9" * 5000])
