"""Sequence models: token by token = whole sequence = parallel scan, derivatives, and Hawk against plain NumPy."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lapg_rl import models
from lapg_rl.config import ModelConfig
from lapg_rl.models import Hawk, attention
from lapg_rl.models.recurrence import linear_recurrence
from lapg_theory.exact.precision import float64

KINDS = {
    "hawk": ModelConfig(kind="hawk", width=8, mlp_width=12, depth=2),
    "hawk of one token": ModelConfig(kind="hawk", width=8, mlp_width=12, conv_width=1),
    "gru": ModelConfig(kind="gru", width=8),
    "transformer": ModelConfig(kind="transformer", width=8, mlp_width=12, depth=2),
    "tabular": ModelConfig(kind="tabular"),
}
#: Longer than any sequence here, so that a cache has empty slots.
CONTEXT = 32


@eqx.filter_jit
def rough(model, key):
    """The model with every parameter perturbed, so that nothing is hidden behind zeros."""
    leaves, structure = jax.tree.flatten(eqx.filter(model, eqx.is_inexact_array))
    keys = jax.random.split(key, len(leaves))
    noise = [0.3 * jax.random.normal(k, x.shape, x.dtype) for k, x in zip(keys, leaves, strict=True)]
    return eqx.apply_updates(model, jax.tree.unflatten(structure, noise))


@eqx.filter_jit
def build(config, num_actions=3, one_hot=False):
    return models.build(config, 5, num_actions, CONTEXT, jax.random.key(0), one_hot)


def example(kind, length=23):
    model = rough(build(KINDS[kind]), jax.random.key(1))
    states = jax.random.randint(jax.random.key(2), (length,), 0, 5)
    return model, jax.nn.one_hot(states, 5, dtype=float)


@eqx.filter_jit
def whole(model, observations):
    return model(observations)


@pytest.mark.parametrize("kind", KINDS)
def test_stepping_over_tokens_equals_the_whole_sequence(kind):
    with float64():
        model, observations = example(kind)
        steps = jax.jit(lambda o: jax.lax.scan(lambda s, o: model.step(s, o), model.initial_state(), o)[1])
        stepped, at_once = steps(observations), whole(model, observations)
    for one, other in zip(stepped, at_once, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_models_are_causal(kind):
    with float64():
        model, observations = example(kind)
        changed = observations.at[12].set(jnp.roll(observations[12], 1))
        before, after = whole(model, observations)[0], whole(model, changed)[0]
    np.testing.assert_array_equal(before[:12], after[:12])
    assert np.any(before[12] != after[12])


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_equal_finite_differences(kind):
    with float64():
        model, observations = example(kind, length=7)
        weights = jnp.asarray(np.random.default_rng(0).normal(size=(7, 4)))

        @jax.jit
        def score(model):
            logits, values = model(observations)
            return jnp.sum(weights * jnp.concatenate([logits, values[:, None]], axis=1))

        gradient = jax.jit(jax.grad(score))(model)
        direction = rough(jax.tree.map(jnp.zeros_like, model), jax.random.key(3))
        step = 1e-6
        ahead = jax.tree.map(lambda x, d: x + step * d, model, direction)
        behind = jax.tree.map(lambda x, d: x - step * d, model, direction)
        expected = float(score(ahead) - score(behind)) / (2 * step)
        found = sum(float(jnp.vdot(g, d)) for g, d in zip(*map(jax.tree.leaves, (gradient, direction)), strict=True))
    assert found == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize(
    "kind", ["gru", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("hawk", "transformer"))]
)
def test_second_derivatives_equal_differences_of_gradients(kind):
    """LOLA-DiCE differentiates a gradient; the layers' derivatives are written by hand, so theirs must exist and be right."""
    with float64():
        model, observations = example(kind, length=4)
        weights = jnp.asarray(np.random.default_rng(0).normal(size=(4, 4)))
        direction = rough(jax.tree.map(jnp.zeros_like, model), jax.random.key(3))

        def score(model):
            logits, values = model(observations)
            return jnp.sum(jnp.tanh(weights * jnp.concatenate([logits, values[:, None]], axis=1)))

        def slope(model):
            return sum(jax.tree.leaves(jax.tree.map(jnp.vdot, jax.grad(score)(model), direction)))

        @jax.jit
        def along(model, step):
            return slope(jax.tree.map(lambda x, d: x + step * d, model, direction))

        second = jax.jit(lambda m: jax.tree.map(jnp.vdot, jax.grad(slope)(m), direction))(model)
        found, expected = (
            sum(map(float, jax.tree.leaves(second))),
            float(along(model, 1e-5) - along(model, -1e-5)) / 2e-5,
        )
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_fresh_policies_are_uniform_with_value_zero(kind):
    model = build(KINDS[kind])
    logits, values = jax.jit(lambda o: model(o))(jnp.eye(5))
    assert not np.any(logits)
    assert not np.any(values)


