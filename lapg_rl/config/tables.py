"""The names that configs use, one table a kind of thing; every other file takes names from here.

A row says where the thing lives, as `module:name`, and what is needed to check a config before anything heavy is imported. A
name that holds a colon is such an address itself: `package.module:name` of the user's own code stands wherever a name does.
"""

import dataclasses
import re
import types
from collections.abc import Callable, Mapping
from typing import Any

from lapg_rl.config.checks import unknown
from lapg_rl.config.loading import load

ADDRESS = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


@dataclasses.dataclass(frozen=True)
class Row:
    """A name's row: the address of the thing, and how it is called in reports."""

    address: str
    label: str = ""


@dataclasses.dataclass(frozen=True)
class EstimatorRow(Row):
    """An estimator; `episodic`: the horizon of its credits is the inner episode."""

    episodic: bool = False


@dataclasses.dataclass(frozen=True)
class AlgorithmRow(Row):
    """An algorithm; `credits`: it learns from an estimator's credits; `requires`: keys of a config and why they must be so.

    `least_episodes`: how many inner episodes it needs among naive learners.
    """

    credits: bool = True
    least_episodes: int = 1
    requires: Mapping[str, tuple[Any, str]] = types.MappingProxyType({})


@dataclasses.dataclass(frozen=True)
class ModelRow(Row):
    """A model; its width must be a multiple of `parts` times the number of heads, if `parts` is not 0.

    `least` gives a lower bound of the number of its parameters, from the section `model` of a config.
    """

    parts: int = 0
    least: Callable[[Any], int] = lambda model: 0


@dataclasses.dataclass(frozen=True)
class GameRow(Row):
    """A game; `matrix`: a repeated 2x2 game, which has states, fixed strategies and exact theory; `section`: of its config."""

    matrix: bool = False
    section: str = ""


@dataclasses.dataclass(frozen=True)
class CoPlayerRow(Row):
    """A kind of co-player; `matrix`: it plays matrix games only; `others`: it is met where there are other agents.

    `game`: it is a script of that game. A script has no key `pool.p_...`, only a share in `pool.coplayers`.
    """

    matrix: bool = False
    others: bool = False
    game: str = ""


#: In the order in which reports show them.
ESTIMATORS = {
    "lapg": EstimatorRow("lapg_rl.estimators:lapg", "LAPG"),
    "mfos": EstimatorRow("lapg_rl.estimators:mfos", "M-FOS"),
    "batch_unaware": EstimatorRow("lapg_rl.estimators:batch_unaware", "batch-unaware"),
    "inner_episode": EstimatorRow("lapg_rl.estimators:inner_episode", "inner episode", episodic=True),
}

_ONE_STEP = {
    "learner.epochs": (1, "it takes one on-policy step"),
    "learner.minibatches": (1, "it takes one on-policy step"),
}
ALGORITHMS = {
    "ppo": AlgorithmRow("lapg_rl.learn.algorithms:policy_gradient", "PPO"),
    "a2c": AlgorithmRow("lapg_rl.learn.algorithms:policy_gradient", "A2C", requires=_ONE_STEP),
    "lola_dice": AlgorithmRow(
        "lapg_rl.learn.algorithms:lola_dice",
        "LOLA-DiCE",
        credits=False,
        least_episodes=2,
        requires=_ONE_STEP
        | {"learner.memory": ("inner_episode", "it differentiates through single inner episodes")}
        | {"naive.optimiser": ("sgd", "it differentiates through plain gradient steps")}
        | {"naive.normalize_advantages": (False, "it differentiates through plain gradient steps")},
    ),
    "shaper": AlgorithmRow(
        "lapg_rl.learn.algorithms:shaper",
        "Shaper",
        credits=False,
        requires=_ONE_STEP | {"learner.gamma": (1, "it scores undiscounted returns")},
    ),
}

MODELS = {
    "hawk": ModelRow("lapg_rl.models.hawk:from_config", "Hawk", 1, lambda m: m.depth * 2 * m.width * m.mlp_width),
    "gru": ModelRow("lapg_rl.models.gru:from_config", "GRU", 0, lambda m: 3 * m.width**2),
    "transformer": ModelRow(
        "lapg_rl.models.transformer:from_config",
        "transformer",
        2,  # it turns pairs
        lambda m: m.depth * (4 * m.width**2 + 2 * m.width * m.mlp_width),
    ),
    "tabular": ModelRow("lapg_rl.models.tabular:from_config", "table of logits"),
}

GAMES = {
    "ipd": GameRow("lapg_rl.envs.build:iterated_prisoners_dilemma", "iterated prisoner's dilemma", matrix=True),
    "cleanup": GameRow("lapg_rl.envs.build:cleanup", "CleanUp-lite", section="cleanup"),
    "coin": GameRow("lapg_rl.envs.build:coin", "Coin Game", section="coin"),
    "custom": GameRow("lapg_rl.envs.build:custom"),
}

#: In the order in which they are played and reported; the keys of play follow from it, so new kinds go to the end of those
#: that are no scripts.
COPLAYERS = {
    "naive": CoPlayerRow("lapg_rl.play.company:naive", "naive learners"),
    "meta": CoPlayerRow("lapg_rl.play.company:meta", "other agents", others=True),
    "fixed": CoPlayerRow("lapg_rl.play.company:fixed", "fixed strategies", matrix=True),
    "memory_one": CoPlayerRow("lapg_rl.play.company:memory_one", "random memory-one strategies", matrix=True),
    "frozen": CoPlayerRow("lapg_rl.play.company:frozen", "frozen agents"),
    "ac": CoPlayerRow("lapg_rl.play.coplayers.coin:always_cooperate", "always-cooperate", game="coin"),
    "ad": CoPlayerRow("lapg_rl.play.coplayers.coin:always_defect", "always-defect", game="coin"),
}
#: The kinds that have a key `pool.p_...` of their own.
KEYED = tuple(kind for kind, about in COPLAYERS.items() if not about.game)


def scripts(game: str) -> tuple[str, ...]:
    """The kinds of co-players that are scripts of the kind of game."""
    return tuple(kind for kind, about in COPLAYERS.items() if about.game == game)


def is_address(name: str) -> bool:
    """Whether `name` is of the form `package.module:name`."""
    return bool(ADDRESS.fullmatch(name))


def check_name(field: str, name: str, table: Mapping[str, Any]) -> None:
    """Refuse what is neither a name of `table` nor an address; nothing is imported. Raises ValueError with near matches."""
    if name not in table and not is_address(name):
        raise ValueError(unknown(f"name {name!r} in {field}", name, [*table, "package.module:name"]))


def check_names(field: str, text: str, table: Mapping[str, Any]) -> str:
    """The comma-separated names in `text` without spaces; see `check_name`."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        check_name(field, name, table)
    return ",".join(names)


def row(name: str, table: Mapping[str, Any]) -> Any:
    """The row of a name, or for an address one of the same type that says no more than the address."""
    return table[name] if name in table else type(next(iter(table.values())))(name, name.split(":")[1])


def find(field: str, name: str, table: Mapping[str, Any]) -> Any:
    """What a name in a config stands for, or what lies at an address. Raises ValueError as `loading.load`."""
    return load(field, row(name, table).address)
