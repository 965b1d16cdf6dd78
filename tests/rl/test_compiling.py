from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lapg_rl import config
from lapg_rl.learn import training_step
from lapg_rl.machine import compiling


@pytest.mark.optimised
def test_a_step_is_compiled_with_the_options_of_a_cpu(monkeypatch):
    """An option that XLA doesn't know is refused by it, so what is handed on arrives."""
    assert compiling.options()[:1] == compiling.QUICKLY
    cfg = config.override(config.preset("ipd-aa-small"), ["batch=2", "meta_batch=2"])
    state = training_step.initial_state(cfg, jax.random.key(0))
    monkeypatch.setattr(compiling, "QUICKLY", (("no_such_option", 1),))
    for what in (
        lambda: training_step.make_train_step(cfg)(state, jax.random.key(0)),
        lambda: training_step.initial_state(cfg, jax.random.key(0)),
        lambda: compiling.jitted(jnp.sin)(1.0),
    ):
        with pytest.raises(Exception, match="no_such_option"):
            what()


@pytest.mark.optimised
@pytest.mark.parametrize("there", [True, False])
def test_sums_are_xlas_own_beside_kernels_where_it_knows_the_option(monkeypatch, there):
    def sums():
        step = compiling.jitted(lambda x: jnp.sum(x * 2, -1))
        return step.lower(jnp.ones((10**5, 5))).compile().compiled.as_text()

    monkeypatch.setattr(compiling.library, "in_use", lambda: Path() if there else None)
    assert compiling.known(compiling.OWN_LOOPS)  # by the version of XLA that is locked
    assert ("ynn" in sums()) == (not there)
    unknown = (("no_such_option", ""),)
    assert not compiling.known(unknown)
    monkeypatch.setattr(compiling, "OWN_LOOPS", unknown)
    assert "ynn" in sums()


@pytest.mark.optimised
def test_steps_may_be_part_of_what_a_user_compiles():
    """JAX takes options at the top level alone."""
    small = ["model.kind=tabular", "meta_batch=2", "batch=2", "inner_episodes=2", "steps=3"]
    cfg = config.override(config.preset("ipd-shaping-small"), small)
    step, keys = training_step.make_train_step(cfg), jax.random.split(jax.random.key(1), 3)

    @eqx.filter_jit
    def three(key, keys):
        dynamic, static = eqx.partition(training_step.initial_state(cfg, key), eqx.is_array)

        def one(dynamic, key):
            state, metrics = step(eqx.combine(dynamic, static), key)
            return eqx.filter(state, eqx.is_array), metrics["reward_vs_naive"]

        return jax.lax.scan(one, dynamic, keys)[1]

    state, found = training_step.initial_state(cfg, jax.random.key(0)), []
    for key in keys:
        state, metrics = step(state, key)
        found.append(metrics["reward_vs_naive"])
    np.testing.assert_allclose(three(jax.random.key(0), keys), found, rtol=1e-5, atol=1e-6)


def test_who_asked_jax_to_optimise_less_keeps_that():
    assert jax.config.values["jax_disable_most_optimizations"]
    assert compiling.options() == ()
