"""Other libraries' interfaces: what their documentation promises, without the libraries."""

import functools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lapg_rl.config import CleanUpConfig, Config, GameConfig, ModelConfig
from lapg_rl.envs import (
    CleanUp,
    FromGymnax,
    FromJaxMARL,
    IteratedGroupGame,
    IteratedMatrixGame,
    ToGymnax,
    ToPettingZoo,
    build,
)
from lapg_rl.learn import training_step
from lapg_theory.game import prisoners_dilemma, public_goods

SMALL = CleanUpConfig(rows=2, columns=3, initial_dirt=1)


def dilemma():
    return IteratedMatrixGame(prisoners_dilemma())


@pytest.mark.parametrize("make", [dilemma, lambda: CleanUp(SMALL)])
def test_gymnax_interface(make):
    """`reset` and `step` in gymnax's order of arguments and results, compiled, starting anew after the last step."""
    env = ToGymnax(make(), steps=3)
    params = env.default_params
    assert params.max_steps_in_episode == 3
    key = jax.random.key(0)
    seen, state = jax.jit(env.reset)(key, params)
    assert seen.shape == (2, *env.observation_space(params).shape)
    assert env.num_actions == env.action_space(params).n
    step = jax.jit(env.step)
    for t in range(7):
        key, act, take = jax.random.split(key, 3)
        action = jax.vmap(env.action_space(params).sample)(jax.random.split(act))
        assert all(env.action_space(params).contains(int(a)) for a in action)
        seen, state, reward, done, info = step(take, state, action, params)
        assert all(env.observation_space(params).contains(np.asarray(view)) for view in seen)
        assert reward.shape == (2,)
        assert bool(done) == (t % 3 == 2)
        assert float(info["discount"]) == (0 if done else 1)
        assert int(state.time) == (0 if done else t % 3 + 1)
    dones = jax.jit(jax.vmap(env.step, in_axes=(0, None, None, None)))(
        jax.random.split(key, 4), state._replace(time=jnp.array(2)), jnp.array([0, 1]), params
    )[3]
    assert np.all(dones)


def test_gymnax_restart_is_a_fresh_episode():
    env = ToGymnax(dilemma(), steps=1)
    seen, state = env.reset(jax.random.key(0))
    assert np.all(np.argmax(seen, -1) == 0)
    seen, state, reward, *_ = env.step(jax.random.key(1), state, jnp.array([0, 1]))
    assert np.all(np.argmax(seen, -1) == 0)  # not CD, DC: that is what step_env shows
    assert np.argmax(env.step_env(jax.random.key(1), state, jnp.array([0, 1]), env.default_params)[0], -1).tolist() == [
        2,
        3,
    ]
    np.testing.assert_array_equal(reward, [-1, 2])


@pytest.mark.parametrize("make", [dilemma, lambda: CleanUp(SMALL)])
def test_pettingzoo_parallel_interface(make):
    """The cycle of the parallel API: agents named, dictionaries by agent, truncated at the end, seeds that repeat."""
    env = ToPettingZoo(make(), steps=4)
    assert env.agents == []
    assert all(env.action_space(a) is env.action_space(a) for a in env.possible_agents)
    assert all(env.observation_space(a) is env.observation_space(a) for a in env.possible_agents)
    assert env.action_space("player_0") is not env.action_space("player_1")
    with pytest.raises(ValueError, match="reset"):
        env.step({})
    plays = []
    for seed in (3, 3, None, None):
        seen, infos = env.reset(seed=seed, options=None)
        assert seen.keys() == infos.keys() == set(env.agents) == set(env.possible_agents)
        rng, play = np.random.default_rng(0), [seen]
        while env.agents:
            assert all(env.observation_space(a).contains(seen[a]) for a in env.agents)
            assert all(env.action_space(a).contains(env.action_space(a).sample()) for a in env.agents)
            assert all(env.observation_space(a).contains(env.observation_space(a).sample()) for a in env.agents)
            actions = {a: int(rng.integers(env.action_space(a).n)) for a in env.agents}
            seen, rewards, terminations, truncations, infos = env.step(actions)
            assert seen.keys() == rewards.keys() == terminations.keys() == truncations.keys() == infos.keys()
            assert not any(terminations.values())
            play.append((seen, rewards))
        assert all(truncations.values())
        assert len(play) == 5
        plays.append(play)
    same = lambda one, other: all(map(np.array_equal, jax.tree.leaves(one), jax.tree.leaves(other)))  # noqa: E731
    assert same(plays[0], plays[1])
    if isinstance(env.env, CleanUp):
        assert not same(plays[2], plays[3])
    env.reset()
    for wrong in ({"player_0": 0}, {"player_0": 0, "player_1": 9}):
        with pytest.raises(ValueError, match="player_"):
            env.step(wrong)
    assert (env.num_agents, env.max_num_agents, env.render(), env.close()) == (2, 2, None, None)


