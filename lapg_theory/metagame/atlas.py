"""The fixed points of self-play learning in a mixed pool: where they are, what they do, whether they last.

A fixed point is a policy p whose projected field vanishes: F_s(p, p) = 0 where 0 < p_s < 1, F_s <= 0 where p_s = 0,
F_s >= 0 where p_s = 1 (Karush, Kuhn, Tucker). With A = dF/dp and B = dF/dq at q = p, two agents that learn against each
other drift from it together (symmetric mode, A + B) or apart (symmetry-breaking mode, A - B).
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import Float

from lapg_theory.game import NAMED
from lapg_theory.metagame.labels import LABELS, labels
from lapg_theory.metagame.newton import blocks, field, on_faces, project, settle
from lapg_theory.metagame.objective import Policies, Setting, against_naive, partial
from lapg_theory.metagame.response import Response, best_response
from lapg_theory.shaping.sobol import sobol

Five = Float[np.ndarray, " 5"]


@dataclasses.dataclass(frozen=True)
class FixedPoint:
    """One fixed point; returns are per step.

    Attributes:
        policy: the five cooperation probabilities.
        label: "cooperate", "alternate", "extort", "defect" or "other", as in `lapg_theory.metagame.labels`.
        self_play: return against its own kind.
        versus_naive: return over naive learners' courses of learning; `naive_gets`: theirs.
        multipliers: how hard the field presses each coordinate against its bound (>= 0); zero for those inside.
        symmetric: eigenvalues of A + B in the inner coordinates; `breaking`: of A - B.
        residual: largest component of the projected field.
        response: the best reply to it that was found, with its `gain`; None where none was sought.
        unit: of the payoffs, which slopes are compared with.
    """

    policy: Five
    label: str
    self_play: float
    versus_naive: float
    naive_gets: float
    multipliers: Five
    symmetric: np.ndarray
    breaking: np.ndarray
    residual: float
    response: Response | None
    unit: float = 1.0

    @property
    def stability(self) -> str:
        """How small deviations fare: "stable", "grows together", "grows apart", "grows both ways" or "neutral"."""
        together, apart = (bool(modes.size and modes.real.max() > 0) for modes in (self.symmetric, self.breaking))
        if together or apart:
            return "grows both ways" if together and apart else "grows together" if together else "grows apart"
        bound = (self.policy <= 0) | (self.policy >= 1)
        return "stable" if (self.multipliers[bound] > 10 * self.residual + 1e-12 * self.unit).all() else "neutral"

    @property
    def stable(self) -> bool:
        """Whether both modes decay and no coordinate leaves its bound (a "neutral" point is not counted as stable)."""
        return self.stability == "stable"

    @property
    def nash(self) -> bool | None:
        """Whether no memory-one policy was found that earns more against it; None where none was sought.

        None as well where quadrature cannot tell: `response` then has the gain and its error.
        """
        return None if self.response is None else self.response.nash


@dataclasses.dataclass(frozen=True)
class Atlas(Sequence):
    """The fixed points found, cooperative ones first, and candidates that did not settle (policy, residual)."""

    points: tuple[FixedPoint, ...]
    unsettled: tuple[tuple[Five, float], ...]

    def __getitem__(self, index):
        return self.points[index]

    def __len__(self) -> int:
        return len(self.points)

    def __iter__(self) -> Iterator[FixedPoint]:
        return iter(self.points)

    def labelled(self, label: str) -> tuple[FixedPoint, ...]:
        """The points of one behaviour, stable ones first."""
        return tuple(sorted((p for p in self.points if p.label == label), key=lambda p: not p.stable))


def face_candidates(setting: Setting, starts: int, seed: int = 0) -> Policies:
    """Zeros of the field on any of the 3^5 faces of the cube that could be fixed points, by Newton's method."""
    faces = np.array(list(itertools.product((0.0, 1.0, np.nan), repeat=5)))
    faces = np.concatenate([faces] + [faces[np.isnan(faces).any(1)]] * (starts - 1))
    free = np.isnan(faces)
    inner = np.random.default_rng(seed).uniform(0.03, 0.97, faces.shape)
    p, found = on_faces(setting, np.where(free, inner, faces), free, tolerance=1e-6)
    p = p[found]
    # what the field may be wrong by with few learners: a twentieth of what shaping can weigh
    slack = 0.05 * np.max(setting.share) * np.ptp(setting.game.row_payoffs) + 1e-9
    F = field(setting, p)
    inwards = np.where(p <= 0, F, np.where(p >= 1, -F, 0))
    return p[(inwards <= slack).all(1)]


