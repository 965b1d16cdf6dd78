"""CleanUp-lite once more, in plain Python: every outcome of a step with its probability. Written from the rules alone."""

import itertools
from collections import defaultdict
from typing import NamedTuple

MOVES = {0: (0, 1), 1: (0, -1), 2: (-1, 0), 3: (1, 0)}
ZAP = 4


class State(NamedTuple):
    cells: tuple  # ((row, column), (row, column))
    frozen: tuple
    dirt: frozenset  # rows
    apples: frozenset


def appearances(things, rows, rate):
    free = [r for r in range(rows) if r not in things]
    if not free or rate == 0:
        return [(1.0, things)]
    return [(1 - rate, things)] * (rate < 1) + [(rate / len(free), things | {r}) for r in free]


def harvests(cfg, cells, active, apples):
    """(probability, who harvests what: rows by player)"""
    takes = [c[0] if a and c[1] == 0 and c[0] in apples else None for c, a in zip(cells, active, strict=True)]
    if takes[0] is not None and takes[0] == takes[1]:
        return [(0.5, (takes[0], None)), (0.5, (None, takes[1]))]
    return [(1.0, tuple(takes))]


def hits(cfg, cells, active, actions):
    apart = [abs(a - b) for a, b in zip(*cells, strict=True)]
    distance = sum(apart) if cfg.distance == "manhattan" else max(apart)
    chance = [
        cfg.hit_rate if active[1 - i] and actions[1 - i] == ZAP and distance <= cfg.zap_range and active[i] else 0.0
        for i in (0, 1)
    ]
    for both in itertools.product((False, True), repeat=2):
        yield float((chance[0] if both[0] else 1 - chance[0]) * (chance[1] if both[1] else 1 - chance[1])), both


def moves(cfg, cells, mobile, actions):
    wanted = []
    for (row, column), able, action in zip(cells, mobile, actions, strict=True):
        down, right = MOVES.get(action, (0, 0)) if able else (0, 0)
        new = (row + down, column + right)
        wanted.append(new if 0 <= new[0] < cfg.rows and 0 <= new[1] < cfg.columns else (row, column))
    wanted = tuple(wanted)
    if cfg.overlap or cfg.alone:
        return [(1.0, wanted)]
    if wanted == cells[::-1]:  # a swap
        return [(1.0, cells)]
    if wanted[0] != wanted[1]:
        return [(1.0, wanted)]
    if wanted[0] == cells[0] or wanted[1] == cells[1]:  # into one that stays
        return [(1.0, cells)]
    return [(0.5, (wanted[0], cells[1])), (0.5, (cells[0], wanted[1]))]


def outcomes(cfg, state, actions):
    """{(next state, rewards): probability}"""
    found = defaultdict(float)
    active = [f == 0 for f in state.frozen]
    if cfg.alone:
        active[1] = False
    for p1, dirt in appearances(state.dirt, cfg.rows, cfg.dirt_rate):
        for p2, apples in appearances(state.apples, cfg.rows, 1 - min(1, len(dirt) / cfg.dirt_limit)):
            for p3, taken in harvests(cfg, state.cells, active, apples):
                cleaned = {c[0] for c, a in zip(state.cells, active, strict=True) if a and c[1] == cfg.columns - 1}
                for p4, hit in hits(cfg, state.cells, active, actions):
                    mobile = [a and not h for a, h in zip(active, hit, strict=True)]
                    frozen = tuple(
                        cfg.freeze_steps if h else max(f - 1, 0) for h, f in zip(hit, state.frozen, strict=True)
                    )
                    for p5, cells in moves(cfg, state.cells, mobile, actions):
                        rewards = tuple(float(t is not None) for t in taken)
                        new = State(cells, frozen, frozenset(dirt - cleaned), frozenset(apples - set(taken)))
                        if p1 * p2 * p3 * p4 * p5:
                            found[new, rewards] += p1 * p2 * p3 * p4 * p5
    return dict(found)


def expected_returns(cfg, start, policy, steps):
    """Exact expected sum of rewards of both players from a start; `policy(state, step)` gives the joint action."""
    now, total = {start: 1.0}, [0.0, 0.0]
    for step in range(steps):
        following = defaultdict(float)
        for state, weight in now.items():
            for (new, rewards), p in outcomes(cfg, state, policy(state, step)).items():
                following[new] += weight * p
                total = [t + weight * p * r for t, r in zip(total, rewards, strict=True)]
        now = following
    return total


def best_alone(cfg, steps):
    """Exact expected return of the best one-player policy, from the random start, and the value table [cell, dirt, apples]."""
    import numpy as np

    rows, columns, sets = cfg.rows, cfg.columns, 2**cfg.rows
    members = [frozenset(r for r in range(rows) if s >> r & 1) for s in range(sets)]
    index = {m: s for s, m in enumerate(members)}

    def chances(rate):
        table = np.zeros((sets, sets))
        for s, m in enumerate(members):
            for p, new in appearances(m, rows, rate):
                table[s, index[frozenset(new)]] += p
        return table

    dirty = chances(cfg.dirt_rate)
    grow = np.stack([chances(1 - min(1, len(m) / cfg.dirt_limit)) for m in members])  # [dirt now, apples, apples]
    cells = [(r, c) for r in range(rows) for c in range(columns)]
    without = np.array([[s & ~(1 << r) for s in range(sets)] for r in range(rows)])
    has = np.array([[s >> r & 1 for s in range(sets)] for r in range(rows)], float)
    value = np.zeros((len(cells), sets, sets))
    for _ in range(steps):
        new = np.empty_like(value)
        for n, (r, c) in enumerate(cells):
            targets = {(r, c)} | {
                (r + d, c + e) for d, e in MOVES.values() if 0 <= r + d < rows and 0 <= c + e < columns
            }
            best = np.full((sets, sets), -np.inf)
            for target in targets:
                after = value[cells.index(target)]  # [dirt, apples] after harvest and cleaning
                if c == columns - 1:
                    after = after[without[r]]
                if c == 0:
                    after = after[:, without[r]] + has[r]
                settled = np.einsum("dab,db->da", grow, after)  # [dirt now, apples before]
                best = np.maximum(best, dirty @ settled)
            new[n] = best
        value = new
    starts = [s for s, m in enumerate(members) if len(m) == cfg.initial_dirt]
    return value[:, starts, 0].mean(), value
