"""Play sampled by the environment against exact returns."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lapg_rl.envs import IteratedMatrixGame
from lapg_rl.models import Tabular
from lapg_rl.play.coplayers import FixedStrategy
from lapg_rl.play.rollout import meta_batch
from lapg_theory import exact_returns, occupancy
from lapg_theory.game import Discounted, FiniteHorizon, battle_of_the_sexes, prisoners_dilemma

P, Q = (0.6, 0.8, 0.3, 0.45, 0.2), (0.5, 0.7, 0.25, 0.9, 0.35)


@eqx.filter_jit
def play(game_tables, key, steps):
    """12,800 games of P against Q: the row and the column player's trajectories `[k, b, 1, t]`."""
    logits = jnp.stack([jnp.log(jnp.array(P)) - jnp.log1p(-jnp.array(P)), jnp.zeros(5)], axis=1)
    ego = eqx.tree_at(lambda m: m.logits, Tabular(5, 2, key=key), logits)
    env = eqx.tree_at(lambda e: e.payoffs, IteratedMatrixGame(prisoners_dilemma()), game_tables)
    strategies = jnp.tile(jnp.array(Q), (400, 1))
    return meta_batch(env, ego, FixedStrategy(), strategies, key, batch=32, inner_episodes=1, steps=steps)


def z_scores(samples, exact):
    """Distance of the sample mean (axis 0) from the exact value, in standard errors."""
    samples = np.asarray(samples, float)
    return (samples.mean(0) - np.asarray(exact)) / (samples.std(0) / np.sqrt(len(samples)))


@pytest.mark.parametrize("game", [prisoners_dilemma(), battle_of_the_sexes()], ids=lambda g: g.name)
def test_sampled_returns_agree_with_exact_ones(game):
    """Each |z| < 4.5: a false alarm in either of the two once in 70,000 keys."""
    sides = play(jnp.asarray([game.row, game.column], jnp.float32), jax.random.key(7), 5)
    for side, exact in zip(sides, exact_returns(game, P, Q, FiniteHorizon(5)), strict=True):
        assert abs(z_scores(side.rewards.sum((2, 3)).ravel(), exact)) < 4.5


def test_sampled_discounted_returns_agree_with_exact_ones():
    """Random stopping with probability 1 - gamma after each step turns sums into discounted sums; |z| < 4.5, 2 of them."""
    gamma, steps = 0.8, 60  # the tail beyond 60 steps weighs 0.8^60 = 1.5e-6
    game = prisoners_dilemma()
    sides = play(jnp.asarray([game.row, game.column], jnp.float32), jax.random.key(8), steps)
    length = np.random.default_rng(0).geometric(1 - gamma, size=400 * 32)
    alive = np.arange(steps) < length[:, None]
    for side, exact in zip(sides, exact_returns(game, P, Q, Discounted(gamma)), strict=True):
        assert abs(z_scores((np.asarray(side.rewards).reshape(-1, steps) * alive).sum(1), exact)) < 4.5


def test_sampled_state_frequencies_agree_with_the_exact_occupancy():
    """Each |z| < 4.5: a false alarm in any of the four once in 36,000 keys."""
    game = prisoners_dilemma()
    own, other = play(jnp.asarray([game.row, game.column], jnp.float32), jax.random.key(9), 5)
    outcome = 2 * np.asarray(own.actions) + np.asarray(other.actions)
    frequency = (outcome[..., None] == np.arange(4)).mean(3).reshape(-1, 4)
    exact = np.asarray(occupancy(P, Q, FiniteHorizon(5)))
    assert np.all(np.abs(z_scores(frequency, exact / exact.sum())) < 4.5)
