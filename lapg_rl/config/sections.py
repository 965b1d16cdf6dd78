"""The sections of a config, as frozen dataclasses, checked when built."""

import dataclasses
from typing import Literal

from lapg_rl.config.checks import (
    LARGE,
    check,
    check_at_least_zero,
    check_counts,
    check_discounts,
    check_kinds,
    check_names,
    check_positive,
)
from lapg_theory.game import NAMED, MatrixGame, prisoners_dilemma

#: The estimators of `lapg_rl.estimators`, by the names that configs use.
ESTIMATORS = ("lapg", "batch_unaware", "mfos", "inner_episode")


@dataclasses.dataclass(frozen=True)
class CleanUpConfig:
    """CleanUp-lite (`lapg_rl.envs.CleanUp` has the rules); what the published text leaves open is a choice here.

    Attributes:
        rows: of the grid; the river and the orchard have as many cells.
        columns: of the grid; the river is the last, the orchard the first.
        initial_dirt: dirty river cells at the start of an inner episode.
        dirt_rate: probability of another dirty cell, each step.
        dirt_limit: with so many dirty cells or more no apple grows.
        hit_rate: probability that a zap within range hits.
        zap_range: how many cells away a zap reaches.
        distance: what that means: steps ("manhattan"), or the larger of both differences ("chebyshev").
        freeze_steps: how many steps after the one of the hit a player stays frozen.
        overlap: whether both players may be in one cell.
        alone: whether player 1 is absent: the one-player game.
    """

    rows: int = 5
    columns: int = 4
    initial_dirt: int = 3
    dirt_rate: float = 0.35
    dirt_limit: float = 3.0
    hit_rate: float = 0.9
    zap_range: int = 2
    distance: Literal["manhattan", "chebyshev"] = "manhattan"
    freeze_steps: int = 5
    overlap: bool = False
    alone: bool = False

    def __post_init__(self):
        check_kinds("game.cleanup", self)
        check_counts("game.cleanup", self, 31, "rows")  # the river is the bits of one word
        check_counts("game.cleanup", self, 1000, "columns", least=2)
        check_counts("game.cleanup", self, 1_000_000, "initial_dirt", "zap_range", "freeze_steps", least=0)
        remedy = "the river has as many cells as the grid has rows"
        dirt = self.initial_dirt
        check(dirt <= self.rows, "game.cleanup.initial_dirt", dirt, f"at most game.cleanup.rows = {self.rows}", remedy)
        for field in ("dirt_rate", "hit_rate"):
            value = getattr(self, field)
            check(0 <= value <= 1, f"game.cleanup.{field}", value, "a probability", "it is that of one step")
        check_positive("game.cleanup", self, "the published value is 3", "dirt_limit")


