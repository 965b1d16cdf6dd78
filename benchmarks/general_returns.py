"""Speed of exact returns beyond 2x2, in groups a CPU-second, beside a plain NumPy loop in the same run.

    python benchmarks/general_returns.py
    python benchmarks/general_returns.py --smoke      # small sizes, to see that it runs

One thread; medians of five turns in which both take part, and of their ratio turn by turn. Before anything is timed, all of the
loop's numbers are compared with ours, to 1e-10.
"""

import argparse
import os
import statistics
import time

for threads in ("NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):  # XLA's, then NumPy's
    os.environ[threads] = "1"

import numpy as np  # noqa: E402

from lapg_theory import general_returns  # noqa: E402
from lapg_theory.game import Discounted, NormalFormGame, public_goods  # noqa: E402

GAMMA, RANDOM = 0.96, np.random.default_rng(0)


def rate(work, groups, seconds):
    """Groups a CPU-second, over at least so many."""
    start, repeats = time.process_time(), 0
    while time.process_time() - start < seconds:
        work()
        repeats += 1
    return groups * repeats / (time.process_time() - start)


def three_by_loop(payoffs, p, q, z):
    """One group of three at a time, as one would write it: 8 joint actions, a loop over states, one solve."""
    rewards, found = payoffs.reshape(3, 8), []
    for policies in zip(p, q, z, strict=True):
        rows = []
        for s in range(-1, 8):
            last = (s >> 2 & 1, s >> 1 & 1, s & 1)
            chances = np.ones(1)
            for i, policy in enumerate(policies):
                own, first, second = last[i], *(last[j] for j in range(3) if j != i)
                x = policy[0] if s < 0 else policy[1 + 4 * own + 2 * first + second]
                chances = np.outer(chances, [x, 1 - x]).ravel()
            rows.append(chances)
        seen = np.linalg.solve(np.eye(8) - GAMMA * np.array(rows[1:]).T, rows[0])
        found.append(rewards @ seen)
    return np.array(found).T


def crowd_by_loop(game, policy):
    """Equal players: the number of cooperators, each row a convolution of two binomials built up by hand."""
    n = game.players

    def binomial(count, chance):
        counts = np.ones(1)
        for _ in range(count):
            counts = np.convolve(counts, [1 - chance, chance])
        return counts

    rows = [
        np.convolve(binomial(k, policy[min(1 + n - k, n)]), binomial(n - k, policy[2 * n - k])) for k in range(n + 1)
    ]
    seen = np.linalg.solve(np.eye(n + 1) - GAMMA * np.array(rows).T, binomial(n, policy[0]))
    k = np.arange(n + 1)
    earned = (k * np.array([0, *game.cooperator]) + (n - k) * np.array([*game.defector, 0])) / n
    return seen @ earned


def contenders(batch, crowded, players):
    """For each size what computes it here, how many groups a call, and the same by loop; the numbers compared before."""
    game, policies = NormalFormGame(RANDOM.normal(size=(3, 2, 2, 2))), RANDOM.uniform(size=(3, batch, 9))
    crowd, many = public_goods(players, players / 5), RANDOM.uniform(size=(crowded, 2 * players + 1))
    few = many[:8]
    sizes = {
        f"3 players, batch {batch}": (
            lambda: general_returns(game, list(policies), Discounted(GAMMA)),
            lambda: three_by_loop(game.payoffs, *policies),
            batch,
            batch,
        ),
        f"{players} equal players, batch {crowded}": (
            lambda: general_returns(crowd, [many] * players, Discounted(GAMMA))[0],
            lambda: np.array([crowd_by_loop(crowd, policy) for policy in few]),
            crowded,
            len(few),
        ),
    }
    for ours, loop, _, fewer in sizes.values():
        np.testing.assert_allclose(ours()[..., :fewer], loop(), rtol=1e-10, atol=1e-10)
    return sizes


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="small sizes")
    arguments = parser.parse_args()
    turns, sizes, seconds = (1, (8, 2, 10), 0.01) if arguments.smoke else (arguments.turns, (4096, 64, 100), 0.5)
    for name, (ours, loop, batch, fewer) in contenders(*sizes).items():
        pairs = [(rate(ours, batch, seconds), rate(loop, fewer, seconds)) for _ in range(turns)]
        for what, rates in zip(("here", "NumPy loop"), zip(*pairs, strict=True), strict=True):
            low, high = min(rates), max(rates)
            print(f"{name}, {what}: {statistics.median(rates):.3g} [{low:.3g}, {high:.3g}] groups a CPU-second")
        print(f"{name}: {statistics.median(a / b for a, b in pairs):.3g} times the loop")


if __name__ == "__main__":
    main()
