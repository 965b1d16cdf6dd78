"""Packages that compute the same things, installed in an environment of their own, side by side with lapg in one run.

    python benchmarks/peers.py            # a minute, and the download of axelrod and nashpy

Matches: memory-one players, 200 rounds, rounds a CPU-second (axelrod < 4.14; later ones import torch). Replicator dynamics:
three types, 1000 points of one trajectory, trajectories a CPU-second (nashpy: as its documentation calls it, with tolerances of
1.5e-8, and its derivative integrated with ours, 1e-9). axelrod is called as its documentation does.
JaxMARL's recurrent PPO is no part of its package (its wheel has environments only); `iteration.py` has a plain one instead.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import numpy as np
import theory_speed

from lapg_theory.evolution import Population

PEERS = ("axelrod>=4.13,<4.14", "nashpy")
PAYOFFS = [[0.0, -1.0, 1.2], [1.1, 0.0, -1.0], [-1.0, 0.9, 0.0]]
START = [0.5, 0.3, 0.2]
THEIRS = """
import json, time, warnings
import axelrod, nashpy, numpy as np, scipy.integrate
from nashpy.learning.replicator_dynamics import get_derivative_of_fitness
warnings.simplefilter("ignore")

def rate(work, count):
    work()
    start, repeats = time.process_time(), 0
    while time.process_time() - start < 2:
        work()
        repeats += 1
    return count * repeats / (time.process_time() - start)

random = np.random.default_rng(0)
pairs = [[axelrod.MemoryOnePlayer(tuple(random.uniform(size=4))) for _ in "ab"] for _ in range(20)]
play = lambda: [axelrod.Match(pair, turns=200).play() for pair in pairs]
game, start, times = nashpy.Game(np.array({payoffs})), np.array({start}), np.linspace(0, 50, 1000)
strict = lambda: scipy.integrate.odeint(get_derivative_of_fitness, start, times, (np.array({payoffs}),), rtol=1e-9, atol=1e-12)
print(json.dumps({{
    "matches": rate(play, 20 * 200),
    "replicator": rate(lambda: game.replicator_dynamics(y0=start, timepoints=times), 1),
    "replicator, equal tolerance": rate(strict, 1),
    "versions": [axelrod.__version__, nashpy.__version__],
}}))
"""


def rate(work):
    """Calls a CPU-second, over two seconds."""
    work()
    start, repeats = time.process_time(), 0
    while time.process_time() - start < 2:
        work()
        repeats += 1
    return repeats / (time.process_time() - start)


def environment(folder):
    """The interpreter of an environment with the peers in it."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PEERS], check=True)
    return python


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--env", type=Path, help="keep the peers' environment here (default: a temporary folder)")
    parser.add_argument("--turns", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        python = environment(arguments.env or Path(temporary) / "env")
        population = Population(("a", "b", "c"), PAYOFFS)
        found = {"matches": [], "replicator": [], "replicator, equal tolerance": []}
        for _ in range(arguments.turns):
            script = THEIRS.format(payoffs=PAYOFFS, start=START)
            theirs = json.loads(
                subprocess.run([python, "-c", script], check=True, capture_output=True, text=True).stdout
            )
            ours = {"matches": theory_speed.matches(), "replicator": rate(lambda: population.run(START, 50, 1000))}
            ours["replicator, equal tolerance"] = ours["replicator"]
            for name, pairs in found.items():
                pairs.append((ours[name], theirs[name]))
    axelrod, nashpy = theirs["versions"]
    print(f"python {sys.version.split()[0]}, numpy {np.__version__}, axelrod {axelrod}, nashpy {nashpy}")
    for name, unit in (("matches", "rounds"), *((x, "trajectories") for x in found if x != "matches")):
        mine, peer = (statistics.median(x) for x in zip(*found[name], strict=True))
        ratio = statistics.median(a / b for a, b in found[name])
        print(f"{name:28} {mine:12.3g} {unit} a CPU-second, peer {peer:10.3g}: {ratio:.3g} times")


if __name__ == "__main__":
    main()
