"""Trained agents as players of the Axelrod library, for its matches and tournaments. Importing this imports Axelrod."""

import functools
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from lapg_rl.envs.build import repeated_game
from lapg_rl.interop.axelrod_players import check_game, package
from lapg_rl.runs.folder import RunFolder
from lapg_rl.study.agents import load
from lapg_theory.game import state_index

axelrod = package()


@functools.lru_cache
def _policy(run: str, agent: int) -> Any:
    cfg = RunFolder(run).trusted_config()
    check_game(run, repeated_game(cfg.game))
    if cfg.pool.reveal:
        raise ValueError(f"the agents of {run} are told whom they face (pool.reveal); nobody can tell them in Axelrod")
    return load(run, agent)


@eqx.filter_jit
def _step(policy: Any, memory: Any, state: Any) -> tuple[Any, Any]:
    memory, (logits, _) = policy.step(memory, jax.nn.one_hot(state, 5))
    return memory, jax.nn.softmax(logits)[0]


class TrainedAgent(axelrod.Player):
    """An agent of a run; a match is an inner episode, to which it comes with empty memory.

    Its draws come from the seed that Axelrod gives it. It plays the payoffs of its training, whatever a match counts.

    Args:
        run: the run folder.
        agent: which of the run's agents, from 0.

    Raises:
        ValueError: as `lapg_rl.load`, and for a run of another than a symmetric 2x2 game.

    Example:
        >>> import axelrod
        >>> from lapg_rl.interop.axelrod_agent import TrainedAgent
        >>> match = axelrod.Match((TrainedAgent(str(run)), axelrod.TitForTat()), turns=3, seed=0)
        >>> len(match.play())
        3
    """

    name = "Trained agent"
    classifier = {  # noqa: RUF012
        "memory_depth": float("inf"),
        "stochastic": True,
        "long_run_time": False,
        "inspects_source": False,
        "manipulates_source": False,
        "manipulates_state": False,
    }

    def __init__(self, run: str, agent: int = 0):
        super().__init__()
        self.policy = _policy(str(run), agent)
        self.memory = self.policy.initial_state()

    def strategy(self, opponent: Any) -> Any:
        """Look at the last joint action, then draw."""
        state = 0
        if self.history:
            own, other = (int(player.history[-1] is axelrod.Action.D) for player in (self, opponent))
            state = state_index(own, other)
        self.memory, cooperates = _step(self.policy, self.memory, jnp.asarray(state))
        if math.isnan(cooperates):
            raise ValueError(f"the agent's memory ends after {len(self.history)} turns; play shorter matches")
        return self._random.random_choice(float(cooperates))
