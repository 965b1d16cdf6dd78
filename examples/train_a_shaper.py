# %% [markdown]
# # Train an agent that shapes naive learners
#
# A sequence agent plays the iterated prisoner's dilemma against co-players that learn while they play. Trained with the
# learning-aware policy gradient it comes to extort them; with an estimator that ignores how its games are coupled through
# the co-player's learning, it just defects.
#
#     python examples/train_a_shaper.py            # a few minutes
#     python examples/train_a_shaper.py --smoke    # seconds: too short to learn anything

# %%
import argparse
import tempfile
from pathlib import Path

import numpy as np

from lapg_rl import config
from lapg_rl.runs.loop import RunFolder, train
from lapg_rl.study.evaluation import evaluate

parser = argparse.ArgumentParser(allow_abbrev=False)
parser.add_argument("--smoke", action="store_true")
parser.add_argument("--runs", type=Path, default=Path(tempfile.gettempdir()) / "lapg-example")
arguments = parser.parse_known_args()[0]  # a notebook's kernel has arguments of its own

# %% [markdown]
# A config is a preset plus what you change in it. Every key that `lapg train` takes works here too.

# %%
tiny = ["updates=2", "meta_batch=2", "batch=2", "inner_episodes=2", "steps=3", "model.kind=tabular"]
changes = tiny if arguments.smoke else ["updates=100"]
base = config.override(config.preset("ipd-shaping-small"), changes)

# %% [markdown]
# Train with two estimators. A run that was interrupted goes on where it stopped, and a finished one is not repeated.

# %%
folders = {}
for estimator in ("lapg", "mfos"):
    folders[estimator] = arguments.runs / ("smoke" if arguments.smoke else "full") / estimator
    train(config.override(base, [f"estimator={estimator}"]), folders[estimator])
    last = RunFolder(folders[estimator]).metrics()[-20:]
    agent, naive = (np.mean([row[name] for row in last]) for name in ("reward_vs_naive", "naive_reward"))
    print(f"{estimator:5}  agent {agent:+.2f}  naive learner {naive:+.2f}  (reward per step, last updates)")

# %% [markdown]
# What does each agent do after each outcome, and how does the naive learner fare in the course of a meta-episode?

# %%
for estimator, folder in folders.items():
    match = evaluate(folder, meta_batch=2 if arguments.smoke else 64).match("naive")
    print(estimator)
    for state, p in zip(("s0", "CC", "CD", "DC", "DD"), match.own.signature, strict=True):
        print(f"  cooperates after {state}: {'never there' if p is None else f'{p:.2f}'}")
    first, *_, end = match.other.cooperation_curve
    print(f"  the naive learner cooperates: {first:.2f} in the first inner episode, {end:.2f} in the last")
