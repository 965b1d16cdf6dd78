"""The native kernels against JAX in double precision: values, derivatives, steps, what vmap makes of them; and without any."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lapg_rl as rl
import lapg_theory as lt
from lapg_rl import models
from lapg_rl.config import LearnerConfig, ModelConfig
from lapg_rl.models.layers import embedded
from lapg_rl.models.mixing import mixed
from lapg_rl.native import calls, draws, library
from lapg_rl.optimisers import make_optimiser
from lapg_rl.play.coplayers import FixedStrategy

needed = pytest.mark.skipif(library.in_use() is None, reason=library.loaded().words)
KINDS = {
    "gru": ModelConfig(kind="gru", width=16),
    "hawk": ModelConfig(kind="hawk", width=16, mlp_width=8, depth=2),
    "transformer": ModelConfig(kind="transformer", width=32, mlp_width=8),
    "wide transformer": ModelConfig(kind="transformer", width=48, heads=1, mlp_width=24),
    "wide hawk": ModelConfig(kind="hawk", width=40, heads=1, mlp_width=24, conv_width=1),
}
#: Those with derivatives of their own to tell apart; the wide one has another convolution.
EACH = ["gru", "hawk", "transformer", pytest.param("wide hawk", marks=pytest.mark.slow)]
#: Steps and sequences: the least, over several tiles of 64 tokens, and more than the 16 sequences of a tile.
COUNTS = [(1, 1), (70, 2), (9, 37), pytest.param(5, 3, marks=pytest.mark.slow)]


def example(kind, steps=5, count=3, seed=0, scale=None):
    """A policy none of whose parameters is 0, with observations and weights of what it gives."""
    scale = scale or (0.3 if "transformer" in kind else 0.5)  # more would leave its attention to one token
    keys = iter(jax.random.split(jax.random.key(seed), 99))
    drawn = models.build(KINDS[kind], 5, 2, steps, next(keys))
    moved = lambda x: x + scale * jax.random.normal(next(keys), x.shape)  # noqa: E731
    policy = jax.tree.map(lambda x: moved(x) if eqx.is_inexact_array(x) else x, drawn)
    return policy, jax.random.normal(next(keys), (steps, count, 5)), jax.random.normal(next(keys), (steps, count, 3))


def weighed(policy, observations, weights):
    logits, values = policy(observations)
    return jnp.sum(logits * weights[..., :2]) + jnp.sum(values * weights[..., 2])


def slopes(policy, observations, weights):
    """The gradient by all parameters and observations."""
    return jax.tree.leaves(eqx.filter_grad(lambda both: weighed(*both, weights))((policy, observations)))


def curvature(policy, observations, weights):
    """The gradient of the squared gradient."""

    def squared(both):
        return sum(jnp.sum(g**2) for g in slopes(*both, weights))

    return jax.tree.leaves(eqx.filter_grad(squared)((policy, observations)))


def error(function, *arguments):
    """How far the kernels are from double precision without them, at most, beside 1 + the largest number of an array.

    Single precision itself is 1e-6 to 3e-5 off.
    """
    call = eqx.filter_jit(function)
    used = call.lower(*arguments).as_text()
    assert "lapg_embed" in used
    assert "lapg_project" in used
    assert any(f"lapg_{kind}" in used for kind in ("gru", "hawk", "transformer"))
    found = jax.tree.map(np.asarray, call(*arguments))
    with jax.enable_x64(True):
        double = jax.tree.map(lambda x: jnp.asarray(np.asarray(x), float) if eqx.is_inexact_array(x) else x, arguments)
        assert "lapg_" not in call.lower(*double).as_text()
        expected = jax.tree.map(np.asarray, call(*double))
    both = list(zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True))
    assert [one.shape for one, _ in both] == [other.shape for _, other in both]
    return np.max([np.max(np.abs(one - other)) / (1 + np.abs(other).max()) for one, other in both])


@needed
@pytest.mark.parametrize(("steps", "count"), COUNTS)
@pytest.mark.parametrize("kind", KINDS)
def test_values_and_gradients_are_those_of_jax(kind, steps, count):
    # with another seed JAX itself is 3e-4 off for the wide Hawk
    arguments = example(kind, steps, count, seed=int(kind == "wide hawk"))
    assert error(lambda *a: a[0](a[1]), *arguments) <= 1e-4
    assert error(slopes, *arguments) <= 1e-4


@needed
@pytest.mark.parametrize("kind", EACH)
def test_second_derivatives_are_those_of_jax(kind):
    assert error(curvature, *example(kind, scale=0.2)) <= 1e-3


@needed
@pytest.mark.parametrize("kind", KINDS)
def test_step_by_step_is_the_whole_sequence(kind):
    policy, observations, _ = example(kind, 12, 5)

    def by_steps(policy, observations):
        start = jax.tree.map(lambda x: jnp.broadcast_to(x, (5, *x.shape)), policy.initial_state())
        return jax.lax.scan(jax.vmap(policy.step), start, observations)[1]

    assert error(by_steps, policy, observations) <= 1e-4
    for one, other in zip(eqx.filter_jit(by_steps)(policy, observations), policy(observations), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@needed
@pytest.mark.parametrize("kind", EACH)
def test_a_step_is_derived_as_in_jax(kind):
    policy, observations, weights = example(kind)

    def two_steps(policy, seen):
        state, _ = policy.step(policy.initial_state(), seen[0, 0])
        logits, value = policy.step(state, seen[1, 0])[1]
        return logits @ weights[0, 0, :2].astype(seen.dtype) + value

    assert (
        error(lambda *both: jax.tree.leaves(eqx.filter_grad(lambda b: two_steps(*b))(both)), policy, observations)
        <= 1e-4
    )


@needed
@pytest.mark.parametrize("kind", EACH)
def test_policies_side_by_side_are_one_after_the_other(kind):
    found = [example(kind, 6, 4, seed) for seed in range(3)]
    several = jax.tree.map(lambda *x: jnp.stack(x) if eqx.is_inexact_array(x[0]) else x[0], *[f[0] for f in found])
    seen, weights = jnp.stack([f[1] for f in found]), found[0][2]
    each = lambda *a: eqx.filter_vmap(slopes, in_axes=(eqx.if_array(0), 0, None))(*a)  # noqa: E731
    by_seen = eqx.filter_vmap(slopes, in_axes=(None, 0, None))
    every_pair = lambda *a: eqx.filter_vmap(by_seen, in_axes=(eqx.if_array(0), None, None))(*a)  # noqa: E731
    assert error(each, several, seen, weights) <= 1e-4
    assert error(every_pair, several, seen, weights) <= 1e-4
    # one policy, its sequences along another axis, in front or behind
    for where, sequences in ((0, seen), (1, seen[0])):
        along = lambda *a, n=where: eqx.filter_vmap(lambda p, s: p(s), in_axes=(None, n), out_axes=n)(*a)  # noqa: E731
        assert error(along, found[0][0], sequences) <= 1e-4

    def steps(policy, seen):
        states = jax.tree.map(lambda x: jnp.broadcast_to(x, (4, *x.shape)), policy.initial_state())
        return jax.vmap(policy.step)(states, seen[0])

    assert error(lambda *a: eqx.filter_vmap(steps, in_axes=(eqx.if_array(0), 0))(*a), several, seen) <= 1e-4
    assert error(lambda *a: eqx.filter_vmap(steps, in_axes=(None, 0))(*a), found[0][0], seen) <= 1e-4


@needed
@pytest.mark.parametrize("kind", EACH)
def test_far_out_it_saturates_and_what_is_no_number_shows(kind):
    policy, observations, _ = example(kind, 4, 2)
    assert error(lambda *a: a[0](a[1]), policy, 1e4 * observations) <= 1e-4
    assert error(slopes, policy, 1e4 * observations, jnp.ones((4, 2, 3))) <= 1e-3
    _, values = policy(observations.at[2, 1, 0].set(jnp.nan))
    shown = np.isnan(values)
    assert shown[2:, 1].all() and not shown[:, 0].any()
    assert not shown[:2].any() or "transformer" in kind  # earlier tokens give it a weight of 0, and 0 * nan is nan


@needed
@pytest.mark.parametrize("much", [30, 300, 3000])
def test_far_out_gates_have_slope_0_or_1(much):
    """The slope of gelu multiplies 1 - tanh^2 by the third power of its argument: what is left to 1 must be 0."""
    block = example("hawk", 4, 2)[0].blocks[0]
    x, value, gate = (jax.random.normal(jax.random.key(n), (4, 2, 16)) for n in range(3))

    def slope(block, x, gate, value):
        return jax.grad(lambda gate: mixed(x, gate, value, block.weights(), "scan").sum())(gate)

    assert "lapg_hawk_back" in eqx.filter_jit(slope).lower(block, x, gate, value).as_text()
    found = slope(block, x, much * gate, value)
    with jax.enable_x64(True):
        double = jax.tree.map(lambda x: jnp.asarray(np.asarray(x), float), (block, x, much * gate, value))
        expected = np.asarray(slope(*double))
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())


@needed
def test_a_gate_that_is_all_but_shut_is_not_below_0():
    """Rounding must not carry tanh beyond 1: the forgetting of Hawk takes a root of what follows from a sigmoid."""
    policy, observations, weights = example("hawk", 8, 500)
    biases = jnp.linspace(-17.5, -15, policy.blocks[0].gate_bias.size)
    policy = eqx.tree_at(lambda p: p.blocks[0].gate_bias, policy, biases)
    assert error(lambda *a: a[0](a[1]), policy, observations) <= 1e-4
    assert error(slopes, policy, observations, weights) <= 1e-3


DRAWS = {
    "split": lambda random, key: random.split(key, (3, 7)),
    "fold_in": lambda random, key: random.fold_in(key, 123),
    "uniform": lambda random, key: random.uniform(key, (17, 3)),
    "one": lambda random, key: random.uniform(key),
    "none": lambda random, key: random.uniform(key, (0,)),
    "normal": lambda random, key: random.normal(key, (100,)),
    "bernoulli": lambda random, key: random.bernoulli(key, 0.3, (50,)),
    "permutation": lambda random, key: random.permutation(key, 33),
    "randint": lambda random, key: random.randint(key, (9,), 0, 7),
    "of keys": lambda random, key: jax.vmap(lambda k: random.uniform(k, (5,)))(random.split(key, 6)),
    "of keys of keys": lambda random, key: jax.vmap(jax.vmap(random.uniform))(random.split(key, (6, 2))),
    "of numbers": lambda random, key: jax.vmap(lambda n: random.fold_in(key, n))(jnp.arange(6)),
}


@needed
@pytest.mark.parametrize("kind", DRAWS)
def test_draws_are_those_of_jax_to_the_bit(kind):
    by_kernel = jax.jit(lambda key: DRAWS[kind](draws, key))
    assert "lapg_threefry" in by_kernel.lower(jax.random.key(7)).as_text()
    expected, found = DRAWS[kind](jax.random, jax.random.key(7)), by_kernel(jax.random.key(7))
    assert found.dtype == expected.dtype  # keys, too, are JAX's own again
    if jnp.issubdtype(expected.dtype, jax.dtypes.prng_key):
        expected, found = jax.random.key_data(expected), jax.random.key_data(found)
    np.testing.assert_array_equal(found, expected)


def test_other_keys_and_ways_to_draw_are_left_to_jax():
    def drawn(key):
        assert "lapg_threefry" not in jax.jit(lambda key: draws.uniform(key, (3,))).lower(key).as_text()

    drawn(jax.random.key(0, impl="rbg"))
    drawn(jax.random.PRNGKey(0))
    with jax.threefry_partitionable(False):
        drawn(jax.random.key(0))
    with calls.left_out():
        drawn(jax.random.key(0))


@needed
def test_users_environments_get_keys_of_jaxs_own():
    """Others than its own `jax.random.poisson` refuses, and a loop can't carry both."""

    class Counting(rl.IteratedMatrixGame):
        def reset(self, key):
            return (super().reset(key)[0], key), super().reset(key)[1]

        def step(self, state, actions, key):
            inner, own = state
            inner, seen, rewards = super().step(inner, actions, key)
            return (inner, jax.random.fold_in(own, 1)), seen, rewards + jax.random.poisson(key, 2.0)

    env, sizes = Counting(lt.prisoners_dilemma()), {"batch": 2, "inner_episodes": 2, "steps": 3}
    met, ego = jnp.array([lt.TFT]), models.memory_one(jnp.full(5, 0.5))
    play = jax.jit(lambda key: rl.meta_batch(env, ego, FixedStrategy(), met, key, **sizes)[0].rewards)
    assert "lapg_threefry" in play.lower(jax.random.key(0)).as_text()
    found = play(jax.random.key(0))
    with calls.left_out():
        np.testing.assert_array_equal(found, jax.jit(lambda key: play.__wrapped__(key))(jax.random.key(0)))


