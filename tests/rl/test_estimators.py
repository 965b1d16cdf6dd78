"""The estimators against exact enumeration, literal double sums, and each other."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from lapg_rl import config, estimators, models
from lapg_rl.config import ModelConfig
from lapg_rl.estimators import current_and_future, value_targets
from lapg_rl.play.rollout import log_prob
from lapg_theory.exact.precision import float64

#: Those that see nobody's rewards but the ego's.
ESTIMATORS = {name: found for name, found in estimators.ESTIMATORS.items() if not getattr(found, "reads", ())}
B = M = T = 2
PLAIN = {"gamma": 1.0, "gae_lambda": 1.0}


def joint_histories():
    """All (2 * 2)^(B M T) = 65,536 pairs of action arrays `[history, b, m, t]`: own and the co-player's."""
    choices = np.array(list(itertools.product((0, 1), repeat=B * M * T)))
    own, other = np.repeat(choices, len(choices), axis=0), np.tile(choices, (len(choices), 1))
    return own.reshape(-1, B, M, T), other.reshape(-1, B, M, T)


OWN, OTHER = joint_histories()
REWARDS = np.array([[1.0, -1.0], [2.0, 0.0]])[OWN, OTHER]


def seen(first, second):
    """States before each step, own view of the player of `first`: 0 at the start of an inner episode."""
    after = 1 + 2 * first + second
    return np.concatenate([np.zeros_like(after[..., :1]), after[..., :-1]], axis=-1)


def contexts():
    """The ego's history as a feature: its state, the inner episode, and what it last saw the co-player do before that."""
    last = np.concatenate([np.zeros_like(OTHER[:, :, :1, -1]), OTHER[:, :, :-1, -1]], axis=2)
    return seen(OWN, OTHER) + 5 * (last[..., None] + 2 * np.arange(M)[:, None])


CONTEXTS = contexts()


def coplayer_probabilities():
    """P(co-player's action) at every step: a memory-one learner that makes one minibatch step after inner episode 1."""
    states = seen(OTHER, OWN)
    policy = np.tile([0.5, 0.6, 0.4, 0.3, 0.25], (len(OWN), 1))
    payoff = np.array([[1.0, -1.0], [2.0, 0.0]])[OTHER, OWN]
    probabilities = np.empty(OWN.shape)
    for m in range(M):
        cooperate = np.take_along_axis(policy[:, None, None, :], states[:, :, m : m + 1], axis=-1)[:, :, 0]
        probabilities[:, :, m] = np.where(OTHER[:, :, m] == 0, cooperate, 1 - cooperate)
        score = np.where(OTHER[:, :, m] == 0, 1 / cooperate, -1 / (1 - cooperate))
        to_go = np.cumsum(payoff[:, :, m, ::-1], axis=-1)[..., ::-1]
        step = np.zeros_like(policy)
        for b, t in itertools.product(range(B), range(T)):
            step[np.arange(len(OWN)), states[:, b, m, t]] += score[:, b, t] * to_go[:, b, t] / B
        policy = np.clip(policy + 0.05 * step, 0.02, 0.98)
    return probabilities


LOG_COPLAYER = np.log(coplayer_probabilities()).sum((1, 2, 3))


def log_policy(theta):
    logits = theta[CONTEXTS]
    return jnp.where(OWN == 0, jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits))


def exact_gradient(theta):
    """Autodiff of J = sum over histories of P(history) * mean over b of the summed rewards."""

    def objective(theta):
        return jnp.sum(jnp.exp(log_policy(theta).sum((1, 2, 3)) + LOG_COPLAYER) * REWARDS.sum((2, 3)).mean(1))

    return jax.grad(objective)(theta)


def expected_gradient(theta, credits):
    """Sum over histories of P(history) * sum over b, m, t of credit * grad log pi."""
    weight = np.exp(np.asarray(log_policy(theta)).sum((1, 2, 3)) + LOG_COPLAYER)
    return jax.grad(lambda th: jnp.sum(weight[:, None, None, None] * credits * log_policy(th)))(theta)


def theta():
    return jnp.asarray(np.random.default_rng(0).normal(size=5 * 2 * M))


def worst_gap(credits):
    return float(np.max(np.abs(expected_gradient(theta(), credits) - exact_gradient(theta()))))


