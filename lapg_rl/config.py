"""Everything a run depends on, as frozen dataclasses, checked when built. No other module holds defaults."""

import dataclasses
import difflib
import functools
import json
import math
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import cattrs
import tomli_w

from lapg_theory.game import MatrixGame, check_count, prisoners_dilemma


def _check(condition: bool, name: str, value: object, bound: str, remedy: str) -> None:
    if not condition:
        raise ValueError(f"{name} must be {bound}, got {value!r}; {remedy}")


def _check_choices(section: str, config: Any) -> None:
    for name, hint in typing.get_type_hints(type(config)).items():
        choices = typing.get_args(hint)
        if typing.get_origin(hint) is Literal and getattr(config, name) not in choices:
            value = getattr(config, name)
            raise ValueError(f"{section}.{name} must be one of {', '.join(choices)}, got {value!r}")


def _check_discounts(section: str, config: Any) -> None:
    for field in ("gamma", "td_lambda", "gae_lambda"):
        value = getattr(config, field)
        _check(0 < value <= 1, f"{section}.{field}", value, "in (0, 1]", "1 weighs all later rewards alike")


def _check_at_least_zero(section: str, config: Any, *fields: str) -> None:
    for field in fields:
        value = getattr(config, field)
        _check(
            math.isfinite(value) and value >= 0, f"{section}.{field}", value, "a finite number >= 0", "0 turns it off"
        )


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
        _check_choices("model", self)
        for field in ("width", "depth", "heads", "conv_width", "mlp_width"):
            check_count(f"model.{field}", getattr(self, field))
        whole = self.kind != "hawk" or self.width % self.heads == 0
        _check(whole, "model.width", self.width, f"a multiple of heads = {self.heads}", "change one")


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
        _check_choices("naive", self)
        _check_discounts("naive", self)
        _check_at_least_zero("naive", self, "learning_rate", "adam_eps", "value_coef", "entropy_coef")
        _check(self.clip_norm > 0, "naive.clip_norm", self.clip_norm, "> 0", "use a large number to turn clipping off")


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
        _check_choices("learner", self)
        check_count("learner.epochs", self.epochs)
        check_count("learner.minibatches", self.minibatches)
        _check_discounts("learner", self)
        _check_at_least_zero("learner", self, "learning_rate", "adam_eps", "value_coef", "entropy_coef")
        _check(self.clip > 0, "learner.clip", self.clip, "> 0", "the published value is 0.2")
        _check(
            self.clip_norm > 0, "learner.clip_norm", self.clip_norm, "> 0", "use a large number to turn clipping off"
        )
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
        _check(0 <= self.p_naive <= 1, "pool.p_naive", self.p_naive, "a probability", "1 means naive learners only")
        if self.p_naive < 1 and self.agents < 2:
            raise ValueError(
                f"pool.p_naive = {self.p_naive} makes agents meet other agents, but pool.agents = {self.agents}; "
                "set pool.agents >= 2, or pool.p_naive=1"
            )


#: Below this, what an action does to the next inner episode is invisible beside what it does in the current one.
LEAST_SHAPING_SIGNAL = 0.01


@dataclasses.dataclass(frozen=True)
class Config:
    """A run: sizes, sections, seed. The run is a pure function of this object."""

    name: str = "custom"
    updates: int = 3000
    meta_batch: int = 128
    batch: int = 16
    inner_episodes: int = 20
    steps: int = 10
    seed: int = 0
    checkpoint_every: int = 20
    keep_checkpoints: int = 3
    game: GameConfig = GameConfig()
    model: ModelConfig = ModelConfig()
    naive: NaiveConfig = NaiveConfig()
    learner: LearnerConfig = LearnerConfig()
    pool: PoolConfig = PoolConfig()

    def __post_init__(self):
        for field in (
            "updates",
            "meta_batch",
            "batch",
            "inner_episodes",
            "steps",
            "checkpoint_every",
            "keep_checkpoints",
        ):
            check_count(field, getattr(self, field))
        check_count("seed", self.seed, least=0)
        remedy = "change meta_batch, learner.minibatches or pool.p_naive"
        _check(
            self.meta_batch % self.learner.minibatches == 0,
            "meta_batch", self.meta_batch, f"a multiple of learner.minibatches = {self.learner.minibatches}", remedy,
        )  # fmt: skip
        share = self.pool.p_naive * self.meta_batch
        _check(abs(share - round(share)) < 1e-9, "pool.p_naive * meta_batch", share, "an integer", remedy)
        signal = (self.learner.gamma * self.learner.gae_lambda) ** self.steps
        shaping = self.learner.estimator != "inner_episode" and self.inner_episodes > 1
        if shaping and signal < LEAST_SHAPING_SIGNAL:
            raise ValueError(
                f"(gamma * gae_lambda)^steps = ({self.learner.gamma} * {self.learner.gae_lambda})^{self.steps} = {signal:.2g} "
                f"is below {LEAST_SHAPING_SIGNAL}: the next inner episode would not count and the agent could not learn to "
                "shape; raise learner.gamma or learner.gae_lambda (published: 1), or choose learner.estimator=inner_episode"
            )

    @property
    def naive_share(self) -> int:
        """How many of the `meta_batch` meta-episodes are played against naive learners."""
        return round(self.pool.p_naive * self.meta_batch)


