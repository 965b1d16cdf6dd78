"""The Coin Game: every outcome of every joint action, starts, scripts, and what they earn, against the exact chain."""

import itertools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from coin_reference import chain, means, moved, outcomes, script, starts, states

from lapg_rl.config import Config, override
from lapg_rl.envs import CoinGame
from lapg_rl.envs.coin import CoinState
from lapg_rl.envs.random_numbers import uniform
from lapg_rl.play.coplayers import CoinScript
from lapg_rl.play.rollout import choose

PAIRS = {"AC-AC": (False, False), "AD-AC": (True, False), "AD-AD": (True, True)}


def packed(all_states, size):
    cells, coin, owner = np.split(np.array(all_states, np.int32), [2, 3], axis=-1)
    return CoinState(*map(jnp.asarray, (*np.divmod(cells, size), coin[..., 0], owner[..., 0])))


def unpacked(state, size):
    cells = np.asarray(state.row * size + state.column)
    return np.concatenate([cells, np.asarray(state.coin)[..., None], np.asarray(state.owner)[..., None]], axis=-1)


@pytest.mark.parametrize("size", [2, 3, 4])
def test_every_outcome_of_every_joint_action_has_its_probability(size):
    """The step is a function of one uniform number: on a grid of numbers that all numbers of free cells divide, it leads to
    every outcome of the enumeration exactly as often as it should. All states, all 16 joint actions; no chance in it.
    """
    env, known = CoinGame(size), states(size)
    rng = np.random.default_rng(0)
    if size == 4:
        known = [known[n] for n in rng.choice(len(known), 300, replace=False)]
    grid = math.lcm(size**2 - 1, size**2 - 2)
    drawn = (jnp.arange(grid) + 0.5)[:, None] / grid
    joint = np.array(list(itertools.product(range(4), repeat=2)), np.int32)
    step = jax.jit(jax.vmap(jax.vmap(jax.vmap(env.transition, (None, None, 0)), (None, 0, None)), (0, None, None)))
    after, rewards = step(packed(known, size), joint, drawn)
    found = np.concatenate([unpacked(after, size), np.asarray(rewards)], axis=-1).astype(int)
    for n, a in np.ndindex(found.shape[:2]):
        expected = outcomes(known[n], joint[a], size)
        seen, times = np.unique(found[n, a], axis=0, return_counts=True)
        assert {(tuple(x[:4]), tuple(x[4:])): t / grid for x, t in zip(seen.tolist(), times, strict=True)} == {
            outcome: pytest.approx(p) for outcome, p in expected.items()
        }


@pytest.mark.parametrize("start", ["distinct", "independent"])
def test_starts(start):
    """100,000 starts, 1008 or 1152 possible ones: every frequency within 5.5 standard deviations of its probability; a false
    alarm once in 20,000 keys.
    """
    env, count = CoinGame(3, start), 100_000
    state, _ = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.key(2), count))
    seen, times = np.unique(unpacked(state, 3), axis=0, return_counts=True)
    found = dict(zip(map(tuple, seen.tolist()), times, strict=True))
    expected = starts(3, start == "distinct")
    assert found.keys() <= expected.keys()
    for key, p in expected.items():
        assert abs(found.get(key, 0) - count * p) < 5.5 * math.sqrt(count * p)


def test_both_see_planes_of_me_the_other_my_coin_and_the_others():
    env, known = CoinGame(3), states(3)
    seen = np.asarray(jax.jit(jax.vmap(env.observe))(packed(known, 3)))
    assert env.observation_size == 36
    for n, (first, second, coin, owner) in enumerate(known):
        for player, (me, other) in enumerate(((first, second), (second, first))):
            planes = np.zeros((4, 9))
            planes[0, me] = planes[1, other] = planes[2 if owner == player else 3, coin] = 1
            np.testing.assert_array_equal(seen[n, player], planes.ravel())


@pytest.mark.parametrize("size", [2, 3, 5])
def test_scripts_take_the_ways_that_a_breadth_first_search_finds(size):
    known = states(size)
    if size == 5:
        known = [known[n] for n in np.random.default_rng(0).choice(len(known), 1000, replace=False)]
    seen = jax.vmap(CoinGame(size).observe)(packed(known, size)).astype(jnp.uint8)
    for defects, player in itertools.product((False, True), (0, 1)):
        state = CoinScript(size).init(jnp.array(defects), len(known))
        _, (logits, _) = CoinScript(size).act(state, seen[:, player])
        expected = [script(s, player, defects, size) for s in known]
        np.testing.assert_allclose(jax.nn.softmax(logits), np.array(expected), atol=1e-6)


