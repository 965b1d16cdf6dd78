# %% [markdown]
# # From extortion to cooperation
#
# Agents that learn among naive learners learn to extort them. Agents that then meet each other, before extortion has
# hardened, come to cooperate. One run, whose company changes on a schedule; docs/steering.md says why it works.
#
#     python examples/extortion_to_cooperation.py            # twenty minutes of a core; stop it and go on as you like
#     python examples/extortion_to_cooperation.py --smoke    # seconds: too short to learn anything

# %%
import argparse
import tempfile
from pathlib import Path

import numpy as np

import lapg_rl as rl

parser = argparse.ArgumentParser(allow_abbrev=False)
parser.add_argument("--smoke", action="store_true")
parser.add_argument("--runs", type=Path, default=Path(tempfile.gettempdir()) / "lapg-example")
arguments = parser.parse_known_args()[0]  # a notebook's kernel has arguments of its own

# %% [markdown]
# Naive learners alone first; mostly each other, with an entropy bonus, as soon as naive learners yield 0.6 a step; the bonus
# goes when they cooperate.

# %%
changes = ["pool.p_naive=1", "updates=300"]
stages = "reward_vs_naive>=0.6: p_naive=0.25 learner.entropy_coef=0.01; reward_vs_meta>=0.9: learner.entropy_coef=0"
if arguments.smoke:
    changes = ["updates=4", "meta_batch=4", "batch=2", "inner_episodes=2", "steps=3", "model.kind=tabular", "p_naive=1"]
    stages = "2: p_naive=0.5"
cfg = rl.override(rl.preset("ipd-mixed-small"), [*changes, f"schedule={stages}"])
folder = arguments.runs / ("smoke" if arguments.smoke else "full") / "curriculum"
rl.train(cfg, folder)

# %%
result = rl.collect(folder)
for name, words in {"reward_vs_naive": "against naive learners", "reward_vs_meta": "among agents"}.items():
    values = result.metrics[name]  # not a number where nobody of that kind was met
    shown = values[:: max(1, len(values) // 10)]
    print(f"{words:24}", " ".join("    -" if np.isnan(x) else f"{x:+.2f}" for x in shown))
print("naive learners:", result.verdict, "- among themselves:", result.pool_verdict)
print("wrote", rl.plot.save(rl.plot.each_run([result], "reward_vs_meta"), arguments.runs / "curriculum.png", width=4))
