"""Zero-determinant strategies in groups: one player holds the others' mean payoff on a line, whatever they do.

Akin's identity holds for any number of players: with v the visit distribution over what the player sees (its own action
and how many others cooperated) every memory-one policy p obeys v . (gamma p + (1 - gamma) p0 - [own C]) = 0. (Hilbe, Wu,
Traulsen & Nowak 2014, PNAS 111; Pan, Hao, Rong & Zhou 2015, Sci. Rep. 5; with discount Govaert & Cao 2021, IEEE TAC 66.)
"""

from typing import Any

import numpy as np
from jaxtyping import Float

from lapg_theory.game import AnonymousGame
from lapg_theory.game.noise import counts_seen
from lapg_theory.zd.enforce import check_gamma

ROUNDING = 1e-9


def enforce_in_group(
    game: AnonymousGame, gamma: float | int, *, baseline: Any, slope: Any, phi: Any, p0: Any
) -> Float[np.ndarray, " states"]:
    """The policy that enforces mean(others) - baseline = slope (own - baseline) per step against every co-players.

    gamma p = [own C] - (1 - gamma) p0 + phi [slope (r_own - baseline) - (r_others - baseline)], r_others the mean payoff
    of the co-players. In a noisy game that p is done; returned is what has to be intended for it. In a public goods game
    of n players at gamma = 1, with a share s and baseline l: after own C with j cooperating others 1 + phi [(1 - s)(l - r
    c (j + 1) / n) - s c + c j / (n - 1)], after own D phi [(1 - s)(l - r c j / n) + c j / (n - 1)].

    Args:
        game: an `AnonymousGame` of at least two players.
        gamma: discount in [0, 1), or 1 for the undiscounted limit.
        baseline: the payoff l at which everybody earns the same.
        slope: 1 is fair, 0 fixes what the others earn.
        phi: how strongly the policy reacts; not 0.
        p0: the opening's chance of cooperating.

    Returns:
        2 n + 1 chances of cooperating, in the order of `AnonymousGame`.

    Raises:
        ValueError: where an entry would be no probability; the message names it.
    """
    check_gamma(gamma)
    intended, slip, seen = p0, 0.0, np.eye(game.players)
    if game.noise is not None:
        slip, seen = float(game.noise.execution), np.array(counts_seen(game.noise.perception, game.players - 1))
        p0 = slip + (1 - 2 * slip) * p0
    numbers = {"baseline": baseline, "slope": slope, "phi": phi, "p0": p0}
    if not np.isfinite(list(numbers.values())).all() or phi == 0 or gamma == 0:
        raise ValueError(
            f"baseline, slope, phi and p0 must be finite, phi and gamma not 0, got {numbers}, gamma {gamma}"
        )
    own = np.array([game.cooperator, game.defector])[:, ::-1]  # n - 1, ..., 0 cooperating others
    others = np.array(game.others())[:, ::-1]
    tilt = slope * (own - baseline) - (others - baseline)
    later = (np.array([[1.0], [0.0]]) - (1 - gamma) * p0 + phi * tilt) / gamma
    if game.noise is not None:
        later = np.linalg.solve(seen, (later.T - slip) / (1 - 2 * slip)).T
    policy = np.concatenate([[intended], later.ravel()])
    if (policy < -ROUNDING).any() or (policy > 1 + ROUNDING).any():
        worst = int(np.abs(policy - 0.5).argmax())
        raise ValueError(
            f"phi {phi:g} and p0 {p0:g} cannot enforce slope {slope:g} through {baseline:g} at gamma {gamma:g}: entry {worst} "
            f"would be {policy[worst]:.6g}, outside [0, 1]; try a smaller |phi|, the other sign, another p0 or a larger gamma"
        )
    return policy.clip(0, 1)
