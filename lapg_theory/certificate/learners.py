"""Where naive learners start: a distribution of policies, or the nodes and weights that stand for it."""

import numbers
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import expit, ndtri

from lapg_theory.certificate.closed_form import PLAYED
from lapg_theory.game import MOST_NODES, check_count
from lapg_theory.game.strategies import check_policy
from lapg_theory.shaping.sobol import sobol


def initial_learners(
    init: Any = 1.0, *, nodes: int = 1024, scramblings: int = 8, seed: int = 0, every_state: bool = False
) -> Float[np.ndarray, "scramblings nodes 5"]:
    """Initial policies to average over: the mean of any function over them is its expectation, to quadrature error.

    Args:
        init: a number is the standard deviation of normal logits with mean zero; five probabilities are one policy that
            every learner starts from; an array [n, 5] is the population itself, every policy equally likely.
        nodes: points of a Sobol sequence, a power of two.
        scramblings: independent scramblings of it; their spread is the error bar. One for a population given outright.
        seed: of the scrambling; the same seed gives the same nodes.
        every_state: spread over all five logits. Otherwise over the three that are played against a defector, with the
            other two at their mean 1/2, which is exact for all that is linear in them.

    Raises:
        ValueError: for a negative spread, an array of another shape, an entry that is no probability, or a number of
            nodes that is no power of two, and a negative seed.
    """
    if not isinstance(init, numbers.Real):
        population = check_policy("init", init)
        if population.ndim > 2 or population.size == 0:
            raise ValueError(
                f"init must be a spread, one policy [5] or a population [n, 5], got shape {population.shape}"
            )
        return population.reshape(1, -1, 5)
    spread = float(init)
    if not 0 <= spread < np.inf:
        raise ValueError(f"init = {init!r} must be a standard deviation >= 0 of the logits; or give policies, [n, 5]")
    check_count("nodes", nodes, most=MOST_NODES)
    check_count("scramblings", scramblings, least=2)
    check_count("seed", seed, least=0)
    if nodes & (nodes - 1):
        raise ValueError(f"nodes must be a power of two (a Sobol sequence is balanced only there), got {nodes}")
    states = list(range(5)) if every_state else list(PLAYED)
    policies = np.full((scramblings, nodes, 5), 0.5)
    for index, stream in enumerate(np.random.SeedSequence(seed).spawn(scramblings)):
        points = sobol(nodes, len(states), np.random.default_rng(stream))
        policies[index][:, states] = expit(spread * ndtri(points))
    return policies
