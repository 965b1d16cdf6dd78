"""The sections of a config, as frozen dataclasses, checked when built."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from lapg_rl.config import tables
from lapg_rl.config.alignment import AlignmentConfig
from lapg_rl.config.checks import (
    check,
    check_at_least_zero,
    check_counts,
    check_discounts,
    check_kinds,
    check_positive,
)
from lapg_rl.config.tables import ALGORITHMS, ESTIMATORS, MODELS


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The policy's architecture; naive and meta agents share it unless `naive.model` says otherwise.

    Attributes:
        kind: hawk, gru, transformer or tabular; or `package.module:Model` of your own (`lapg_rl.interfaces.Model`).
        width: of the residual stream, or of the GRU's state.
        depth: blocks of Hawk and the transformer.
        heads: of the transformer; of Hawk the blocks of its block-diagonal gates.
        conv_width: taps of Hawk's causal convolution.
        mlp_width: hidden units of the MLP of Hawk and the transformer.
        spread: standard deviation that a table of logits starts with; 0 cooperates half the time.
    """

    kind: str = "hawk"
    width: int = 32
    depth: int = 1
    heads: int = 2
    conv_width: int = 4
    mlp_width: int = 32
    spread: float = 0.0

    def __post_init__(self):
        check_kinds("model", self)
        tables.check_name("model.kind", self.kind, MODELS)
        check_at_least_zero("model", self, "spread")
        check_counts("model", self, 1_000_000, "width", "depth", "heads", "conv_width", "mlp_width")
        if parts := tables.row(self.kind, MODELS).parts:
            bound = f"a multiple of {f'{parts} * ' * (parts > 1)}heads = {parts * self.heads}"
            fits = self.width % (parts * self.heads) == 0
            check(fits, "model.width", self.width, bound, "change model.width or model.heads")


@dataclasses.dataclass(frozen=True)
class NaiveConfig:
    """The naive learner: advantage actor-critic on its current inner episode (Meulemans et al. 2025, appendix tables).

    Attributes:
        model: kind of its policy, of the sizes in the section `model`; "same": the agents' own.
        learning_rate: of its one step after every inner episode.
        optimiser: of that step.
        adam_eps: the small number in Adam's denominator.
        clip_norm: largest norm of a gradient.
        gamma: discount of its rewards within an inner episode.
        td_lambda: lambda of the targets of its values; 1: plain returns.
        gae_lambda: lambda of its advantages; 1: plain returns less values.
        value_coef: weight of the loss of its values.
        entropy_coef: weight of a bonus for the entropy of its policy.
        normalize_advantages: whether advantages get mean 0 and deviation 1 in every step that it learns from.
        reward_scale: factor of its rewards before it learns from them.
        proximal: weight of the divergence (mean KL) from its policy at the start of the meta-episode, in each of its steps.
    """

    model: str = "same"
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
    proximal: float = 0.0

    def __post_init__(self):
        check_kinds("naive", self)
        tables.check_name("naive.model", self.model, {"same": None, **MODELS})
        check_discounts("naive", self)
        check_at_least_zero("naive", self, "learning_rate", "adam_eps", "value_coef", "entropy_coef", "proximal")
        check_positive("naive", self, "use a large number to turn clipping off", "clip_norm", most=1e30)
        check_positive("naive", self, "the published values are 0.05 and 0.1", "reward_scale")


def check_required(algorithm: str, values: Mapping[str, Any]) -> None:
    """Refuse values, by their keys, that are not what an algorithm requires."""
    for key, (needed, why) in tables.row(algorithm, ALGORITHMS).requires.items():
        if key in values and values[key] != needed:
            text = str(needed).lower() if isinstance(needed, bool) else needed
            raise ValueError(
                f"learner.algorithm = {algorithm} needs {key} = {text} ({why}), got {values[key]!r}; set {key}={text}"
            )


