"""Speed of the exact theory: memory-one pairs a CPU-second (value and gradient), and sampled rounds a CPU-second.

Compares with two figures measured on the same kind of machine: 0.167 M pairs a CPU-second for the exact batched value and
gradient of the M-FOS code at batch 4096, and 0.23 M rounds a CPU-second for memory-one matches in Axelrod.

    python benchmarks/theory_speed.py
    python benchmarks/theory_speed.py --smoke         # small sizes, to see that it runs
"""

import argparse
import time

import jax
import jax.numpy as jnp
import numpy as np

from lapg_theory import exact_returns
from lapg_theory.exact.gradients import returns_and_gradients
from lapg_theory.game import COOPERATE, DEFECT, Discounted, FiniteHorizon, prisoners_dilemma, state_index

PAYOFFS = jnp.array(prisoners_dilemma().row, jnp.float32)
PEERS = {"value and gradient, pairs": 0.167e6, "sampled matches, rounds": 0.23e6}


def cpu_seconds(work, repeats):
    """CPU-seconds of one call, all threads counted; the best of three series, the compilation not among them."""
    jax.block_until_ready(work())
    series = []
    for _ in range(3):
        start = time.process_time()
        for _ in range(repeats):
            done = work()
        jax.block_until_ready(done)
        series.append((time.process_time() - start) / repeats)
    return min(series)


def gradients(dtype, batch, repeats):
    """Both returns and all four gradients of a batch of pairs."""
    p, q = jnp.asarray(np.random.default_rng(0).uniform(size=(2, batch, 5)), dtype)
    game, horizon = prisoners_dilemma(0, -1, -2, -3), Discounted(0.96)
    return batch / cpu_seconds(lambda: returns_and_gradients(game, p, q, horizon), repeats)


@jax.jit
def play(p, q, key):
    """Mean payoff of the row player over 200 rounds of each of a batch of matches, by sampling."""

    def round_(carry, key):
        row, column, total = carry
        x, y = (jnp.take_along_axis(policy, state[:, None], 1)[:, 0] for policy, state in ((p, row), (q, column)))
        bits = jax.random.uniform(key, (2, len(p)))
        a, b = (jnp.where(u < chance, COOPERATE, DEFECT) for u, chance in zip(bits, (x, y), strict=True))
        return (state_index(a, b), state_index(b, a), total + PAYOFFS[a, b]), None

    start = jnp.zeros(len(p), int)
    total = jax.lax.scan(round_, (start, start, jnp.zeros(len(p))), jax.random.split(key, 200))[0][2]
    return total / 200


def matches(batch, repeats):
    """Rounds of memory-one matches."""
    p, q = jnp.asarray(np.random.default_rng(0).uniform(size=(2, batch, 5)), jnp.float32)
    off = play(p, q, jax.random.key(1)) - exact_returns(prisoners_dilemma(), p, q, FiniteHorizon(200))[0] / 200
    if abs(off.mean()) > 5 * off.std() / batch**0.5:
        raise SystemExit(f"the sampled matches are wrong: mean {off.mean():.4f} off the exact return")
    return 200 * batch / cpu_seconds(lambda: play(p, q, jax.random.key(0)), repeats)


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--smoke", action="store_true", help="small sizes")
    batch, many, few = (64, 1, 1) if parser.parse_args().smoke else (4096, 50, 3)
    found = {"value and gradient, pairs": [("float32", gradients(jnp.float32, batch, many))]}
    with jax.enable_x64(True):
        found["value and gradient, pairs"].append(("float64", gradients(jnp.float64, batch, many)))
    found["sampled matches, rounds"] = [("float32", matches(batch, few))]
    for what, measured in found.items():
        for dtype, rate in measured:
            print(f"{what} a CPU-second, {dtype}: {rate / 1e6:.1f} M = {rate / PEERS[what]:.0f} times the peer's")


if __name__ == "__main__":
    main()
