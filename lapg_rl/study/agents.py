"""Trained agents, out of their folders."""

from pathlib import Path

from lapg_rl.interfaces import Model
from lapg_rl.study import entrants
from lapg_rl.study.results import opened


def load(folder: str | Path, agent: int = 0) -> Model:
    """The policy of an agent of a run's newest checkpoint, to play it step by step (see `lapg_rl.interfaces.Model`).

    Args:
        folder: a run folder, also one in an archive whose runs kept their agents (`runs.zip/NAME`).
        agent: which of the run's agents, from 0.

    Raises:
        ValueError: for a folder without a run or a sound checkpoint, or an agent that it has not.

    Example:
        >>> import jax.numpy as jnp, lapg_rl as rl
        >>> agent = rl.load(run)
        >>> state = agent.initial_state()
        >>> state, (logits, value) = agent.step(state, jnp.array([1.0, 0, 0, 0, 0]))
        >>> logits.shape, value.shape
        ((2,), ())
    """
    pool = entrants.agents(opened(folder))
    if not (isinstance(agent, int) and 0 <= agent < len(pool)):
        raise ValueError(f"agent must be an integer from 0 to {len(pool) - 1}, got {agent!r}; {folder} has {len(pool)}")
    return pool[agent].policy
