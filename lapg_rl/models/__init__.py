"""Policies with one interface: `initial_state()`, `step(state, observation)`, and `__call__` on a whole sequence."""

from typing import Any

from jaxtyping import Array

from lapg_rl.config import ModelConfig
from lapg_rl.models.gru import GRU as GRU
from lapg_rl.models.hawk import Hawk as Hawk
from lapg_rl.models.tabular import Tabular as Tabular
from lapg_rl.models.tabular import memory_one as memory_one


def build(config: ModelConfig, observation_size: int, num_actions: int, key: Array) -> Any:
    """The policy that `config` describes, with parameters drawn from `key`."""
    match config.kind:
        case "hawk":
            sizes = {name: getattr(config, name) for name in ("width", "depth", "heads", "conv_width", "mlp_width")}
            return Hawk(observation_size, num_actions, **sizes, key=key)
        case "gru":
            return GRU(observation_size, num_actions, width=config.width, key=key)
        case "tabular":
            return Tabular(observation_size, num_actions, spread=config.spread, key=key)
