"""CleanUp-lite: what scripted play earns, against the exact expectation over all games."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cleanup_reference import State, best_alone, expected_returns
from cleanup_states import pack, unpack

from lapg_rl.config import CleanUpConfig
from lapg_rl.envs import CleanUp
from lapg_rl.envs.cleanup import DOWN, LEFT, NOTHING, RIGHT, UP
from lapg_rl.envs.random_numbers import uniform
from lapg_rl.play.coplayers import CleanUpScript
from lapg_rl.play.rollout import broadcast_state


def towards(cell, target):
    """A step to the target: along the row, then along the column."""
    (r, c), (y, x) = cell, target
    return RIGHT if x > c else LEFT if x < c else DOWN if y > r else UP if y < r else NOTHING


def nearest(cell, rows, column):
    return min(((r, column) for r in rows), key=lambda at: (abs(at[0] - cell[0]), at[0]), default=cell)


def divided(cfg):
    """One cleans, one harvests."""

    def policy(state, step):
        cleaner, harvester = state.cells
        goal = nearest(cleaner, state.dirt, cfg.columns - 1)
        return towards(cleaner, goal), towards(harvester, nearest(harvester, state.apples, 0))

    return policy


def alternating(cfg, period=4):
    """Both take turns at the two jobs."""

    def policy(state, step):
        jobs = (step // period % 2, 1 - step // period % 2)
        goals = [
            nearest(cell, *((state.dirt, cfg.columns - 1) if job == 0 else (state.apples, 0)))
            for cell, job in zip(state.cells, jobs, strict=True)
        ]
        return tuple(towards(cell, goal) for cell, goal in zip(state.cells, goals, strict=True))

    return policy


@pytest.mark.parametrize("script", [divided, alternating])
def test_scripted_play_earns_what_the_enumeration_says(script):
    """A 2 x 3 grid, 12 steps, 400 games through the compiled step: both means within 4.5 standard errors of the exact
    expectation (a false alarm once in 70,000 keys).
    """
    cfg = CleanUpConfig(rows=2, columns=3, initial_dirt=2, dirt_limit=2.0)
    start = State(((0, 2), (1, 0)), (0, 0), frozenset({0, 1}), frozenset())
    policy, env, games, steps = script(cfg), CleanUp(cfg), 400, 12
    exact = expected_returns(cfg, start, policy, steps)
    step = jax.jit(lambda s, actions, key: jax.vmap(env.transition)(s, actions, uniform(key, (games, env.draws))))
    state = broadcast_state(pack(start), games)
    total = np.zeros((games, 2))
    for t in range(steps):
        actions = jnp.array([policy(unpack(state, n), t) for n in range(games)])
        state, rewards = step(state, actions, jax.random.fold_in(jax.random.key(8), t))
        total += np.asarray(rewards)
    assert exact[0] + exact[1] > 2
    assert np.all(np.abs(total.mean(0) - exact) < 4.5 * total.std(0) / math.sqrt(games) + 1e-9)


@pytest.mark.parametrize(("rows", "columns"), [(2, 3), (3, 3), (3, 4)])
@pytest.mark.parametrize("dirty", [1, 2, 4])
def test_scripts_go_where_the_rules_send_them(rows, columns, dirty):
    """2000 states of two players that aren't frozen, both views: against the rules written over rows and columns."""
    cfg = CleanUpConfig(rows=rows, columns=columns, initial_dirt=0)
    cells = list(itertools.product(range(rows), range(columns)))
    some = [frozenset(r for r in range(rows) if n >> r & 1) for n in range(2**rows)]
    known = [
        State(pair, (0, 0), dirt, apples)
        for pair in itertools.permutations(cells, 2)
        for dirt, apples in itertools.product(some, some)
    ]
    rng = np.random.default_rng(0)
    known = [known[n] for n in rng.permutation(len(known))[:2000]]
    env = CleanUp(cfg)
    seen = jax.vmap(env.observe)(jax.tree.map(lambda *x: jnp.stack(x), *map(pack, known)))
    for player in (0, 1):
        _, (logits, _) = CleanUpScript(env).act(jnp.array(dirty), seen[:, player])
        assert np.all(np.sort(np.asarray(jax.nn.softmax(logits)), axis=1)[:, -1] > 1 - 1e-6)
        expected = [scripted(cfg, state, player, dirty) for state in known]
        np.testing.assert_array_equal(logits.argmax(axis=1), expected)


