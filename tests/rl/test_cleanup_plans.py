"""Plans for CleanUp-lite: against expectimax over the rules written once more, and what scripts earn there."""

import dataclasses
import functools
import itertools

import numpy as np
import pytest
from cleanup_reference import State, best_alone, expected_returns, outcomes

from lapg_rl.config import CleanUpConfig
from lapg_rl.envs.cleanup import NOTHING
from lapg_rl.study.cleanup_plans import MOVES, CleanUpPlans

TINY = CleanUpConfig(rows=2, columns=2, initial_dirt=1, dirt_limit=1.5, dirt_rate=0.4)
WIDE = CleanUpConfig(rows=2, columns=3, initial_dirt=2, dirt_limit=2.0)


def starts(cfg):
    cells = list(itertools.product(range(cfg.rows), range(cfg.columns)))
    dirts = itertools.combinations(range(cfg.rows), cfg.initial_dirt)
    return [
        State(pair, (0, 0), frozenset(dirt), frozenset())
        for pair, dirt in itertools.product(itertools.permutations(cells, 2), list(dirts))
    ]


def expectimax(cfg, steps, worth, partner=None):
    """The best expectation of worth . rewards; the partner does what `partner(state)` says, is random, or is moved, too."""
    replies = {"random": lambda _: list(MOVES), None: lambda _: list(MOVES)}.get(partner) or (lambda s: [partner(s)])

    @functools.cache
    def value(state, left):
        if not left:
            return 0.0
        found = {
            joint: sum(
                p * (float(np.dot(worth, rewards)) + value(new, left - 1))
                for (new, rewards), p in outcomes(cfg, state, joint).items()
            )
            for joint in itertools.product(MOVES, replies(state))
        }
        if partner is None:
            return max(found.values())
        return max(np.mean([x for joint, x in found.items() if joint[0] == own]) for own in MOVES)

    return np.mean([value(start, steps) for start in starts(cfg)]) / steps


def stays(_):
    return NOTHING


@pytest.mark.parametrize(("cfg", "steps"), [(TINY, 4), (WIDE, 3)])
def test_plans_are_those_of_expectimax(cfg, steps):
    plans = CleanUpPlans(cfg)
    still = np.zeros_like(plans.policy("random"))
    still[list(MOVES).index(NOTHING)] = 1
    assert plans.best(steps).own == pytest.approx(expectimax(cfg, steps, (1, 0)), rel=1e-5)
    assert sum(plans.best(steps, total=True)) == pytest.approx(expectimax(cfg, steps, (1, 1)), abs=1e-12)
    assert plans.best(steps, partner=still).own == pytest.approx(expectimax(cfg, steps, (1, 0), stays), rel=1e-5)
    partner = plans.policy("random")
    assert plans.best(steps, partner=partner).own == pytest.approx(expectimax(cfg, steps, (1, 0), "random"), rel=1e-5)
    assert min(plans.best(steps, partner=policy).own for policy in (partner, still)) > 0.05


@pytest.mark.parametrize("cfg", [TINY, dataclasses.replace(WIDE, rows=3, initial_dirt=1)])
def test_a_player_alone_plans_as_the_one_player_optimum(cfg):
    alone = dataclasses.replace(cfg, alone=True)
    assert CleanUpPlans(alone).best(7).own * 7 == pytest.approx(best_alone(alone, 7)[0], abs=1e-12)
    assert CleanUpPlans(alone).best(7).partner == 0


@pytest.mark.parametrize(
    ("first", "second"), [("cleaner", "harvester"), ("harvester", "cleaner"), ("cleaner", "cleaner")]
)
def test_scripts_earn_what_the_enumeration_says(first, second):
    """Both play by their scripts from every start; the scripts themselves have a test of their own."""
    cfg, steps, plans = WIDE, 5, CleanUpPlans(WIDE)
    tables = [plans.policy(first, 0), plans.policy(second, 1)]

    def joint(state, _):
        at = (sum(1 << r for r in state.dirt), plans.places.index(state.cells), sum(1 << r for r in state.apples))
        return tuple(list(MOVES)[table[:, *at].argmax()] for table in tables)

    exact = np.mean([expected_returns(cfg, start, joint, steps) for start in starts(cfg)], axis=0) / steps
    np.testing.assert_allclose(plans.best(steps, partner=tables[1], own=tables[0]), exact, atol=1e-12)
    assert exact.max() > 0.1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"overlap": True}, r"overlap = false: players who share a cell"),
        ({"rows": 6}, r"this game has 2,260,992 states, and plans may have at most 500,000; take a smaller grid"),
    ],
)
def test_games_that_have_no_plan_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        CleanUpPlans(dataclasses.replace(CleanUpConfig(), **changes))


def test_what_a_plan_can_t_be_asked():
    plans = CleanUpPlans(TINY)
    with pytest.raises(ValueError, match="unknown policy 'zapper'; known: cleaner, harvester, random"):
        plans.policy("zapper")
    for more in ({}, {"partner": plans.policy("cleaner"), "total": True}):
        with pytest.raises(ValueError, match=r"own needs a partner's policy, too .* no total"):
            plans.best(2, own=plans.policy("cleaner", 0), **more)
    with pytest.raises(ValueError, match="player must be from 0 to 1, got 2"):
        plans.policy("cleaner", 2)
    with pytest.raises(
        ValueError, match=r"partner must be a policy of this game, \[5, 4, 12, 4\], got shape \[5, 4, 30, 4\]"
    ):
        plans.best(2, partner=CleanUpPlans(WIDE).policy("random"))
    with pytest.raises(ValueError, match="there is no partner"):
        CleanUpPlans(dataclasses.replace(TINY, alone=True)).best(2, partner=plans.policy("random"))
    with pytest.raises(ValueError, match="steps must be an integer >= 1, got 0"):
        plans.best(0)
