"""What the theory says of the preset public-goods-small before any run; half a minute."""

import numpy as np

from lapg_theory.certificate.group import critical_time, group_components
from lapg_theory.game import FiniteHorizon, group_strategy, public_goods
from lapg_theory.shaping.group import group_curves, group_optimum

game, horizon, coins = public_goods(3, 2.0), FiniteHorizon(10), np.zeros((1, 2, 7))
setting = {"eta": 8.0, "episodes": 20}


def show(name, curves):
    """A row of the table."""
    own, learners = curves
    print(f"{name:24} {own.mean():.3f} {learners.mean():.3f}   {learners[0]:.3f}, {learners[-1]:.3f}")


for name in ("alld", "allc", "tft", "grim"):
    show(name, group_curves(game, group_strategy(name, 3), horizon, starts=coins, **setting))
for by_episode in (False, True):
    best = group_optimum(game, horizon, by_episode=by_episode, starts=6, **setting)
    show("by episode" if by_episode else "memory one", (best.curve, best.learners_curve))
    print(best.policies.round(2), np.round(best.ends, 3))
print("critical learning time", round(critical_time(game, gamma=0.9, naive=2, updates=19), 2))
for eta in (0.5, 1, 2, 4, 8, 16, 32):
    found = group_components(game, gamma=0.9, eta=eta, updates=19, naive=2, spread=0.0, nodes=1, scramblings=2)
    print(eta, {state: round(value, 3) for state, (value, _) in found.items()})
