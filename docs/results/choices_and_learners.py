"""What methods that shape choices do to a learner: exact ascent against co-players of every level, one inner episode.

The co-player tosses a coin that cooperates with chance q, whatever happens: a naive learner without memory, at some point of
its course. The agent's policy is a table over (step, the co-player's cooperations so far, its own), either one for each q, as
a memory of the whole meta-episode lets it have, or one for all, whose expectations are those given its state. Printed: what
the agent earns a step, how often it cooperates, and the slope of the learner's return a step in q.
"""

import numpy as np

STEPS, b, c = 10, 2.0, 1.0  # the donation game (2, 1, 0, -1)
CHANCES = np.array([0.5, 0.6, 0.7, 0.8, 0.9, 0.95])
#: weight of the shaping term, decay of the past, weights of surprises at C and D, whether these are of rewards alone
RULES = {
    "independent": (0.0, 1.0, lambda q: (1.0, 1.0), False),
    "Advantage Alignment": (1.0, 1.0, lambda q: (1.0, 1.0), False),
    "Reciprocator": (5.0, 1.0, lambda q: (1.0, 1.0), True),
    "LOQA": (1.0, 0.9, lambda q: (1 - q, q), False),
}
OUTCOMES = [(own, other) for own in (1, 0) for other in (1, 0)]  # 1: cooperates


def at(x, own, other):
    """Of a table over (theirs, own) cooperations, the part that follows an outcome; after (0, 0) the states themselves."""
    return x[..., other : other + STEPS + 1, own : own + STEPS + 1]


def play(p, q):
    """Chance of every state [q, step, theirs, own] and the mean return from it on."""
    seen = np.zeros((len(q), STEPS + 1, STEPS + 2, STEPS + 2), q.dtype)
    value, q = np.zeros(seen.shape, q.dtype), q[:, None, None]
    chance = [[q, 1 - q][1 - other] * 1.0 for _, other in OUTCOMES]
    seen[:, 0, 0, 0] = 1
    for k in range(STEPS):
        now = seen[:, k, : STEPS + 1, : STEPS + 1]
        for (own, other), often in zip(OUTCOMES, chance, strict=True):
            at(seen[:, k + 1], own, other)[...] += now * often * (p[:, k] if own else 1 - p[:, k])
    for k in reversed(range(STEPS)):
        for (own, other), often in zip(OUTCOMES, chance, strict=True):
            worth = b * other - c * own + at(value[:, k + 1], own, other)
            value[:, k, : STEPS + 1, : STEPS + 1] += often * (p[:, k] if own else 1 - p[:, k]) * worth
    return seen, value


def known(x, seen, knows):
    """What the agent expects x to be in each state, from its values at each q and how often it is there."""
    return x if knows else (seen * x).sum(0) / np.maximum(seen.sum(0), 1e-300) + 0 * x


def ascend(rule, knows, updates=1500, rate=1.0):
    """The policy after so many steps, [q, step, theirs, own]."""
    strength, decay, weights, rewards_alone = RULES[rule]
    logits = np.zeros((len(CHANCES), STEPS, STEPS + 1, STEPS + 1))
    q = CHANCES[:, None, None]
    for _ in range(updates):
        p = 1 / (1 + np.exp(-logits))
        seen, value = play(p, CHANCES)
        past, force = np.zeros_like(value), np.zeros_like(logits)
        expected = [known(value[:, k], seen[:, k], knows) for k in range(STEPS + 1)]
        for k in range(STEPS):
            now, before = at(seen[:, k], 0, 0), at(known(past[:, k], seen[:, k], knows), 0, 0)
            level = known(q + 0 * now, now, knows)
            mass = np.zeros_like(past[:, 0])
            worth = {}
            for own, other in OUTCOMES:
                surprise = b * other - c * own + at(expected[k + 1], own, other) - at(expected[k], 0, 0)
                worth[own, other] = -c * own + at(value[:, k + 1], own, other)
                surprise = b * (other - level) if rewards_alone else surprise
                often = now * (q if other else 1 - q) * (p[:, k] if own else 1 - p[:, k])
                at(mass, own, other)[...] += often * (decay * before + weights(level)[1 - other] * surprise)
            past[:, k + 1] = mass / np.maximum(seen[:, k + 1], 1e-300)
            gap = q * (worth[1, 1] - worth[0, 1]) + (1 - q) * (worth[1, 0] - worth[0, 0])
            force[:, k] = known(gap + strength * b * before, now, knows)
        logits = np.clip(logits + rate * p * (1 - p) * force, -12, 12)
    return 1 / (1 + np.exp(-logits))


def learners_slope(p, q):
    """d/dq of the learner's return a step, the agent's policy held fixed (a complex step)."""
    q = q + 1e-20j
    seen, _ = play(p.astype(complex), q)
    theirs = b * (seen[:, :-1, : STEPS + 1, : STEPS + 1] * p).sum((1, 2, 3)) - c * q * STEPS
    return theirs.imag / 1e-20 / STEPS


def table():
    """Rows of (rule, what the agent knows, and for each q its reward, its cooperation, the learner's slope)."""
    for rule in RULES:
        for knows in (True, False):
            p = ascend(rule, knows)
            seen, value = play(p, CHANCES)
            often = (seen[:, :-1, : STEPS + 1, : STEPS + 1] * p).sum((1, 2, 3)) / STEPS
            yield rule, knows, np.stack([value[:, 0, 0, 0] / STEPS, often, learners_slope(p, CHANCES)])


if __name__ == "__main__":
    print("| method | knows q |", *(f"q = {q:g} |" for q in CHANCES))
    print("|---|---|" + "---|" * len(CHANCES))
    for rule, knows, figures in table():
        cells = (f"{own:.2f}, {often:.2f}, {slope:+.1f}" for own, often, slope in figures.T)
        print(f"| {rule} | {'yes' if knows else 'no'} |", " | ".join(cells), "|")
