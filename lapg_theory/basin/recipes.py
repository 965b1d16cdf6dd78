"""Named schedules, and pools to try them in."""

import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lapg_theory.basin.course import Course, integrate, random_starts
from lapg_theory.basin.exact_pool import Pool
from lapg_theory.basin.stages import Stage
from lapg_theory.game import Discounted, FiniteHorizon, MatrixGame, check_count, prisoners_dilemma
from lapg_theory.learning import sobol_logits

#: Entropy coefficient .01 on rewards scaled by .05.
BONUS = 0.2
#: Whoever has most of this sum lives on answers, and opens.
OPENS_AND_ANSWERS = ("reward_vs_naive", "cooperation_vs_meta")

#: Schedules by name. Naive learners yield .6 a step where the window is open.
RECIPES: Mapping[str, tuple[Stage, ...]] = types.MappingProxyType(
    {
        "constant .25": (Stage(0.25),),
        "constant .5": (Stage(0.5),),
        "constant .75": (Stage(0.75),),
        "1, then .5 at step 50": (Stage(1.0, steps=50), Stage(0.5)),
        "1, then .5 at step 200": (Stage(1.0, steps=200), Stage(0.5)),
        "entropy at .25": (Stage(0.25, entropy=BONUS),),
        "entropy at .5": (Stage(0.5, entropy=BONUS),),
        "entropy at .75": (Stage(0.75, entropy=BONUS),),
        "recipe": (Stage(1.0, naive=0.6), Stage(0.25, entropy=BONUS, among=0.9), Stage(0.25)),
        "copies": (Stage(1.0, naive=0.6), Stage(0.25, entropy=BONUS, among=0.5), Stage(0.25, copies=OPENS_AND_ANSWERS)),
        "copies of extorters": (Stage(1.0, naive=1.0), Stage(0.25, copies=OPENS_AND_ANSWERS)),
    }
)


def small_pool(eta: float | int = 2.7088, steps: Any = 10, episodes: Any = 20, game: MatrixGame | None = None) -> Pool:
    """The exact pool beside the preset `ipd-mixed-small`: naive learners that all start from 1/2, a game of `steps` steps.

    eta is what one update of that preset's naive learners amounts to, in logits on returns per step.

    Args:
        eta: the naive learning rate, on returns per step.
        steps: T, steps of an inner episode.
        episodes: M, inner episodes; naive learners learn between them.
        game: the 2x2 game.

    Raises:
        ValueError: for counts that are no integers >= 1, or a rate that is negative or infinite.
    """
    check_count("episodes", episodes)
    game = prisoners_dilemma() if game is None else game
    return Pool(game, FiniteHorizon(steps), eta, episodes - 1, np.zeros((1, 5)))


def pool_of(meta: Any, nodes: Any = 64, scramblings: Any = 1) -> Pool:
    """The pool of a `MetaGame` without its share; with several scramblings each run has its own learners.

    Raises:
        ValueError: for a number of nodes that is no power of two, or scramblings that are no integer >= 1.
    """
    check_count("scramblings", scramblings)
    learners = [sobol_logits(nodes, meta.seed + 1000 * k, meta.spread) for k in range(scramblings)]
    found = learners[0] if scramblings == 1 else np.stack(learners)
    return Pool(meta.game, Discounted(meta.gamma), meta.rate, meta.updates, found)


def predict(
    pool: Pool,
    recipes: Mapping[str, Sequence[Stage]] = RECIPES,
    *,
    runs: Any = 16,
    agents: Any = 4,
    seed: int = 0,
    spread: float | int = 1.0,
    report: Callable[[int, int], None] = lambda done, total: None,
    **integration: Any,
) -> dict[str, Course]:
    """The course of `runs` runs from the same random starts under each recipe.

    Args:
        pool: whom the agents meet.
        recipes: schedules by name.
        runs: random starts, N(0, spread^2) logits.
        agents: in each run.
        seed: of the starts.
        spread: of the starts.
        report: called with (recipes done, recipes in all).
        integration: as for `integrate`.

    Raises:
        ValueError: as for `integrate`, and for counts that are none.
    """
    check_count("runs", runs)
    check_count("agents", agents, least=2)
    starts, found = random_starts(runs, agents, seed, spread), {}
    for name, stages in recipes.items():
        found[name] = integrate(pool, stages, starts, **integration)
        report(len(found), len(recipes))
    return found