@needed
@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("filled", ["one-hot", "some", "all", "in places"])
def test_tables_are_looked_up_as_they_are_multiplied(filled, parts):
    """Rows are summed in tiles of 64 tokens that are mostly 0, multiplied in others; 70 x 2 tokens are two tiles and a bit."""
    keys = iter(jax.random.split(jax.random.key(0), 9))
    x, shown = jax.random.normal(next(keys), (70, 2, 11)), jax.random.uniform(next(keys), (70, 2, 11))
    x = {
        "one-hot": jax.nn.one_hot(jax.random.randint(next(keys), (70, 2), 0, 11), 11),
        "some": x * (shown < 0.4),
        "all": x,
        "in places": x * (jnp.arange(70)[:, None, None] % 64 < 30),
    }[filled]
    table, weights = jax.random.normal(next(keys), (11, 24)), jax.random.normal(next(keys), (70, 2, 24))

    def weighed(x, table):
        return jnp.sum(jnp.concatenate(embedded(x, table, parts), axis=-1) * weights)

    assert "lapg_embed_back" in jax.jit(jax.grad(weighed, 1)).lower(x, table).as_text()
    np.testing.assert_allclose(jnp.concatenate(embedded(x, table, parts), axis=-1), x @ table, atol=1e-5)
    by_x, by_table = jax.grad(weighed, (0, 1))(x, table)
    np.testing.assert_allclose(by_x, weights @ table.T, atol=1e-4)
    np.testing.assert_allclose(by_table, jnp.einsum("tno,tne->oe", x, weights), atol=1e-4)