_CONVERTER = cattrs.Converter(forbid_extra_keys=True)


def _strict(kind: type, accept: tuple[type, ...]) -> None:
    def structure(value: Any, _: type) -> Any:
        if not isinstance(value, accept) or (isinstance(value, bool) and kind is not bool):
            raise ValueError(f"expected {kind.__name__}, got {value!r}")
        return kind(value)

    _CONVERTER.register_structure_hook(kind, structure)


_strict(int, (int,))
_strict(float, (int, float))
_strict(bool, (bool,))
_strict(str, (str,))


def _plain_reasons(error: BaseException, path: str = "") -> list[str]:
    """The leaves of a (possibly nested) conversion error, each with the path to the value."""
    notes = " ".join(getattr(error, "__notes__", []))
    if "attribute " in notes:
        path = f"{path}.{notes.rsplit('attribute ', 1)[1]}".lstrip(".")
    if isinstance(error, cattrs.ForbiddenExtraKeysError):
        known = [field.name for field in dataclasses.fields(error.cl)]
        return [_unknown(f"key {path + '.' if path else ''}{key}", key, known) for key in sorted(error.extra_fields)]
    if isinstance(error, BaseExceptionGroup):
        return [reason for inner in error.exceptions for reason in _plain_reasons(inner, path)]
    return [f"{path}: {error}" if path and path not in str(error) else str(error)]


def _unknown(what: str, name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name.split(".")[-1], known, n=3, cutoff=0.5)
    return f"unknown {what}" + (f"; did you mean {' or '.join(near)}?" if near else f"; known: {', '.join(known)}")


def from_dict(data: dict[str, Any]) -> Config:
    """A config from nested plain data. Raises ValueError naming every unknown key (with near matches) or bad value."""
    try:
        return _CONVERTER.structure(data, Config)
    except (cattrs.BaseValidationError, cattrs.StructureHandlerNotFoundError) as error:
        raise ValueError("; ".join(_plain_reasons(error))) from None


def to_dict(config: Config) -> dict[str, Any]:
    """The config as nested plain data; `from_dict(to_dict(c)) == c`."""
    return _CONVERTER.unstructure(config)


def save(config: Config, path: Path) -> None:
    """Write the config as TOML."""
    path.write_text(tomli_w.dumps(to_dict(config)))


def load(path: Path) -> Config:
    """Read a config written by `save`, or by hand: keys that are left out take their defaults."""
    try:
        return from_dict(tomllib.loads(Path(path).read_text()))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is no TOML file: {error}") from None


def flat(config: Config) -> dict[str, Any]:
    """The config as one dictionary with dotted keys."""
    data = to_dict(config)
    return {key: functools.reduce(lambda d, part: d[part], key.split("."), data) for key in _leaves(Config)}


def _leaves(kind: type, prefix: str = "") -> dict[str, Any]:
    leaves = {}
    for name, hint in typing.get_type_hints(kind).items():
        nested = dataclasses.is_dataclass(hint)
        leaves.update(_leaves(hint, f"{prefix}{name}.") if nested else {prefix + name: hint})
    return leaves


def _parse(text: str, hint: Any) -> Any:
    if hint is str or typing.get_origin(hint) is Literal:
        return text
    try:
        return json.loads(text.lower() if hint is bool else text)
    except json.JSONDecodeError:
        return text  # from_dict then says what was expected


def override(config: Config, assignments: Iterable[str]) -> Config:
    """`config` with `key=value` assignments applied, e.g. `learner.estimator=mfos`; an unambiguous last part suffices.

    Raises:
        ValueError: for an unknown or ambiguous key or a value that doesn't fit.
    """
    leaves = _leaves(Config)
    data = to_dict(config)
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise ValueError(f"expected key=value, got {assignment!r}")
        full = [key] if key in leaves else [leaf for leaf in leaves if leaf.split(".")[-1] == key]
        if not full:
            raise ValueError(_unknown(f"key {key}", key, sorted({leaf.split(".")[-1] for leaf in leaves})))
        if len(full) > 1:
            raise ValueError(f"key {key} is ambiguous: write {' or '.join(full)}")
        *sections, name = full[0].split(".")
        target = data
        for section in sections:
            target = target[section]
        target[name] = _parse(text, leaves[full[0]])
    return from_dict(data)


def preset(name: str) -> Config:
    """The named preset. Raises ValueError for an unknown name, with near matches."""
    if name not in PRESETS:
        raise ValueError(_unknown(f"preset {name}", name, list(PRESETS)))
    return PRESETS[name]


#: Presets; each names the table it comes from, or what it was made for.
PRESETS: Mapping[str, Config] = types.MappingProxyType(
    {
        # Meulemans et al. (2025), appendix, IPD shaping: agents against naive learners only
        "ipd-shaping": Config(name="ipd-shaping"),
        # the same at a size that two CPU cores train in minutes: what the demo runs
        "ipd-shaping-small": Config(name="ipd-shaping-small", updates=160, meta_batch=32),
    }
)
