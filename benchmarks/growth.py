"""How the cost of an update grows with each size, how long it takes to compile, and how much memory it needs.

    python benchmarks/growth.py --out growth.json    # minutes; --smoke for small sizes
    python benchmarks/growth.py --memory             # peak memory of one update of the published mixed preset

Costs are processor seconds of one update, the median of five turns in which all sizes take part. The slope is the
exponent of a power law fitted to the sizes: 1 where the cost is proportional to the size.
"""

import argparse
import dataclasses
import json
import resource
import statistics
import time
from pathlib import Path

import jax
import numpy as np
from iteration import ours

from lapg_rl import config
from lapg_rl.config import PoolConfig

BASE = dataclasses.replace(
    config.preset("ipd-mixed"), meta_batch=8, batch=8, inner_episodes=8, steps=8, pool=PoolConfig(p_naive=0.5, agents=2)
)
SIZES = {
    "meta_batch": (8, 16, 32, 64),
    "batch": (8, 16, 32, 64),
    "inner_episodes": (8, 16, 32, 64),
    "steps": (8, 16, 32, 64),
    "agents": (2, 4, 8, 16),
}


def resized(name, value):
    """The base config with one size changed."""
    if name == "agents":
        return dataclasses.replace(BASE, pool=dataclasses.replace(BASE.pool, agents=value))
    return dataclasses.replace(BASE, **{name: value})


def prepared(cfg):
    """(a function that carries out one update, seconds until the first one was done)."""
    start = time.perf_counter()
    once = ours(cfg)
    once()
    return once, time.perf_counter() - start


def growth(turns, most):
    """Rows of size, values, costs, slope."""
    rows = []
    for name, values in SIZES.items():
        values = values[:most]
        updates, first = zip(*(prepared(resized(name, value)) for value in values), strict=True)
        costs = [[] for _ in values]
        for _ in range(turns):
            for once, cost in zip(updates, costs, strict=True):
                start = time.process_time()
                once()
                cost.append(time.process_time() - start)
        medians = [statistics.median(cost) for cost in costs]
        slope = float(np.polyfit(np.log(values), np.log(medians), 1)[0])
        rows.append({"size": name, "values": values, "cpu_s": medians, "slope": slope, "first_update_s": first})
        print(f"{name:15} {values}  {' '.join(f'{m:.3f}' for m in medians)} CPU s  slope {slope:.2f}", flush=True)
    return rows


def draw(rows, path):
    """Costs relative to the smallest size's, on doubly logarithmic axes."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(5.2, 3.8), layout="constrained")
    for row in rows:
        relative = np.array(row["values"]) / row["values"][0]
        axes.loglog(
            relative, np.array(row["cpu_s"]) / row["cpu_s"][0], "o-", label=f"{row['size']}: slope {row['slope']:.2f}"
        )
    axes.loglog(relative, relative, "k:", lw=1, label="proportional")
    axes.set(xlabel="size, relative", ylabel="cost of an update, relative")
    axes.legend(fontsize=8)
    figure.savefig(path)


def memory():
    """Peak resident memory of a process that makes one update of the published mixed preset."""
    cfg = config.preset("ipd-mixed")
    start, cpu = time.perf_counter(), time.process_time()
    once, first = prepared(cfg)
    used = time.process_time()
    once()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"ipd-mixed, meta-batch {cfg.meta_batch}, {cfg.pool.agents} agents: peak {peak:.2f} GiB resident; first update "
        f"after {first:.0f} s ({used - cpu:.0f} CPU s), the next one {time.process_time() - used:.0f} CPU s; "
        f"{time.perf_counter() - start:.0f} s in all"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the numbers here, as JSON")
    parser.add_argument(
        "--figure", type=Path, metavar="FILE.svg", help="draw them, or with --draw those of an earlier run"
    )
    parser.add_argument("--draw", type=Path, metavar="FILE", help="numbers that --out wrote, to be drawn again")
    parser.add_argument("--memory", action="store_true", help="measure the memory of the published preset instead")
    parser.add_argument("--smoke", action="store_true", help="two sizes, one turn")
    arguments = parser.parse_args()
    if arguments.memory:
        memory()
        return
    if arguments.draw:
        rows = json.loads(arguments.draw.read_text())["rows"]
    else:
        rows = growth(*((1, 2) if arguments.smoke else (5, 4)))
    if arguments.figure:
        draw(rows, arguments.figure)
    if arguments.out:
        found = {"device": jax.devices()[0].device_kind, "jax": jax.__version__, "rows": rows}
        arguments.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
