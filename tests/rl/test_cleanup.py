"""CleanUp-lite: every rule against an independent enumeration, in state and in numbers."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cleanup_reference import State, outcomes
from cleanup_states import pack, unpack

from lapg_rl.config import CleanUpConfig
from lapg_rl.envs import CleanUp
from lapg_rl.envs.cleanup import NOTHING, ZAP, CleanUpState
from lapg_rl.envs.random_numbers import threefry, uniform

SMALL = CleanUpConfig(rows=3, columns=3, initial_dirt=2)
VARIANTS = {
    "published": CleanUpConfig(),
    "small": SMALL,
    "wide": CleanUpConfig(rows=2, columns=5, initial_dirt=1, zap_range=3, freeze_steps=2, dirt_limit=2.0),
    "overlap": dataclasses.replace(SMALL, overlap=True),
    "diagonal": dataclasses.replace(SMALL, columns=4, distance="chebyshev", hit_rate=0.5),
    "alone": dataclasses.replace(SMALL, alone=True),
}


@functools.cache
def stepper(cfg, count):
    env = CleanUp(cfg)
    return jax.jit(
        lambda state, actions, key: jax.vmap(env.transition, in_axes=(None, None, 0))(
            state, actions, uniform(key, (count, env.draws))
        )
    )


def random_state(cfg, rng):
    cells = [divmod(int(c), cfg.columns) for c in rng.choice(cfg.rows * cfg.columns, 2, replace=cfg.overlap)]
    if cfg.overlap and rng.random() < 0.5:
        cells = [(cells[0][0], 0)] * 2
    rows = range(cfg.rows)
    pick = lambda: frozenset(r for r in rows if rng.random() < 0.5)  # noqa: E731
    frozen = tuple(int(x) for x in rng.choice([0, 0, 0, 1, cfg.freeze_steps], 2))
    return State(tuple(cells), frozen, pick(), pick())


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_outcome_of_a_step_has_its_probability(variant):
    """From 40 random states and joint actions, 4,000 steps each: no outcome beyond the enumeration, and frequencies within
    5.5 standard deviations of their probabilities; about 2,000 outcomes a variant make a false alarm 1 key in 12,000.
    """
    cfg, rng, count = VARIANTS[variant], np.random.default_rng(3), 4000
    step = stepper(cfg, count)
    for trial in range(40):
        state, actions = random_state(cfg, rng), tuple(int(a) for a in rng.integers(0, 6, 2))
        if trial % 4 == 0:
            actions = (ZAP, int(rng.choice([ZAP, actions[1]])))
        expected = outcomes(cfg, state, actions)
        assert sum(expected.values()) == pytest.approx(1)
        after, rewards = step(pack(state), jnp.array(actions), jax.random.key(trial))
        rows = np.column_stack([after.row, after.column, after.frozen, after.dirt, after.apples, rewards]).astype(int)
        seen, times = np.unique(rows, axis=0, return_counts=True)
        found = {}
        for row, n in zip(seen, times, strict=True):
            fields = CleanUpState(row[0:2], row[2:4], row[4:6], row[6], row[7])
            found[unpack(fields), tuple(row[8:10].astype(float))] = int(n)
        assert found.keys() <= expected.keys()
        for outcome, p in expected.items():
            spread = 5.5 * math.sqrt(count * p * (1 - p)) + 1e-6 + (5 if count * p < 5 else 0)
            assert abs(found.get(outcome, 0) - count * p) <= spread, (state, actions, outcome)


@functools.cache
def episode(cfg, games=64, steps=60):
    """Random play: states [t, n], observations, actions, rewards, of what `step` and `reset` say."""
    env = CleanUp(cfg)

    def play(key):
        first, rest = jax.random.split(key)
        state, seen = jax.vmap(env.reset)(jax.random.split(first, games))

        def one(carry, key):
            state, seen = carry
            choose, act = jax.random.split(key)
            actions = jax.random.randint(choose, (games, 2), 0, 6)
            following, then, rewards = jax.vmap(env.step)(state, actions, jax.random.split(act, games))
            return (following, then), (state, seen, actions, rewards, following)

        return jax.lax.scan(one, (state, seen), jax.random.split(rest, steps))[1]

    return jax.tree.map(np.asarray, jax.jit(play)(jax.random.key(5)))


@pytest.mark.parametrize("variant", VARIANTS)
def test_views_are_mirror_images_and_show_the_state(variant):
    cfg = VARIANTS[variant]
    states, seen, *_ = episode(cfg)
    env, count = CleanUp(cfg), cfg.rows * cfg.columns
    assert seen.shape[-1] == env.observation_size == 5 * count + 2
    one, other = seen[:, :, 0], seen[:, :, 1]
    swap = np.r_[count : 2 * count, 0:count, 2 * count : 5 * count, 5 * count + 1, 5 * count]
    np.testing.assert_array_equal(one, other[..., swap])
    for t in range(0, 60, 7):
        for n in range(0, 64, 9):
            state = unpack(states, (t, n))
            grid = np.zeros((cfg.rows, cfg.columns, 3))
            grid[..., 2] = 1
            for where, kind, things in ((0, 0, state.apples), (cfg.columns - 1, 1, state.dirt)):
                for r in things:
                    grid[r, where] = np.eye(3)[kind]
            at = np.zeros((2, cfg.rows, cfg.columns))
            for i in (0,) if cfg.alone else (0, 1):
                at[(i, *state.cells[i])] = 1
            flags = [float(f > 0) for f in state.frozen]
            np.testing.assert_array_equal(one[t, n], np.concatenate([at.ravel(), grid.ravel(), flags]))


@pytest.mark.parametrize("variant", ["published", "overlap"])
def test_things_are_conserved_and_the_frozen_do_nothing(variant):
    """Only players take things away, one more apple and one more patch at most appear, and who is frozen stays inert."""
    cfg = VARIANTS[variant]
    states, _, _, rewards, following = episode(cfg)
    was_frozen = states.frozen > 0
    assert was_frozen.any()
    same = (states.row == following.row) & (states.column == following.column)
    assert np.all(same[was_frozen])
    assert np.all(rewards[was_frozen] == 0)
    assert np.all(following.frozen[was_frozen] == states.frozen[was_frozen] - 1)
    count = np.vectorize(lambda word: int(word).bit_count())
    for before, after, column in ((states.apples, following.apples, 0), (states.dirt, following.dirt, cfg.columns - 1)):
        assert np.all(count(after & ~before) <= 1)
        gone = before & ~after
        here = np.where((states.column == column) & ~was_frozen, 1 << states.row, 0)
        assert np.all(gone & ~(here[..., 0] | here[..., 1]) == 0)
        kept = np.where(here.any(-1), here[..., 0] | here[..., 1], 0)
        assert np.all(after & kept == 0)  # nothing lies where an unfrozen player stood
    harvested = count(states.apples & ~following.apples)
    assert np.all(rewards.sum(-1) >= harvested)
    assert np.all(rewards.sum(-1) - harvested <= 1)  # an apple that appeared under a player
    if not cfg.overlap:
        assert np.all(
            (following.row[..., 0] != following.row[..., 1]) | (following.column[..., 0] != following.column[..., 1])
        )


def test_starts_are_uniform():
    """20,000 starts: 380 pairs of cells and 10 sets of dirt within 5 standard deviations; a false alarm once in 4,000 keys."""
    env = CleanUp()
    state, _ = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.key(2), 20_000))
    cell = np.asarray(state.row * 4 + state.column)
    pairs, dirt = np.unique(cell, axis=0, return_counts=True), np.unique(state.dirt, return_counts=True)
    assert np.all(np.asarray(state.apples) == 0)
    assert np.all(np.asarray(state.frozen) == 0)
    assert all(int(word).bit_count() == 3 for word in dirt[0])
    for counts, cells in ((pairs[1], 380), (dirt[1], 10)):
        p = 1 / cells
        assert len(counts) == cells
        assert np.abs(counts - 20_000 * p).max() < 5 * math.sqrt(20_000 * p * (1 - p))


@pytest.mark.parametrize("dirty", range(6))
def test_apples_grow_at_the_rate_that_the_dirt_leaves(dirty):
    """Rate 1 without dirt, 0 from three dirty cells on; 4,000 steps, 5 standard deviations: false alarm once in 10^6 keys."""
    env = CleanUp(CleanUpConfig(dirt_rate=0.0))
    state = pack(State(((2, 1), (2, 2)), (0, 0), frozenset(range(dirty)), frozenset()))
    after, _ = jax.jit(jax.vmap(env.transition, in_axes=(None, None, 0)))(
        state, jnp.array([NOTHING, NOTHING]), uniform(jax.random.key(dirty), (4000, 4))
    )
    rate, grown = max(0, 1 - dirty / 3), np.mean(np.asarray(after.apples) != 0)
    assert abs(grown - rate) <= 5 * math.sqrt(rate * (1 - rate) / 4000)


def test_probabilities_are_traced():
    """One compiled step, mapped over dirt rates; gradients and sweeps need no new compilation."""
    rates = jnp.array([0.0, 1.0])
    state = pack(State(((2, 1), (2, 2)), (0, 0), frozenset(), frozenset()))

    def dirt(rate):
        env = CleanUp()
        env = jax.tree.map(lambda x: x, env)
        object.__setattr__(env, "dirt_rate", rate)
        return env.transition(state, jnp.array([NOTHING, NOTHING]), jnp.array([0.5, 0.5, 0.5, 0.5]))[0].dirt

    np.testing.assert_array_equal(jax.jit(jax.vmap(dirt))(rates), [0, 1 << 2])


def test_compiled_and_eager_play_agree():
    """The recorded play, compiled, against the same steps one by one, without compilation."""
    states, seen, actions, rewards, following = episode(SMALL)
    env = CleanUp(SMALL)
    keys = jax.random.split(jax.random.split(jax.random.key(5))[1], 60)
    for t, n in ((0, 3), (31, 40)):
        key = jax.random.split(jax.random.split(keys[t])[1], 64)[n]
        state, then, paid = env.step(
            jax.tree.map(lambda x, t=t, n=n: jnp.asarray(x[t, n]), states), jnp.asarray(actions[t, n]), key
        )
        for one, other in zip(state, following, strict=True):
            np.testing.assert_array_equal(one, other[t, n])
        np.testing.assert_array_equal(then, seen[t + 1, n])
        np.testing.assert_array_equal(paid, rewards[t, n])


@pytest.mark.parametrize("variant", ["published", "small", "overlap"])
def test_seats_are_alike(variant):
    """Exchanged players and exchanged numbers give exchanged outcomes: arrivals, swaps, zaps, and one apple for two."""
    cfg, rng = VARIANTS[variant], np.random.default_rng(1)
    env = CleanUp(cfg)
    states = [random_state(cfg, rng) for _ in range(400)]
    batch = jax.tree.map(lambda *x: jnp.stack(x), *map(pack, states))
    actions, drawn = jnp.asarray(rng.integers(0, 6, (400, 2))), jnp.asarray(rng.random((400, env.draws)), jnp.float32)
    step = jax.jit(jax.vmap(env.transition))
    turn = lambda s: s._replace(row=s.row[:, ::-1], column=s.column[:, ::-1], frozen=s.frozen[:, ::-1])  # noqa: E731
    one, rewards = step(batch, actions, drawn)
    swapped = jnp.concatenate([drawn[:, :2], drawn[:, 3:1:-1], 1 - drawn[:, 4:]], axis=1)
    meets = (np.asarray(actions) < 4).all(axis=1)  # then number 2 is the coin of who enters
    swapped = jnp.where(jnp.asarray(meets)[:, None] & (jnp.arange(env.draws) == 2), 1 - drawn, swapped)
    other, exchanged = step(turn(batch), actions[:, ::-1], swapped)
    for x, y in zip(one, turn(other), strict=True):
        np.testing.assert_array_equal(x, y)
    np.testing.assert_array_equal(rewards, exchanged[:, ::-1])


@pytest.mark.parametrize("overlap", [False, True])
def test_every_encounter_of_two_moves(overlap):
    """All pairs of cells of a 2 x 3 grid and all pairs of moves, with either face of the coin, against the enumeration."""
    cfg = CleanUpConfig(rows=2, columns=3, initial_dirt=1, overlap=overlap)
    env, cells = CleanUp(cfg), [(r, c) for r in range(2) for c in range(3)]
    pairs = [(a, b) for a in cells for b in cells if overlap or a != b]
    cases = [
        (State(pair, (0, 0), frozenset(), frozenset()), (a, b)) for pair in pairs for a in range(4) for b in range(4)
    ]
    batch = jax.tree.map(lambda *x: jnp.stack(x), *(pack(state) for state, _ in cases))
    actions = jnp.array([both for _, both in cases])
    step = jax.jit(jax.vmap(env.transition, in_axes=(0, 0, None)))
    faces = [step(batch, actions, jnp.full(env.draws, coin))[0] for coin in (0.1, 0.9)]
    for n, (state, both) in enumerate(cases):
        expected = {after.cells for after, _ in outcomes(cfg, state, both)}
        assert {unpack(face, n).cells for face in faces} == expected


def test_measures_are_what_the_state_says():
    cfg = VARIANTS["published"]
    states, seen, actions, *_ = episode(cfg)
    env, count = CleanUp(cfg), np.vectorize(lambda word: int(word).bit_count())
    for player in (0, 1):
        found = env.measures(jnp.asarray(seen[:, :, player]), jnp.asarray(actions[..., player]))
        awake = states.frozen[..., player] == 0
        np.testing.assert_array_equal(found["zaps"], awake & (actions[..., player] == ZAP))
        np.testing.assert_array_equal(found["cleaning"], awake & (states.column[..., player] == cfg.columns - 1))
        np.testing.assert_array_equal(found["pollution"], count(states.dirt))
        np.testing.assert_array_equal(found["apples"], count(states.apples))


def test_random_numbers_are_threefry_and_uniform():
    """Known answers of Random123; then 2^16 draws: Kolmogorov-Smirnov distance below 0.0085 (false alarm 1 key in 5,000)."""
    word = lambda *x: tuple(jnp.uint32(v) for v in x)  # noqa: E731
    known = {
        (0, 0, 0, 0): (0x6B200159, 0x99BA4EFE),
        (0xFFFFFFFF,) * 4: (0x1CB996FC, 0xBB002BE7),
        (0x13198A2E, 0x03707344, 0x243F6A88, 0x85A308D3): (0xC4923A9C, 0x483DF7A0),
    }
    for (k0, k1, c0, c1), expected in known.items():
        assert tuple(map(int, threefry(jnp.stack(word(k0, k1)), *word(c0, c1)))) == expected
    drawn = np.sort(np.asarray(uniform(jax.random.key(1), (2**16,))))
    assert np.abs(drawn - (np.arange(2**16) + 0.5) / 2**16).max() < 0.0085
    assert uniform(jax.random.key(1), (3, 5)).shape == (3, 5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": 0}, "rows"),
        ({"rows": 32}, "<= 31"),
        ({"columns": 1}, "columns"),
        ({"initial_dirt": 6}, "rows = 5"),
        ({"dirt_rate": 1.5}, "a probability"),
        ({"dirt_limit": 0.0}, "> 0"),
    ],
)
def test_bad_games_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        CleanUpConfig(**changes)