@pytest.mark.parametrize("route", ["scan", "associative", "auto"])
def test_recurrence_routes_agree_with_a_loop_in_value_and_gradient(route):
    rng = np.random.default_rng(0)
    a, b, weights = rng.uniform(0.2, 1, (11, 3)), rng.normal(size=(11, 3)), rng.normal(size=(11, 3))
    with float64():

        def loop(a, b):
            h, out = jnp.zeros(3), []
            for t in range(11):
                h = a[t] * h + b[t]
                out.append(h)
            return jnp.sum(weights * jnp.stack(out))

        def routed(a, b):
            return jnp.sum(weights * linear_recurrence(a, b, route))

        expected = jax.jit(jax.value_and_grad(loop, argnums=(0, 1)))(jnp.asarray(a), jnp.asarray(b))
        found = jax.jit(jax.value_and_grad(routed, argnums=(0, 1)))(jnp.asarray(a), jnp.asarray(b))
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def norm(x, scale):
    return x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + 1e-6) * (1 + scale)


def numpy_hawk(model, observations):
    """The published formulas (De et al. 2024), token by token, gates head by head."""
    p = jax.tree.map(np.asarray, model)
    tokens = observations @ p.embedding
    for block in p.blocks:
        width = tokens.shape[1]
        past, h, out = [np.zeros(width)] * (len(block.conv) - 1), np.zeros(width), []
        for x in tokens:
            both = norm(x, block.scale) @ block.weight_in
            gate, past = gelu(both[:width]), [*past, both[width:]]
            u = sum(w * v for w, v in zip(block.conv, past[-len(block.conv) :], strict=True)) + block.conv_bias
            heads = np.split(u, block.gates.shape[1])
            r, i = (
                sigmoid(np.concatenate([v @ w for v, w in zip(heads, side, strict=True)]) + bias)
                for side, bias in zip(block.gates, np.split(block.gate_bias, 2), strict=True)
            )
            a = np.exp(-8 * np.log1p(np.exp(block.decay)) * r)
            h = a * h + np.sqrt(1 - a**2) * (i * u)
            y = x + (gate * h) @ block.weight_out
            both = norm(y, block.mlp.scale) @ block.mlp.weight_in
            hidden = both.shape[0] // 2
            out.append(y + (gelu(both[:hidden]) * both[hidden:]) @ block.mlp.weight_out)
        tokens = np.array(out)
    final = norm(tokens, p.readout.scale) @ p.readout.weight + p.readout.bias
    return final[:, :-1], final[:, -1]


