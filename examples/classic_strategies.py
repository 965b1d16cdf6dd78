# %% [markdown]
# # Classic strategies, exactly
#
# What tit-for-tat, win-stay lose-shift, grim trigger and the others earn from each other, without sampling; which of them no
# other can invade; and which payoffs an extorter leaves to be had.
#
#     python examples/classic_strategies.py            # seconds
#     python examples/classic_strategies.py --smoke

# %%
import argparse
from pathlib import Path

import numpy as np

import lapg_theory as lt

parser = argparse.ArgumentParser(allow_abbrev=False)
parser.add_argument("--smoke", action="store_true")
parser.add_argument("--runs", type=Path, default=Path(), help="where the picture goes")
arguments = parser.parse_known_args()[0]  # a notebook's kernel has arguments of its own

# %% [markdown]
# A strategy is five probabilities of cooperating: at the start, and after CC, CD, DC, DD (own action first). Rewards are
# discounted; per step they are comparable.

# %%
game, horizon = lt.prisoners_dilemma(T=5, R=3, P=1, S=0), lt.Discounted(0.95)
names = ["allc", "alld", "tft", "gtft", "wsls", "grim"]
strategies = {name: lt.game.strategy(name) for name in names} | {"zd-3": lt.zd.extortionate(game, 0.95, 3)}
rows, columns = np.meshgrid(range(len(strategies)), range(len(strategies)), indexing="ij")
policies = np.array(list(strategies.values()))
earned = lt.exact_returns(game, policies[rows.ravel()], policies[columns.ravel()], horizon)[0]
table = np.asarray(earned).reshape(rows.shape) / horizon.weight

print("reward per step of the row player")
print(" " * 6 + "".join(f"{name:>7}" for name in strategies))
for name, row in zip(strategies, table, strict=True):
    print(f"{name:6}" + "".join(f"{x:7.2f}" for x in row))

# %% [markdown]
# The extorter earns three times the gain of whoever it meets, and nothing but P from itself. Which strategies are stable
# in a population of them all? Those against which no other earns more than they do.

# %%
for k, name in enumerate(strategies):
    better = [other for j, other in enumerate(strategies) if table[j, k] > table[k, k] + 1e-9]
    print(f"{name:6} {'resists all of these' if not better else 'is invaded by ' + ', '.join(better)}")

# %% [markdown]
# The payoffs that the extorter leaves, whatever the other does, are a line.

# %%
ax = lt.plot.payoffs(game, strategies["zd-3"], horizon, n=20 if arguments.smoke else 500)
ax.set_title("What an extorter of factor 3 leaves to be had")
print("wrote", lt.plot.save(ax, arguments.runs / "extortion.png", width=4))
