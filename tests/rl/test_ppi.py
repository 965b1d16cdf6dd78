"""Predictive policy improvement: roll-outs against enumeration, predictions against the strategy that is predicted."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lapg_rl import config
from lapg_rl.envs.build import bare_environment
from lapg_rl.learn import beside
from lapg_rl.learn.algorithms.ppi import action_values, improved
from lapg_rl.learn.training_step import initial_state, make_train_step, run_key
from lapg_rl.models import memory_one
from lapg_theory.game import GTFT, mirror

OWN, OTHER = (0.3, 0.8, 0.4, 0.6, 0.1), (0.7, 0.9, 0.2, 0.5, 0.3)  # after what the agent saw, own action first
PAYOFF = ((1.0, -1.0), (2.0, 0.0))


def enumerated(state, first, steps, gamma):
    """The mean return of the next steps, by all joint plays."""
    total = 0.0
    for play in itertools.product((0, 1), repeat=2 * steps):
        seen, chance, value = state, 1.0, 0.0
        for n, (own, other) in enumerate(zip(play[::2], play[1::2], strict=True)):
            chance *= float(own == first) if n == 0 else abs(own - OWN[seen])  # P(0) = OWN
            chance *= abs(other - OTHER[seen])
            value += gamma**n * PAYOFF[own][other]
            seen = 1 + 2 * own + other
        total += chance * value
    return total


def test_improvement_is_the_exact_softmax_over_enumerated_returns():
    """Of three steps, fewer at the end. 12 values at 20,000 roll-outs: |z| < 4.5, a false alarm once in 10,000 keys."""
    states, gamma, rollouts = [0, 2, 1, 4, 3, 1], 0.9, 20_000
    env = bare_environment(config.preset("ipd-ppi-small").game)
    run = eqx.filter_jit(
        lambda key: action_values(
            env, memory_one(OWN), memory_one(OTHER), jnp.eye(5)[jnp.array(states)], key,
            rollouts=rollouts, horizon=3, gamma=gamma,
        )
    )  # fmt: skip
    found = np.asarray(run(jax.random.key(0)))
    left = [min(3, len(states) - t) for t in range(len(states))]
    wanted = np.array([[enumerated(s, a, n, gamma) for a in (0, 1)] for s, n in zip(states, left, strict=True)])
    assert np.ptp(wanted[:, 1] - wanted[:, 0]) > 0.3  # what follows matters
    np.testing.assert_allclose(
        found, wanted, atol=4.5 * 1.5 * np.sqrt(3) / np.sqrt(rollouts)
    )  # a reward is within 1.5 of 0.5
    p = np.array([OWN[s] for s in states])
    odds = np.log(p / (1 - p)) + 2.0 * (wanted[:, 0] - wanted[:, 1])
    exact = improved(jnp.log(jnp.stack([p, 1 - p], axis=1)), jnp.asarray(wanted), 2.0)
    np.testing.assert_allclose(exact[:, 0], 1 / (1 + np.exp(-odds)), rtol=1e-5)


def test_predictions_come_to_be_the_strategy_and_the_agent_then_its_best_reply():
    """First the agent tosses coins, so that all states are seen: a prediction rests on the last 400 choices or more, so 4
    standard errors are 0.1. Then it learns: generous tit-for-tat repays cooperation with 4/3 of the next step for a cost of 1.
    """
    cfg = config.override(
        config.preset("ipd-ppi-small"),
        ["steps=6", "model.kind=tabular", "pool.agents=1", "pool.p_memory_one=0", "pool.p_fixed=1", "pool.fixed=gtft",
         "learner.alignment.q_rate=0.02", "learner.rollouts=4"],
    )  # fmt: skip
    key, step = run_key(cfg), make_train_step(cfg)
    state = initial_state(cfg, key)
    for n in range(120):
        rate = jnp.asarray(0.0 if n < 60 else 0.05)
        state, metrics = step(state, jax.random.fold_in(key, n), {"learner.learning_rate": rate})
        if n == 59:
            held = beside.apart(cfg.learner, jax.tree.map(lambda x: x[0], state.optimisers))[1]["predicted"].model
            np.testing.assert_allclose(np.asarray(jax.nn.softmax(held.logits)[:, 0]), mirror(GTFT), atol=0.1)
            assert abs(metrics["cooperation_vs_fixed"][0] - 0.5) < 0.15
    assert np.asarray(jax.nn.softmax(state.agents.logits[0]))[1, 0] > 0.7  # cooperates after CC, but for the last step
    assert metrics["reward_vs_fixed"][0] > 0.7


def test_other_games_are_refused():
    with pytest.raises(ValueError, match="ppi is for repeated games of two players, but game"):
        config.override(config.preset("ipd-ppi-small"), ["game.kind=coin", "pool.p_memory_one=0"])
