# %% [markdown]
# # A tournament
#
# A trained agent, classic strategies and naive learners play everyone against everyone. Who earns most depends on who is there.
#
#     python examples/tournament.py            # a few minutes
#     python examples/tournament.py --smoke    # seconds: too short to learn anything

# %%
import argparse
import tempfile
from pathlib import Path

import lapg_rl as rl

parser = argparse.ArgumentParser(allow_abbrev=False)
parser.add_argument("--smoke", action="store_true")
parser.add_argument("--runs", type=Path, default=Path(tempfile.gettempdir()) / "lapg-example")
arguments = parser.parse_known_args()[0]  # a notebook's kernel has arguments of its own

# %%
tiny = ["updates=2", "meta_batch=2", "batch=2", "inner_episodes=2", "steps=3", "model.kind=tabular"]
cfg = rl.override(rl.preset("ipd-shaping-small"), tiny if arguments.smoke else ["updates=100"])
folder = arguments.runs / ("smoke" if arguments.smoke else "full") / "player"
rl.train(cfg, folder)

# %% [markdown]
# `zd-extort-3` is an extortioner, of factor 3 in long games; `naive` are fresh naive learners, who can only be met.

# %%
others = (
    ["tft", "alld", "naive"] if arguments.smoke else ["tft", "gtft", "wsls", "grim", "alld", "zd-extort-3", "naive"]
)
played = rl.tournament([folder], others, meta_batch=2 if arguments.smoke else 64)
for rank in played.players.ranking:
    print(f"{rank.name:30} {rank.score:+.3f}")
print("wrote", rl.plot.save(rl.plot.cross_play(played), arguments.runs / "tournament.png", width=6))