@needed
@pytest.mark.parametrize("clip", [0.1, 1e5])
def test_adam_steps_are_those_of_optax(clip):
    config = dataclasses.replace(LearnerConfig(), clip_norm=clip, learning_rate=0.1)
    plain = optax.chain(optax.clip_by_global_norm(clip), optax.adam(0.1, eps=config.adam_eps))

    def climb(optimiser, kernels):
        step = jax.jit(lambda x, state: jax.vmap(optimiser.update)(jax.vmap(jax.grad(far))(x), state))
        x, state = start, jax.vmap(optimiser.init)(start)
        assert ("lapg_adam" in step.lower(x, state).as_text()) == kernels
        for _ in range(5):
            move, state = step(x, state)
            x = optax.apply_updates(x, move)
        return x, state

    # sizes below and above the kernel's lanes, among them one number, and a place that holds nothing
    shapes = {"one": (), "some": (3, 5), "many": (40,)}
    keys = dict(zip(shapes, jax.random.split(jax.random.key(0), 3), strict=True))
    start = {name: jax.random.normal(keys[name], (4, *shape)) for name, shape in shapes.items()} | {"nothing": None}
    far = lambda x: sum(jnp.sum((y - 3) ** 4) for y in jax.tree.leaves(x))  # noqa: E731
    found, expected = climb(make_optimiser(config), True), climb(plain, False)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-7)


