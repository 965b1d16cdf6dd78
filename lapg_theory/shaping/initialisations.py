"""Initial naive learners: fixed-seed scrambled Sobol points for N(0, spread^2) logits, and expectations over them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from lapg_theory.game import MOST_NODES, check_count
from lapg_theory.shaping.sobol import sobol


def sobol_logits(n: int, seed: int = 0, spread: float = 1.0) -> np.ndarray:
    """`n` vectors of five independent N(0, spread^2) logits, [n, 5], from a scrambled Sobol sequence.

    Raises:
        ValueError: unless n is a power of two (the sequence is balanced at those only), spread >= 0 and seed >= 0.

    Example:
        >>> import lapg_theory as lt
        >>> lt.sobol_logits(8, seed=1).shape
        (8, 5)
    """
    check_count("n", n, most=MOST_NODES)
    check_count("seed", seed, least=0)
    if n & (n - 1):
        raise ValueError(f"n must be a power of two for a Sobol sequence, got {n}; take {1 << n.bit_length()}")
    if not 0 <= spread < np.inf:
        raise ValueError(f"spread must be >= 0 and finite, got {spread}")
    from scipy.special import ndtri

    points = sobol(n, 5, np.random.default_rng(seed))
    return spread * ndtri(np.clip(points, 2.0**-64, 1 - 2.0**-53))


def t_quantile(samples: int, level: float = 0.95) -> float:
    """How many standard errors a two-sided interval reaches either way, by Student's t with samples - 1 degrees of freedom.

    Two standard errors would be an interval of 88% for 5 samples, 91% for 8. Zero for a single sample, which has no error.
    """
    from scipy.special import stdtrit

    return float(stdtrit(samples - 1, (1 + level) / 2)) if samples > 1 else 0.0


def expectation(
    function: Callable[[np.ndarray], Any], n: int = 512, seed: int = 0, spread: float = 1.0, scramblings: int = 4
) -> tuple[Any, Any]:
    """Mean of `function` over N(0, spread^2) initial logits and its standard error, from independent scramblings.

    `function` maps logits [n, 5] to an array with first axis n (or a tuple of such arrays). The mean is taken over
    scramblings * n points; the standard error is the spread of the scramblings' means over sqrt(scramblings).

    Args:
        function: maps logits [n, 5] to arrays with first axis n.
        n: points of a scrambling, a power of two.
        seed: of the scramblings.
        spread: standard deviation of the logits.
        scramblings: how many, at least 2.

    Raises:
        ValueError: for fewer than two scramblings, or an n that is no power of two.
    """
    check_count("scramblings", scramblings, least=2)
    import jax

    found = [function(sobol_logits(n, seed + k, spread)) for k in range(scramblings)]
    means = jax.tree.map(lambda *parts: np.stack([np.mean(part, axis=0) for part in parts]), *found)
    errors = jax.tree.map(lambda m: m.std(axis=0, ddof=1) / np.sqrt(scramblings), means)
    return jax.tree.map(lambda m: m.mean(axis=0), means), errors
