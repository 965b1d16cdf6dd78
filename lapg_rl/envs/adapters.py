"""Our environments behind the interfaces of gymnax and PettingZoo, and gymnax- and JaxMARL-style ones behind ours.

Nothing of these libraries is imported: the interfaces are met by shape, so whatever accepts objects with their methods works.
"""

from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lapg_rl.interfaces import players_of


class Discrete(NamedTuple):
    """The actions 0 to n - 1; the attributes of a gymnax or Gymnasium space that algorithms read."""

    n: int
    shape: tuple[int, ...] = ()
    dtype: Any = np.int32

    def sample(self, key: Array | None = None) -> Any:
        """A uniformly random action: as gymnax draws it with a key, as Gymnasium does without (not repeatable)."""
        if key is None:
            return self.dtype(np.random.default_rng().integers(self.n))
        return jax.random.randint(key, self.shape, 0, self.n, self.dtype)

    def contains(self, action: Any) -> bool:
        """Whether it is one of the actions."""
        return bool(0 <= action < self.n)


class Box(NamedTuple):
    """Vectors between `low` and `high`, which may both be infinite."""

    low: float
    high: float
    shape: tuple[int, ...]
    dtype: Any = np.float32

    def sample(self, key: Array | None = None) -> Any:
        """A random vector, uniform, or normal where there are no bounds: with a key as gymnax, without as Gymnasium does."""
        endless = np.isinf(self.low)
        if key is not None:
            draw = jax.random.normal if endless else partial(jax.random.uniform, minval=self.low, maxval=self.high)
            return draw(key, self.shape, self.dtype)
        random = np.random.default_rng()
        drawn = random.normal(size=self.shape) if endless else random.uniform(self.low, self.high, self.shape)
        return drawn.astype(self.dtype)

    def contains(self, vector: Any) -> bool:
        """Whether it has the shape and lies between the bounds."""
        return np.shape(vector) == self.shape and bool(np.all((vector >= self.low) & (vector <= self.high)))


def seen_by_each(env: Any) -> Box:
    """What each player of one of our environments may see: within its `bounds`, if it states them, else any numbers.

    Of one-hots and of what is `binary` the bounds are 0 and 1.
    """
    zeros_and_ones = env.one_hot or getattr(env, "binary", False)
    low, high = getattr(env, "bounds", (0.0, 1.0) if zeros_and_ones else (-np.inf, np.inf))
    return Box(low, high, (env.observation_size,))


class GymnaxParams(NamedTuple):
    """The parameters of a `ToGymnax` environment."""

    max_steps_in_episode: int


class GymnaxState(NamedTuple):
    """The state of a `ToGymnax` environment: ours, and the steps taken."""

    inner: Any
    time: Int[Array, ""]


class ToGymnax:
    """One of our environments with the functions of a gymnax environment, for all n players at once.

    `reset(key, params)` gives `(observations [n, o], state)`; `step(key, state, actions [n], params)` gives `(observations,
    state, rewards [n], done, info)` and starts anew by itself when an episode of `max_steps_in_episode` is over, as gymnax
    does; `step_env` does not. Where single-agent code expects one number, map over the first axis.
    """

    def __init__(self, env: Any, steps: int):
        """Present `env` in episodes of `steps` steps."""
        self.env, self.default_params = env, GymnaxParams(steps)
        self.name, self.num_actions = type(env).__name__, env.num_actions

    def reset(self, key: Array, params: GymnaxParams | None = None) -> tuple[Float[Array, "n o"], GymnaxState]:
        """The start of an episode: `(observations, state)`."""
        del params
        state, seen = self.env.reset(key)
        return seen, GymnaxState(state, jnp.zeros((), jnp.int32))

    def step_env(
        self, key: Array, state: GymnaxState, action: Int[Array, " n"], params: GymnaxParams
    ) -> tuple[Float[Array, "n o"], GymnaxState, Float[Array, " n"], Any, dict[str, Any]]:
        """One joint action: `(observations, state, rewards, done, info)`."""
        inner, seen, rewards, *ended = self.env.step(state.inner, action, key)
        time = state.time + 1
        done = time >= params.max_steps_in_episode
        done = done | ended[0] if ended else done
        return seen, GymnaxState(inner, time), rewards, done, {"discount": jnp.where(done, 0.0, 1.0)}

    def step(
        self, key: Array, state: GymnaxState, action: Int[Array, " n"], params: GymnaxParams | None = None
    ) -> tuple[Float[Array, "n o"], GymnaxState, Float[Array, " n"], Any, dict[str, Any]]:
        """As `step_env`; after the last step the observations and the state are those of a new episode."""
        step_key, reset_key = jax.random.split(key)
        chosen = self.default_params if params is None else params
        seen, state, rewards, done, info = self.step_env(step_key, state, action, chosen)
        fresh = self.reset(reset_key)
        seen, state = jax.tree.map(lambda new, old: jnp.where(done, new, old), fresh, (seen, state))
        return seen, state, rewards, done, info

    def action_space(self, params: GymnaxParams | None = None) -> Discrete:
        """The actions of each player."""
        del params
        return Discrete(self.env.num_actions)

    def observation_space(self, params: GymnaxParams | None = None) -> Box:
        """What each player may see."""
        del params
        return seen_by_each(self.env)