@needed
def test_adam_steps_are_derived_as_in_optax():
    plain = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.1, eps=1e-5))
    ours = make_optimiser(dataclasses.replace(LearnerConfig(), clip_norm=1.0, learning_rate=0.1, adam_eps=1e-5))

    def moved(optimiser, gradient):
        state = optimiser.init(gradient)
        for power in (1, 2):
            move, state = optimiser.update(jax.tree.map(lambda g: g**power, gradient), state)  # noqa: B023
        return jnp.sum(move["some"] * jnp.arange(3.0)) + move["one"] ** 2

    gradient = {"one": jnp.array(2.0), "some": jnp.array([0.1, -0.3, 0.2])}

    def squared(optimiser, gradient):
        return sum(jnp.sum(g**2) for g in jax.tree.leaves(jax.grad(moved, argnums=1)(optimiser, gradient)))

    for function in (moved, squared):
        found, expected = (jax.grad(function, argnums=1)(optimiser, gradient) for optimiser in (ours, plain))
        largest = max(np.abs(x).max() for x in jax.tree.leaves(expected))
        assert largest > 1e-3
        for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3 * largest)


@needed
def test_adam_with_moments_of_another_precision_is_left_to_optax():
    optimiser, gradient = make_optimiser(LearnerConfig()), {"some": jnp.arange(3.0)}
    state = jax.tree.map(lambda x: x.astype(jnp.bfloat16) if eqx.is_inexact_array(x) else x, optimiser.init(gradient))
    assert np.isfinite(optimiser.update(gradient, state)[0]["some"]).all()


