"""Run folders made by hand: agents whose policy is known, so that what they do can be computed by another route."""

import dataclasses
import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from lapg_rl.config import Config, LearnerConfig, ModelConfig, PoolConfig
from lapg_rl.runs import checkpoint
from lapg_rl.runs.loop import fresh_state, open_run

TABULAR = Config(
    name="by-hand",
    updates=40,
    meta_batch=2,
    batch=4,
    inner_episodes=3,
    steps=6,
    model=ModelConfig(kind="tabular"),
    pool=PoolConfig(naive_population=2),
)


def with_estimator(cfg, estimator, seed=0):
    return dataclasses.replace(cfg, seed=seed, learner=LearnerConfig(estimator=estimator))


def logits(policy):
    p = np.clip(np.asarray(policy, np.float64), 1e-6, 1 - 1e-6)
    return jnp.asarray(np.stack([np.log(p), np.log1p(-p)], axis=-1), jnp.float32)


def run_of(folder, policies, cfg=TABULAR):
    """A finished run whose agents play the given memory-one policies."""
    run = open_run(cfg, folder)
    state = fresh_state(cfg)
    agents = eqx.tree_at(lambda a: a.logits, state.agents, jnp.stack([logits(p) for p in policies]))
    checkpoint.save(run.checkpoints, cfg.updates, state._replace(agents=agents, update=jnp.array(cfg.updates)), keep=1)
    return folder


def metrics(folder, cfg, agent, naive, cooperation=0.5):
    """A run folder with metrics only: rewards and cooperation that rise in equal steps to the given last values."""
    run = open_run(cfg, folder)
    share = np.arange(1, cfg.updates + 1) / cfg.updates
    rows = [
        {
            "update": n,
            "reward_vs_naive": [agent * s],
            "naive_reward": [naive * s],
            "cooperation_vs_naive": [cooperation * s],
            "naive_cooperation": [s],
        }
        for n, s in enumerate(share)
    ]
    run.metrics_file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def expected_rewards(p, q, steps, payoffs=((1.0, -1.0), (2.0, 0.0))):
    """Expected reward per step of both players by following the distribution over states, step by step."""
    p, q = np.clip(p, 1e-6, 1 - 1e-6), np.asarray(q, float)
    mirrored = q[[0, 1, 3, 2, 4]]
    own, other = np.array(payoffs).ravel(), np.array(payoffs).T.ravel()
    state, total = np.array([1.0, 0, 0, 0, 0]), np.zeros(2)
    for _ in range(steps):
        joint = sum(
            weight * np.outer([p[s], 1 - p[s]], [mirrored[s], 1 - mirrored[s]]).ravel()
            for s, weight in enumerate(state)
        )
        total += joint @ own, joint @ other
        state = np.array([0.0, *joint])
    return total / steps


def leaves_equal(one, other):
    return all(
        np.array_equal(a, b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    )  # fmt: skip