@pytest.mark.parametrize("pair", PAIRS)
def test_the_exact_chain_has_the_known_means(pair):
    """Published means a step over 50 steps; the chain is a Markov chain, and what it earns is what its coins are worth."""
    known = {
        ("AC-AC", True): (0.348600, 0.348600),
        ("AC-AC", False): (0.348600, 0.348600),
        ("AD-AC", True): (0.636743, -0.265750),
        ("AD-AC", False): (0.636887, -0.265995),
        ("AD-AD", True): (0, 0),
        ("AD-AD", False): (0, 0),
    }
    np.testing.assert_allclose(chain(PAIRS[pair])[1].sum(1), 1)
    for distinct in (True, False):
        rewards, coins = means(PAIRS[pair], 50, distinct)
        np.testing.assert_allclose(rewards, known[pair, distinct], atol=6e-7)
        np.testing.assert_allclose(coins.sum(1) - 2 * coins[::-1, 1], rewards, atol=1e-12)


GAMES, STEPS = 4096, 50


@eqx.filter_jit
def play(env, players, key):
    """Rewards and coins of both players of each game, means over the steps: [games, player, 3]."""

    def one(carry, key):
        state, seen = carry
        keys = jax.random.split(key, 2)
        chances = uniform(keys[0], (2, GAMES))
        actions = jnp.stack(
            [choose(CoinScript(3).act(p, seen[:, i])[1][0], chances[i])[0] for i, p in enumerate(players)], axis=1
        )
        coins = env.measures(seen, actions)
        state, seen, rewards = jax.vmap(env.step)(state, actions, jax.random.split(keys[1], GAMES))
        return (state, seen), jnp.stack([rewards, coins["own_coins"], coins["other_coins"]], axis=-1)

    start_key, key = jax.random.split(key)
    start = jax.vmap(env.reset)(jax.random.split(start_key, GAMES))
    return jax.lax.scan(one, start, jax.random.split(key, STEPS))[1].mean(0)


@pytest.mark.parametrize(("pair", "start"), [*((pair, "distinct") for pair in PAIRS), ("AD-AC", "independent")])
def test_sampled_play_of_scripts_is_the_exact_chain(pair, start):
    """4,096 games of 50 steps through `reset`, `step`, scripts and `measures`: rewards and coins of both players within 4.5
    standard errors of the exact means; 6 numbers a case, so a false alarm once in 6,000 keys.
    """
    players = [CoinScript(3).init(jnp.array(defects), GAMES) for defects in PAIRS[pair]]
    found = np.asarray(play(CoinGame(3, start), players, jax.random.key(4)), float)
    rewards, coins = means(PAIRS[pair], STEPS, start == "distinct")
    expected = np.concatenate([rewards[:, None], coins], axis=1)
    error = found.std(0, ddof=1) / math.sqrt(GAMES)
    assert np.all(np.abs(found.mean(0) - expected) < 4.5 * error + 1e-9)
    assert error.max() < 0.005


def test_measures_count_the_coins_that_are_taken():
    """Of all states and joint actions, from what each player saw: as many as change the coin's owner, by whose it was."""
    env, known = CoinGame(3), states(3)
    seen = jax.vmap(env.observe)(packed(known, 3))
    measure = jax.jit(env.measures)
    for joint in itertools.product(range(4), repeat=2):
        found = jax.tree.map(np.asarray, measure(seen, jnp.broadcast_to(jnp.array(joint), (len(known), 2))))
        for n, (*cells, coin, owner) in enumerate(known):
            for player in (0, 1):
                there = moved(cells[player], joint[player], 3) == coin
                assert found["own_coins"][n, player] == (there and owner == player)
                assert found["other_coins"][n, player] == (there and owner != player)


def test_sizes_and_starts_are_checked():
    for wrong in ("size=1", "size=2.5", "size=101", "start=anywhere"):
        with pytest.raises(ValueError, match=rf"game\.coin\.{wrong.split('=')[0]}"):
            override(Config(), [f"game.coin.{wrong}"])
    with pytest.raises(ValueError, match=r"game\.coin\.size must be an integer >= 2, got 1"):
        CoinGame(size=1)