def credits_of(name, values=None):
    values = jnp.zeros(REWARDS.shape) if values is None else values
    return jax.vmap(lambda r, v: ESTIMATORS[name](r, v, **PLAIN))(jnp.asarray(REWARDS), values)


def test_expected_lapg_gradient_is_the_gradient_of_the_shaping_return():
    with float64():
        assert worst_gap(credits_of("lapg")) < 1e-12


def test_a_value_baseline_keeps_lapg_unbiased():
    with float64():
        table = jnp.asarray(np.random.default_rng(1).normal(size=5 * 2 * M))
        assert worst_gap(credits_of("lapg", table[CONTEXTS])) < 1e-12


@pytest.mark.parametrize("name", ["batch_unaware", "mfos", "inner_episode"])
def test_the_other_estimators_are_biased_against_a_learner(name):
    with float64():
        assert worst_gap(credits_of(name)) > 1e-2


@pytest.mark.parametrize(
    "kind", ["gru", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("hawk", "transformer"))]
)
def test_with_sequence_models_too_lapg_alone_is_unbiased(kind):
    """The same enumeration with a policy that reads its whole history; gradients in all of its parameters."""
    with float64():
        sizes = ModelConfig(kind=kind, width=4, mlp_width=4, heads=1)
        policy = models.build(sizes, 5, 2, M * T, jax.random.key(0), one_hot=True)
        parameters, static = eqx.partition(policy, eqx.is_inexact_array)
        flat, unflatten = ravel_pytree(parameters)
        flat = flat + 0.5 * jnp.asarray(np.random.default_rng(0).normal(size=flat.shape))  # away from a uniform policy
        tokens = jax.nn.one_hot(seen(OWN, OTHER).reshape(-1, M * T), 5, dtype=flat.dtype)

        @jax.jit
        def log_probabilities(flat):
            logits, _ = models.over_sequences(eqx.combine(unflatten(flat), static), tokens)
            return log_prob(logits, jnp.asarray(OWN.reshape(-1, M * T))).reshape(OWN.shape)

        log_chance = log_probabilities(flat).sum((1, 2, 3)) + LOG_COPLAYER
        weight = jnp.exp(log_chance)[:, None, None, None]

        @jax.jit
        def gradient(credits):
            return jax.grad(lambda f: jnp.sum(weight * credits * log_probabilities(f)))(flat)

        # d/df of sum P(history) R: every history's score, weighted by its whole return
        exact = gradient(jnp.broadcast_to(REWARDS.sum((2, 3)).mean(1)[:, None, None, None], REWARDS.shape))
        gaps = {name: jnp.linalg.norm(gradient(credits_of(name)) - exact) for name in ESTIMATORS}
        assert abs(float(weight.sum()) - 1) < 1e-10
        assert gaps.pop("lapg") < 1e-9 * jnp.linalg.norm(exact)
        assert all(gap > 0.02 * jnp.linalg.norm(exact) for gap in gaps.values()), gaps


MUTANTS = {
    "future divided by B twice": lambda current, future: current / B + future.mean(1, keepdims=True) / B,
    "1/B of the present forgotten": lambda current, future: current + future.mean(1, keepdims=True),
    "present counted in the future": lambda current, future: (
        current / B + (future + current).mean(1, keepdims=True)
    ),
}  # fmt: skip


@pytest.mark.parametrize("mutant", MUTANTS)
def test_mutants_of_lapg_fail_the_enumeration(mutant):
    with float64():
        current, future = jax.vmap(lambda r: current_and_future(r, 1.0))(jnp.asarray(REWARDS))
        assert worst_gap(MUTANTS[mutant](current, future)) > 1e-2