@needed
def test_other_widths_and_precisions_are_left_to_jax():
    single, half = jnp.zeros(3), jnp.zeros(3, jnp.bfloat16)
    assert calls.fits((single, single), 16, 8)
    assert not calls.fits((single, single), 16, 12)
    assert not calls.fits((single, half), 16)
    policy, observations, _ = example("gru")
    found = policy(observations.astype(jnp.bfloat16))[1]
    np.testing.assert_allclose(found, policy(observations)[1], atol=0.1)


@pytest.fixture
def anew(monkeypatch):
    """As if nothing had been loaded yet, nor were after the test, and nothing were switched."""
    library.loaded.cache_clear()
    monkeypatch.delenv(library.SWITCH, raising=False)
    yield monkeypatch
    library.loaded.cache_clear()


def test_without_a_compiler_jax_does_it_and_says_so(anew):
    anew.setattr(library, "COMPILERS", ("no-such-compiler",))
    assert library.loaded() == (
        None,
        "no C++ compiler (no-such-compiler) was found; with one sequence models learn faster",
    )
    assert not calls.fits(jnp.zeros(3), 16)


def test_they_can_be_switched_off(anew):
    anew.setenv("LAPG_NATIVE", "off")
    assert library.loaded() == (None, "switched off by LAPG_NATIVE")


@pytest.mark.parametrize(
    ("named", "said"), [("no-such-compiler", r"no C\+\+ compiler"), ("false", "doesn't build them")]
)
def test_a_compiler_that_is_named_must_work(anew, named, said):
    anew.setenv("LAPG_NATIVE", named)
    with pytest.raises(
        ValueError, match=f"LAPG_NATIVE={named}: .*{said}.*; name another compiler, or off, or unset it"
    ):
        library.loaded()


@needed
def test_what_a_compiler_says_is_passed_on(anew, tmp_path):
    anew.setattr(library, "HERE", tmp_path)
    for name in library.SOURCES:
        (tmp_path / name).write_text('#include "lanes.h"' if name == "kernels.cc" else "#error this is wrong\n")
    assert "this is wrong" in library.loaded().words
    assert library.loaded().path is None


@pytest.fixture
def stubs(anew, tmp_path):
    """Sources that take no time to build, an empty folder for what is built, and kernels in use that stay."""
    (sources := tmp_path / "sources").mkdir()
    for name in library.SOURCES:
        (sources / name).touch()
    (sources / "kernels.cc").write_text("".join(f'extern "C" void lapg_{name}() {{}}\n' for name in library.KERNELS))
    (kept := tmp_path / "kept").mkdir()
    anew.setattr(library, "HERE", sources)
    anew.setattr(library, "own_folder", lambda purpose: kept)
    anew.setattr(jax.ffi, "register_ffi_target", lambda *names, platform: None)
    return kept


@needed
def test_a_damaged_file_is_built_again(stubs):
    path = library.built(library.first_of(library.COMPILERS))
    path.write_bytes(b"")
    assert library.loaded().path == path
    assert path.stat().st_size > 0


def test_where_no_cache_folder_can_be_had_nothing_is_left_behind(monkeypatch):
    at_end = []
    monkeypatch.setattr(library.atexit, "register", lambda call, *args, **more: at_end.append((call, args, more)))
    folder = library._temporary()
    (folder / "some.so").touch()
    for call, args, more in at_end:
        call(*args, **more)
    assert not folder.exists()


@needed
def test_they_are_built_once(stubs):
    compiler = library.first_of(library.COMPILERS)
    first = library.built(compiler)
    written = first.stat().st_mtime_ns
    assert library.built(compiler) == first
    assert first.stat().st_mtime_ns == written
    assert list(stubs.iterdir()) == [first]
