"""From which discount on a learning-aware agent stops defecting in a commons, alone among naive learners."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lapg_theory.certificate.thresholds import first_positive
from lapg_theory.exact.chain import Discount
from lapg_theory.exact.precision import float64
from lapg_theory.game import MOST_UPDATES, StochasticGame, check_count
from lapg_theory.game.numbers import check_rate
from lapg_theory.shaping.general import general_course


@functools.partial(jax.jit, static_argnames=("game", "updates"))
def _slope(game: StochasticGame, way: Any, theta: Any, gamma: Any, eta: Any, *, updates: int) -> Any:
    """What moving chance along `way` [s, 2] is worth to an agent that always plays the last action, per step."""
    horizon = Discount(gamma, 1 / (1 - gamma))
    last = jnp.zeros_like(way).at[:, -1].set(1.0)

    def value(x):
        seats = [last + x * way, *[theta] * (game.players - 1)]
        learners = list(range(1, game.players))
        return general_course(game, seats, horizon, naive=learners, eta=eta, updates=updates)[0][:, 0].mean()

    return jax.jvp(value, (0.0,), (1.0,))[1] / horizon.weight


def cooperating_pays_from(
    game: StochasticGame, *, eta: float | int, updates: Any, state: Any = 0, logits: Any = 0.0
) -> float | None:
    """The discount from which on it pays a defector to cooperate a little in one state, while all others learn; None for none.

    The others start at the same logits and ascend their own return; their learning is differentiated through. With `updates` 0
    nobody learns: in the ecological public good that is `lapg_theory.symbolic.ecology.indifferent_at`.

    Args:
        game: every player with two actions, C first, such as `ecological_public_good()`.
        eta: naive learning rate, on returns per step, in logits of a softmax.
        updates: how often they learn.
        state: the state in which the agent cooperates, 0 is the first.
        logits: of C in every state at first; that of D is 0.

    Raises:
        ValueError: for another game, a state that it has not, a rate that is negative or a count that is none.
    """
    if not isinstance(game, StochasticGame) or set(game.actions) != {2}:
        raise ValueError(f"game must be a StochasticGame in which everybody has two actions, got {game!r}")
    states = len(game.names)
    if state not in range(states):
        raise ValueError(f"state must be one of 0, ..., {states - 1}, got {state}")
    check_count("updates", updates, least=0, most=MOST_UPDATES)
    rate, way, theta = check_rate("eta", eta), np.zeros((states, 2)), np.zeros((states, 2))
    way[state], theta[:, 0] = (1, -1), logits

    def at(gamma: float) -> float:
        with float64():
            return float(_slope(game, way, theta, gamma, float(rate), updates=updates))

    return first_positive(at, np.linspace(0.0, 0.999, 28), 1e-9)
