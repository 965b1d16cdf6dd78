"""One update on the accelerator beside the same update on the processor, for every model and estimator.

    python benchmarks/accelerator_smoke.py          # a minute or two; needs a GPU

Both start from the same state and key; matrix products have float32's full precision. A sampled action can flip where
two programs round differently, so single updates are compared in distribution-free terms: how many of the sampled
actions agree, and the largest difference of parameters relative to the length of the update.
"""

import argparse
import dataclasses
import sys

import jax
import numpy as np

from lapg_rl import train
from lapg_rl.config import ESTIMATORS, Config, LearnerConfig, ModelConfig, PoolConfig

BASE = Config(meta_batch=8, batch=4, inner_episodes=4, steps=5, pool=PoolConfig(p_naive=0.5, agents=2))
CASES = {
    **{
        kind: dataclasses.replace(BASE, model=ModelConfig(kind=kind, width=16))
        for kind in ("tabular", "gru", "hawk", "transformer")
    },
    **{name: dataclasses.replace(BASE, learner=LearnerConfig(estimator=name)) for name in ESTIMATORS[1:]},
}


def update(cfg, backend):
    """(largest change of a parameter per leaf, metrics) of one update on that backend."""
    with jax.default_device(jax.devices(backend)[0]):
        key = train.run_key(cfg)
        start = train.initial_state(cfg, key)
        before = [np.asarray(x) for x in jax.tree.leaves(start.agents)]
        state, metrics = train.make_train_step(cfg)(start, key)
        after = [np.asarray(x) for x in jax.tree.leaves(state.agents)]
        where = {d.platform for x in jax.tree.leaves(state) for d in x.devices()}
    return [b - a for a, b in zip(before, after, strict=True)], jax.device_get(metrics), where


def main():
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    accelerator = jax.default_backend()
    if accelerator == "cpu":
        sys.exit("no accelerator: JAX sees " + ", ".join(map(str, jax.devices())))
    failed = 0
    for name, cfg in CASES.items():
        with jax.default_matmul_precision("highest"):
            (here, there), figures, where = zip(update(cfg, "cpu"), update(cfg, accelerator), strict=True)
        size = np.sqrt(sum(np.sum(x**2) for x in here))
        apart = np.sqrt(sum(np.sum((x - y) ** 2) for x, y in zip(here, there, strict=True))) / size
        rewards = max(float(np.max(np.abs(figures[0][n] - figures[1][n]))) for n in figures[0] if "reward" in n)
        sound = apart < 0.02 and rewards < 0.02 and where[1] == {jax.devices()[0].platform}
        failed += not sound
        print(
            f"{'ok   ' if sound else 'WRONG'} {name:14} update apart {apart:.1e}, rewards apart {rewards:.1e}, on {where[1]}",
            flush=True,
        )
    print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}: {len(CASES) - failed} of {len(CASES)} sound")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
