"""LOLA-DiCE and Shaper: derivatives by enumeration, replays against play, evolution against known gradients."""

import dataclasses
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from lapg_rl.config import Config, LearnerConfig, ModelConfig, NaiveConfig, PoolConfig
from lapg_rl.learn import training_step
from lapg_rl.learn.algorithms.lola_dice import _replay, lola_gradient, look_ahead
from lapg_rl.learn.algorithms.shaper import centred_ranks, search_gradient
from lapg_rl.models import GRU, Tabular
from lapg_rl.play import company
from lapg_rl.play.coplayers.naive import a2c_loss
from lapg_rl.play.rollout import Trajectory
from lapg_theory.exact.precision import float64

PLAIN = NaiveConfig(
    optimiser="sgd", learning_rate=1.0, normalize_advantages=False, reward_scale=1.0, clip_norm=100.0, gamma=1.0
)
T = 2


def histories():
    """All 16 joint histories of two steps: own actions, other actions `[16, t]`, and the states that each player saw."""
    moves = np.array(list(itertools.product((0, 1), repeat=2 * T))).reshape(-1, 2, T)
    own, other = moves[:, 0], moves[:, 1]
    seen = lambda a, b: np.concatenate([np.zeros((16, 1), int), 1 + 2 * a[:, :-1] + b[:, :-1]], axis=1)  # noqa: E731
    return own, other, seen(own, other), seen(other, own)


def log_policy(logits, states, actions):
    return jnp.take_along_axis(jax.nn.log_softmax(logits)[states], actions[..., None], -1)[..., 0]


@pytest.mark.parametrize(
    ("settings", "arguments"),
    [
        ({"entropy_coef": 0.3, "proximal": 0.7}, ("ego", "learner")),
        ({"gamma": 0.9, "gae_lambda": 0.7, "td_lambda": 0.6}, ("ego",)),
    ],
    ids=["returns", "discounted, bootstrapped"],
)
def test_derivatives_of_an_update_are_those_of_its_expectation(settings, arguments):
    """Mean over histories of d look_ahead = d of the mean over histories of the naive update, P(history) differentiated."""
    config = dataclasses.replace(PLAIN, **settings)
    own, other, own_states, other_states = histories()
    rng = np.random.default_rng(0)
    with float64():
        ego, logits, values = (jnp.asarray(rng.normal(size=shape)) for shape in ((5, 2), (5, 2), 5))
        rewards = jnp.array([[1.0, -1.0], [2.0, 0.0]])[other, own]
        blank = eqx.tree_at(lambda m: m.values, Tabular(5, 2, key=jax.random.key(0)), values)
        learner = lambda table: eqx.tree_at(lambda m: m.logits, blank, table)  # noqa: E731
        start = learner(jnp.asarray(rng.normal(size=(5, 2)))) if config.proximal else None
        seen = jax.nn.one_hot(other_states, 5, dtype=float)
        zeros = jnp.zeros_like(rewards)
        batch = Trajectory(seen[:, None], jnp.asarray(other)[:, None], rewards[:, None], zeros[:, None], zeros[:, None])

        def chance(point):
            ego, table = point["ego"], point["learner"]
            return jnp.exp((log_policy(ego, own_states, own) + log_policy(table, other_states, other)).sum(-1))

        def expected(point):
            """-gradient of the naive learner's own loss in logits and values, one history at a time."""

            def one(episode):
                gradient = jax.grad(lambda m: a2c_loss(m, episode, config, start))(learner(point["learner"]))
                return -jnp.concatenate([gradient.logits.ravel(), gradient.values])

            return chance(point) @ jax.vmap(one)(batch)

        def sampled(point):
            def one(episode, states, actions):
                now = learner(point["learner"])
                after = look_ahead(now, episode, log_policy(point["ego"], states, actions)[None], config, start)
                return jnp.concatenate([(after.logits - now.logits).ravel(), after.values - now.values])

            weights = jax.lax.stop_gradient(chance(point))
            return weights @ jax.vmap(one)(batch, jnp.asarray(own_states), jnp.asarray(own))

        point = {"ego": ego, "learner": logits}
        np.testing.assert_allclose(jax.jit(sampled)(point), jax.jit(expected)(point), atol=1e-12)
        found, wanted = (jax.jit(jax.jacrev(f))(point) for f in (sampled, expected))
    for argument in arguments:
        np.testing.assert_allclose(found[argument], wanted[argument], atol=1e-12)
        assert np.abs(wanted[argument]).max() > 0.01


LOLA = Config(
    meta_batch=2,
    batch=3,
    inner_episodes=3,
    steps=4,
    model=ModelConfig(kind="gru", width=3),
    naive=dataclasses.replace(PLAIN, learning_rate=2.0, clip_norm=0.05, proximal=5.0),
    learner=LearnerConfig(algorithm="lola_dice", memory="inner_episode", epochs=1, minibatches=1),
    pool=PoolConfig(agents=2, naive_start="dynamic"),
)


