"""Negative controls: the simulation with one classical mistake in it, to see that the right levels notice.

Each mistake is a part exchanged in a `Simulation`; production code knows nothing of it. A level that stays green under a
mistake which it should see would be worthless, and so would one that turns red under a mistake that can't reach it.
"""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from lapg_rl.crossval.simulation import Simulation, environment_of
from lapg_rl.envs import IteratedGroupGame, IteratedMatrixGame
from lapg_rl.envs.wrapping import inherited
from lapg_rl.estimators import ESTIMATORS
from lapg_theory.game import AnonymousGame, MatrixGame, NormalFormGame


def _present_not_divided(rewards: Any, values: Any, *, gamma: float, gae_lambda: float) -> Any:
    """LAPG that forgets to divide the present by B: C + mean(F)."""
    current = ESTIMATORS["inner_episode"](rewards, values, gamma=gamma, gae_lambda=gae_lambda)
    return ESTIMATORS["lapg"](rewards, values, gamma=gamma, gae_lambda=gae_lambda) + (len(rewards) - 1) * current


def _late_boundary(rewards: Any, values: Any, *, gamma: float, gae_lambda: float) -> Any:
    """LAPG that takes each inner episode to begin one step late: its first step counts as the end of the one before."""
    batch, episodes, steps = rewards.shape

    def late(signal):
        flat = signal.reshape(batch, -1)
        padded = jnp.concatenate(
            [jnp.zeros((batch, steps - 1), flat.dtype), flat, jnp.zeros((batch, 1), flat.dtype)], 1
        )
        return padded.reshape(batch, episodes + 1, steps)

    credits = ESTIMATORS["lapg"](late(rewards), late(values), gamma=gamma, gae_lambda=gae_lambda)
    return credits.reshape(batch, -1)[:, steps - 1 : -1].reshape(rewards.shape)


class WrongPayoffs(eqx.Module):
    """A group in which the ego's rewards have the wrong sign; its co-players' are right."""

    env: IteratedGroupGame
    players = inherited("players")

    def reset(self, key: Any) -> Any:
        """Start an inner episode."""
        return self.env.reset(key)

    def step(self, state: Any, actions: Any, key: Any) -> Any:
        """Play one joint action."""
        state, seen, rewards = self.env.step(state, actions, key)
        return state, seen, rewards.at[0].multiply(-1)


def _flipped_payoff(game: MatrixGame | AnonymousGame | NormalFormGame) -> Any:
    """The environment with the sign of the ego's largest payoff changed; the co-player's payoffs are right."""
    if isinstance(game, AnonymousGame):
        return WrongPayoffs(IteratedGroupGame(game))
    env = IteratedMatrixGame(game)
    worst = jnp.unravel_index(jnp.argmax(jnp.abs(env.payoffs[0])), env.payoffs.shape[1:])
    return eqx.tree_at(lambda e: e.payoffs, env, env.payoffs.at[(0, *worst)].multiply(-1))


class SameView(eqx.Module):
    """An environment that shows co-players the ego's view of the state: for one of two players CD and DC are swapped."""

    env: Any
    players = inherited("players", 2)

    def reset(self, key: Any) -> Any:
        """Start an inner episode."""
        state, seen = self.env.reset(key)
        return state, jnp.broadcast_to(seen[0], seen.shape)

    def step(self, state: Any, actions: Any, key: Any) -> Any:
        """Play one joint action."""
        state, seen, rewards = self.env.step(state, actions, key)
        return state, jnp.broadcast_to(seen[0], seen.shape), rewards


class SummedUpdate(eqx.Module):
    """A co-player that adds its minibatch up where it should average: it sees every reward B times as large."""

    inside: Any

    def init(self, identity: Any, batch: int) -> Any:
        """Start a meta-episode."""
        return self.inside.init(identity, batch)

    def act(self, state: Any, observations: Any) -> Any:
        """Act as it should."""
        return self.inside.act(state, observations)

    def end_of_inner_episode(self, state: Any, batch: Any) -> Any:
        """Learn from a sum."""
        return self.inside.end_of_inner_episode(state, batch._replace(rewards=batch.rewards * len(batch.rewards)))


def _with_lapg(estimator: Any) -> Simulation:
    estimator.off_learners = ESTIMATORS["lapg"].off_learners  # what is wrong concerns learners only
    return Simulation(estimators={**ESTIMATORS, "lapg": estimator})


#: kind -> (what is wrong, the simulation)
SABOTAGES: Mapping[str, tuple[str, Simulation]] = {
    "batch-factor": ("LAPG forgets the 1/B before the present", _with_lapg(_present_not_divided)),
    "episode-boundary": ("LAPG takes inner episodes to begin one step late", _with_lapg(_late_boundary)),
    "payoff-sign": ("the sign of one of the ego's payoffs is wrong", Simulation(make_env=_flipped_payoff)),
    "player-view": (
        "the co-player is shown the ego's view of the state",
        Simulation(make_env=lambda game: SameView(environment_of(game))),
    ),
    "learner-sum": ("the co-player sums over its minibatch instead of averaging", Simulation(coplayer=SummedUpdate)),
    "schedule-order": ("schedules are gone through backwards", Simulation(schedule=lambda course: course[::-1])),
}

#: kind -> the levels that must notice; all others must not.
EXPECTED: Mapping[str, frozenset[str]] = {
    "batch-factor": frozenset({"L2", "L3", "L4"}),
    "episode-boundary": frozenset({"L2", "L3", "L4"}),
    "payoff-sign": frozenset({"L0", "L2", "L3", "L4"}),
    "player-view": frozenset({"L0", "L1", "L2", "L3", "L4"}),
    "learner-sum": frozenset({"L1", "L2", "L3", "L4"}),
    "schedule-order": frozenset({"L7"}),
}
