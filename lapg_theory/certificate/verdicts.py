"""Two verdicts on mutual defection in a mixed pool: is it a local fixed point, and is it a Nash equilibrium."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import logit

from lapg_theory.certificate.setting import Setting
from lapg_theory.certificate.thresholds import standard_error
from lapg_theory.exact.chain import Discount, from_probabilities, payoffs
from lapg_theory.game import ALLD, STATES, Discounted, MatrixGame
from lapg_theory.game.units import normalised
from lapg_theory.shaping.climb import climb_abreast
from lapg_theory.shaping.course import value_and_slope
from lapg_theory.shaping.initialisations import t_quantile

#: More learners than this are worth the seconds in which JAX is loaded and compiles.
COMPILED = 8192
#: Starts of the search for a better policy: nearly a defector, three extortioners, tit-for-tat, a coin.
STARTS = (
    (0.0, 1.0, 0.0, 0.05, 0.0),
    (0.0, 0.95, 0.05, 0.3, 0.0),
    (0.0, 0.7, 0.1, 0.45, 0.0),
    (0.05, 0.3, 0.05, 0.1, 0.05),
    (0.9, 0.95, 0.1, 0.9, 0.1),
    (0.5, 0.5, 0.5, 0.5, 0.5),
)


@dataclasses.dataclass(frozen=True)
class LocalVerdict:
    """Whether mutual unconditional defection is a stable fixed point of gradient ascent (true in a truth test: yes).

    `gradient`: of the mixed pool at defection, by state, per step; defection is stable where s0, DC and DD are negative
    (Karush, Kuhn and Tucker; CC and CD are never visited; under noise they are, and count). `p_critical`: share of
    naive learners above which it is not, None if no share suffices. `face_stable`: whether the same holds at every p =
    (0, p_CC, p_CD, 0, 0) of a grid, all of which behave alike (under noise they do not, and only defection itself is
    looked at); `face_worst`: its least stable point (p_CC, p_CD), state and component.
    """

    stable: bool
    gradient: dict[str, float]
    p_critical: float | None
    face_stable: bool
    face_worst: tuple[float, float, str, float]

    def __bool__(self) -> bool:
        return self.stable


@dataclasses.dataclass(frozen=True)
class NashVerdict:
    """Whether no memory-one policy earns more in the pool than defection does (true in a truth test: none was found).

    `is_nash`: None where quadrature cannot tell, even with eight times as many learners: no gain's 95% interval (by Student's
    t over the scramblings) is above zero, but one may be positive within it, or may become so a little further on.
    `deviation`: the best policy found (the one in doubt), s0, CC, CD, DC, DD.
    `gain`: what it earns more than defection per step; `error`: quadrature standard error of that; `value`: what it earns.
    `doubt`: a slope at `deviation` that leaves the verdict open, (state, slope, its standard error).
    """

    is_nash: bool | None
    deviation: tuple[float, ...]
    gain: float
    error: float
    value: float
    doubt: tuple[str, float, float] | None = None

    def __bool__(self) -> bool:
        return self.is_nash is True


def critical_share(shaping: float, itself: float) -> float | None:
    """Share of naive learners above which p shaping + (1 - p) itself is positive; None if no share suffices."""
    if itself > 0:
        return 0.0
    return float(abs(itself) / (shaping + abs(itself))) if shaping > 0 else None


def local_verdict(setting: Setting, shaping: np.ndarray, grid: int = 6) -> LocalVerdict:
    """The local verdict, from the shaping gradient at the setting's states, on a `grid` x `grid` of the defection face."""
    itself = setting.against_itself()
    mixed = setting.mixed(shaping, itself)
    shares = [critical_share(*pair) for pair in zip(shaping, itself, strict=True)]
    found = [share for share in shares if share is not None]
    policies = setting.everywhere.reshape(-1, 5)
    worst = []
    face = np.linspace(0, 1, grid if setting.game.noise is None else 1)
    for p_cc in face:
        for p_cd in face:
            total = setting.shaping(policies, setting.eta, p_cc=p_cc, p_cd=p_cd).sum(0).mean(1)
            components = setting.mixed(total, setting.against_itself(p_cc, p_cd))
            index = int(components.argmax())
            worst.append((float(p_cc), float(p_cd), STATES[setting.states[index]], float(components[index])))
    return LocalVerdict(
        stable=bool((mixed < 0).all()),
        gradient=dict.fromkeys(STATES, 0.0) | {STATES[s]: float(x) for s, x in zip(setting.states, mixed, strict=True)},
        p_critical=min(found, default=None),
        face_stable=all(value < 0 for *_, value in worst),
        face_worst=max(worst, key=lambda point: point[3]),
    )


