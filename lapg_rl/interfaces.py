"""What the parts of training are to each other: the interfaces that the library's own parts keep, and that yours have to.

Name yours by its address `package.module:name` wherever a config takes a name (`game.kind`, `model.kind`,
`learner.estimator`, `learner.algorithm`, `pool.coplayers`, `pool.fixed`), or to `--log`. Axes: `b` parallel games of one
meta-episode, `m` inner episodes, `t` steps, `k` independent meta-episodes, `o` numbers in an observation, `a` actions.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from jaxtyping import Array, Bool, Float, Int, Num

T = TypeVar("T")
Signal = Float[Array, "b m t"]


@runtime_checkable
class Environment(Protocol):
    """A game of two players, or more, as pure functions on pytrees; player 0 is the row player.

    What is a property here may be a field.

    If it likes it also has `binary` (players see zeros and ones only; trajectories then keep them as bytes), `bounds`
    (`(low, high)` of all numbers that players see) and `game` (the `MatrixGame` that it repeats: its observations then start
    with the one-hot of s0, CC, CD, DC, DD; or the `NormalFormGame` of k actions: with that of the start and the k^2 joint
    actions, own action first).

    More than two: it has `players`, n, which `game.players` of the config then is, too; where 2 stands below it is n. Player 0
    is the ego; its co-players sit in the order of their kinds, so seats should be alike, or dealt by `reset`. It may have
    `group`, the `AnonymousGame` that it repeats: observations then start with the one-hot of a policy's 2 n + 1 entries.

    Inner episodes that may end before their T steps are over: it has `ends = True` and `step` gives a fourth value, `done`,
    whether that step was the last. The rest of the T steps is then no play: rewards and what players see are 0 and nothing is
    learnt from it, so `one_hot` is false. See `Estimator` for what that means for credits.
    """

    @property
    def num_actions(self) -> int:
        """How many actions there are (a), the same for both players."""
        ...

    @property
    def observation_size(self) -> int:
        """How many numbers a player sees (o)."""
        ...

    @property
    def one_hot(self) -> bool:
        """Whether every observation is a one-hot."""
        ...

    @property
    def shared(self) -> tuple[str, ...]:
        """Names of measures that are the same for both players."""
        ...

    @property
    def compared(self) -> tuple[str, ...]:
        """Names of measures whose absolute difference between the players is of interest."""
        ...

    def reset(self, key: Array) -> tuple[Any, Float[Array, "2 o"]]:
        """The start of an inner episode: `(state, observations)`."""
        ...

    def step(
        self, state: Any, actions: Int[Array, " 2"], key: Array
    ) -> (
        tuple[Any, Float[Array, "2 o"], Float[Array, " 2"]]
        | tuple[Any, Float[Array, "2 o"], Float[Array, " 2"], Bool[Array, ""]]
    ):
        """Play one joint action: `(state, observations, rewards)`, and `done` where episodes may end."""
        ...

    def measures(self, observations: Num[Array, "... o"], actions: Int[Array, "..."]) -> Mapping[str, Array]:
        """What one player does or sees, as a number a step, by name, for metrics and evaluations."""
        ...


@runtime_checkable
class Model(Protocol):
    """A policy with memory: an `equinox.Module` whose `step` over tokens and call on a sequence agree to rounding.

    What `model.kind` names is called as `(observation_size, num_actions, *, config, context, one_hot, key)`, with `config`
    the section `model` of the config, `context` the length of the longest sequence and `one_hot` whether every observation is
    one; it returns the model with parameters drawn from `key`.
    """

    def initial_state(self) -> Any:
        """The state before the first token: a pytree of arrays."""
        ...

    def step(
        self, state: Any, observation: Float[Array, " o"], /
    ) -> tuple[Any, tuple[Float[Array, " a"], Float[Array, ""]]]:
        """Advance by one token: `(state, (logits, value))`."""
        ...

    def __call__(
        self, observations: Float[Array, "t ... o"], /
    ) -> tuple[Float[Array, "t ... a"], Float[Array, "t ..."]]:
        """(logits, values) of every token of sequences that start in the initial state, time first."""
        ...


@runtime_checkable
class CoPlayer(Protocol):
    """Whom the ego meets; its identity says which one it is: initial parameters, probabilities, anything."""

    def init(self, identity: Any, batch: int, /) -> Any:
        """The state at the start of a meta-episode of `batch` parallel games."""
        ...

    def act(
        self, state: Any, observations: Float[Array, "b o"], /
    ) -> tuple[Any, tuple[Float[Array, "b a"], Float[Array, " b"]]]:
        """(state, (logits, values)); values are 0 where there is no value function."""
        ...

    def end_of_inner_episode(self, state: Any, batch: Any, /) -> Any:
        """The state at the start of the next inner episode; `batch` is what it saw and did, a `Trajectory` [b, t]."""
        ...


class Kind(NamedTuple):
    """A kind of co-player; what `pool.coplayers` names is a function `config -> Kind`.

    Attributes:
        coplayer: how it plays.
        draw: `(company, count, key) -> identities` with a leading axis `count`; `company` is a `lapg_rl.play.company.Company`.
        learns: whether it changes with what happens in all B games, which couples them.
        value_scale: its values times this are of rewards in the agents' scale, `learner.reward_scale`.
    """

    coplayer: CoPlayer
    draw: Callable[[Any, int, Array], Any]
    learns: bool = False
    value_scale: float = 1.0


class Others(NamedTuple):
    """What n co-players, one less than the players, got in one meta-episode, in the agents' scale of rewards.

    Attributes:
        rewards: theirs.
        values: what they expected, by their own value functions, or 0 where they have none, and after an early end.
        chances: how likely the actions were that they took.
    """

    rewards: Float[Array, "n b m t"]
    values: Float[Array, "n b m t"]
    chances: Float[Array, "n b m t"]


class Influences(NamedTuple):
    """What two players' actions did to each other in one meta-episode, in the agents' scale of rewards.

    An influence is what a step was worth to a player, less its mean given all but the other's action in it.

    Attributes:
        mine: the ego's, on the co-player.
        its: the co-player's, on the ego.
    """

    mine: Float[Array, "b m t"]
    its: Float[Array, "b m t"]


@runtime_checkable
class Estimator(Protocol):
    """A policy-gradient estimator: a pure function on one meta-episode.

    Its estimate is the sum over b, m, t of credits * grad log pi(action | history). If it has an attribute `off_learners`,
    that estimator is used against co-players that don't learn; `episodic` says that its horizon is the inner episode;
    `reads` names what it is called with besides, as keyword arguments: `others`, what the co-players got (`Others`), which no
    other estimator sees; `modelled`, the same with values and chances by a model of their action values that the ego learns
    beside its policy (`lapg_rl.learn.choices`); `influences` (`Influences`), by a model that the ego learns, too
    (`lapg_rl.learn.influence`); and fields of `lapg_rl.config.LearnerConfig`.

    If its agents also reward themselves, `intrinsic`, called with gamma and what it reads, gives these rewards, which its
    credits contain and values have to learn, too.

    An inner episode takes T steps whatever happens: in a game that ends early the rest are steps without rewards, and the
    discount counts them, so that an end brings nothing later nearer. No end cuts a return: what comes in later inner
    episodes is still the doing of a step before the end. Values of the rest are the discounted value of the next step that is
    played, 0 after the last (of the inner episode, if `episodic`), so temporal-difference errors vanish there; credits of the
    rest are not used.
    """

    def __call__(self, rewards: Signal, values: Signal, *, gamma: float, gae_lambda: float) -> Signal:
        """The credits; the reward scale is in the rewards, `values` are the ego's own."""
        ...


