"""Scrambled Sobol points in few dimensions: those of `scipy.stats.qmc.Sobol`, bit for bit, without its second of import.

Direction numbers of Joe & Kuo (2008, SIAM J. Sci. Comput. 30, set new-joe-kuo-6); scrambled by a random lower triangular
matrix of bits and a random shift (Matousek 1998, J. Complexity 14).
"""

import numpy as np
from jaxtyping import Float

from lapg_theory.game import MOST_NODES, check_count

BITS = 30
#: For each dimension after the first its primitive polynomial, as bits, and the first direction numbers.
DIRECTIONS = (
    (3, (1,)),
    (7, (1, 3)),
    (11, (1, 3, 1)),
    (13, (1, 1, 1)),
    (19, (1, 1, 3, 3)),
    (25, (1, 3, 5, 13)),
    (37, (1, 1, 5, 5, 17)),
    (41, (1, 1, 5, 5, 5)),
    (47, (1, 1, 7, 11, 19)),
)


def _directions(polynomial: int, first: tuple[int, ...]) -> list[int]:
    """BITS direction numbers by Bratley & Fox's recurrence, each shifted to the top."""
    degree, m = len(first), list(first)
    for k in range(degree, BITS):
        new = m[k - degree] ^ (m[k - degree] << degree)
        for i in range(1, degree):
            if polynomial >> (degree - i) & 1:
                new ^= m[k - i] << i
        m.append(new)
    return [value << (BITS - 1 - k) for k, value in enumerate(m)]


def sobol(n: int, dimensions: int, rng: np.random.Generator) -> Float[np.ndarray, "n d"]:
    """The first `n` points of a scrambled Sobol sequence in [0, 1)^d, d at most 10.

    Raises:
        ValueError: for more dimensions, and for an n that is no integer >= 1.
    """
    check_count("n", n, most=MOST_NODES)
    if not 1 <= dimensions <= len(DIRECTIONS) + 1:
        raise ValueError(f"dimensions must be at least 1 and at most {len(DIRECTIONS) + 1}, got {dimensions}")
    plain = [[1 << (BITS - 1 - k) for k in range(BITS)]] + [_directions(*each) for each in DIRECTIONS[: dimensions - 1]]
    top_first = np.arange(BITS - 1, -1, -1)
    (rng,) = rng.spawn(1)
    shift = rng.integers(2, size=(dimensions, BITS), dtype=np.uint32) @ (1 << np.arange(BITS, dtype=np.uint32))
    lower = np.tril(rng.integers(2, size=(dimensions, BITS, BITS), dtype=np.uint32)).astype(np.int64)
    lower[:, range(BITS), range(BITS)] = 1
    bits = np.array(plain)[:, None, :] >> top_first[:, None] & 1  # [dimension, bit, direction]
    scrambled = ((lower @ bits & 1) << top_first[:, None]).sum(1)
    gray = np.arange(n) ^ np.arange(n) >> 1
    points = np.broadcast_to(shift.astype(np.int64), (n, dimensions)).copy()
    for k in range(int(n - 1).bit_length()):
        points ^= np.where((gray >> k & 1)[:, None], scrambled[:, k], 0)
    return points / 2.0**BITS
