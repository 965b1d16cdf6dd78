"""POLA: the step in closed form, the same point by gradient ascent in any parameters, and LOLA in the limit."""

import functools

import jax
import jax.numpy as jnp
import learning_reference as reference
import numpy as np
import pytest

from lapg_theory import float64
from lapg_theory.exact.chain import traceable
from lapg_theory.game import Discounted, prisoners_dilemma
from lapg_theory.learning import LolaDice, Pola
from lapg_theory.learning.pola import proximal

PD, HORIZON = prisoners_dilemma(), Discounted(0.9)
PAYOFFS = np.array([[1.0, -1.0, 2.0, 0.0], [1.0, 2.0, -1.0, 0.0]])  # own and other's, after CC, CD, DC, DD
RANDOM = np.random.default_rng(2)
OWN, OTHER = RANDOM.normal(size=(2, 5))


def test_the_step_is_stationary_also_at_the_edges():
    """G q (1 - q) = c (q - q_0); the second derivative -c [q_0 / q^2 + (1 - q_0) / (1 - q)^2] is negative everywhere."""
    starts, slopes = (x.ravel() for x in np.meshgrid([-40.0, -3.0, 0.0, 0.5, 40.0], [-30.0, -1.0, 0.0, 0.2, 1.0, 30.0]))
    with float64():
        found = np.asarray(proximal(jnp.asarray(starts), jnp.asarray(slopes), 1.0))
    q, rest, start = (1 / (1 + np.exp(-x)) for x in (found, -found, starts))
    np.testing.assert_allclose(slopes * q * rest, q - start, atol=1e-14)
    assert np.all(np.isfinite(found)) and np.all(np.sign(found - starts) == np.sign(slopes))
    far = (starts == -40) & (slopes == 30)  # from never, with a slope beyond the penalty: to 1 - c / G
    np.testing.assert_allclose(q[far], 1 - 1 / 30, rtol=1e-12)


def divergence(old, new):
    p = jax.nn.sigmoid(old)
    return jnp.mean(p * jax.nn.log_sigmoid(old) + (1 - p) * jax.nn.log_sigmoid(-old)) - jnp.mean(
        p * jax.nn.log_sigmoid(new) + (1 - p) * jax.nn.log_sigmoid(-new)
    )


def ascended(value, theta, rate, steps):
    return jax.lax.scan(lambda x, _: (x + rate * jax.grad(value)(x), None), theta, length=steps)[0]


@functools.partial(jax.jit, static_argnames=("penalty", "inner_penalty"))
def by_ascent(mine_to_logits, its_to_logits, penalty, inner_penalty):
    """The new log-odds, by 80 gradient steps in parameters of which the log-odds are a linear function."""
    mine, its = reference.seat(jnp.asarray(PAYOFFS), traceable(HORIZON), 1.0)

    def outer(theta):
        x = mine_to_logits @ theta
        inner = lambda phi: its(x, its_to_logits @ phi) - inner_penalty * divergence(OTHER, its_to_logits @ phi)  # noqa: E731
        phi = ascended(inner, jnp.linalg.solve(its_to_logits, OTHER), 20 / inner_penalty, 80)
        return mine(x, its_to_logits @ phi) - penalty * divergence(OWN, x)

    return mine_to_logits @ ascended(outer, jnp.linalg.solve(mine_to_logits, OWN), 20 / penalty, 80)


@jax.jit
def lola(mine_to_logits, its_to_logits):
    """What a step of LOLA does to the log-odds, in the same parameters."""
    mine, its = reference.seat(jnp.asarray(PAYOFFS), traceable(HORIZON), 1.0)
    theta, phi = jnp.linalg.solve(mine_to_logits, OWN), jnp.linalg.solve(its_to_logits, OTHER)
    both = [lambda x, y, f=f: f(mine_to_logits @ x, its_to_logits @ y) for f in (mine, its)]
    return mine_to_logits @ reference.dice(*both, theta, phi, 5.0, 1, 1.0)


def parametrisation(key):
    """Log-odds as a linear function of five parameters, whose directions count up to twice as much as others."""
    turns = np.linalg.qr(np.random.default_rng(key).normal(size=(5, 5)))[0]
    return turns * np.linspace(0.6, 1.2, 5)


def test_the_step_does_not_depend_on_the_parameters():
    """Three ways to write policies lead to one point, which the rule gives; the step of LOLA is another in each."""
    found = Pola(penalty=2.0, inner_penalty=3.0, steps=40, inner_steps=40).step(PD, HORIZON, (OWN, OTHER))[0]
    ways = [(np.eye(5), np.eye(5)), (parametrisation(0), parametrisation(1)), (parametrisation(2), parametrisation(3))]
    with float64():
        points = [np.asarray(by_ascent(*map(jnp.asarray, way), 2.0, 3.0)) for way in ways]
        moves = [np.asarray(lola(*map(jnp.asarray, way))) for way in ways]
    assert np.abs(found - OWN).max() > 0.3
    for point in points:
        np.testing.assert_allclose(point, found, atol=1e-6)
    units = [move / np.linalg.norm(move) for move in moves]
    assert max(units[0] @ units[1], units[0] @ units[2]) < 0.99


def test_a_dear_step_is_that_of_lola_in_the_natural_metric():
    """Log-odds then move by 5 / (b p (1 - p)) times slopes; at even play, where p (1 - p) = 1/4, along LOLA itself."""
    even, b_in, b_out = np.zeros(5), 1e4, 1e8
    rule = Pola(penalty=b_out, inner_penalty=b_in, steps=40, inner_steps=40)
    for own, other in ((even, even), (OWN, even)):
        move = rule.direction(PD, HORIZON, (own, other))[0]
        p = 1 / (1 + np.exp(-own))
        slope = np.asarray(move) * b_out * p * (1 - p) / 5
        shaped, plain = (
            np.asarray(LolaDice(inner_rate=20 / b_in, mix=mix).direction(PD, HORIZON, (own, other))[0])
            for mix in (1, 0)
        )
        np.testing.assert_allclose(slope, shaped, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(slope - plain, shaped - plain, rtol=2e-2, atol=1e-7)
        assert np.abs(shaped - plain).max() > 1e-5


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"penalty": 0.0}, "penalty must be > 0, got 0.0"),
        ({"inner_penalty": -1.0}, "inner_penalty must be a finite number >= 0"),
        ({"steps": 0}, "steps must be an integer >= 1"),
        ({"inner_steps": -2}, "inner_steps must be an integer >= 1"),
    ],
)
def test_what_makes_no_step_is_refused(how, says):
    with pytest.raises(ValueError, match=says):
        Pola(**how)