def flow_candidates(setting: Setting, starts: int, seed: int = 0) -> Policies:
    """Where the flow dp/dt = F(p, p) leads from near the named strategies and from `starts` Sobol points."""
    named = np.clip(np.array(list(NAMED.values())), 0.01, 0.99)
    p = np.concatenate([named, sobol(starts, 5, np.random.default_rng(seed))])
    p, _, residual = settle(setting, p, tolerance=1e-5, drag=20.0)
    return p[residual < 1e-5]


def distinct(p: Policies, distance: float) -> Float[np.ndarray, "m 5"]:
    """The policies without near repetitions."""
    kept: list[int] = []
    for i in range(len(p)):
        if all(np.abs(p[i] - p[j]).max() > distance for j in kept):
            kept.append(i)
    return p[kept]


def find(
    settings: Sequence[Setting],
    starts: int,
    others: Sequence[Setting],
    iterations: int,
    report: Callable[[str], None],
) -> Atlas:
    """The fixed points of the last of `settings`; the others, with fewer learners, are for the search.

    Everything is sought, and said to have settled, with payoffs in units of their own.

    Best replies are sought where there are `others`: the pool with other initial learners, for error bars.
    """
    unit = settings[-1].own_units[1].unit
    coarse, *finer = (setting.own_units[0] for setting in settings)
    report("searching for fixed points")
    p = np.concatenate([face_candidates(coarse, starts), flow_candidates(coarse, 16)])
    residual = np.zeros(len(p))
    for setting, most in zip(finer, (12, iterations), strict=True):
        p = distinct(p[residual < 1e-5], 0.005)
        report(f"settling {len(p)} candidates")
        p, _, residual = settle(setting, p, tolerance=1e-9, drag=0.1, iterations=most)
    settled = residual < 1e-8
    lost = tuple((policy, unit * float(rest)) for policy, rest in zip(p[~settled], residual[~settled], strict=True))
    found = distinct(p[settled], 1e-4)
    report(f"{'best replies to' if others else 'stability of'} {len(found)} points")
    return Atlas(describe(settings[-1], found, settings[1], others), lost)


def describe(
    setting: Setting, p: Policies, coarse: Setting | None = None, others: Sequence[Setting] = ()
) -> tuple[FixedPoint, ...]:
    """Everything about the fixed points p, best replies if there are `others`; of a continuum, the corners."""
    if not len(p):
        return ()
    own, (unit, base) = setting.own_units
    F = field(own, p)
    free = (p > 0) & (p < 1)
    A, B = blocks(own, p, free)
    shaped, learners = against_naive(own, p)
    names, together = labels(own, p, p), partial(own, p, p)[0]
    points = []
    for i, inside in enumerate(free):
        symmetric, breaking = (np.linalg.eigvals(J[i][np.ix_(inside, inside)]) for J in (A + B, A - B))
        if symmetric.size and np.abs(symmetric).min() < 1e-7:
            continue
        points.append(
            FixedPoint(
                policy=p[i],
                label=names[i],
                self_play=base + unit * float(together[i]),
                versus_naive=base + unit * float(shaped[i]),
                naive_gets=base + unit * float(learners[i]),
                multipliers=unit * np.where(inside, 0, np.where(p[i] <= 0, -F[i], F[i])),
                symmetric=unit * symmetric,
                breaking=unit * breaking,
                residual=unit * float(np.abs(project(p[i], F[i])).max()),
                response=best_response([setting, *others], coarse, p[i]) if others and coarse else None,
                unit=unit,
            )
        )
    return tuple(sorted(points, key=lambda point: (LABELS.index(point.label), not point.stable, -point.self_play)))
