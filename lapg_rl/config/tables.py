"""The names that configs use, one table a kind of thing; every other file takes names from here.

A row says where the thing lives, as `module:name`, and what is needed to check a config before anything heavy is imported. A
name that holds a colon is such an address itself: `package.module:name` of the user's own code stands wherever a name does.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

from lapg_rl.config.checks import unknown
from lapg_rl.config.loading import load

ADDRESS = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


@dataclasses.dataclass(frozen=True)
class Row:
    """A name's row: the address of the thing, how it is called in reports, and what it is, for `lapg list`."""

    address: str
    label: str = ""
    about: str = dataclasses.field(default="", kw_only=True)


@dataclasses.dataclass(frozen=True)
class EstimatorRow(Row):
    """An estimator; `episodic`: the horizon of its credits is the inner episode; `pairs`: it is for games of two players."""

    episodic: bool = False
    pairs: bool = False


@dataclasses.dataclass(frozen=True)
class AlgorithmRow(Row):
    """An algorithm; `credits`: it learns from an estimator's credits; `requires`: keys of a config and why they must be so.

    `least_episodes`: how many inner episodes it needs among naive learners. `plays`: the key of `learner` that says how often
    it plays in an update, if not once. `keeps`: models beside the policy. `repeated`: it is for repeated games of two.
    """

    credits: bool = True
    least_episodes: int = 1
    plays: str = ""
    keeps: tuple[str, ...] = ()
    repeated: bool = False
    requires: Mapping[str, tuple[Any, str]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class ModelRow(Row):
    """A model; its width must be a multiple of `parts` times the number of heads, if `parts` is not 0.

    `least` gives a lower bound of the number of its parameters, from the section `model` of a config.
    """

    parts: int = 0
    least: Callable[[Any], int] = lambda model: 0


@dataclasses.dataclass(frozen=True)
class GameRow(Row):
    """A game; `matrix`: a repeated game of two players by its payoffs; `section`: of its config.

    `free`: its payoffs are any, by the keys `name` or `payoffs`, and not those of a dilemma, by T, R, P and S. `group`: it is
    a dilemma of `game.players` players that is repeated, by `factor` and `cost`. `goods`: these three say what is at stake.
    `slips`: it is no repeated game, but knows `execution`.
    """

    matrix: bool = False
    section: str = ""
    free: bool = False
    group: bool = False
    goods: bool = False
    slips: bool = False


@dataclasses.dataclass(frozen=True)
class PayoffRow(Row):
    """A game of the zoo; `actions`: what its actions are called, in their order."""

    actions: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class CoPlayerRow(Row):
    """A kind of co-player; `matrix`: it plays 2x2 games only; `others`: it is met where there are other agents.

    `game`: it is a script of that game. A script has no key `pool.p_...`, only a share in `pool.coplayers`.
    """

    matrix: bool = False
    others: bool = False
    game: str = ""


@dataclasses.dataclass(frozen=True)
class LoggerRow(Row):
    """Where metrics go besides the run folder; `needs`: a module, which the extra of the same name as the row installs."""

    needs: str = ""


#: In the order in which reports show them.
ESTIMATORS = {
    "lapg": EstimatorRow("lapg_rl.estimators:lapg", "LAPG", about="unbiased; now / B + the mean future of all B games"),
    "mfos": EstimatorRow(
        "lapg_rl.estimators:mfos", "M-FOS", about="now + the mean future: now counts B times too much"
    ),
    "batch_unaware": EstimatorRow(
        "lapg_rl.estimators:batch_unaware", "batch-unaware", about="(now + future) / B, each game for itself"
    ),
    "inner_episode": EstimatorRow(
        "lapg_rl.estimators:inner_episode", "inner episode", episodic=True, about="now / B: blind to learning"
    ),
    "advantage_alignment": EstimatorRow(
        "lapg_rl.estimators:advantage_alignment",
        "Advantage Alignment",
        episodic=True,
        about="now / B + past * the other's",
    ),
    "loqa": EstimatorRow(
        "lapg_rl.estimators:loqa", "LOQA", episodic=True, pairs=True, about="the same; learns the other's action values"
    ),
    "reciprocator": EstimatorRow(
        "lapg_rl.estimators:reciprocator",
        "Reciprocator",
        episodic=True,
        pairs=True,
        about="now / B, with a reward for answering in kind",
    ),
}

#: By the memory of the agents: the estimator of a best response to somebody who does not learn.
BEST_RESPONSE = {"meta_episode": "batch_unaware", "inner_episode": "inner_episode"}

_ONE_STEP = {
    "learner.epochs": (1, "it takes one on-policy step"),
    "learner.minibatches": (1, "it takes one on-policy step"),
}
_REPLAYED = {
    "learner.memory": ("inner_episode", "it looks ahead within single inner episodes"),
    "naive.optimiser": ("sgd", "it differentiates through plain gradient steps"),
    "naive.normalize_advantages": (False, "it differentiates through plain gradient steps"),
    "game.stop": (0, "it replays, or foresees, inner episodes of full length"),
    "game.players": (2, "it replays, or predicts, one co-player"),
}
_WHOLE = {key: why for key, why in _REPLAYED.items() if not key.startswith("naive")}
ALGORITHMS = {
    "ppo": AlgorithmRow(
        "lapg_rl.learn.algorithms:policy_gradient",
        "PPO",
        about="proximal policy optimisation, with an estimator's credits",
    ),
    "a2c": AlgorithmRow(
        "lapg_rl.learn.algorithms:policy_gradient",
        "A2C",
        requires=_ONE_STEP,
        about="one plain gradient step, with an estimator's credits",
    ),
    "lola_dice": AlgorithmRow(
        "lapg_rl.learn.algorithms:lola_dice",
        "LOLA-DiCE",
        about="differentiates through the naive learner's next step",
        credits=False,
        least_episodes=2,
        requires=_ONE_STEP | _REPLAYED,
    ),
    "pola": AlgorithmRow(
        "lapg_rl.learn.algorithms:pola",
        "POLA",
        about="LOLA-DiCE by proximal steps: near in policy, not in parameters",
        credits=False,
        least_episodes=2,
        plays="epochs",
        requires={"learner.minibatches": _ONE_STEP["learner.minibatches"]} | _REPLAYED,
    ),
    "shaper": AlgorithmRow(
        "lapg_rl.learn.algorithms:shaper",
        "Shaper",
        about="evolution strategies on the return of the meta-episode",
        credits=False,
        plays="population",
        requires=_ONE_STEP | {"learner.gamma": (1, "it scores undiscounted returns")},
    ),
    "ppi": AlgorithmRow(
        "lapg_rl.learn.algorithms:ppi",
        "PPI",
        about="roll-outs inside a model of all play improve its own predictions",
        credits=False,
        keeps=("predicted",),
        repeated=True,
        requires=_WHOLE | {"learner.minibatches": (1, "it learns from all play at once")},
    ),
}

MODELS = {
    "hawk": ModelRow(
        "lapg_rl.models.hawk:from_config",
        "Hawk",
        1,
        lambda m: m.depth * 2 * m.width * m.mlp_width,
        about="gated linear recurrences (Griffin without attention)",
    ),
    "gru": ModelRow(
        "lapg_rl.models.gru:from_config", "GRU", 0, lambda m: 3 * m.width**2, about="a gated recurrent unit"
    ),
    "transformer": ModelRow(
        "lapg_rl.models.transformer:from_config",
        "transformer",
        2,  # it turns pairs
        lambda m: m.depth * (4 * m.width**2 + 2 * m.width * m.mlp_width),
        about="causal attention, with a cache of keys and values",
    ),
    "tabular": ModelRow(
        "lapg_rl.models.tabular:from_config", "table of logits", about="one row for every one-hot observation"
    ),
}

GAMES = {
    "ipd": GameRow(
        "lapg_rl.envs.build:repeated", "iterated prisoner's dilemma", matrix=True, about="keys game.T, .R, .P, .S"
    ),
    "cleanup": GameRow(
        "lapg_rl.envs.build:cleanup",
        "CleanUp-lite",
        section="cleanup",
        about="clean the river or no apples grow; game.cleanup.*",
    ),
    "coin": GameRow(
        "lapg_rl.envs.build:coin",
        "Coin Game",
        section="coin",
        about="whose coin is taken, on a torus; keys game.coin.*",
    ),
    "commons": GameRow(
        "lapg_rl.envs.build:commons",
        "commons of a public good",
        section="commons",
        goods=True,
        slips=True,
        about="defection ruins it; keys game.commons.*",
    ),
    "custom": GameRow(
        "lapg_rl.envs.build:custom", about="an environment of yours; game.factory=package.module:function"
    ),
    "matrix": GameRow(
        "lapg_rl.envs.build:repeated",
        "matrix game",
        matrix=True,
        free=True,
        about="any repeated game of two; game.name, game.payoffs",
    ),
    "public-goods": GameRow(
        "lapg_rl.envs.build:repeated",
        "public goods game",
        matrix=True,
        group=True,
        goods=True,
        about="for game.players; keys game.factor, game.cost",
    ),
}

#: The games that `game.name` takes; their addresses give them with their default payoffs.
ZOO = {
    "prisoners_dilemma": PayoffRow("lapg_theory.game:prisoners_dilemma", "prisoner's dilemma", ("cooperate", "defect")),
    "donation_game": PayoffRow("lapg_theory.game:donation_game", "donation game", ("cooperate", "defect")),
    "stag_hunt": PayoffRow("lapg_theory.game:stag_hunt", "stag hunt", ("stag", "hare")),
    "chicken": PayoffRow("lapg_theory.game:chicken", "game of chicken", ("swerve", "dare")),
    "battle_of_the_sexes": PayoffRow(
        "lapg_theory.game:battle_of_the_sexes", "battle of the sexes", ("the row player's place", "the column player's")
    ),
    "matching_pennies": PayoffRow("lapg_theory.game:matching_pennies", "matching pennies", ("heads", "tails")),
    "rock_paper_scissors": PayoffRow(
        "lapg_theory.game:rock_paper_scissors", "rock-paper-scissors", ("rock", "paper", "scissors")
    ),
    "graded_dilemma": PayoffRow("lapg_theory.game:graded_dilemma", "graded dilemma", ("all", "half", "nothing")),
}

#: In the order in which they are played and reported; the keys of play follow from it, so new kinds go to the end of those
#: that are no scripts.
COPLAYERS = {
    "naive": CoPlayerRow(
        "lapg_rl.play.company:naive", "naive learners", about="they learn from the B games after each inner episode"
    ),
    "meta": CoPlayerRow(
        "lapg_rl.play.company:meta", "other agents", others=True, about="of the run: the share that the rest leaves"
    ),
    "fixed": CoPlayerRow(
        "lapg_rl.play.company:fixed", "fixed strategies", matrix=True, about="those named in pool.fixed"
    ),
    "memory_one": CoPlayerRow(
        "lapg_rl.play.company:memory_one", "random memory-one strategies", matrix=True, about="new every meta-episode"
    ),
    "frozen": CoPlayerRow(
        "lapg_rl.play.company:frozen", "frozen agents", about="trained, of another run; they learn no more"
    ),
    "ac": CoPlayerRow(
        "lapg_rl.play.coplayers.coin:always_cooperate",
        "always-cooperate",
        game="coin",
        about="takes coins of its own colour only",
    ),
    "ad": CoPlayerRow(
        "lapg_rl.play.coplayers.coin:always_defect", "always-defect", game="coin", about="takes every coin"
    ),
    "cleaner": CoPlayerRow(
        "lapg_rl.play.coplayers.cleanup:cleaner",
        "cleaner",
        game="cleanup",
        about="cleans from two dirty cells on, else harvests",
    ),
    "harvester": CoPlayerRow(
        "lapg_rl.play.coplayers.cleanup:harvester", "harvester", game="cleanup", about="harvests, never cleans"
    ),
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


LOGGERS = {
    "tensorboard": LoggerRow(
        "lapg_rl.runs.loggers:TensorBoard",
        "TensorBoard",
        about="an event file in RUN/tensorboard",
        needs="tensorboardX",
    ),
    "wandb": LoggerRow(
        "lapg_rl.runs.loggers:WeightsAndBiases", "Weights & Biases", about="a run there, or offline", needs="wandb"
    ),
}

#: The rewards per step that a run is told by, and in a word.
HEADLINES = {"reward_vs_naive": "agent", "naive_reward": "naive", "reward_vs_meta": "pool"}
#: The names of metrics, by their pattern, and what they say; {kind} is a kind of co-player, {measure} what the game measures.
METRICS = {
    "reward_vs_{kind}": "the agent's reward per step against that kind",
    "{kind}_reward": "what that co-player earns per step",
    "{kind}_reward_last_episode": "the same in the last inner episode",
    "{measure}_vs_{kind}": "what the game measures, as cooperation",
    "{kind}_{measure}": "the same of the co-player",
    "{measure}_discrepancy_vs_{kind}": "mean difference between the two players",
    "{kind}_in_{group}_reward": "of that kind in a mixed group: naive+meta",
    "{kind}_in_{group}_{measure}": "what the game measures of them",
    "length_vs_{kind}": "steps of an inner episode that may end early",
    "policy_loss": "mean over epochs and minibatches",
    "value_loss": "half the mean squared error of the values",
    "model_loss": "LOQA: Q2's squared error / 2; PPI: -log chances",
    "baseline_loss": "Reciprocator: the same of its baselines",
    "entropy": "of the policy, in nats per step",
    "divergence": "POLA: mean KL from the policy before the update",
    "improvement": "PPI: gain of a roll-out by the improved policy",
    "gradient_norm": "before it is clipped",
    "score": "Shaper: the mean return of the candidates",
    "score_spread": "Shaper: its standard deviation over them",
}
