"""How long the theory takes: the window at defection, the atlas of fixed points, a 50 x 50 phase diagram.

    python benchmarks/metagame_speed.py            # about two minutes
    python benchmarks/metagame_speed.py --smoke    # small sizes, to see that it runs

Each is timed once, compilation included, and the window also afterwards. CPU-seconds are what counts on a busy machine;
on two cores they may be up to twice the seconds that pass.
"""

import argparse
import dataclasses
import time

import numpy as np

from lapg_theory import MetaGame, defection_certificate
from lapg_theory.game import prisoners_dilemma
from lapg_theory.metagame import attractor_map, phase_diagram

PD = prisoners_dilemma()


def timed(name, limit, function):
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{name:<62} {cpu:7.2f} CPU s {wall:7.2f} s   (goal: {limit} s)", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--smoke", action="store_true", help="small sizes")
    smoke = parser.parse_args().smoke
    nodes, side = (64, 5) if smoke else (1024, 50)
    meta = MetaGame(PD, gamma=0.99, p_naive=0.25, nodes=nodes)
    settings = {"gamma": 0.95, "eta": 2.0, "updates": 20, "nodes": nodes}
    timed("defection window, first", 2, lambda: defection_certificate(PD, **settings).window)
    timed("defection window, again", 2, lambda: defection_certificate(PD, **settings, seed=1).window)
    timed(f"atlas of fixed points with best replies, {nodes} learners", 60, meta.fixed_points)
    coarse = dataclasses.replace(meta, nodes=min(nodes, 128))
    grid = {"p_naive": np.linspace(0, 1, side), "over": "tau", "values": np.geomspace(2, 100, side)}
    timed(f"{side} x {side} attractor map, {coarse.nodes} learners", 60, lambda: attractor_map(coarse, **grid))
    budget = {"start": (0.01,) * 5, "steps": 50 if smoke else 400, "rate": 0.05, "nodes": 16}
    name = f"{side} x {side} simulated from defection, 16 learners, {budget['steps']} steps"
    timed(name, 60, lambda: phase_diagram(meta, **grid, **budget))


if __name__ == "__main__":
    main()