def test_replayed_learners_are_those_that_played():
    """Look-aheads from the recorded play end at the policy whose actions were recorded in the last inner episode."""
    agents = eqx.filter_jit(eqx.filter_vmap(lambda key: GRU(5, 2, width=3, key=key)))(
        jax.random.split(jax.random.key(0))
    )
    agents = eqx.tree_at(lambda m: m.readout.weight, agents, jax.random.normal(jax.random.key(2), (2, 3, 3)))
    ego = jax.tree.map(lambda x: x[0], agents)

    @eqx.filter_jit
    def run(key):
        played = company.play_pool(LOLA, ego, company.Company(jnp.array(0), agents, agents), key)["naive"]
        own, other, start = jax.tree.map(lambda x: x[0], (played.own, played.other, played.identities))
        policy = start
        log_probs = _replay(ego, own)[0]
        for m in range(2):
            episode = jax.tree.map(lambda x, m=m: x[:, m], other)
            policy = look_ahead(policy, episode, log_probs[:, m], LOLA.naive, start)
        return own, other, log_probs, _replay(policy, other)[0]

    own, other, ego_log_probs, log_probs = run(jax.random.key(5))
    np.testing.assert_allclose(ego_log_probs, own.log_probs, atol=1e-5)
    np.testing.assert_allclose(log_probs[:, 2], other.log_probs[:, 2], atol=1e-5)
    assert np.abs(np.asarray(log_probs - other.log_probs)[:, 0]).max() > 1e-3


def test_pola_adds_the_slope_of_the_divergence_from_the_policy_before():
    """Of everything that the ego saw: how often, times the difference of the chances of each action."""
    cfg = dataclasses.replace(
        LOLA,
        inner_episodes=2,
        model=ModelConfig(kind="tabular"),
        learner=dataclasses.replace(LOLA.learner, algorithm="pola", proximal=3.0),
        pool=PoolConfig(agents=2, naive_start="dynamic", p_naive=0.5),
    )
    tables = jax.random.normal(jax.random.key(0), (2, 5, 2))
    blank = jax.tree.map(lambda x: jnp.stack([x] * 2), Tabular(5, 2, key=jax.random.key(0)))
    agents = eqx.tree_at(lambda m: m.logits, blank, tables)
    ego, other = (jax.tree.map(lambda x, k=k: x[k], agents) for k in (0, 1))
    met = company.Company(jnp.array(0), agents, agents)

    @eqx.filter_jit
    def run(key):
        found = eqx.filter_vmap(lambda near: lola_gradient(cfg, ego, met, key, near)[0].logits)(agents)
        return found, [side.own.observations for side in company.play_pool(cfg, ego, met, key).values()]

    (same, apart), seen = run(jax.random.key(1))
    share = np.mean([np.asarray(x).reshape(-1, 5).mean(0) for x in seen], axis=0)  # of each state
    p, before = (np.asarray(jax.nn.softmax(m.logits)) for m in (ego, other))
    np.testing.assert_allclose(apart - same, 3.0 * share[:, None] * (p - before), atol=1e-5)


def test_ranks_are_centred_and_ties_share_theirs():
    scores = np.random.default_rng(0).integers(0, 5, 12).astype(np.float32)
    expected = (stats.rankdata(scores) - 1) / 11 - 0.5
    np.testing.assert_allclose(centred_ranks(jnp.asarray(scores)), expected, atol=1e-6)


def test_the_search_gradient_of_plain_scores_is_unbiased():
    """A quadratic: E[score] has the quadratic's own gradient. Six |z| < 4.5: a false alarm once in 25,000 keys."""
    rng = np.random.default_rng(1)
    matrix, slope, centre = (jnp.asarray(rng.normal(size=s), jnp.float32) for s in ((6, 6), 6, 6))
    score = lambda x: x @ matrix @ x + slope @ x  # noqa: E731
    run = jax.jit(lambda key: search_gradient(score, centre, key, pairs=16, noise=0.3, shape=lambda s: s)[0])
    found = np.asarray(jax.lax.map(run, jax.random.split(jax.random.key(0), 2000)), float)
    expected = np.asarray((matrix + matrix.T) @ centre + slope)
    assert np.all(np.abs(found.mean(0) - expected) < 4.5 * found.std(0) / np.sqrt(2000))
    assert np.all(found.std(0) / np.sqrt(2000) < 0.05 * np.linalg.norm(expected))


def test_shaper_learns_to_exploit_unconditional_cooperation():
    """Always defecting earns 2 a step; a fresh policy earns 1.5, and within 0.2 of it whatever the key (5 sigma)."""
    cfg = Config(
        meta_batch=2,
        batch=8,
        inner_episodes=2,
        steps=5,
        model=ModelConfig(kind="tabular"),
        learner=LearnerConfig(algorithm="shaper", epochs=1, minibatches=1, population=16, noise=0.3, learning_rate=0.2),
        pool=PoolConfig(p_naive=0.0, p_fixed=1.0, fixed="allc"),
    )
    key = training_step.run_key(cfg)
    state, step = training_step.initial_state(cfg, key), training_step.make_train_step(cfg)
    rewards = []
    for n in range(25):
        state, metrics = step(state, jax.random.fold_in(key, n))
        rewards.append(float(metrics["reward_vs_fixed"][0]))
    assert abs(rewards[0] - 1.5) < 0.2
    assert rewards[-1] > 1.9
