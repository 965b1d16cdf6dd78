"""How fast an environment runs by itself, in agent-steps (two a step of the game) a CPU-second.

    python benchmarks/environment_speed.py cleanup            # half a minute; or coin
    python benchmarks/environment_speed.py coin --smoke       # small sizes, to see that it runs

Many games side by side under `vmap` and `scan`, in chunks that fit a core's cache; the random numbers of a step are drawn
in bulk, the actions come from outside. "transitions" leave out what the players see, "whole steps" write it out, as for
networks that read it.
"""

import argparse
import os
import time

os.environ.setdefault("NPROC", "1")  # XLA's threads: what is counted are CPU-seconds

import jax
import jax.numpy as jnp

from lapg_rl.envs import CleanUp, CoinGame
from lapg_rl.envs.random_numbers import uniform

GOAL = 20e6
ENVIRONMENTS = {"cleanup": CleanUp, "coin": CoinGame}
#: Games that are played side by side; what they see, 512 x 2 x 102 floats in CleanUp-lite, is 0.4 MB.
CHUNK = 512


def make_run(env, steps, observe):
    """The jitted `run(key, actions [chunks, steps, games, 2])`: the rewards of all games added up, chunk after chunk."""

    def one_chunk(inputs):
        key, actions = inputs
        games = actions.shape[1]
        state, _ = jax.vmap(env.reset)(jax.random.split(key, games))

        def step(carry, inputs):
            state, total = carry
            key, chosen = inputs
            state, rewards = jax.vmap(env.transition)(state, chosen, uniform(key, (games, env.draws)))
            if observe:
                seen = jax.lax.optimization_barrier(jax.vmap(env.observe)(state))
                total = total + seen[:, 0, 0].sum()  # written out whole, read in one place
            return (state, total + rewards.sum()), None

        return jax.lax.scan(step, (state, 0.0), (jax.random.split(key, steps), actions))[0][1]

    return jax.jit(lambda key, actions: jax.lax.map(one_chunk, (jax.random.split(key, len(actions)), actions)).sum())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("environment", choices=ENVIRONMENTS)
    parser.add_argument("--smoke", action="store_true", help="small sizes")
    arguments = parser.parse_args()
    smoke = arguments.smoke
    env, steps = ENVIRONMENTS[arguments.environment](), 4 if smoke else 500
    for games in (8,) if smoke else (128, 512, 2048, 8192):
        chunk = min(games, CHUNK)
        actions = jax.random.randint(
            jax.random.key(1), (games // chunk, steps, chunk, 2), 0, env.num_actions, jnp.int32
        )
        for name, observe in (("transitions", False), ("whole steps", True)):
            run = make_run(env, steps, observe)
            run(jax.random.key(0), actions).block_until_ready()
            rates = []
            for seed in range(1 if smoke else 7):
                began = time.process_time()
                run(jax.random.key(seed), actions).block_until_ready()
                rates.append(2 * games * steps / (time.process_time() - began))
            rates.sort()
            print(
                f"{games:5} games, {name}: median {rates[len(rates) // 2] / 1e6:6.1f} M agent-steps a CPU-second, "
                f"best {rates[-1] / 1e6:6.1f} M   (goal: {GOAL / 1e6:g} M)",
                flush=True,
            )


if __name__ == "__main__":
    main()
