# %% [markdown]
# # The flow of naive learning
#
# Learners that climb their own return end in mutual defection from nearly everywhere. Learners that look one step of the
# other's learning ahead (LOLA) do not, if they trust it enough.
#
#     python examples/naive_flow.py            # half a minute
#     python examples/naive_flow.py --smoke

# %%
import argparse

import numpy as np

import lapg_theory as lt
from lapg_theory.learning import LolaTaylor, Naive

parser = argparse.ArgumentParser(allow_abbrev=False)
parser.add_argument("--smoke", action="store_true")
smoke = parser.parse_known_args()[0].smoke  # a notebook's kernel has arguments of its own

# %% [markdown]
# Many pairs at once, from random log-odds of cooperating after the start, CC, CD, DC, DD.

# %%
game, horizon = lt.prisoners_dilemma(), lt.Discounted(0.96)
pairs, updates = (8, 50) if smoke else (128, 400)
rules = {"naive": Naive(normalize=False), "LOLA": LolaTaylor(normalize=False)}  # as published: rates of 1 on returns
start = tuple(np.random.default_rng(0).normal(size=(2, pairs, 5)))
for name, rule in rules.items():
    path = lt.iterate(rule, game, horizon, start, updates)
    mean = path.rewards.mean((1, 2))
    shown = " ".join(f"{x:+.2f}" for x in mean[:: max(1, len(mean) // 8)])
    print(f"{name:6} mean reward per step, over the updates: {shown}")
    last = 1 / (1 + np.exp(-np.asarray(path.last[0])))
    print(f"{'':6} cooperates at the end after s0, CC, CD, DC, DD: {np.round(last.mean(0), 2)}")

# %% [markdown]
# The mean hides that runs end in one of two ways: how many pairs cooperate?

# %%
for name, rule in rules.items():
    ends = lt.iterate(rule, game, horizon, start, updates).rewards[-1].mean(-1)
    print(f"{name:6} {np.mean(ends > 0.75):.0%} of the pairs cooperate, {np.mean(ends < 0.25):.0%} defect")
