"""Two verdicts on mutual defection in a mixed pool: is it a local fixed point, and is it a Nash equilibrium."""

import dataclasses

import numpy as np
from scipy.optimize import minimize
from scipy.special import logit

from lapg_theory.certificate.closed_form import VISITED
from lapg_theory.certificate.setting import Setting
from lapg_theory.certificate.thresholds import standard_error
from lapg_theory.game import ALLD, STATES, Discounted
from lapg_theory.learning.shaping import shaping_value_and_gradient

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
    (Karush, Kuhn and Tucker; CC and CD are never visited). `p_critical`: share of naive learners above which it is not,
    None if no share suffices. `face_stable`: whether the same holds at every p = (0, p_CC, p_CD, 0, 0) of a grid, all
    of which behave alike; `face_worst`: its least stable point (p_CC, p_CD), state and component.
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

    `deviation`: the best policy found, s0, CC, CD, DC, DD; `gain`: what it earns more than defection per step, with its
    quadrature standard error `error`; `value` what it earns.
    """

    is_nash: bool
    deviation: tuple[float, ...]
    gain: float
    error: float
    value: float

    def __bool__(self) -> bool:
        return self.is_nash


def critical_share(shaping: float, itself: float) -> float | None:
    """Share of naive learners above which p shaping + (1 - p) itself is positive; None if no share suffices."""
    if itself > 0:
        return 0.0
    return float(abs(itself) / (shaping + abs(itself))) if shaping > 0 else None


def local_verdict(setting: Setting, shaping: np.ndarray, grid: int = 6) -> LocalVerdict:
    """The local verdict, from the shaping gradient at s0, DC, DD, on a `grid` x `grid` of the defection face."""
    itself = setting.against_itself()
    mixed = setting.mixed(shaping, itself)
    shares = [critical_share(*pair) for pair in zip(shaping, itself, strict=True)]
    found = [share for share in shares if share is not None]
    policies = setting.everywhere.reshape(-1, 5)
    worst = []
    for p_cc in np.linspace(0, 1, grid):
        for p_cd in np.linspace(0, 1, grid):
            total = setting.shaping(policies, setting.eta, p_cc=p_cc, p_cd=p_cd).sum(0).mean(1)
            components = setting.mixed(total, setting.against_itself(p_cc, p_cd))
            index = int(components.argmax())
            worst.append((float(p_cc), float(p_cd), STATES[VISITED[index]], float(components[index])))
    return LocalVerdict(
        stable=bool((mixed < 0).all()),
        gradient=dict.fromkeys(STATES, 0.0) | {STATES[s]: float(x) for s, x in zip(VISITED, mixed, strict=True)},
        p_critical=min(found, default=None),
        face_stable=all(value < 0 for *_, value in worst),
        face_worst=max(worst, key=lambda point: point[3]),
    )


def nash_verdict(setting: Setting, tolerance: float = 1e-6) -> NashVerdict:
    """The best memory-one policy found in the pool by bounded quasi-Newton from several starts, against defection.

    Raises:
        ValueError: for learners in probability space, for which no exact shaping return is at hand.
    """
    if setting.space != "logit":
        raise ValueError('nash needs learners in logit space (space="logit"); local holds for either space')
    horizon = Discounted(setting.gamma)
    learners = np.concatenate([setting.everywhere.reshape(-1, 5), [ALLD]])
    count = len(learners) - 1
    shares = np.append(np.full(count, setting.p_naive / count), 1 - setting.p_naive)
    logits = np.clip(logit(learners), -700, 700)  # at -700 the defector never learns

    def pool(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        value, gradient = shaping_value_and_gradient(setting.game, horizon, p, logits, setting.eta, setting.updates)
        return value / horizon.weight, gradient / horizon.weight

    def loss(p: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = pool(p)
        return -float(shares @ value), -(shares @ gradient)

    defection, _ = pool(np.array(ALLD))
    found = [minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, 1)] * 5) for start in STARTS]
    best = min(found, key=lambda result: result.fun)
    gains = pool(best.x)[0] - defection
    by_scrambling = setting.p_naive * gains[:-1].reshape(len(setting.everywhere), -1).mean(1)
    gain = float(shares @ gains)
    return NashVerdict(
        is_nash=gain <= tolerance * setting.spread,
        deviation=tuple(float(x) for x in best.x),
        gain=gain,
        error=standard_error(by_scrambling),
        value=-float(best.fun),
    )