@dataclasses.dataclass(frozen=True)
class LearnerConfig:
    """The learning-aware agents: estimator, algorithm and optimiser.

    Attributes:
        estimator: lapg, mfos, batch_unaware, inner_episode, advantage_alignment, loqa or reciprocator; one for all
            agents, or one an agent ("lapg,lapg,mfos,mfos"); or `package.module:name` of your own (`lapg_rl.interfaces`).
            Algorithms without credits ignore it.
        memory: whether a policy remembers the whole meta-episode or, like a naive learner, its current inner episode only.
        algorithm: ppo or a2c, which learn from an estimator's credits; lola_dice, pola, shaper or ppi, which have none; or an
            address.
        epochs: passes over the experience of an update; of pola: outer steps of an update, each with play of its own.
        minibatches: parts that each pass is split into.
        clip: of the ratio of probabilities in PPO, and of values with `value_clip`.
        learning_rate: of the optimiser.
        optimiser: adam or sgd.
        adam_eps: the small number in Adam's denominator.
        clip_norm: largest norm of a gradient.
        gamma: discount over the whole meta-episode; 1 is published.
        td_lambda: lambda of the targets of values; 1: plain returns.
        gae_lambda: lambda of the credits; 1: plain returns less values.
        value_coef: weight of the loss of the values.
        value_clip: whether PPO clips the loss of the values, too.
        entropy_coef: weight of a bonus for the entropy of the policy.
        advantages: what is done to credits, for each kind of co-player apart: raw, centred (mean 0) or normalised (and
            deviation 1).
        reward_scale: factor of rewards before they are learnt from; metrics have them unscaled.
        proximal: of pola: weight of the divergence (mean KL) from the policy before the update, in each outer step.
        population: candidates of a generation of Shaper.
        noise: standard deviation of their parameters.
        rollouts: of PPI: how many there are for each action at each step that was played.
        horizon: steps of a roll-out of PPI, which ends with the inner episode; 15 is published.
        inverse_temperature: beta of PPI, per unit of the game's own rewards: the improved policy is the predicted one times
            exp(beta Q).
        alignment: of the estimators that read the co-player's rewards.
    """

    estimator: str = "lapg"
    memory: Literal["meta_episode", "inner_episode"] = "meta_episode"
    algorithm: str = "ppo"
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
    proximal: float = 1.0
    population: int = 128
    noise: float = 0.05
    rollouts: int = dataclasses.field(default=8, repr=False)  # a repr fits a screen
    horizon: int = dataclasses.field(default=15, repr=False)
    inverse_temperature: float = 1.0
    alignment: AlignmentConfig = dataclasses.field(default_factory=AlignmentConfig)

    @property
    def estimators(self) -> tuple[str, ...]:
        """The names in `estimator`: one for all agents, or one an agent."""
        return tuple(self.estimator.split(","))

    @property
    def credited(self) -> bool:
        """Whether the algorithm learns from an estimator's credits."""
        return tables.row(self.algorithm, ALGORITHMS).credits

    def __post_init__(self):
        check_kinds("learner", self)
        tables.check_name("learner.algorithm", self.algorithm, ALGORITHMS)
        object.__setattr__(self, "estimator", tables.check_names("learner.estimator", self.estimator, ESTIMATORS))
        check_counts("learner", self, 10_000, "epochs", "minibatches", "rollouts", "horizon")
        check_discounts("learner", self)
        check_at_least_zero("learner", self, "learning_rate", "adam_eps", "value_coef", "entropy_coef", "proximal")
        check_at_least_zero("learner", self, "inverse_temperature")
        check_positive("learner", self, "the published value is 0.2", "clip")
        check_positive("learner", self, "use a large number to turn clipping off", "clip_norm", most=1e30)
        check_positive("learner", self, "the published values are 0.05 and 0.1", "reward_scale")
        check_positive("learner", self, "it is the spread of the candidates' parameters", "noise")
        check_required(self.algorithm, {f"learner.{f.name}": getattr(self, f.name) for f in dataclasses.fields(self)})
        check_counts("learner", self, 1_000_000, "population", least=2)
        even = self.population % 2 == 0
        check(even, "learner.population", self.population, "even", "candidates come in antithetic pairs")