@runtime_checkable
class Algorithm(Protocol):
    """One update of one agent; `lapg_rl.learn.training_step` maps it over the agents and compiles it."""

    def __call__(
        self, config: Any, agent: Model, optimiser_state: Any, company: Any, key: Array
    ) -> tuple[Model, Any, Mapping[str, Float[Array, ""]]]:
        """`(agent, optimiser state, metrics)` after the update; `company` is a `lapg_rl.play.company.Company`."""
        ...


@runtime_checkable
class Logger(Protocol):
    """Where a run's metrics go besides its folder, whose metrics.jsonl stays the truth.

    What `lapg train --log`, `lapg log --to` and `rl.train(log=...)` name is called as `(config, folder)` and returns one. It is
    told every update from 0 on, in order, also when a run goes on: with what it was told before, it begins anew or skips.
    """

    def log(self, update: int, values: Mapping[str, float]) -> None:
        """Take the metrics of an update; of several agents the mean, and each as `name/0`, `name/1`, ..."""
        ...

    def close(self) -> None:
        """The run is over, or interrupted."""
        ...


def players_of(env: Any) -> int:
    """How many players an environment has; 2 where it does not say."""
    return getattr(env, "players", 2)


def check_protocol(what: str, value: Any, protocol: type[T]) -> T:
    """`value`, if it has all that `protocol` asks for. Raises ValueError that names what is missing."""
    if isinstance(value, protocol):
        return value
    name, wanted = protocol.__name__, [n for n in vars(protocol) if n == "__call__" or not n.startswith("_")]
    missing = ", ".join(n for n in wanted if not hasattr(value, n)) or "methods that can be called"
    raise ValueError(f"{what} is no {name}: {value!r:.60} lacks {missing}; see lapg_rl.interfaces.{name}")
