"""What inference is worth against random memory-one strategies, and what it can be made to give; a minute, NumPy alone.

The learner keeps a Beta posterior of the co-player's chance of cooperating in each state and acts as if it were its mean, plus
`hope` standard deviations where it has just cooperated. It plans for ever at discount 0.97. That bounds from below what
inference is worth.
"""

import numpy as np

from lapg_rl.study.exploitation import best_reply
from lapg_theory.game import prisoners_dilemma

T, R, P, S = prisoners_dilemma().trps
OWN = np.array([R, S, T, P], float)  # after CC, CD, DC, DD, own action first
OTHER = OWN[[0, 2, 1, 3]]


def plan(chances, gamma):
    """How much more it pays to cooperate than to defect in the long run, if the other cooperates with these chances."""
    values = np.zeros_like(chances)
    for _ in range(80):
        follow = OWN + gamma * values
        cooperate = chances * follow[:, [0]] + (1 - chances) * follow[:, [1]]
        defect = chances * follow[:, [2]] + (1 - chances) * follow[:, [3]]
        values = np.maximum(cooperate, defect)
    return cooperate - defect


def learner(strategies, steps, hope, seed=0):
    """Rewards a step of the learner and of each strategy `[n, 5]` (own view), and how often the learner cooperates."""
    draws, n = np.random.default_rng(seed).random((steps, len(strategies))), np.arange(len(strategies))
    theirs = strategies[:, [0, 1, 3, 2, 4]]
    yes, no = np.ones((len(n), 4)), np.ones((len(n), 4))
    earned, cooperated, state = np.zeros((2, len(n))), np.zeros(len(n)), None
    for step in range(steps):
        action = np.ones(len(n), int)
        if state is not None:
            count = yes + no
            mean = yes / count
            mean[:, :2] += hope * (1 - step / steps) * np.sqrt(mean * (1 - mean) / (count + 1))[:, :2]
            action = (plan(np.clip(mean, 0, 1), min(0.97, 1 - 1 / (steps - step)))[n, state] <= 0).astype(int)
        other = draws[step] >= (theirs[:, 0] if state is None else theirs[n, 1 + state])
        if state is not None:
            yes[n, state] += ~other
            no[n, state] += other
        state = 2 * action + other
        earned += OWN[state], OTHER[state]
        cooperated += action == 0
    return earned / steps, cooperated / steps


def defector(strategies, steps):
    """What always-defect earns from each strategy a step."""
    chance, total = strategies[:, 0], 0.0
    for _ in range(steps):
        total = total + 2 * chance
        chance = chance * strategies[:, 2] + (1 - chance) * strategies[:, 4]
    return total / steps


def mean(values):
    """A mean and its standard error."""
    return f"{values.mean():.4f} +- {values.std() / len(values) ** 0.5:.4f}"


if __name__ == "__main__":
    drawn = np.random.default_rng(7).random((4000, 5))
    for steps in (50, 100):
        base = defector(drawn, steps)
        payoffs = np.stack([OWN.reshape(2, 2), OWN.reshape(2, 2).T])
        told = [best_reply(payoffs, np.stack([p, 1 - p], axis=1), steps)[0] for p in drawn[:1000]]
        print(steps, "always defect", mean(base), "more, if told the strategy", mean(np.array(told) - base[:1000]))
        for hope in (0.0, 0.7, 1.0):
            (own, _), often = learner(drawn, steps, hope)
            print("   hope", hope, "more by inference", mean(own - base), "cooperates", round(often.mean(), 3))
            tried = np.repeat(np.random.default_rng(8).random((1500, 5)).round(1), 8, axis=0)
            (_, gained), _ = learner(tried, steps, hope)
            best = np.argsort(-gained.reshape(-1, 8).mean(1))[:20]  # chosen by some games, scored by others
            again = np.repeat(tried[best * 8], 100, axis=0)
            (kept, gained), often = learner(again, steps, hope, seed=1)
            top = gained.reshape(-1, 100).mean(1).argmax()
            part = slice(100 * top, 100 * top + 100)
            print(
                "      extorted by", again[100 * top], mean(gained[part]), "keeps", mean(kept[part]), often[part].mean()
            )
