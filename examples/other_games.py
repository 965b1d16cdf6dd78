# %% [markdown]
# # Stag hunt, chicken, public goods
#
# Learning awareness is not only about the prisoner's dilemma. Where naive learners end in three other games, exactly.
#
#     python examples/other_games.py            # half a minute
#     python examples/other_games.py --smoke

# %%
import argparse

import numpy as np

import lapg_theory as lt
from lapg_theory.learning import Naive

parser = argparse.ArgumentParser(allow_abbrev=False)
parser.add_argument("--smoke", action="store_true")
smoke = parser.parse_known_args()[0].smoke  # a notebook's kernel has arguments of its own

# %% [markdown]
# Two by two: in a stag hunt both conventions are stable and the start decides; in chicken somebody has to give way.

# %%
pairs, updates = (8, 50) if smoke else (256, 500)
start = tuple(np.random.default_rng(0).normal(size=(2, pairs, 5)))
for name, game in {"stag hunt": lt.stag_hunt(), "chicken": lt.chicken()}.items():
    path = lt.iterate(Naive(rate=5.0), game, lt.Discounted(0.9), start, updates)
    own, other = np.sort(path.rewards[-1], axis=1).T
    print(f"{name}: the poorer player of a pair earns {own.mean():.2f} on average, the richer {other.mean():.2f}")

# %% [markdown]
# A public good of many players: everybody pays 1, the sum is multiplied and shared. Returns of a group are exact, by counting.

# %%
players = 4 if smoke else 50
game = lt.public_goods(players, factor=1.6)
give, keep = (lt.game.group_strategy(name, players) for name in ("allc", "alld"))
for share in (0.0, 0.5, 1.0):
    givers = round(share * players)
    returns = lt.general_returns(game, [give] * givers + [keep] * (players - givers), lt.Discounted(0.9)) * 0.1
    earned = ", ".join(f"{x:+.2f}" for x in sorted(set(np.round(returns, 2).tolist())))
    print(f"{givers:3} of {players} give: {earned} per step")
