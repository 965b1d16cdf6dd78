"""Learning rules by the plainest route: a five-state chain, a dense solve or a loop, and automatic differentiation."""

import jax
import jax.numpy as jnp
from shaping_reference import MIRROR, OUTCOMES

from lapg_theory.game import FiniteHorizon

grad, stop = jax.grad, jax.lax.stop_gradient


def seat(payoffs, horizon, unit, space="logit"):
    """(Own return, other's return) as functions of both parameter vectors, each in its own view; `unit` per step.

    `payoffs` is [2, 4]: own and other's, by the outcomes CC, CD, DC, DD of the own view.
    """

    def both(x, y):
        p, q = (jax.nn.sigmoid(x), jax.nn.sigmoid(y)) if space == "logit" else (x, y)
        q = q[MIRROR]
        chances = jnp.stack([(p if a else 1 - p) * (q if b else 1 - q) for a, b in OUTCOMES], axis=1)
        if isinstance(horizon, FiniteHorizon):
            now, visits = chances[0], 0
            for _ in range(horizon.steps):
                now, visits = now @ chances[1:], visits + now
        else:
            visits = jnp.linalg.solve((jnp.eye(4) - horizon.gamma * chances[1:]).T, chances[0])
        return unit * payoffs @ visits / horizon.weight

    return lambda x, y: both(x, y)[0], lambda x, y: both(x, y)[1]


def naive(mine, its, own, other):
    return grad(mine)(own, other)


def look_ahead(mine, its, own, other, rate):
    return grad(mine)(own, other + rate * grad(its, 1)(own, other))


def foerster(mine, its, own, other, rate):
    fixed = grad(mine, 1)(own, other)
    return grad(lambda x: mine(x, other) + rate * jnp.dot(fixed, grad(its, 1)(x, other)))(own)


def taylor(mine, its, own, other, rate):
    return grad(lambda x: mine(x, other) + rate * jnp.dot(grad(mine, 1)(x, other), grad(its, 1)(x, other)))(own)


def dice(mine, its, own, other, rate, look_aheads, mix):
    def unrolled(x):
        y = other
        for _ in range(look_aheads):
            y = y + rate * grad(its, 1)(x, y)
        return mine(x, y)

    return mix * grad(unrolled)(own) + (1 - mix) * grad(mine)(own, other)


def shaping(mine, its, own, learner, rate, updates, weighting):
    def course(x):
        def episode(y, _):
            return y + rate * grad(its, 1)(x, y), mine(x, y)

        earned = jax.lax.scan(episode, learner, length=updates + 1)[1]
        return earned.mean() if weighting == "mean" else earned.sum()

    return grad(course)(own)


def losses(mine, its, own, other):
    """xi = (dL_own/down, dL_other/dother) and its Jacobian H, for the losses L = -J."""

    def xi(z):
        return -jnp.concatenate([grad(mine)(z[:5], z[5:]), grad(its, 1)(z[:5], z[5:])])

    z = jnp.concatenate([own, other])
    return xi(z), jax.jacobian(xi)(z)


def sga(mine, its, own, other, strength):
    xi, H = losses(mine, its, own, other)
    antisymmetric = (H - H.T) / 2
    slope, adjustment = H.T @ xi, antisymmetric.T @ xi
    sign = jnp.sign(jnp.dot(xi, slope) * jnp.dot(adjustment, slope) / 10 + 0.1)
    return -(xi + sign * strength * adjustment)[:5]


def sos(mine, its, own, other, rate, a, b):
    """Both players' losses as functions of (own, other), in the steps of the published algorithm."""
    L1, L2 = (lambda x, y: -mine(x, y)), (lambda x, y: -its(x, y))
    xi, H = losses(mine, its, own, other)
    ahead = jnp.concatenate(
        [
            xi[:5] - rate * H[:5, 5:] @ xi[5:],
            xi[5:] - rate * H[5:, :5] @ xi[:5],
        ]
    )
    chi = jnp.concatenate(
        [
            grad(lambda x: jnp.dot(stop(grad(L1, 1)(own, other)), grad(L2, 1)(x, other)))(own),
            grad(lambda y: jnp.dot(stop(grad(L2, 0)(own, other)), grad(L1, 0)(own, y)))(other),
        ]
    )
    along = jnp.dot(-rate * chi, ahead)
    first = jnp.where(along > 0, 1.0, jnp.minimum(1.0, -a * jnp.dot(ahead, ahead) / along))
    second = jnp.where(jnp.linalg.norm(xi) < b, jnp.dot(xi, xi), 1.0)
    return -(ahead - jnp.minimum(first, second) * rate * chi)[:5]