@dataclasses.dataclass(frozen=True)
class GameConfig:
    """Which game is played: `kind` "ipd" is the iterated prisoner's dilemma with payoffs T > R > P > S.

    "cleanup" is CleanUp-lite, as the section `cleanup` in this one says. "custom" is an environment of the user's: `factory`
    names a function without arguments, as `package.module:function`, that returns one (see `lapg_rl.envs`).
    """

    kind: Literal["ipd", "cleanup", "custom"] = "ipd"
    T: float = 2.0
    R: float = 1.0
    P: float = 0.0
    S: float = -1.0
    factory: str = ""
    cleanup: CleanUpConfig = dataclasses.field(default_factory=CleanUpConfig)

    def __post_init__(self):
        check_kinds("game", self)
        for field in "TRPS":
            value = getattr(self, field)
            check(
                abs(value) <= LARGE,
                f"game.{field}",
                value,
                f"a finite number between -{LARGE:g} and {LARGE:g}",
                "rescale",
            )
        prisoners_dilemma(self.T, self.R, self.P, self.S)
        if (self.kind == "custom") != bool(self.factory):
            raise ValueError(
                f"game.kind = {self.kind} and game.factory = {self.factory!r} don't fit; give both, as in game.kind=custom "
                "game.factory=package.module:function, or neither"
            )
        parts = self.factory.replace(":", ".", 1).split(".")
        named = not self.factory or (self.factory.count(":") == 1 and all(part.isidentifier() for part in parts))
        how = "the name of a function, as package.module:function"
        check(named, "game.factory", self.factory, how, "the module is installed or in the working folder")

    def build(self) -> MatrixGame:
        """The matrix game. Raises ValueError for another kind of game."""
        if self.kind != "ipd":
            raise ValueError(f"this needs a run of the iterated prisoner's dilemma, but here game.kind = {self.kind}")
        return prisoners_dilemma(self.T, self.R, self.P, self.S)


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The policy's architecture; naive and meta agents share it unless `naive.model` says otherwise.

    `depth`, `heads` and `mlp_width` are Hawk's and the transformer's, `conv_width` is Hawk's alone; `spread`, the standard
    deviation that a table of logits starts with, is the tabular policy's.
    """

    kind: Literal["hawk", "gru", "transformer", "tabular"] = "hawk"
    width: int = 32
    depth: int = 1
    heads: int = 2
    conv_width: int = 4
    mlp_width: int = 32
    spread: float = 0.0

    def __post_init__(self):
        check_kinds("model", self)
        check_at_least_zero("model", self, "spread")
        check_counts("model", self, 1_000_000, "width", "depth", "heads", "conv_width", "mlp_width")
        parts = {"hawk": self.heads, "transformer": 2 * self.heads}.get(self.kind, 1)  # a transformer turns pairs
        bound = f"a multiple of {'2 * ' * (self.kind == 'transformer')}heads = {parts}"
        check(self.width % parts == 0, "model.width", self.width, bound, "change model.width or model.heads")


@dataclasses.dataclass(frozen=True)
class NaiveConfig:
    """The naive learner: advantage actor-critic on its current inner episode (Meulemans et al. 2025, appendix tables).

    `model` is the kind of its policy, of the sizes in the section `model`; "same" is the agents' own kind.
    """

    model: Literal["same", "hawk", "gru", "transformer", "tabular"] = "same"
    learning_rate: float = 0.005
    optimiser: Literal["adam", "sgd"] = "adam"
    adam_eps: float = 1e-5
    clip_norm: float = 1.0
    gamma: float = 0.99
    td_lambda: float = 1.0
    gae_lambda: float = 1.0
    value_coef: float = 0.5
    entropy_coef: float = 0.0
    normalize_advantages: bool = True
    reward_scale: float = 0.05

    def __post_init__(self):
        check_kinds("naive", self)
        check_discounts("naive", self)
        check_at_least_zero("naive", self, "learning_rate", "adam_eps", "value_coef", "entropy_coef")
        check_positive("naive", self, "use a large number to turn clipping off", "clip_norm", most=1e30)
        check_positive("naive", self, "the published values are 0.05 and 0.1", "reward_scale")


@dataclasses.dataclass(frozen=True)
class LearnerConfig:
    """The learning-aware agents: estimator, algorithm and optimiser.

    `estimator` is one name for all agents, or one an agent: "lapg,lapg,mfos,mfos". `memory` says whether a policy remembers
    the whole meta-episode, or, like a naive learner, its current inner episode only. Estimators are for PPO and A2C;
    LOLA-DiCE and Shaper (`population` candidates a generation, `noise` the standard deviation of their parameters) have
    none.
    """

    estimator: str = "lapg"
    memory: Literal["meta_episode", "inner_episode"] = "meta_episode"
    algorithm: Literal["ppo", "a2c", "lola_dice", "shaper"] = "ppo"
    epochs: int = 4
    minibatches: int = 2
    clip: float = 0.2
    learning_rate: float = 3e-4
    optimiser: Literal["adam", "sgd"] = "adam"
    adam_eps: float = 1e-5
    clip_norm: float = 1.0
    gamma: float = 1.0
    td_lambda: float = 1.0
    gae_lambda: float = 1.0
    value_coef: float = 0.5
    value_clip: bool = True
    entropy_coef: float = 0.0
    advantages: Literal["raw", "centred", "normalised"] = "raw"
    reward_scale: float = 0.05
    population: int = 128
    noise: float = 0.05

    @property
    def estimators(self) -> tuple[str, ...]:
        """The names in `estimator`: one for all agents, or one an agent."""
        return tuple(self.estimator.split(","))

    def __post_init__(self):
        check_kinds("learner", self)
        object.__setattr__(self, "estimator", check_names("learner.estimator", self.estimator, ESTIMATORS))
        check_counts("learner", self, 10_000, "epochs", "minibatches")
        check_discounts("learner", self)
        check_at_least_zero("learner", self, "learning_rate", "adam_eps", "value_coef", "entropy_coef")
        check_positive("learner", self, "the published value is 0.2", "clip")
        check_positive("learner", self, "use a large number to turn clipping off", "clip_norm", most=1e30)
        check_positive("learner", self, "the published values are 0.05 and 0.1", "reward_scale")
        check_positive("learner", self, "it is the spread of the candidates' parameters", "noise")
        if self.algorithm != "ppo" and (self.epochs, self.minibatches) != (1, 1):
            raise ValueError(
                f"{self.algorithm} takes one on-policy step, got epochs {self.epochs} and minibatches {self.minibatches}; "
                "set learner.epochs=1 learner.minibatches=1, or learner.algorithm=ppo"
            )
        check_counts("learner", self, 1_000_000, "population", least=2)
        even = self.population % 2 == 0
        check(even, "learner.population", self.population, "even", "candidates come in antithetic pairs")
        if self.algorithm == "lola_dice" and self.memory != "inner_episode":
            raise ValueError(
                "lola_dice differentiates through single inner episodes, but learner.memory = meta_episode; set "
                "learner.memory=inner_episode"
            )
        if self.algorithm == "shaper" and self.gamma != 1:
            raise ValueError(
                f"shaper scores undiscounted returns, got learner.gamma = {self.gamma}; set learner.gamma=1"
            )


@dataclasses.dataclass(frozen=True)
class PoolConfig:
    """Whom the agents meet, by shares of their meta-episodes; the share that is left goes to the other meta agents.

    Attributes:
        p_naive: share of naive learners.
        agents: P, the meta agents; all learn at once.
        naive_population: how many initial policies there are for naive learners.
        naive_start: "static": that fixed population; "dynamic": copies of the other meta agents as they are now.
        p_fixed: share of the strategies in `fixed`, each met equally often.
        fixed: names of memory-one strategies: "tft,alld".
        p_memory_one: share of memory-one strategies drawn uniformly from the cube, a new one each meta-episode.
        reveal: tell the agents, by a one-hot beside every observation, which kind of co-player they face (an ablation).
    """

    p_naive: float = 1.0
    agents: int = 1
    naive_population: int = 10
    naive_start: Literal["static", "dynamic"] = "static"
    p_fixed: float = 0.0
    fixed: str = ""
    p_memory_one: float = 0.0
    reveal: bool = False

    @property
    def p_meta(self) -> float:
        """Share of the other meta agents: what the other shares leave."""
        return round(1 - self.p_naive - self.p_fixed - self.p_memory_one, 9)

    @property
    def strategies(self) -> tuple[str, ...]:
        """The names in `fixed`."""
        return tuple(self.fixed.split(",")) if self.fixed else ()

    def __post_init__(self):
        check_kinds("pool", self)
        check_counts("pool", self, 10_000, "agents")
        check_counts("pool", self, 100_000_000, "naive_population")
        for field in ("p_naive", "p_fixed", "p_memory_one"):
            value = getattr(self, field)
            check(0 <= value <= 1, f"pool.{field}", value, "a probability", "it is a share of the meta-episodes")
        shares = "pool.p_naive + pool.p_fixed + pool.p_memory_one"
        check(
            self.p_meta >= 0, shares, 1 - self.p_meta, "at most 1", "lower one of them (pool.p_naive is 1 by default)"
        )
        if self.fixed:
            object.__setattr__(self, "fixed", check_names("pool.fixed", self.fixed.lower(), tuple(NAMED)))
        if (self.p_fixed > 0) != bool(self.fixed):
            raise ValueError(
                f"pool.p_fixed = {self.p_fixed} and pool.fixed = {self.fixed!r} don't fit; give both, as in "
                "pool.p_fixed=0.5 pool.fixed=tft,alld, or neither"
            )
        for what, needed in (("p_meta", self.p_meta > 0), ("naive_start", self.naive_start == "dynamic")):
            if needed and self.agents < 2:
                raise ValueError(
                    f"pool.{what} = {getattr(self, what)} needs other agents, but pool.agents = {self.agents}; set "
                    "pool.agents >= 2, or pool.p_naive=1 pool.naive_start=static"
                )
