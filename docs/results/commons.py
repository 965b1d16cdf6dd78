"""What the theory says of the preset commons-small before any run; half a minute."""

import jax
import jax.numpy as jnp
import numpy as np

from lapg_theory.exact.precision import float64
from lapg_theory.game import FiniteHorizon, ecological_public_good
from lapg_theory.shaping.climb import climb, highest
from lapg_theory.shaping.general import general_course

GAME, STEPS, EPISODES, RATE = ecological_public_good(), 5, 20, 1.0
T, REWARDS = GAME.transitions, GAME.expected


def per_step(x, theta):
    """Rewards per step of the agent, who cooperates with chances x [steps], and of a learner with logits theta [s, k]."""

    def step(state, chance):
        agent = jnp.array([chance, 1 - chance])
        joint = jnp.einsum("s,a,sb->sab", state, agent, jax.nn.softmax(theta))
        return jnp.einsum("sab,sabt->t", joint, T), jnp.einsum("sab,isab->i", joint, REWARDS)

    return jax.lax.scan(step, jnp.asarray(GAME.start), x)[1].mean(0)


@jax.jit
def course(x):
    """Rewards per step [episodes, 2] and the learner's P(C | prosperous), against the agent's chances x [episodes, steps]."""

    def episode(theta, row):
        found, pullback = jax.vjp(lambda theta: per_step(row, theta), theta)
        return theta + RATE * pullback(jnp.array([0.0, 1.0]))[0], (found, jax.nn.softmax(theta)[0, 0])

    return jax.lax.scan(episode, jnp.zeros((2, 2)), x)[1]


@jax.jit
def current(x):
    """What cooperating more earns in the inner episode at hand, by an agent that always cooperates with chance x."""
    rows, starts = jnp.full((EPISODES, STEPS), x), jnp.zeros((2, 2))

    def episode(theta, row):
        slope = jax.grad(lambda x: per_step(jnp.full(STEPS, x), theta)[0])(x)
        uphill = jax.grad(lambda theta: per_step(row, theta)[1])(theta)
        return theta + RATE * uphill, slope

    return jax.lax.scan(episode, starts, rows)[1].mean()


def show(name, x):
    """A row of the table."""
    rewards, often = course(jnp.broadcast_to(x, (EPISODES, STEPS)))
    own, other = np.mean(rewards, axis=0)
    print(f"{name:24} {own:6.3f} {other:6.3f}   {often[0]:.3f}, {often[-1]:.3f}")


@jax.jit
def climbed(x):
    """The agent's mean reward by its chances [episodes * steps], and the slope."""
    return jax.value_and_grad(lambda x: course(x.reshape(EPISODES, STEPS))[0][:, 0].mean())(x)


with float64():
    for name, x in (("always D", 0.0), ("tosses coins", 0.5), ("always C", 1.0)):
        show(name, x)
        policies = [np.tile([x, 1 - x], (2, 1)), np.zeros((2, 2))]
        library = general_course(GAME, policies, FiniteHorizon(STEPS), naive=[1], eta=RATE, updates=EPISODES - 1)[0]
        np.testing.assert_allclose(course(jnp.full((EPISODES, STEPS), x))[0], library / STEPS, atol=1e-12)
    size = EPISODES * STEPS
    starts = [*np.full((3, size), [[0.0], [0.5], [1.0]]), *np.random.default_rng(0).uniform(size=(3, size))]
    best = highest(climb(lambda x: tuple(map(np.asarray, climbed(x))), starts))
    show("the best by step", best.policy.reshape(EPISODES, STEPS))
    print(best.policy.reshape(EPISODES, STEPS).round(2))
    shares = np.linspace(0, 1, 11)
    print("P(C)          ", shares.round(1))
    found = [climbed(jnp.full(size, x)) for x in shares]
    now, all_told = np.array([current(x) for x in shares]), np.array([slope.sum() for _, slope in found])
    print("shaping return", np.array([value for value, _ in found]).round(3))
    print("its slope     ", all_told.round(3))
    print("current slope ", now.round(3))
    print("M-FOS, B = 64 ", (now + (all_told - now) / 64).round(3))
