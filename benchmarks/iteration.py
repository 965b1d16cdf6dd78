"""Environment steps a CPU-second (on an accelerator: a second) of whole training iterations, beside a plain PPO.

    python benchmarks/iteration.py                     # about three minutes on a CPU
    python benchmarks/iteration.py --smoke             # small sizes, to see that it runs
    python benchmarks/iteration.py --meta-batch 1024   # an accelerator's size

The iteration is a LAPG update of one Hawk agent of width 32: play against learning naive co-players (B 16, M 20, T 10),
credits, PPO with 4 epochs of 2 minibatches and back-propagation through all 200 steps, Adam. "Ego's share" is the same
against tit-for-tat, which costs nothing. The yardstick is `plain_ppo.py`, against tit-for-tat too. All take turns, five
times; medians, and ratios to the yardstick of the same turn.
"""

import argparse
import dataclasses
import json
import statistics
import time

import jax
import plain_ppo

from lapg_rl import config
from lapg_rl.config import PoolConfig
from lapg_rl.learn import training_step

YARDSTICK = "plain recurrent PPO (GRU)"
TIT_FOR_TAT = PoolConfig(p_naive=0.0, p_fixed=1.0, fixed="tft")


def ours(cfg):
    """A function that carries out one update, compiled."""
    step, keys = training_step.make_train_step(cfg), iter(range(10**9))
    state = [training_step.initial_state(cfg, training_step.run_key(cfg))]

    def once():
        state[0], metrics = step(state[0], jax.random.fold_in(training_step.run_key(cfg), next(keys)))
        jax.block_until_ready(metrics)

    return once


def plain(cfg):
    """The same for the yardstick."""
    state, iteration = plain_ppo.make_iteration(cfg.meta_batch, cfg.batch, cfg.inner_episodes * cfg.steps)
    held, keys = [state], iter(range(10**9))

    def once():
        held[0] = iteration(*held[0], jax.random.key(next(keys)))
        jax.block_until_ready(held[0][1])

    return once


def programs(cfg):
    """What is compared at one size, each compiled by a first call: (functions by name, seconds of the first calls)."""
    alone = dataclasses.replace(cfg, pool=TIT_FOR_TAT)
    transformer = dataclasses.replace(cfg, model=dataclasses.replace(cfg.model, kind="transformer"))
    found = {
        YARDSTICK: plain(cfg),
        "ego's share (Hawk)": ours(alone),
        "ego's share (GRU)": ours(dataclasses.replace(alone, model=dataclasses.replace(cfg.model, kind="gru"))),
        "whole iteration (Hawk)": ours(cfg),
        "whole iteration (Transformer)": ours(transformer),
    }
    seconds = {}
    for name, once in found.items():
        start = time.perf_counter()
        once()
        seconds[name] = time.perf_counter() - start
    return found, seconds


def speeds(functions, steps, turns):
    """Steps a second (on a CPU: a CPU-second) of each function in each turn."""
    clock = time.process_time if jax.default_backend() == "cpu" else time.perf_counter
    found = {name: [] for name in functions}
    for _ in range(turns):
        for name, once in functions.items():
            start = clock()
            once()
            found[name].append(steps / (clock() - start))
    return found


def spell(values):
    """The median of speeds, the lowest and the highest."""
    return f"{statistics.median(values) / 1e3:9.1f} k steps/s  [{min(values) / 1e3:.1f}, {max(values) / 1e3:.1f}]"


def one_preset(cfg, turns):
    """Print the speed of a preset's whole iteration."""
    once, steps = ours(cfg), cfg.pool.agents * cfg.meta_batch * cfg.batch * cfg.inner_episodes * cfg.steps
    once()
    print(f"{cfg.name}: {steps} steps an update, {spell(speeds({cfg.name: once}, steps, turns)[cfg.name])}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--meta-batch", type=int, nargs="+", default=[8, 32], metavar="K")
    parser.add_argument("--preset", help="the whole iteration of this preset only, its agents' steps counted together")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="small sizes")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.preset:
        one_preset(config.preset(arguments.preset), arguments.turns)
        return
    rows = []
    for count in [2] if arguments.smoke else arguments.meta_batch:
        cfg = dataclasses.replace(config.preset("ipd-shaping"), meta_batch=count)
        if arguments.smoke:
            cfg = dataclasses.replace(cfg, batch=2, inner_episodes=2)
        functions, first = programs(cfg)
        measured = speeds(functions, cfg.meta_batch * cfg.batch * cfg.inner_episodes * cfg.steps, arguments.turns)
        for name, values in measured.items():
            ratio = statistics.median(a / b for a, b in zip(values, measured[YARDSTICK], strict=True))
            rows.append(
                {
                    "meta_batch": count,
                    "program": name,
                    "steps_per_s": round(statistics.median(values)),
                    "ratio": round(ratio, 2),
                    "lowest": round(min(values)),
                    "highest": round(max(values)),
                    "first_call_s": round(first[name], 1),
                }
            )
            if not arguments.json:
                said = f"{spell(values)}  {ratio:5.2f} x yardstick  first call {first[name]:.1f} s"
                print(f"K {count:5d}  {name:28} {said}", flush=True)
    if arguments.json:
        print(json.dumps({"device": jax.devices()[0].device_kind, "jax": jax.__version__, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