def test_pettingzoo_itself_finds_no_fault(capsys):
    pettingzoo = pytest.importorskip("pettingzoo.test", reason="needs pettingzoo, which the group `test` installs")
    pettingzoo.parallel_api_test(ToPettingZoo(dilemma(), steps=3), num_cycles=8)
    assert capsys.readouterr().out == "Passed Parallel API test\n"


class Thermometer:
    """Both players see the temperature, in degrees; nobody can do anything about it."""

    num_actions, observation_size, one_hot = 2, 1, False

    def reset(self, key):
        return None, jnp.full((2, 1), -40.0)

    def step(self, state, actions, key):
        return None, jnp.full((2, 1), 451.0), jnp.zeros(2)


class BoundedThermometer(Thermometer):
    bounds = (-273.15, 500.0)


@pytest.mark.parametrize(("make", "low", "high"), [
    (dilemma, 0, 1), (lambda: CleanUp(SMALL), 0, 1), (Thermometer, -np.inf, np.inf), (BoundedThermometer, -273.15, 500),
])  # fmt: skip
def test_spaces_hold_what_players_see(make, low, high):
    ours, theirs = ToGymnax(make(), steps=2), ToPettingZoo(make(), steps=2)
    spaces = ours.observation_space(), theirs.observation_space("player_0")
    assert [(space.low, space.high) for space in spaces] == [(low, high)] * 2
    seen, state = ours.reset(jax.random.key(0))
    views = [*seen, *ours.step_env(jax.random.key(0), state, jnp.array([0, 1]), ours.default_params)[0]]
    views += [spaces[0].sample(jax.random.key(n)) for n in range(4)] + [spaces[1].sample() for _ in range(4)]
    assert all(spaces[0].contains(np.asarray(view)) and np.all(np.isfinite(view)) for view in views)


class Theirs:
    """The iterated prisoner's dilemma as someone might write it for gymnax: states of their own, pictures as observations."""

    default_params = {"cost": jnp.float32(1.0)}  # noqa: RUF012

    def action_space(self, params):
        return SimpleNamespace(n=2)

    def _look(self, index):
        return jax.nn.one_hot(index, 6).reshape(2, 2, 3)

    def reset(self, key, params):
        return self._look(jnp.zeros(2, int)), {"t": jnp.zeros((), int)}

    def step(self, key, state, action, params):
        gives = 1 - action
        reward = 2.0 * gives[::-1] - params["cost"] * gives
        seen = self._look(1 + 2 * action + action[::-1])
        return seen, {"t": state["t"] + 1}, reward, state["t"] >= 3, {}


def theirs():
    return FromGymnax(Theirs())


