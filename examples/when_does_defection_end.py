# %% [markdown]
# # When does mutual defection stop being stable?
#
# Two agents defect, always. Some of the co-players they meet learn naively. Does an agent that is aware of that learning
# leave defection? The answer is exact, and conditional: it needs a naive learner that learns enough, but not too fast.
#
#     python examples/when_does_defection_end.py            # about a minute
#     python examples/when_does_defection_end.py --smoke

# %%
import argparse

import numpy as np

from lapg_theory import defection_certificate, train_shaper
from lapg_theory.game import Discounted, prisoners_dilemma

parser = argparse.ArgumentParser(allow_abbrev=False)
parser.add_argument("--smoke", action="store_true")
smoke = parser.parse_known_args()[0].smoke  # a notebook's kernel has arguments of its own

# %% [markdown]
# The window of naive learning rates (on returns per step) inside which defection is left, and the critical total learning
# time tau*. Some dilemmas have no window at all: there mutual defection stays stable, whoever learns and how.

# %%
payoffs = {"donation game, benefit 2 cost 1": (2, 1, 0, -1), "cooperating with a defector is ruinous": (3, 2, 1, -5)}
settings = {"gamma": 0.95, "eta": 2.0, "updates": 5 if smoke else 20, "nodes": 64 if smoke else 1024}
for name, (T, R, P, S) in payoffs.items():
    certificate = defection_certificate(prisoners_dilemma(T, R, P, S), **settings)
    window = certificate.window
    print(f"{name}:", "no window" if window is None else f"eta from {window[0]:.3f} to {window[1]:.1f}")
    if window is not None:
        print(f"  critical learning time tau* = {certificate.tau_star:.2f}")
        print(f"  estimators that forget the minibatch escape only below batch size {certificate.batch_star:.2f}")

# %% [markdown]
# Inside the window: which policy does the aware agent reach, and what does it earn?

# %%
game, horizon = prisoners_dilemma(), Discounted(0.95)
learners = np.random.default_rng(0).normal(size=(8, 5)) if smoke else None
shaper = train_shaper(game, horizon, eta=2.0, updates=settings["updates"], learners=learners)
print("policy after s0, CC, CD, DC, DD:", np.round(shaper.policy, 3))
print(f"reward per step {shaper.value:.3f}, the naive learner's {shaper.naive_value:.3f}")
print("naive learner's reward in each inner episode:", np.round(shaper.naive_curve, 2))
