"""Speed of exact returns beyond 2x2, in groups a CPU-second, beside a plain NumPy loop in the same run.

python benchmarks/general_returns.py
"""

import argparse
import time

import numpy as np

from lapg_theory import general_returns
from lapg_theory.game import Discounted, NormalFormGame, public_goods

GAMMA, RANDOM = 0.96, np.random.default_rng(0)


def cpu_seconds(work, repeats):
    """CPU-seconds of one call, all threads counted; the best of three series, the compilation not among them."""
    work()
    series = []
    for _ in range(3):
        start = time.process_time()
        for _ in range(repeats):
            work()
        series.append((time.process_time() - start) / repeats)
    return min(series)


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


def main():
    """Measure and print."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False).parse_args()
    game, policies = NormalFormGame(RANDOM.normal(size=(3, 2, 2, 2))), RANDOM.uniform(size=(3, 4096, 9))
    few = policies[:, :256]
    ours, plain = general_returns(game, list(few), Discounted(GAMMA)), three_by_loop(game.payoffs, *few)
    np.testing.assert_allclose(ours, plain, rtol=1e-9)
    rates = {
        "3 players, batch 4096": 4096
        / cpu_seconds(lambda: general_returns(game, list(policies), Discounted(GAMMA)), 10),
        "3 players, NumPy loop": 256 / cpu_seconds(lambda: three_by_loop(game.payoffs, *few), 1),
    }
    crowd, policy = public_goods(100, 20.0), RANDOM.uniform(size=201)
    ours, plain = general_returns(crowd, [policy] * 100, Discounted(GAMMA))[0], crowd_by_loop(crowd, policy)
    np.testing.assert_allclose(ours, plain, rtol=1e-9)
    many = RANDOM.uniform(size=(64, 201))
    rates["100 equal players, batch 64"] = 64 / cpu_seconds(
        lambda: general_returns(crowd, [many] * 100, Discounted(GAMMA)), 2
    )
    rates["100 equal players, NumPy loop"] = 1 / cpu_seconds(lambda: crowd_by_loop(crowd, policy), 5)
    for what, rate in rates.items():
        print(f"{what}: {rate:.4g} groups a CPU-second")


if __name__ == "__main__":
    main()
