"""The mixed-pool game of the tests, and its field by the plainest route."""

import functools

import jax
import numpy as np
from scipy.special import expit
from shaping_reference import returns, shaping_gradient

from lapg_theory import MetaGame, float64
from lapg_theory.game import prisoners_dilemma

PD = prisoners_dilemma()
SMALL = {"gamma": 0.99, "eta": 4.0, "updates": 5, "nodes": 32}
E, K = (0, 0.970, 0, 0.301, 0), (1, 1, 0, 0.293, 0)


def pool(game=PD, **given):
    return MetaGame(game, **({"gamma": 0.99, "p_naive": 0.25, "eta": 1.0, "updates": 20, "nodes": 256} | given))


def small(p_naive=0.25):
    """A pool of the same total naive learning time order and the same kinds of fixed points, fast to evaluate."""
    return MetaGame(PD, **SMALL, p_naive=p_naive)


@functools.cache
def small_atlas(p_naive, nash=False):
    """The fixed points of `small`."""
    return small(p_naive).fixed_points(nash=nash)


@functools.partial(jax.jit, static_argnums=1)
def partial_gradient(numbers, payoffs, p, q):
    reward = np.array(payoffs, float)
    return jax.value_and_grad(lambda p: returns(reward, reward, numbers, p, q)[0])(p)


def reference_field(meta, p, q):
    """U(p, q) differentiated through the plain chain and every naive update, for each of several pairs."""
    rate = meta.eta if meta.normalize else meta.eta / (1 - meta.gamma)
    learners, payoffs = expit(meta.setting().learners), tuple(map(float, meta.game.row_payoffs))
    found = []
    for one, other in zip(np.atleast_2d(p), np.atleast_2d(q), strict=True):
        shaped = shaping_gradient(meta.game, meta.gamma, one, learners, rate, meta.updates).mean(0)
        with float64():
            own = np.asarray(partial_gradient(meta.gamma, payoffs, np.array(one, float), np.array(other, float))[1])
        found.append(meta.share * shaped + (1 - meta.share) * own)
    return np.array(found)
