"""Policies with one interface: `initial_state()`, `step(state, observation)`, `__call__` on whole sequences `[t, ..., o]`."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from lapg_rl.config import ModelConfig, tables
from lapg_rl.config.loading import made
from lapg_rl.interfaces import Model, check_protocol
from lapg_rl.models.gru import GRU as GRU
from lapg_rl.models.hawk import Hawk as Hawk
from lapg_rl.models.tabular import Tabular as Tabular
from lapg_rl.models.tabular import memory_one as memory_one
from lapg_rl.models.transformer import Transformer as Transformer


def build(
    config: ModelConfig, observation_size: int, num_actions: int, context: int, key: Array, one_hot: bool = False
) -> Any:
    """The policy that `config` describes, for sequences of up to `context` steps, with parameters drawn from `key`.

    `one_hot` says that every observation is one. Raises ValueError for a model of the user's that is none.
    """
    make = tables.find("model.kind", config.kind, tables.MODELS)
    how = {"config": config, "context": context, "one_hot": one_hot, "key": key}
    model = made("model.kind", config.kind, make, observation_size, num_actions, **how)
    return check_protocol(f"what {config.kind} makes", model, Model)


def over_sequences(policy: Any, observations: Num[Array, "n l o"]) -> tuple[Float[Array, "n l a"], Float[Array, "n l"]]:
    """(logits, values) of n sequences of length l; inside, time comes first, so that no step has to gather its tokens."""
    if not jnp.issubdtype(observations.dtype, jnp.floating):
        observations = observations.astype(jnp.float32)
    logits, values = policy(jnp.moveaxis(observations, 1, 0))
    return jnp.moveaxis(logits, 1, 0), values.T


def with_context(policy: Any, context: int) -> Any:
    """The policy for sequences of up to `context` steps; a model that needs to know has a method of that name."""
    return policy.with_context(context) if hasattr(policy, "with_context") else policy
