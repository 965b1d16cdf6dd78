"""What this machine can do at most, one thread: products of narrow matrices, elementwise work, memory; and the floor they set.

    NPROC=1 python benchmarks/roofline.py       # half a minute; --smoke for small sizes

The floor is that of the iteration in `iteration.py`: the floating-point operations of a width-32 Hawk policy's forward and
backward pass for 4 epochs, and of the steps played, at the measured speed of products with a 32 x 32 matrix.
"""

import argparse
import os

os.environ.setdefault("NPROC", "1")

import statistics
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from lapg_rl import config
from lapg_rl.learn import training_step

SERIES, SECONDS = 5, 0.2


def rate(function, work, *arrays):
    """`work` a CPU-second of the compiled function: median of five series."""
    function = jax.jit(function)
    jax.block_until_ready(function(*arrays))
    series = []
    for _ in range(SERIES):
        start, repeats = time.process_time(), 0
        while not repeats or time.process_time() - start < SECONDS:
            jax.block_until_ready(function(*arrays))
            repeats += 1
        series.append(work * repeats / (time.process_time() - start))
    return statistics.median(series)


def repeated(function, a, b, times=100):
    """Elements a CPU-second where the function is applied over and over in one program, so that calling it costs nothing."""
    return rate(lambda a, b: jax.lax.fori_loop(0, times, lambda _, x: function(x, b), a), times * a.size, a, b)


def main():
    """Measure and print."""
    global SERIES, SECONDS
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--smoke", action="store_true", help="small sizes")
    smoke = parser.parse_args().smoke
    SERIES, SECONDS = (1, 0.0) if smoke else (SERIES, SECONDS)
    random = np.random.default_rng(0)
    draw = lambda *shape: jnp.asarray(random.normal(size=shape), jnp.float32)  # noqa: E731
    print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}, one thread")
    for n in (8,) if smoke else (256, 1024, 1536):
        gigaflops = rate(lambda a, b: a @ b, 2 * n**3, draw(n, n), draw(n, n)) / 1e9
        print(f"product {n} x {n} x {n}:       {gigaflops:7.1f} GFLOP/s")
    narrow = {n: rate(lambda a, b: a @ b, 2 * n * 32 * 32, draw(n, 32), draw(32, 32)) / 1e9 for n in (16, 256, 4096)}
    for n, gigaflops in narrow.items():
        print(f"product {n} x 32 x 32:         {gigaflops:7.1f} GFLOP/s")
    elementwise = {
        "a * b + a": lambda a, b: a * b + a,
        "tanh": lambda a, b: jnp.tanh(a),
        "exp": lambda a, b: jnp.exp(-a),
    }
    for name, function in elementwise.items():
        small, large = (repeated(function, draw(n), draw(n)) / 1e9 for n in ((8, 16) if smoke else (2**13, 2**22)))
        print(f"{name:10} {small:6.2f} G elements/s in cache, {large:6.2f} G elements/s in memory")
    cfg = config.preset("ipd-shaping")
    policy = jax.tree.map(lambda x: x[0], training_step.initial_state(cfg, training_step.run_key(cfg)).agents)
    parameters = sum(x.size for x in jax.tree.leaves(eqx.filter(policy, eqx.is_array)))
    matrices = sum(x.size for x in jax.tree.leaves(eqx.filter(policy, eqx.is_array)) if x.ndim >= 2)
    flops = 2 * matrices * (1 + 3 * cfg.learner.epochs)
    print(
        f"Hawk width 32: {parameters} parameters, {matrices} in matrices; 2 x {matrices} x (1 + 3 x {cfg.learner.epochs}) = "
        f"{flops / 1e3:.0f} kFLOP a step: floor {max(narrow.values()) * 1e6 / (flops / 1e3) / 1e3:.0f} k steps/s"
    )


if __name__ == "__main__":
    main()