def test_hawk_equals_the_published_formulas_in_numpy():
    with float64():
        model, observations = example("hawk")
        found = whole(model, observations)
    for one, other in zip(found, numpy_hawk(model, np.asarray(observations)), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


def numpy_transformer(model, observations):
    """Attention written out query by query and key by key, with rotations as products of complex numbers."""
    p = jax.tree.map(np.asarray, model)
    tokens = observations @ p.embedding
    for block in p.blocks:
        length, width = tokens.shape
        size = width // block.heads
        turn = np.exp(1j * np.arange(length)[:, None] * 10_000.0 ** (-np.arange(size // 2) / (size // 2)))
        both = norm(tokens, block.scale) @ block.weight_in
        attended = np.zeros_like(tokens)
        for head in range(block.heads):
            at = slice(head * size, (head + 1) * size)
            q, k, v = (part[:, at] for part in np.split(both, 3, axis=1))
            q, k = ((x[:, : size // 2] + 1j * x[:, size // 2 :]) * turn for x in (q, k))
            for t in range(length):
                scores = np.exp([(q[t] @ k[s].conj()).real / np.sqrt(size) for s in range(t + 1)])
                attended[t, at] = scores @ v[: t + 1] / scores.sum()
        y = tokens + attended @ block.weight_out
        both = norm(y, block.mlp.scale) @ block.mlp.weight_in
        hidden = both.shape[1] // 2
        tokens = y + (gelu(both[:, :hidden]) * both[:, hidden:]) @ block.mlp.weight_out
    final = norm(tokens, p.readout.scale) @ p.readout.weight + p.readout.bias
    return final[:, :-1], final[:, -1]


def test_transformer_equals_attention_written_out_in_numpy():
    with float64():
        model, observations = example("transformer")
        found = whole(model, observations)
    for one, other in zip(found, numpy_transformer(model, np.asarray(observations)), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


@pytest.mark.parametrize("stretch", [1, 3, 4, 7])
def test_a_sequence_is_attended_to_alike_in_any_stretches(stretch):
    q, k, v = (np.random.default_rng(n).normal(size=(5, 2, 7, 4)) for n in range(3))
    expected = np.zeros((5, 7, 2, 4))
    for n, head, t in np.ndindex(5, 2, 7):
        scores = np.exp(k[n, head, : t + 1] @ q[n, head, t] / 2)
        expected[n, t, head] = scores @ v[n, head, : t + 1] / scores.sum()
    with float64():
        found = attention.attend(*map(jnp.asarray, (q, k, v)), stretch)
    np.testing.assert_allclose(found, expected.reshape(5, 7, 8), atol=1e-12)
    assert [attention.stretch_of(*x) for x in ((10, True), (200, True), (4001, True), (4001, False))] == [
        50,
        50,
        501,
        4001,
    ]


def test_a_transformer_refuses_to_run_out_of_context():
    model, observations = example("transformer")
    short = models.with_context(model, 3)
    with pytest.raises(ValueError, match=r"23 tokens exceeds the context of 3; see `with_context`"):
        short(observations)
    _, (logits, _) = jax.jit(lambda o: jax.lax.scan(lambda s, o: short.step(s, o), short.initial_state(), o))(
        observations[:4]
    )
    assert np.all(np.isfinite(logits[:3]))
    assert np.all(np.isnan(logits[3]))
    assert models.with_context(example("gru")[0], 3).initial_state().shape == (8,)


def test_hawk_forgets_at_rates_between_0_9_and_0_999_when_its_gate_is_open():
    hawk = build(ModelConfig(width=512, mlp_width=1))
    a = np.exp(-8 * np.log1p(np.exp(np.asarray(hawk.blocks[0].decay))))
    assert np.all((a > 0.8999) & (a < 0.9991))
    assert a.min() < 0.91
    assert a.max() > 0.99


def test_hawk_refuses_heads_that_do_not_divide_the_width():
    with pytest.raises(ValueError, match="multiple of heads"):
        Hawk(5, 2, width=10, heads=4, key=jax.random.key(0))


def test_hawk_is_the_same_function_where_it_relies_on_one_hot_observations():
    with float64():
        model, observations = example("hawk")
        relying = jax.tree.unflatten(jax.tree.structure(build(KINDS["hawk"], one_hot=True)), jax.tree.leaves(model))
        weights = jnp.asarray(np.random.default_rng(0).normal(size=(23, 4)))

        @eqx.filter_jit
        @eqx.filter_value_and_grad
        def score(model):
            logits, values = model(observations)
            return jnp.sum(weights * jnp.concatenate([logits, values[:, None]], axis=1))

        stepped = jax.jit(lambda o: relying.step(relying.initial_state(), o)[1])(observations[3])
        expected = jax.jit(lambda o: model.step(model.initial_state(), o)[1])(observations[3])
        for one, other in zip(
            jax.tree.leaves((score(relying), stepped)), jax.tree.leaves((score(model), expected)), strict=True
        ):
            np.testing.assert_allclose(one, other, atol=1e-11)
        half = whole(model, observations / 2)[0]
        assert not np.allclose(half, whole(relying, observations / 2)[0])  # the promise matters
