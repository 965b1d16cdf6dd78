"""The commons in training against the exact theory: play, and what a naive learner learns from it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lapg_rl as rl
from lapg_rl.envs.build import bare_environment
from lapg_rl.models import memory_one
from lapg_rl.play.company import naive_learner
from lapg_rl.play.coplayers import FixedStrategy
from lapg_rl.play.rollout import meta_batch
from lapg_theory import general_returns
from lapg_theory.game import FiniteHorizon
from lapg_theory.shaping.general import general_course

CFG = rl.preset("commons-small")
ENV, STEPS, EGO, START = bare_environment(CFG.game), 5, (0.1, 0.3), (0.4, 0.6)


def apart(chances):
    return np.stack([np.array(chances), 1 - np.array(chances)], axis=-1)


@pytest.fixture(scope="module")
def played():
    """An inner episode of 20,000 pairs, four games each; the second player learns: rewards, and what it learnt."""
    naive = naive_learner(CFG.naive)
    first, count = memory_one(jnp.array(START)), 20_000

    @jax.jit
    def play(key):
        many = jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *x.shape)), first)
        sizes = {"batch": 4, "inner_episodes": 1, "steps": STEPS}
        own, other = meta_batch(
            ENV, memory_one(jnp.array(EGO)), FixedStrategy(), jnp.tile(jnp.array(START), (count, 1)), key, **sizes
        )
        learn = lambda p, seen: naive.end_of_inner_episode(naive.init(p, 4), seen).policy.logits - p.logits  # noqa: E731
        moved = jax.vmap(learn)(many, jax.tree.map(lambda x: x[:, :, 0], other))
        return jnp.stack([own.rewards, other.rewards]).mean((2, 3, 4)), moved[..., 0] - moved[..., 1]

    return tuple(np.asarray(x, float) for x in play(jax.random.key(0)))


def test_play_earns_the_exact_returns(played):
    """Both within 4 standard errors: by chance once in 7,900 keys."""
    exact = general_returns(ENV.stochastic, [apart(EGO), apart(START)], FiniteHorizon(STEPS)) / STEPS
    error = played[0].std(axis=1) / np.sqrt(played[0].shape[1])
    assert (np.abs(played[0].mean(axis=1) - exact) < 4 * error).all() and error.max() < 0.02


def test_a_learner_takes_the_exact_step_on_average(played):
    """In both states within 4 standard errors: by chance once in 7,900 keys. The rate of the preset is that of the theory."""
    theta = np.log(apart(START))
    ends = general_course(
        ENV.stochastic, [apart(EGO), theta], FiniteHorizon(STEPS), naive=[1], eta=CFG.naive.learning_rate, updates=1
    )[1][0]
    step = np.asarray(ends - theta)
    error = played[1].std(axis=0) / np.sqrt(len(played[1]))
    assert (np.abs(played[1].mean(axis=0) - (step[:, 0] - step[:, 1])) < 4 * error).all()
    assert abs(step[0, 0] - step[0, 1]) > 8 * error[0]
    assert (step[1] == 0).all()  # nothing that is done in a degraded state makes a difference
