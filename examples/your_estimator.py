# %% [markdown]
# # An estimator of yours
#
# An estimator is a function of the rewards and values of one meta-episode; here one with a knob between the learning-aware
# gradient and one that sees no learning. It is used by its address, without a change of the library.
#
#     python examples/your_estimator.py            # a few minutes
#     python examples/your_estimator.py --smoke    # seconds: too short to learn anything

# %%
import argparse
import sys
import tempfile
from pathlib import Path

import lapg_rl as rl

parser = argparse.ArgumentParser(allow_abbrev=False)
parser.add_argument("--smoke", action="store_true")
parser.add_argument("--runs", type=Path, default=Path(tempfile.gettempdir()) / "lapg-example")
arguments = parser.parse_known_args()[0]  # a notebook's kernel has arguments of its own
arguments.runs.mkdir(parents=True, exist_ok=True)

# %% [markdown]
# It lives in a module, since a run's config names it: `half_aware:estimator`. `current` and `future` are each trajectory's
# return to the end of its inner episode, and from later ones, `[b, m, t]`; LAPG has `current / B` and `mean(future)`.

# %%
SOURCE = """
import lapg_rl as rl

#: Half of the weight that the future of all games has in the unbiased gradient.
estimator = rl.Estimator(lambda current, future: (current / len(current), 0.5 * future.mean(0, keepdims=True)))
"""
(arguments.runs / "half_aware.py").write_text(SOURCE)
sys.path.insert(0, str(arguments.runs))

# %%
tiny = ["updates=2", "meta_batch=2", "batch=2", "inner_episodes=2", "steps=3", "model.kind=tabular"]
base = rl.override(rl.preset("ipd-shaping-small"), tiny if arguments.smoke else ["updates=100"])
runs = []
for name in ("lapg", "half_aware:estimator"):
    cfg = rl.override(base, [f"estimator={name}"])
    runs.append(arguments.runs / ("smoke" if arguments.smoke else "full") / f"estimator-{name.partition(':')[0]}")
    rl.train(cfg, runs[-1])

# %%
print(rl.compare(runs, ["reward_vs_naive", "naive_reward", "cooperation_vs_naive"]))
