"""The field of a pool by the plainest route: every course of play of a short game listed, and differentiated by JAX."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np

from lapg_theory import float64


def play(p, q, steps):
    """(probability, own actions, other's actions, states) of every course of play; 0 = C; q in its own view."""
    for acts in itertools.product(range(4), repeat=steps):
        own, other = [a // 2 for a in acts], [a % 2 for a in acts]
        states = [0] + [1 + a for a in acts[:-1]]
        theirs = [0] + [1 + 2 * (a % 2) + a // 2 for a in acts[:-1]]
        chance = 1.0
        for a, b, s, t in zip(own, other, states, theirs, strict=True):
            chance = chance * (p[s] if a == 0 else 1 - p[s]) * (q[t] if b == 0 else 1 - q[t])
        yield chance, own, other, states


def reward(game, p, q, steps, side=0):
    """Return per step of one side."""
    table = (game.row, game.column)[side]
    return (
        sum(c * sum(float(table[a][b]) for a, b in zip(x, y, strict=True)) for c, x, y, _ in play(p, q, steps)) / steps
    )


def visits(p, q, steps):
    """Share of decisions made in each state."""
    found = [0.0] * 5
    for chance, _, _, states in play(p, q, steps):
        for state in states:
            found[state] = found[state] + chance / steps
    return jnp.stack([jnp.asarray(x) for x in found])


def cooperation(p, q, steps):
    """Share of own decisions for C."""
    return sum(chance * (1 - sum(own) / steps) for chance, own, _, _ in play(p, q, steps))


def course(game, p, learner, eta, updates, steps):
    """A naive learner's policies in each inner episode."""
    logits, path = learner, []
    for _ in range(updates + 1):
        path.append(jax.nn.sigmoid(logits))
        logits = logits + eta * jax.grad(lambda x: reward(game, p, jax.nn.sigmoid(x), steps, side=1))(logits)
    return path


@functools.partial(jax.jit, static_argnames=("game", "updates", "steps"))
def _slope(theta, other, learner, eta, share, bonus, *, game, updates, steps):
    learned = functools.partial(course, game, learner=learner, eta=eta, updates=updates, steps=steps)

    def value(theta):
        p = jax.nn.sigmoid(theta)
        shaped = sum(reward(game, p, q, steps) for q in learned(p))
        return share * shaped / (updates + 1) + (1 - share) * reward(game, p, jax.nn.sigmoid(other), steps)

    p = jax.nn.sigmoid(theta)
    naive = jnp.stack([visits(p, q, steps) for q in learned(p)]).mean(0)
    seen = share * naive + (1 - share) * visits(p, jax.nn.sigmoid(other), steps)
    falling = -theta * p * (1 - p)  # slope of the entropy of a coin with log-odds theta
    return jax.grad(value)(theta) + bonus * seen * falling


def slope(game, theta, other, share, bonus, learner, eta, updates, steps):
    """Slope in logits of an agent that meets another, at `other` logits, and a naive learner."""
    with float64():
        numbers = [jnp.asarray(x, float) for x in (theta, other, learner, eta, share, bonus)]
        return np.asarray(_slope(*numbers, game=game, updates=updates, steps=steps))
