import jax
import jax.numpy as jnp
import pytest

from lapg_rl import config
from lapg_rl.learn import training_step
from lapg_rl.machine import compiling


@pytest.mark.optimised
def test_a_step_is_compiled_with_the_options_of_a_cpu(monkeypatch):
    """An option that XLA doesn't know is refused by it, so what is handed on arrives."""
    assert compiling.options() == compiling.QUICKLY
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


def test_who_asked_jax_to_optimise_less_keeps_that():
    assert jax.config.values["jax_disable_most_optimizations"]
    assert compiling.options() == ()