def test_a_gymnax_environment_in_our_loop():
    """Trained on through a config, it gives the very numbers of the same game written for us (payoffs 2, 1, 0, -1)."""
    sizes = {"meta_batch": 4, "batch": 2, "inner_episodes": 2, "steps": 3, "model": ModelConfig(kind="tabular")}
    custom = Config(**sizes, game=GameConfig(kind="custom", factory=f"{__name__}:theirs"))

    @functools.cache
    def metrics(cfg):
        return training_step.make_train_step(cfg)(
            training_step.initial_state(cfg, training_step.run_key(cfg)), training_step.run_key(cfg)
        )[1]

    env = build.environment(custom)
    assert (env.num_actions, env.observation_size) == (2, 6)
    ours, found = metrics(Config(**sizes)), metrics(custom)
    for name in ("reward_vs_naive", "naive_reward", "policy_loss", "gradient_norm"):
        np.testing.assert_allclose(found[name], ours[name], rtol=1e-5)
    np.testing.assert_allclose(found["action_0_vs_naive"], ours["cooperation_vs_naive"])


def test_step_env_is_preferred_and_one_player_is_refused():
    env = FromGymnax(ToGymnax(dilemma(), steps=1))
    state, _ = env.reset(jax.random.key(0))
    assert np.argmax(env.step(state, jnp.array([0, 1]), jax.random.key(1))[1], -1).tolist() == [2, 3]
    single = SimpleNamespace(reset=lambda key, params: (jnp.zeros(4), None), default_params=None)
    with pytest.raises(ValueError, match="the players, two or more"):
        FromGymnax(single, num_actions=2)


class Marl:
    """A group of three as someone might write it for JaxMARL: dictionaries by agent, in no particular order."""

    agents = ("ann", "bob", "cy")

    def __init__(self, odd=False):
        self.ours, self.odd = group(), odd

    def action_space(self, agent):
        return SimpleNamespace(n=3 if self.odd and agent == "bob" else 2)

    def _by_agent(self, values):
        return {agent: values[n] for n, agent in reversed([*enumerate(self.agents)])}

    def reset(self, key):
        state, seen = self.ours.reset(key)
        return self._by_agent(seen), (state, jnp.zeros((), int))

    def step_env(self, key, state, actions):
        joint = jnp.stack([actions[agent] for agent in self.agents])
        inner, seen, rewards = self.ours.step(state[0], joint, key)
        done = jnp.full(3, state[1] >= 1)
        return self._by_agent(seen), (inner, state[1] + 1), self._by_agent(rewards), self._by_agent(done), {}


def group():
    return IteratedGroupGame(public_goods(3, factor=1.5))


@pytest.mark.parametrize(
    "make", [lambda: FromJaxMARL(Marl(), ends=True), lambda: FromGymnax(ToGymnax(group(), 2), ends=True)]
)
def test_groups_come_from_elsewhere_player_by_player(make):
    """D, C, D and then C, C, D in the public goods game: a contribution of 1 is half of it back for everybody."""
    env = make()
    assert (env.players, env.num_actions, env.observation_size) == (3, 2, 7)
    state, seen = env.reset(jax.random.key(0))
    assert seen.argmax(1).tolist() == [0, 0, 0]
    for actions, states, rewards, over in (
        ((1, 0, 1), [5, 3, 5], [0.5, -0.5, 0.5], 0),
        ((0, 0, 1), [2, 2, 4], [0, 0, 1], 1),
    ):
        state, seen, gained, done = env.step(state, jnp.array(actions), jax.random.key(1))
        assert (seen.argmax(1).tolist(), gained.tolist(), bool(done)) == (states, rewards, over)


def test_a_group_in_pettingzoo_and_agents_that_differ():
    env = ToPettingZoo(group(), steps=1)
    env.reset(seed=0)
    _, rewards, _, truncated, _ = env.step({"player_2": 0, "player_0": 1, "player_1": 1})
    assert rewards == {"player_0": 0.5, "player_1": 0.5, "player_2": -0.5} and all(truncated.values())
    with pytest.raises(ValueError, match="all agents must have as many actions"):
        FromJaxMARL(Marl(odd=True))