class ToPettingZoo:
    """One of our environments as a PettingZoo parallel environment of the agents "player_0", "player_1", ...

    Dictionaries are keyed by agent; after `steps` steps all agents are truncated and `agents` is empty until the next
    `reset`. Observations are NumPy arrays.
    """

    render_mode = None

    def __init__(self, env: Any, steps: int):
        """Present `env` in episodes of `steps` steps."""
        self.env, self.steps = env, steps
        self.metadata = {"name": type(env).__name__, "render_modes": []}
        self.possible_agents = [f"player_{n}" for n in range(players_of(env))]
        self.agents: list[str] = []
        self.observation_spaces = {agent: seen_by_each(env) for agent in self.possible_agents}
        self.action_spaces = {agent: Discrete(env.num_actions) for agent in self.possible_agents}
        self._reset = jax.jit(lambda key: env.reset(key))
        self._step = jax.jit(lambda state, actions, key: env.step(state, actions, key))
        self._key, self._state, self._time = jax.random.key(0), None, 0

    @property
    def num_agents(self) -> int:
        """How many agents are in the game now."""
        return len(self.agents)

    @property
    def max_num_agents(self) -> int:
        """How many there can be."""
        return len(self.possible_agents)

    @property
    def unwrapped(self) -> "ToPettingZoo":
        """Itself."""
        return self

    def observation_space(self, agent: str) -> Box:
        """What an agent may see."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Discrete:
        """The actions of an agent."""
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict | None = None) -> tuple[dict[str, Any], dict[str, dict]]:
        """The start of an episode: `(observations, infos)`; without a seed the random numbers go on."""
        del options
        if seed is not None:
            self._key = jax.random.key(seed)
        self._key, key = jax.random.split(self._key)
        self._state, seen = self._reset(key)
        self._time, self.agents = 0, list(self.possible_agents)
        return self._by_agent(np.asarray(seen)), {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, Any]) -> tuple[dict[str, Any], ...]:
        """One joint action: `(observations, rewards, terminations, truncations, infos)`.

        Raises:
            ValueError: before a `reset`, after the end of an episode, or where an agent has no action or one out of range.
        """
        if not self.agents:
            raise ValueError("the episode is over or has not begun; call reset")
        if set(actions) != set(self.agents):
            raise ValueError(f"expected one action of each of {', '.join(self.agents)}, got {sorted(actions)}")
        for agent, action in actions.items():
            if not 0 <= int(action) < self.env.num_actions:
                raise ValueError(f"the action of {agent} must be from 0 to {self.env.num_actions - 1}, got {action}")
        self._key, key = jax.random.split(self._key)
        joint = jnp.array([int(actions[agent]) for agent in self.possible_agents])
        self._state, seen, rewards, *ended = self._step(self._state, joint, key)
        self._time += 1
        over, done = self._time >= self.steps, bool(ended and ended[0])
        told = (
            self._by_agent(np.asarray(seen)),
            self._by_agent([float(r) for r in np.asarray(rewards)]),
            dict.fromkeys(self.agents, done),
            dict.fromkeys(self.agents, over and not done),
            {agent: {} for agent in self.agents},
        )
        self.agents = [] if over or done else self.agents
        return told

    def render(self) -> None:
        """Nothing; `lapg watch` shows recorded play."""

    def close(self) -> None:
        """Nothing to close."""

    def _by_agent(self, each: Any) -> dict[str, Any]:
        return dict(zip(self.possible_agents, each, strict=True))


class FromGymnax(eqx.Module):
    """An environment of n players with gymnax's functions, in our loop; for `game.factory`.

    Its `reset(key, params)` must give `(observations, state)` and its `step_env(key, state, actions, params)`, or `step` where
    there is none, `(observations, state, rewards, done, info)`, with the player as the first axis of observations, actions
    `[n]` and rewards `[n]`. Observations are flattened. Inner episodes have the length that the config says: `done` is
    ignored, so an environment that starts anew by itself goes on with the new episode; with `ends` it ends the inner episode.
    """

    env: Any = eqx.field(static=True)
    params: Any
    num_actions: int = eqx.field(static=True)
    observation_size: int = eqx.field(static=True)
    one_hot: bool = eqx.field(static=True)
    ends: bool = eqx.field(static=True)
    players: int = eqx.field(static=True)

    shared = ()
    compared = ()

    def __init__(
        self, env: Any, params: Any = None, num_actions: int | None = None, one_hot: bool = False, ends: bool = False
    ):
        """Wrap `env`.

        Args:
            env: the environment.
            params: of it, by default `env.default_params`.
            num_actions: read from `env.action_space(params).n` unless given.
            one_hot: whether every observation is one.
            ends: whether `done` ends an inner episode before its T steps are over.

        Raises:
            ValueError: where `reset` gives no observation for each of at least two players.
        """
        self.env, self.one_hot, self.ends = env, one_hot and not ends, ends
        self.params = env.default_params if params is None else params
        self.num_actions = int(env.action_space(self.params).n if num_actions is None else num_actions)
        shape = jax.eval_shape(lambda key: env.reset(key, self.params)[0], jax.random.key(0)).shape
        if len(shape) < 2 or shape[0] < 2:
            raise ValueError(f"observations must have the players, two or more, as their first axis, got shape {shape}")
        self.players, self.observation_size = shape[0], int(np.prod(shape[1:]))

    def reset(self, key: Array) -> tuple[Any, Float[Array, "n o"]]:
        """The start of an inner episode: `(state, observations)`."""
        seen, state = self.env.reset(key, self.params)
        return state, self._flat(seen)

    def step(self, state: Any, actions: Int[Array, " n"], key: Array) -> tuple[Any, ...]:
        """Play one joint action: `(state, observations, rewards)`, with `ends` also `done`, once it is so for any player."""
        step = getattr(self.env, "step_env", self.env.step)
        seen, state, rewards, done, *_ = step(key, state, actions, self.params)
        result = state, self._flat(seen), jnp.asarray(rewards, jnp.float32)
        return (*result, jnp.any(done)) if self.ends else result

    def _flat(self, seen: Any) -> Float[Array, "n o"]:
        return jnp.asarray(seen, jnp.float32).reshape(self.players, self.observation_size)

    def measures(self, observations: Float[Array, "... o"], actions: Int[Array, "..."]) -> dict[str, Any]:
        """How often the player takes each action."""
        del observations
        return {f"action_{n}": actions == n for n in range(self.num_actions)}


class FromJaxMARL(FromGymnax):
    """An environment with JaxMARL's functions, whose dictionaries have the names in `env.agents` as keys, in our loop.

    All agents must have as many actions and see as many numbers. What `FromGymnax` says of ends holds here, too.
    """

    def __init__(self, env: Any, one_hot: bool = False, ends: bool = False):
        """Wrap `env`, an environment of two agents or more.

        Args:
            env: the environment; it needs `agents`, `reset(key)`, `step_env(key, state, actions)` and `action_space(agent)`.
            one_hot: whether every observation is one.
            ends: whether `dones` of any agent ends an inner episode before its T steps are over.

        Raises:
            ValueError: where the agents' actions or observations are not of one size.
        """
        counts = {int(env.action_space(agent).n) for agent in env.agents}
        sizes = {x.shape for x in jax.eval_shape(lambda key: env.reset(key)[0], jax.random.key(0)).values()}
        if len(counts) > 1 or len(sizes) > 1:
            raise ValueError(f"all agents must have as many actions and see as much, got {counts} actions and {sizes}")
        super().__init__(_Stacked(env), params=(), num_actions=counts.pop(), one_hot=one_hot, ends=ends)


class _Stacked(NamedTuple):
    """A JaxMARL-style environment with gymnax's functions: what its dictionaries hold lies along the first axis."""

    env: Any

    def reset(self, key: Array, params: Any) -> tuple[Array, Any]:
        del params
        seen, state = self.env.reset(key)
        return self._stack(seen), state

    def step(self, key: Array, state: Any, actions: Int[Array, " n"], params: Any) -> tuple[Any, ...]:
        del params
        chosen = {agent: actions[n] for n, agent in enumerate(self.env.agents)}
        seen, state, rewards, dones, info = self.env.step_env(key, state, chosen)
        return self._stack(seen), state, self._stack(rewards), self._stack(dones), info

    def _stack(self, by_agent: Any) -> Array:
        return jnp.stack([by_agent[agent] for agent in self.env.agents])
