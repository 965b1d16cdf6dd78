# %% [markdown]
# # A phase diagram of the mixed pool
#
# Agents that see the learning of others meet naive learners with some probability, and each other otherwise. Which ends
# are there: defection, extortion, cooperation? And which of them do random pairs reach?
#
#     python examples/phase_diagram.py            # a minute or two
#     python examples/phase_diagram.py --smoke

# %%
import argparse
from pathlib import Path

import lapg_theory as lt

parser = argparse.ArgumentParser(allow_abbrev=False)
parser.add_argument("--smoke", action="store_true")
parser.add_argument("--runs", type=Path, default=Path(), help="where the picture goes")
arguments = parser.parse_known_args()[0]  # a notebook's kernel has arguments of its own
smoke = arguments.smoke

# %% [markdown]
# `nodes` naive learners stand for all; tau is their total learning time, rate times updates.

# %%
pool = lt.MetaGame(lt.prisoners_dilemma(), gamma=0.99, p_naive=0.5, eta=1.0, updates=5, nodes=8 if smoke else 128)
shares = [0.25, 0.75] if smoke else [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 0.995]
times = [4.0, 20.0] if smoke else [2.0, 5.0, 8.0, 12.0, 20.0, 50.0]
found = lt.attractor_map(pool, p_naive=shares, over="tau", values=times)
print("tau \\ share" + "".join(f"{share:>8g}" for share in shares))
for time, row in zip(times, found.names, strict=True):
    print(f"{time:>11g}" + "".join(f"{name or '-':>8}" for name in row))
print("D defection, E extortion, C cooperation exist as rest points of learning")

# %%
ax = lt.plot.phase(found)
print("wrote", lt.plot.save(ax, arguments.runs / "phase.png", width=5))

# %% [markdown]
# What is reached is a matter of basins: random pairs, at one point of the map.

# %%
ends = pool.basins(4 if smoke else 32, steps=50 if smoke else 800, rate=0.05, nodes=8)
for name, (share, low, high) in ends.shares.items():
    print(f"{name:10} {share:.2f} ({low:.2f} to {high:.2f})")
