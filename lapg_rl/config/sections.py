"""The sections of a config, as frozen dataclasses, checked when built."""

import dataclasses
from typing import Literal

from lapg_rl.config.checks import check, check_at_least_zero, check_choices, check_discounts
from lapg_theory.game import MatrixGame, check_count, prisoners_dilemma


@dataclasses.dataclass(frozen=True)
class GameConfig:
    """The iterated prisoner's dilemma: payoffs T > R > P > S."""

    T: float = 2.0
    R: float = 1.0
    P: float = 0.0
    S: float = -1.0

    def __post_init__(self):
        self.build()

    def build(self) -> MatrixGame:
        """The matrix game."""
        return prisoners_dilemma(self.T, self.R, self.P, self.S)


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The policy's architecture; naive and meta agents share it. `depth`, `heads`, `conv_width`, `mlp_width`: Hawk only."""

    kind: Literal["hawk", "gru", "tabular"] = "hawk"
    width: int = 32
    depth: int = 1
    heads: int = 2
    conv_width: int = 4
    mlp_width: int = 32

    def __post_init__(self):
        check_choices("model", self)
        for field in ("width", "depth", "heads", "conv_width", "mlp_width"):
            check_count(f"model.{field}", getattr(self, field))
        whole = self.kind != "hawk" or self.width % self.heads == 0
        check(whole, "model.width", self.width, f"a multiple of heads = {self.heads}", "change one")


@dataclasses.dataclass(frozen=True)
class NaiveConfig:
    """The naive learner: advantage actor-critic on its current inner episode (Meulemans et al. 2025, appendix tables)."""

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
        check_choices("naive", self)
        check_discounts("naive", self)
        check_at_least_zero("naive", self, "learning_rate", "adam_eps", "value_coef", "entropy_coef")
        check(self.clip_norm > 0, "naive.clip_norm", self.clip_norm, "> 0", "use a large number to turn clipping off")


@dataclasses.dataclass(frozen=True)
class LearnerConfig:
    """The learning-aware agent: estimator, policy-gradient algorithm and optimiser."""

    estimator: Literal["lapg", "batch_unaware", "mfos", "inner_episode"] = "lapg"
    algorithm: Literal["ppo", "a2c"] = "ppo"
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

    def __post_init__(self):
        check_choices("learner", self)
        check_count("learner.epochs", self.epochs)
        check_count("learner.minibatches", self.minibatches)
        check_discounts("learner", self)
        check_at_least_zero("learner", self, "learning_rate", "adam_eps", "value_coef", "entropy_coef")
        check(self.clip > 0, "learner.clip", self.clip, "> 0", "the published value is 0.2")
        check(self.clip_norm > 0, "learner.clip_norm", self.clip_norm, "> 0", "use a large number to turn clipping off")
        if self.algorithm == "a2c" and (self.epochs, self.minibatches) != (1, 1):
            raise ValueError(
                f"a2c takes one on-policy step, got epochs {self.epochs} and minibatches {self.minibatches}; "
                "set learner.epochs=1 learner.minibatches=1, or learner.algorithm=ppo"
            )


@dataclasses.dataclass(frozen=True)
class PoolConfig:
    """Whom the agents meet: a naive learner with probability p_naive, else another of the `agents` meta agents."""

    p_naive: float = 1.0
    agents: int = 1
    naive_population: int = 10

    def __post_init__(self):
        check_count("pool.agents", self.agents)
        check_count("pool.naive_population", self.naive_population)
        check(0 <= self.p_naive <= 1, "pool.p_naive", self.p_naive, "a probability", "1 means naive learners only")
        if self.p_naive < 1 and self.agents < 2:
            raise ValueError(
                f"pool.p_naive = {self.p_naive} makes agents meet other agents, but pool.agents = {self.agents}; "
                "set pool.agents >= 2, or pool.p_naive=1"
            )
