"""Shaping and the rest points of naive learning in two-player games of any number of actions.

Policies are mixed: softmax of logits in every state for learners, distributions [1 + s, k] for the agent. Derivatives are
automatic; in 2x2 games the closed forms of `lapg_theory.shaping.returns` check them.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lapg_theory.exact.chain import Discount
from lapg_theory.exact.general import general_returns
from lapg_theory.exact.precision import as_floats, exact, float64
from lapg_theory.game import Horizon, normal_form
from lapg_theory.game.show import brief
from lapg_theory.shaping.general import general_course


@exact
def shaping_by_action(
    game: Any,
    policy: Any,
    horizon: Horizon | Discount,
    *,
    learners: Any,
    eta: Any,
    updates: int,
    normalize: bool = True,
) -> tuple[Any, Any]:
    """Shaping return of a fixed row player over naive learners' courses, and its slope in every chance of an action.

    The mean over the inner episodes 0..updates and the learners, sums over steps. The slope [1 + s, k] treats the chances
    as free numbers: the difference of two entries of a row is what moving chance from the one action to the other is
    worth, and p (slope - p . slope) is the gradient in softmax logits.

    Args:
        game: a two-player game for `general_returns`, with k and l actions.
        policy: the row player's distributions, [1 + k l, k], own view.
        horizon: `Discounted` or `FiniteHorizon`.
        learners: initial logits of naive column players, [n, 1 + k l, l] or one of them.
        eta: the naive learning rate, in logits.
        updates: how often they learn.
        normalize: they ascend returns per step (False: the sums).

    Raises:
        ValueError: for another number of players, and as for `general_course`.
    """
    game = normal_form(game)
    if game.players != 2:
        raise ValueError(f"the agent shapes one co-player, so the game must have 2 players, got {game.players}")
    policy, learners = as_floats(policy, learners)

    def mean(p):
        pair = [jnp.broadcast_to(p, (*learners.shape[:-2], *p.shape)), learners]
        returns, _ = general_course(game, pair, horizon, naive=[1], eta=eta, updates=updates, normalize=normalize)
        return returns[:, 0].mean()

    return jax.value_and_grad(mean)(policy)


class RestPoint(NamedTuple):
    """`residual`: largest slope of a learner's return in its own logits, per step; `modes`: how small deviations grow.

    Eigenvalues of the simultaneous gradient in logits per step, without the shifts of all logits of a row, which change
    nothing.
    """

    residual: float
    modes: np.ndarray

    __repr__ = brief


def naive_rest_point(game: Any, logits: Sequence[Any], horizon: Horizon) -> RestPoint:
    """Whether naive learners rest at these logits, and what becomes of small deviations when all learn at once.

    Args:
        game: any game of two or more players told apart, for `general_returns`.
        logits: one array [1 + s, k] for each player, own view.
        horizon: `Discounted` or `FiniteHorizon`.

    Raises:
        ValueError: as for `general_returns`.
    """
    game = normal_form(game)
    with float64():
        theta = tuple(jnp.asarray(x, float) for x in logits)

        def uphill(theta):
            def earned(own, i):
                moved = [jax.nn.softmax(own if j == i else x) for j, x in enumerate(theta)]
                return general_returns(game, moved, horizon)[i] / horizon.weight

            return tuple(jax.grad(earned)(own, i) for i, own in enumerate(theta))

        slope, J = uphill(theta), jax.jacfwd(uphill)(theta)
        apart = [np.kron(np.eye(x.shape[0]), np.linalg.svd(np.ones((1, x.shape[1])))[2][1:].T) for x in theta]
        blocks = [
            [b.T @ np.asarray(part).reshape(len(b), len(c)) @ c for part, c in zip(row, apart, strict=True)]
            for row, b in zip(J, apart, strict=True)
        ]
        return RestPoint(float(max(jnp.abs(x).max() for x in slope)), np.linalg.eigvals(np.block(blocks)))
