"""The words for what an agent does: one definition, with one set of thresholds, for exact policies and trained agents."""

from typing import Any

import numpy as np

from lapg_theory.game.matrix_game import MatrixGame

#: In the order in which reports list them.
WORDS = ("cooperate", "alternate", "extort", "defect", "other")
#: Surplus shares, (reward - P) / (R - P), from which on a reward is much, up to which it is little, and by which an agent
#: must earn more from naive learners than unconditional defection does, to extort.
MUCH, LITTLE, GAIN = 0.75, 0.25, 0.05
#: Chance of opening with C that tells cooperating from taking turns, and frequency of C below which an agent defects.
OPENING, RARELY = 0.5, 0.1


def surplus(game: MatrixGame, reward: Any) -> np.ndarray:
    """The share (reward - P) / (R - P) of what mutual cooperation yields over mutual defection; rewards are per step.

    Raises:
        ValueError: for a game that is not symmetric, or in which R does not exceed P.
    """
    _, R, P, _ = game.trps
    if not R > P:
        raise ValueError(
            f"surplus shares are measured from P to R, so R must exceed P; {game.name} has R = {R}, P = {P}"
        )
    return np.asarray((np.asarray(reward, dtype=float) - float(P)) / float(R - P))


def words(
    game: MatrixGame, left: Any, *, own: Any = None, gain: Any = None, cooperation: Any = None, opening: Any = None
) -> np.ndarray:
    """What agents do to those they meet, each in one of WORDS; arguments broadcast, rewards are per step.

    In surplus shares: cooperate: both sides earn at least 0.75; alternate: the same without opening with C; extort: the
    other side is left at most 0.25, and the agent takes at least 0.05 more from naive learners than unconditional
    defection; defect: at most 0.25 without that; other: in between. Where nobody measured what defection earns, an agent
    extorts that earns at least 0.75 itself and cooperates in at least a tenth of the steps, and defects if it cooperates
    in fewer.

    Args:
        game: the symmetric game that sets P and R.
        left: what the other side earns. For a pair of agents: the pair's mean; for one among naive learners: theirs.
        own: what the agent earns against them; by default `left`, as in a pair.
        gain: reward from naive learners less that of unconditional defection against the same; NaN or None: not measured.
        cooperation: the agent's frequency of cooperating; it counts only where `gain` is not measured.
        opening: the smaller chance of either side to open with C; by default it does not count.

    Returns:
        Array of str of the broadcast shape, `()` for plain numbers.

    Raises:
        ValueError: for rewards that are not finite, or a game without P < R.
    """
    left = surplus(game, left)
    own = left if own is None else surplus(game, own)
    if not (np.isfinite(left).all() and np.isfinite(own).all()):
        raise ValueError(f"rewards must be finite, got surplus shares {left} left and {own} own; look at the run")
    _, R, P, _ = game.trps
    gain = np.asarray(np.nan if gain is None else gain, dtype=float) / float(R - P)
    cooperation = np.asarray(np.nan if cooperation is None else cooperation, dtype=float)
    takes = np.where(np.isnan(gain), (own >= MUCH) & (cooperation >= RARELY), gain >= GAIN)
    takes_nothing = ~np.isnan(gain) | ~(cooperation >= RARELY)
    opens = np.asarray(OPENING if opening is None else opening, dtype=float) >= OPENING
    shares, little = (left >= MUCH) & (own >= MUCH), left <= LITTLE
    rules = [shares & opens, shares, little & takes, little & takes_nothing]
    return np.select(np.broadcast_arrays(*rules), WORDS[:-1], WORDS[-1])