def nash_verdict(setting: Setting, tolerance: float = 1e-6) -> NashVerdict:
    """The best memory-one policy found in the pool by bounded quasi-Newton from several starts, against defection.

    Where that leaves it in doubt whether some gain exceeds `tolerance` x spread of payoffs, more learners are asked.

    Raises:
        ValueError: for learners in probability space, for which no exact shaping return is at hand.
    """
    if setting.space != "logit":
        raise ValueError('nash needs learners in logit space (space="logit"); local holds for either space')
    found = _search(setting, setting.everywhere, tolerance)
    return found if found.is_nash is not None else _search(setting, setting.refined, tolerance)


def _search(setting: Setting, everywhere: np.ndarray, least: float) -> NashVerdict:
    """Whether some policy gains more than `least` x spread of payoffs against these learners; in own units."""
    game, scale, learner = normalised(setting.game)
    rate = setting.eta * learner.unit
    learners = np.concatenate([everywhere.reshape(-1, 5), [ALLD]])
    count = len(learners) - 1
    shares = np.append(np.full(count, setting.p_naive / count), 1 - setting.p_naive)
    logits = np.clip(logit(learners), -700, 700)  # at -700 the defector never learns

    def pool(policies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return _against(game, setting, rate, logits, policies)

    def mean(policies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values, slopes = pool(policies)
        return values @ shares, shares @ slopes

    defection = pool(np.array([ALLD]))[0][0]
    climbed, ends = climb_abreast(mean, STARTS), []
    for end, value, slope in zip(climbed, *pool(np.array([end.policy for end in climbed])), strict=True):
        gains, own = value - defection, len(everywhere)
        errors = [setting.p_naive * standard_error(part[:-1].reshape(own, -1).mean(1)) for part in (gains, *slope.T)]
        reach = t_quantile(own)
        doubt = _doubt(end.policy, shares @ slope, np.array(errors[1:]), reach)
        ends.append((end, float(shares @ gains), errors[0], doubt))
    found = decide(ends, least * float(np.ptp(game.row_payoffs)), reach)
    gain, error = scale.unit * found.gain, scale.unit * found.error
    if found.doubt is not None:
        state, slope, spread = found.doubt
        found = dataclasses.replace(found, doubt=(state, scale.unit * slope, scale.unit * spread))
    return dataclasses.replace(found, gain=gain, error=error, value=float(scale.level(found.value)))


def _against(
    game: MatrixGame, setting: Setting, rate: float, logits: np.ndarray, policies: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return per step of policies [k, 5] against every learner, and its slopes, [k, n] and [k, n, 5]."""
    if len(logits) > COMPILED:
        from lapg_theory.shaping.returns import shaping_value_and_gradient

        horizon = Discounted(setting.gamma)
        given = (logits, rate, setting.updates)
        found = [shaping_value_and_gradient(game, horizon, p, *given) for p in policies]
        values, slopes = (np.stack(part) / horizon.weight for part in zip(*found, strict=True))
        return values, slopes
    horizon, rewards = Discount(setting.gamma, 1 / (1 - setting.gamma), game.noise), (payoffs(game), payoffs(game, 1))
    ego = from_probabilities(policies.T[:, :, None])
    thetas = np.broadcast_to(logits.T[:, None], (5, len(policies), len(logits)))
    value, slope = value_and_slope(ego, thetas, rewards, horizon, rate, setting.updates)
    return value, np.moveaxis(slope, 0, -1)


def _doubt(policy: np.ndarray, slope: np.ndarray, error: np.ndarray, reach: float) -> tuple[str, float, float] | None:
    """The likeliest of the slopes at a bound that may really point into the cube: within `reach` standard errors of it."""
    inwards = np.where(policy <= 0, slope, np.where(policy >= 1, -slope, -np.inf))
    open_to = (error > 0) & (inwards + reach * error > 0)
    if not open_to.any():
        return None
    k = int(np.where(open_to, inwards / np.where(error > 0, error, 1), -np.inf).argmax())
    return STATES[k], float(slope[k]), float(error[k])


def decide(ends: Sequence[tuple[Any, float, float, Any]], least: float, reach: float = 2.0) -> NashVerdict:
    """The verdict on (end of an ascent, gain, its standard error, doubtful slope).

    `reach`: how many standard errors an interval extends either way.
    """
    above = [end for end in ends if end[1] - reach * end[2] > least]
    doubtful = [end for end in ends if end[1] + reach * end[2] > least or (end[3] and end[1] > -least)]
    best, gain, error, doubt = max(above or doubtful or ends, key=lambda end: end[1])
    verdict = False if above else None if doubtful else True
    doubt = doubt if verdict is None else None
    return NashVerdict(verdict, tuple(float(x) for x in best.policy), gain, error, float(best.value), doubt)
