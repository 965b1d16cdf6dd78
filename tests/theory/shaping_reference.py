"""The shaping objective by the plainest route: five-state chain, dense solve, automatic differentiation."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from lapg_theory import float64

MIRROR = np.array([0, 1, 3, 2, 4])
OUTCOMES = [(1, 1), (1, 0), (0, 1), (0, 0)]  # CC, CD, DC, DD of the row player
MOST_UPDATES = 20


def returns(row, column, gamma, p, q):
    """(J_row, J_col) times 1 - gamma; `row`, `column` are payoffs by CC, CD, DC, DD of the row player's view."""
    q = q[MIRROR]
    chances = jnp.stack([(p if a else 1 - p) * (q if b else 1 - q) for a, b in OUTCOMES], axis=1)  # [5, 4]
    visits = jnp.linalg.solve((jnp.eye(4) - gamma * chances[1:]).T, chances[0])
    return (1 - gamma) * visits @ row, (1 - gamma) * visits @ column


def shaping(row, column, gamma, p, q, eta, updates, space):
    """Mean over the inner episodes 0..updates (at most 20) of the row player's return per step against one learner."""
    to_policy = jax.nn.sigmoid if space == "logit" else lambda x: x

    def episode(carry, m):
        learner, total = carry
        total += jnp.where(m <= updates, returns(row, column, gamma, p, to_policy(learner))[0], 0)
        learner += eta * jax.grad(lambda x: returns(row, column, gamma, p, to_policy(x))[1])(learner)
        if space == "probability":
            learner = jnp.where(learner > 1, 1.0, jnp.where(learner < 0, 0.0, learner))
        return (learner, total), None

    start = jnp.log(q / (1 - q)) if space == "logit" else q
    return jax.lax.scan(episode, (start, jnp.zeros(())), jnp.arange(MOST_UPDATES + 1))[0][1] / (updates + 1)


@functools.partial(jax.jit, static_argnames="space")
def _gradient(row, column, gamma, p, q, eta, updates, space):
    slope = jax.jacfwd(lambda p, q: shaping(row, column, gamma, p, q, eta, updates, space))
    return jax.vmap(slope, in_axes=(None, 0))(p, q)


def shaping_gradient(game, gamma, p, q, eta, updates, space="logit"):
    """dJ/dp per step against learners that start at the policies q [n, 5], through every naive update, [n, 5]."""
    own = game.column_payoffs
    with float64():
        row, column = jnp.array(game.row_payoffs, float), jnp.array([own[0], own[2], own[1], own[3]], float)
        return np.asarray(_gradient(row, column, gamma, jnp.array(p, float), jnp.array(q), eta, updates, space))
