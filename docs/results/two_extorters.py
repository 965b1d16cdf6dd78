"""From which extorters does learning from each other lead to cooperation? The tables of the page; two minutes, JAX.

`p = 1/2 + d (extorter - 1/2)`, d the determinism; each of two players adds N(0, asymmetry^2) to its logits, and both ascend
their exact returns against each other. Nobody else is met but in the last table: a share of random strategies, which don't
learn.
"""

import numpy as np
from scipy.special import logit

from lapg_theory.basin import Course, Pool, Stage, integrate
from lapg_theory.basin.course import wilson
from lapg_theory.game import Discounted, prisoners_dilemma
from lapg_theory.game.words import MUCH
from lapg_theory.symbolic.zd import least_determinism
from lapg_theory.zd import extortionate, feasible

GAME, GAMMA, PAIRS, STEPS = prisoners_dilemma(), 0.99, 32, 2000
DETERMINISM, FACTORS = (0.5, 0.8, 0.9, 0.99, 0.999), (1.5, 2, 3, 5, 10)
LEARNT = (0, 0.93, 0, 0.395, 0)  # best against 20 updates of naive learners at rate 2
SHARES = (0.02, 0.05, 0.1, 0.15, 0.25, 0.5)
RATES = {"ascent": 2.0, "adamw": 0.02}


def trained(
    extorter, determinism, asymmetry, optimiser, pairs=PAIRS, steps=STEPS, entropy=0.0, strategies=0.0, drawn=1
) -> Course:
    """Pairs of softened extorters that learn from each other, all from one seed, and from a share of random strategies."""
    softened = 0.5 + determinism * (np.asarray(extorter) - 0.5)
    starts = logit(softened) + asymmetry * np.random.default_rng(0).standard_normal((pairs, 2, 5))
    others = logit(np.random.default_rng(drawn).random((64 if strategies else 1, 5)))  # uniform; they never learn
    company = Pool(GAME, Discounted(GAMMA), eta=0.0, updates=0, learners=others)
    stages = [Stage(strategies, rate=RATES[optimiser], entropy=entropy)]
    return integrate(company, stages, starts, steps=steps, every=20, optimiser=optimiser)


def outcome(course: Course) -> str:
    """How many pairs came to earn what cooperators do, when (median); how many ended as cooperators, as defectors."""
    earns = course.among >= MUCH
    came = earns.any(0)
    when = f" @{np.median(course.steps[earns.argmax(0)[came]]):.0f}" if came.any() else ""
    return f"{came.sum()}{when}; {course.labels.count('cooperate')}, {course.labels.count('defect')}"


def bound(chi) -> float:
    """The determinism from which on every slope of such a pair points to cooperation."""
    low, high = feasible(GAME, GAMMA, baseline=0, chi=chi).phi
    return float(least_determinism()(b=2, c=1, chi=chi, phi=(low + high) / 2))


if __name__ == "__main__":
    extorters = [(f"{chi:g} ({bound(chi):.3f})", extortionate(GAME, GAMMA, chi)) for chi in FACTORS]
    for optimiser, asymmetry in (("ascent", 0.1), ("ascent", 0.5), ("adamw", 0.1), ("adamw", 0.5)):
        print(f"\n{optimiser}, asymmetry {asymmetry}\n| factor (d*) |", " | ".join(map(str, DETERMINISM)), "|")
        for name, policy in [*extorters, ("learnt", LEARNT)]:
            cells = [outcome(trained(policy, d, asymmetry, optimiser)) for d in DETERMINISM]
            print(f"| {name} |", " | ".join(cells), "|", flush=True)
    print("\nadamw, asymmetry 0.1, d 0.99, 16 pairs, by share of random strategies")
    print("| factor |", " | ".join(map(str, SHARES)), "|")
    for name, policy in [*extorters, ("learnt", LEARNT)]:
        kind = {"determinism": 0.99, "asymmetry": 0.1, "optimiser": "adamw", "pairs": 16}
        cells = [outcome(trained(policy, **kind, strategies=share)) for share in SHARES]
        print(f"| {name} |", " | ".join(cells), "|", flush=True)
    for k in (0, 1, 2, 8, 16, 24, 32):
        print(f"{k} of {PAIRS}: 95% {wilson(k, PAIRS)[0]:.2f} to {wilson(k, PAIRS)[1]:.2f}")