def literal_credits(name, rewards, values, gamma, lam):
    """The definitions as double sums over trajectories and steps."""
    b_count, m_count, t_count = rewards.shape
    episodic = name == "inner_episode"
    length = m_count * t_count
    r, v = rewards.reshape(b_count, length), values.reshape(b_count, length)
    ends = [length] * length if not episodic else [(n // t_count + 1) * t_count for n in range(length)]
    delta = r - v
    for b, n in itertools.product(range(b_count), range(length)):
        delta[b, n] += gamma * v[b, n + 1] if n + 1 < ends[n] else 0
    out = np.zeros_like(r)
    for b, n in itertools.product(range(b_count), range(length)):
        border = (n // t_count + 1) * t_count
        current = sum((gamma * lam) ** (k - n) * delta[b, k] for k in range(n, border))
        future = [sum((gamma * lam) ** (k - n) * delta[c, k] for k in range(border, length)) for c in range(b_count)]
        out[b, n] = {
            "lapg": current / b_count + sum(future) / b_count,
            "batch_unaware": (current + future[b]) / b_count,
            "mfos": current + sum(future) / b_count,
            "inner_episode": current / b_count,
        }[name]
    return out.reshape(rewards.shape)


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 1.0), (0.97, 0.9), (0.5, 1.0)])
def test_credits_equal_the_literal_double_sum(name, gamma, lam):
    rng = np.random.default_rng(2)
    rewards, values = rng.normal(size=(2, 3, 4, 5))
    with float64():
        scanned = ESTIMATORS[name](jnp.asarray(rewards), jnp.asarray(values), gamma=gamma, gae_lambda=lam)
        np.testing.assert_allclose(scanned, literal_credits(name, rewards, values, gamma, lam), atol=1e-12)


def test_one_trajectory_makes_lapg_batch_unaware_and_mfos_agree():
    rewards, values = jnp.asarray(np.random.default_rng(3).normal(size=(2, 1, 3, 4)), jnp.float32)
    reference = ESTIMATORS["lapg"](rewards, values, **PLAIN)
    for name in ("batch_unaware", "mfos"):
        np.testing.assert_allclose(ESTIMATORS[name](rewards, values, **PLAIN), reference, atol=1e-5)


def test_one_inner_episode_leaves_nothing_to_shape():
    rewards, values = jnp.asarray(np.random.default_rng(4).normal(size=(2, 3, 1, 4)), jnp.float32)
    reference = ESTIMATORS["lapg"](rewards, values, **PLAIN)
    for name, factor in (("batch_unaware", 1), ("inner_episode", 1), ("mfos", 3)):
        np.testing.assert_allclose(ESTIMATORS[name](rewards, values, **PLAIN), factor * reference, atol=1e-5)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_meta_episodes_do_not_leak_into_each_other(name):
    rewards, values = jnp.asarray(np.random.default_rng(5).normal(size=(2, 2, 3, 4, 5)), jnp.float32)
    estimator = jax.vmap(lambda r, v: ESTIMATORS[name](r, v, gamma=0.9, gae_lambda=0.9))
    before, after = estimator(rewards, values), estimator(rewards.at[1].add(7.0), values)
    np.testing.assert_array_equal(before[0], after[0])
    assert np.all(np.asarray(before[1]) != np.asarray(after[1]))


@pytest.mark.parametrize("episodic", [False, True])
def test_value_targets_with_lambda_one_are_the_returns_whatever_the_values(episodic):
    rewards, values = np.random.default_rng(6).normal(size=(2, 2, 3, 4))
    expected = np.zeros_like(rewards)
    for b, m, t in np.ndindex(rewards.shape):
        following = rewards[b, m, t:] if episodic else np.concatenate([rewards[b, m, t:], rewards[b, m + 1 :].ravel()])
        expected[b, m, t] = sum(0.9**k * r for k, r in enumerate(following))
    with float64():
        targets = value_targets(jnp.asarray(rewards), jnp.asarray(values), gamma=0.9, td_lambda=1.0, episodic=episodic)
    np.testing.assert_allclose(targets, expected, atol=1e-12)


def test_the_module_exports_the_estimators_under_their_public_names():
    assert tuple(ESTIMATORS) == ("lapg", "mfos", "batch_unaware", "inner_episode")
    assert tuple(estimators.ESTIMATORS) == tuple(config.tables.ESTIMATORS)
    assert all(getattr(estimators, name) is function for name, function in estimators.ESTIMATORS.items())


def test_inputs_without_the_three_axes_are_refused():
    plain = (
        estimators._td_errors.__wrapped__ if hasattr(estimators._td_errors, "__wrapped__") else estimators._td_errors
    )
    with pytest.raises(ValueError, match=r"axes \[b, m, t\] .*shapes \(2, 3\) and \(2, 3\); use jax.vmap"):
        plain(np.zeros((2, 3)), np.zeros((2, 3)), 1.0, False)
