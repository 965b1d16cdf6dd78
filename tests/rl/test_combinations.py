"""Every method with every model against every kind of co-player: two updates that are sound, compiled once, resumable."""

import dataclasses
import itertools

import jax
import numpy as np
import pytest

from lapg_rl import config
from lapg_rl.config import Config, LearnerConfig, ModelConfig, NaiveConfig, PoolConfig
from lapg_rl.estimators import ESTIMATORS
from lapg_rl.learn import training_step
from lapg_rl.runs import checkpoint

SINGLE = {"epochs": 1, "minibatches": 1}
LOOK_AHEAD = NaiveConfig(optimiser="sgd", learning_rate=1.0, normalize_advantages=False)
METHODS = {
    **{f"{name}, ppo": LearnerConfig(estimator=name, epochs=2) for name in ESTIMATORS},
    **{
        f"{name}, a2c": LearnerConfig(estimator=name, algorithm="a2c", optimiser="sgd", **SINGLE) for name in ESTIMATORS
    },
    "independent": LearnerConfig(estimator="inner_episode", memory="inner_episode", advantages="normalised", epochs=2),
    "lola_dice": LearnerConfig(algorithm="lola_dice", memory="inner_episode", **SINGLE),
    "pola": LearnerConfig(algorithm="pola", memory="inner_episode", epochs=2, minibatches=1),
    "shaper": LearnerConfig(algorithm="shaper", population=4, **SINGLE),
}
MODELS = {
    "tabular": ModelConfig(kind="tabular", spread=0.5),
    "gru": ModelConfig(kind="gru", width=4),
    "hawk": ModelConfig(width=4, mlp_width=4),
    "transformer": ModelConfig(kind="transformer", width=4, mlp_width=4),
}
SHARES = {"p_naive": 0.25, "p_fixed": 0.25, "fixed": "tft,alld", "p_memory_one": 0.25}
COMPANY = {
    "static naive learners": PoolConfig(p_naive=1.0),
    "dynamic naive learners": PoolConfig(p_naive=1.0, naive_start="dynamic", agents=2),
    "agents": PoolConfig(p_naive=0.0, agents=3),
    "fixed strategies": PoolConfig(p_naive=0.0, p_fixed=1.0, fixed="tft,alld"),
    "random strategies": PoolConfig(p_naive=0.0, p_memory_one=1.0),
    "everyone": PoolConfig(agents=3, **SHARES),
    "everyone, revealed": PoolConfig(agents=3, reveal=True, naive_start="dynamic", **SHARES),
}

#: One case a method, model and company at least; the slow ones are all the others.
QUICK = (
    ("lapg, ppo", "tabular", "everyone, revealed"),
    ("mfos, a2c", "gru", "agents"),
    ("batch_unaware, ppo", "transformer", "dynamic naive learners"),
    ("independent", "tabular", "static naive learners"),
    ("pola", "tabular", "everyone"),
    ("shaper", "tabular", "random strategies"),
    ("inner_episode, a2c", "tabular", "fixed strategies"),
    ("loqa, ppo", "tabular", "agents"),
)


def assert_two_updates(cfg, folder):
    """Two updates; the second also from a checkpoint of the first, without any transfer to or from the host."""
    key = training_step.run_key(cfg)
    keys = [jax.random.fold_in(key, n) for n in (0, 1, 1)]  # a step consumes its key too
    fresh, step = training_step.initial_state(cfg, key), training_step.make_train_step(cfg)
    before = [np.asarray(x) for x in jax.tree.leaves(fresh.agents)]
    first, _ = step(fresh, keys[0])
    saved = checkpoint.save(folder, 1, first, keep=1)
    resumed = checkpoint.load(saved, first)
    with jax.transfer_guard("disallow"):
        second, metrics = step(first, keys[1])
        again, _ = step(resumed, keys[2])
    assert step._cached._cache_size() == 1
    assert all(np.isfinite(v).all() and v.shape == (cfg.pool.agents,) for v in map(np.asarray, metrics.values()))
    assert set(metrics) >= {"gradient_norm", *(f"reward_vs_{kind}" for kind in cfg.shares)}
    for one, other in zip(jax.tree.leaves(second), jax.tree.leaves(again), strict=True):
        assert np.asarray(one).tobytes() == np.asarray(other).tobytes()
    assert int(second.update) == 2
    after = [np.asarray(x) for x in jax.tree.leaves(second.agents)]
    changed = [np.any((x != y).reshape(len(x), -1), axis=1) for x, y in zip(after, before, strict=True)]
    assert np.all(np.any(changed, axis=0))


@pytest.mark.parametrize(
    ("method", "model", "company"),
    [
        pytest.param(*case, marks=[] if case in QUICK else pytest.mark.slow)
        for case in itertools.product(METHODS, MODELS, COMPANY)
    ],
)
def test_two_updates(method, model, company, tmp_path):
    naive = LOOK_AHEAD if method in ("lola_dice", "pola") else NaiveConfig()
    naive = dataclasses.replace(naive, proximal=0.5) if method == "pola" else naive
    sizes = {"meta_batch": 4, "batch": 2, "inner_episodes": 2, "steps": 3}
    pool = dataclasses.replace(COMPANY[company], naive_population=2)
    assert_two_updates(Config(**sizes, model=MODELS[model], learner=METHODS[method], naive=naive, pool=pool), tmp_path)


@pytest.mark.parametrize("kind", ["tabular", pytest.param("gru", marks=pytest.mark.slow)])
def test_two_updates_of_a_pool_of_different_learners(kind, tmp_path):
    """LAPG agents beside M-FOS agents, and naive learners of another architecture."""
    learner = LearnerConfig(estimator="lapg,mfos,lapg")
    naive, pool = NaiveConfig(model=kind), PoolConfig(p_naive=0.5, agents=3, naive_population=2)
    model = ModelConfig(kind="gru" if kind == "tabular" else "tabular", width=4)
    assert_two_updates(
        Config(meta_batch=4, batch=2, inner_episodes=2, steps=3, model=model, naive=naive, learner=learner, pool=pool),
        tmp_path,
    )


def test_two_updates_of_agents_that_keep_different_models(tmp_path):
    """All agents keep what one of them reads, one model around the other."""
    learner = LearnerConfig(estimator="loqa,reciprocator", epochs=1)
    pool = PoolConfig(p_naive=0.0, agents=2)
    sizes = {"meta_batch": 4, "batch": 2, "inner_episodes": 2, "steps": 3}
    assert_two_updates(Config(**sizes, model=MODELS["tabular"], learner=learner, pool=pool), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ipd-shaping", "ipd-mixed"])
def test_an_update_of_a_published_preset(name):
    cfg = config.preset(name)
    state = training_step.initial_state(cfg, training_step.run_key(cfg))
    state, metrics = training_step.make_train_step(cfg)(state, training_step.run_key(cfg))
    assert all(np.isfinite(np.asarray(v)).all() for v in metrics.values())
    assert abs(float(np.mean(metrics["cooperation_vs_naive"])) - 0.5) < 0.05  # fresh policies are uniform
