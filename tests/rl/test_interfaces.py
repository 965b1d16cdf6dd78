"""Everything that a table names keeps its interface, and so do wrappers: one test over each table."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lapg_rl import config, interfaces, models
from lapg_rl.config import Config, GameConfig, LearnerConfig, ModelConfig, tables
from lapg_rl.envs import FromGymnax, IteratedMatrixGame, Reveal, ToGymnax
from lapg_rl.envs.build import bare_environment
from lapg_rl.estimators import estimator
from lapg_rl.interfaces import check_protocol
from lapg_rl.learn import credit
from lapg_rl.learn.training_step import initial_state, run_key
from lapg_rl.play.company import Company, kind_of, play_pool
from lapg_theory.game import MatrixGame, stag_hunt

TABLES = (tables.ESTIMATORS, tables.ALGORITHMS, tables.MODELS, tables.GAMES, tables.COPLAYERS)
SMALL = ["updates=1", "meta_batch=4", "batch=2", "inner_episodes=2", "steps=3", "model.kind=tabular"]
MATRIX = IteratedMatrixGame(stag_hunt())
ENVIRONMENTS = {
    **{kind: bare_environment(GameConfig(kind=kind)) for kind in tables.GAMES if kind not in ("custom", "matrix")},
    **{name: bare_environment(GameConfig(kind="matrix", name=name)) for name in ("chicken", "rock_paper_scissors")},
    "revealed": Reveal(MATRIX, 1, 0, 3),
    "there and back": FromGymnax(ToGymnax(MATRIX, steps=4)),
}


def test_every_row_has_a_label_and_leads_somewhere():
    for table in TABLES:
        for name, row in table.items():
            assert callable(tables.find("field", name, table))
            assert row.label or name == "custom"
            assert not tables.is_address(name)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_environments(name):
    env = check_protocol(name, ENVIRONMENTS[name], interfaces.Environment)
    key = jax.random.key(0)
    state, seen = env.reset(key)
    assert seen.shape == (2, env.observation_size)
    actions = jnp.array([0, env.num_actions - 1])
    after, seen, rewards = eqx.filter_jit(env.step)(state, actions, key)
    assert (seen.shape, rewards.shape) == ((2, env.observation_size), (2,))
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert [(x.shape, x.dtype) for x in jax.tree.leaves(after)] == [(x.shape, x.dtype) for x in jax.tree.leaves(state)]
    if env.one_hot:
        np.testing.assert_array_equal(seen.sum(1), 1)
    measured = env.measures(seen, actions)
    assert all(value.shape == (2,) for value in measured.values())
    assert {*env.shared, *env.compared} <= measured.keys()
    if (game := getattr(env, "game", None)) is not None:
        tables_of = (game.row, game.column) if isinstance(game, MatrixGame) else game.payoffs
        np.testing.assert_allclose(rewards, [table[0][-1] for table in tables_of])


@pytest.mark.parametrize("kind", tables.MODELS)
def test_models(kind):
    model = models.build(ModelConfig(kind=kind, width=8, mlp_width=8, spread=1.0), 5, 3, 6, jax.random.key(0))
    assert check_protocol(kind, model, interfaces.Model) is model
    seen = jax.nn.one_hot(jax.random.randint(jax.random.key(1), (6, 2), 0, 5), 5)
    logits, values = eqx.filter_jit(model)(seen)
    assert (logits.shape, values.shape) == ((6, 2, 3), (6, 2))
    state, step = model.initial_state(), eqx.filter_jit(model.step)
    for t in range(6):
        state, (one, value) = step(state, seen[t, 0])
        np.testing.assert_allclose(one, logits[t, 0], atol=1e-5)
        np.testing.assert_allclose(value, values[t, 0], atol=1e-5)


@pytest.mark.parametrize("name", tables.ESTIMATORS)
def test_estimators(name):
    found = check_protocol(name, estimator(name), interfaces.Estimator)
    rewards = jax.random.normal(jax.random.key(0), (2, 3, 4))
    zeros, settings = jnp.zeros((2, 3, 4)), LearnerConfig()
    others = interfaces.Others(*[zeros[None]] * 3)
    seen = dict.fromkeys(credit.SEEN, others) | {"influences": interfaces.Influences(zeros, zeros)}
    more = {name: seen[name] if name in seen else getattr(settings, name) for name in credit.reads(found)}
    credits = found(rewards, zeros, gamma=1.0, gae_lambda=1.0, **more)
    assert credits.shape == (2, 3, 4)
    np.testing.assert_allclose(credits[:, -1, -1] * (1 if name == "mfos" else 2), rewards[:, -1, -1], rtol=1e-6)
    if found.episodic:
        assert tables.ESTIMATORS[name].episodic


def pool(kind):
    shares = {kind: 1.0} if kind != "meta" else {}
    text = ",".join(f"{name}={share}" for name, share in ({"naive": 0.0} | shares).items())
    fixed = {"fixed": ["pool.fixed=tft,alld"], "frozen": ["pool.frozen=runs/one"]}.get(kind, [])
    game = [f"game.kind={tables.COPLAYERS[kind].game or 'ipd'}"]
    return config.override(config.preset("ipd-mixed"), [*SMALL, f"pool.coplayers={text}", *fixed, *game])


@pytest.mark.parametrize("kind", tables.COPLAYERS)
def test_kinds_of_coplayers(kind):
    cfg = pool(kind)
    assert cfg.shares == {kind: 4}
    found = kind_of(cfg, kind)
    check_protocol(kind, found.coplayer, interfaces.CoPlayer)
    assert found.learns == (kind == "naive")
    state = initial_state(cfg, run_key(cfg))
    company = Company(jnp.array(0), state.agents, state.naive_policies, state.agents)
    ego = jax.tree.map(lambda x: x[0], state.agents)
    played = eqx.filter_jit(play_pool)(cfg, ego, company, jax.random.key(0))
    assert list(played) == [kind]
    assert played[kind].own.rewards.shape == (4, 2, 2, 3)
    assert {len(x) for x in jax.tree.leaves(played[kind].identities)} == {4}


@pytest.mark.parametrize("name", tables.ALGORITHMS)
def test_algorithms_require_what_their_rows_say(name):
    row = tables.ALGORITHMS[name]
    wrong = {"learner.epochs": 2, "learner.minibatches": 2, "learner.memory": "meta_episode", "learner.gamma": 0.9,
             "naive.optimiser": "adam", "naive.normalize_advantages": True, "game.stop": 0.1}  # fmt: skip
    right = [f"{key}={str(value).lower()}" for key, (value, _) in row.requires.items()]
    cfg = config.override(config.preset("ipd-shaping"), [f"learner.algorithm={name}", *right])
    assert isinstance(cfg, Config)
    for key, (_, why) in row.requires.items():
        section, field = key.split(".")
        part = getattr(cfg, section)
        changed = {"kind": "public-goods", "players": 3} if key == "game.players" else {field: wrong[key]}
        with pytest.raises(ValueError, match=why):
            dataclasses.replace(cfg, **{section: dataclasses.replace(part, **changed)})


def test_what_lacks_a_part_is_named_with_it():
    with pytest.raises(ValueError, match=r"mine is no CoPlayer: .* lacks init, act, end_of_inner_episode; see"):
        check_protocol("mine", object(), interfaces.CoPlayer)