def scripted(cfg, state, player, dirty):
    cell = state.cells[player]
    if len(state.dirt) >= dirty:
        goal = nearest(cell, state.dirt, cfg.columns - 1)
    else:
        goal = nearest(cell, state.apples, 0) if state.apples else (cell[0], 0)
    return towards(cell, goal)


@pytest.mark.parametrize("pair", [(2, 2), (2, 9), (9, 9)])
def test_what_scripts_earn_is_what_the_enumeration_says(pair):
    """2 x 3 cells, 10 steps from one start, 3000 games through `observe`, scripts and `transition`: both means within 4.5
    standard errors of the exact expectation; 6 numbers, so a false alarm once in 25,000 keys.
    """
    cfg = CleanUpConfig(rows=2, columns=3, initial_dirt=2, dirt_limit=2.0)
    start, env, games, steps = State(((0, 2), (1, 0)), (0, 0), frozenset({0, 1}), frozenset()), CleanUp(cfg), 3000, 10
    exact = expected_returns(cfg, start, lambda s, _: tuple(scripted(cfg, s, i, d) for i, d in enumerate(pair)), steps)

    @jax.jit
    def play(key):
        def one(state, key):
            seen = jax.vmap(env.observe)(state)
            actions = [
                CleanUpScript(env).act(jnp.array(d), seen[:, i])[1][0].argmax(axis=1) for i, d in enumerate(pair)
            ]
            return jax.vmap(env.transition)(state, jnp.stack(actions, axis=1), uniform(key, (games, env.draws)))

        return jax.lax.scan(one, broadcast_state(pack(start), games), jax.random.split(key, steps))[1].sum(0)

    total = np.asarray(play(jax.random.key(6)), float)
    assert np.all(np.abs(total.mean(0) - exact) < 4.5 * total.std(0, ddof=1) / math.sqrt(games) + 1e-9)
    assert exact[0] + exact[1] > (0.3 if pair[0] == 9 else 0.9)


def test_a_clean_river_by_hand():
    """Without new dirt: three patches in rows 0 to 2, gone in steps 0, 1 and 2; then an apple grows in every step.

    With n patches before the step it grows with probability 1 - n/3, on any of the three rows that bears none. Who stands in
    row 0 harvests what grows there at once; the other two rows fill up.
    """
    cfg = CleanUpConfig(rows=3, columns=2, dirt_rate=0.0)
    start = State(((0, 1), (0, 0)), (0, 0), frozenset({0, 1, 2}), frozenset())
    alone = lambda state, step: (DOWN, NOTHING)  # noqa: E731
    total = expected_returns(cfg, start, alone, 10)
    assert total[0] == 0
    grown = [0, 1 / 3, 2 / 3, 1, 1, 1, 1, 1, 1, 1]
    chance = {0: 1.0}  # hanging apples out of reach -> probability
    expected = 0.0
    for g in grown:
        following = {}
        for hanging, p in chance.items():
            free = 3 - hanging
            expected += p * g / free
            for new, q in ((hanging, 1 - g + g / free), (hanging + 1, g * (free - 1) / free)):
                if q:
                    following[new] = following.get(new, 0) + p * q
        chance = following
    assert total[1] == pytest.approx(expected)
    env = CleanUp(cfg)
    state = broadcast_state(pack(start), 4000)
    got, actions = np.zeros(4000), jnp.array([DOWN, NOTHING])
    step = jax.jit(lambda s, key: jax.vmap(env.transition, in_axes=(0, None, 0))(s, actions, uniform(key, (4000, 4))))
    for t in range(10):
        state, rewards = step(state, jax.random.fold_in(jax.random.key(3), t))
        got += np.asarray(rewards[:, 1])
    assert abs(got.mean() - expected) < 4.5 * got.std() / math.sqrt(4000)


def test_the_best_single_player_beats_standing_still_and_any_script():
    """The exact optimum of a tiny one-player game against the enumeration of its simplest script."""
    cfg = CleanUpConfig(rows=2, columns=2, initial_dirt=1, alone=True, dirt_limit=1.0)
    best, value = best_alone(cfg, 6)
    start = State(((0, 1), (1, 0)), (0, 0), frozenset({0}), frozenset())

    def script(state, step):
        goal = nearest(state.cells[0], state.dirt, 1) if state.dirt else nearest(state.cells[0], state.apples, 0)
        return towards(state.cells[0], goal), NOTHING

    scripted = expected_returns(cfg, start, script, 6)[0]
    assert 0 < scripted <= value[1, 1, 0] + 1e-9
    assert best > 0
