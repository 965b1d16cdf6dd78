"""What evaluations and predictions say, as plain data in JSON files of a run folder; no computing here."""

import dataclasses
import json
import zlib
from pathlib import Path
from typing import Any, TypeVar

import cattrs

from lapg_rl.runs import files
from lapg_theory.game.extortion import NEAR
from lapg_theory.game.show import brief

Record = TypeVar("Record")


@dataclasses.dataclass(frozen=True)
class Player:
    """One side of a match; curves run over the inner episodes, signatures over the states s0, CC, CD, DC, DD.

    In a group of n over the 2 n + 1 states of `lapg_theory.game.AnonymousGame`, and the co-players are one side together.

    A signature holds the frequency of cooperation in each state, None where the state was never visited; in other 2x2 games
    than a prisoner's dilemma that of action 0, in others it is empty. `error` is the standard error of `reward` over the
    independent meta-episodes (None for one). Where cooperating has no meaning its curve is empty, and `measures` has curves
    of what the environment measures, per step.
    """

    reward: float
    error: float | None
    reward_curve: list[float]
    cooperation_curve: list[float] = dataclasses.field(default_factory=list)
    signature: list[float | None] = dataclasses.field(default_factory=list)
    first_signature: list[float | None] = dataclasses.field(default_factory=list)
    last_signature: list[float | None] = dataclasses.field(default_factory=list)
    visits: list[float] = dataclasses.field(default_factory=list)
    measures: dict[str, list[float]] = dataclasses.field(default_factory=dict)

    __repr__ = brief

    @property
    def of_dilemma(self) -> bool:
        """Whether action 0, of which the signatures tell, is to cooperate."""
        return bool(self.cooperation_curve or "cooperation" in self.measures)


@dataclasses.dataclass(frozen=True)
class Match:
    """One agent of the pool against one kind of co-player.

    `discrepancies` are curves of the absolute difference between the players' measures in an inner episode (all its steps
    and parallel games), averaged over meta-episodes.
    """

    agent: int
    opponent: str
    own: Player
    other: Player
    discrepancies: dict[str, list[float]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class PayoffLine:
    """Least-squares line of the co-player's surplus over P on the agent's, one point a random co-player.

    A zero-determinant extorter with factor x holds all points on the line with slope 1 / x through the origin; a slope of
    about 0 leaves the co-player the same whatever it does. `low` to `high` is the slope's 95 % bootstrap interval over
    co-players. Points are (co-player's, agent's) surplus.
    """

    agent: int
    slope: float | None
    intercept: float | None
    r_squared: float | None
    low: float | None
    high: float | None
    points: list[tuple[float, float]]


@dataclasses.dataclass(frozen=True)
class ExtortionFit:
    """The zero-determinant extortion policy nearest to the agent's signature against naive learners.

    `factor` is x (1: tit-for-tat; larger: more of the surplus for the agent; None: unbounded), `scale` f, `policy` the
    cooperation probabilities after CC, CD, DC, DD that they give, `residual` the root-mean-square distance from the
    signature. Further than `lapg_theory.game.extortion.NEAR` away the factor says nothing of the agent.
    """

    agent: int
    factor: float | None
    scale: float
    residual: float
    policy: list[float]

    @property
    def near(self) -> bool:
        """Whether the agent plays so nearly this that the factor says something of it."""
        return self.residual <= NEAR

    def __str__(self) -> str:
        """The factor and the distance, or that no extortioner is near."""
        if not self.near:
            return f"no extortioner is near (rms distance {self.residual:.3f}, above {NEAR:g})"
        factor = "unbounded" if self.factor is None else f"{self.factor:.2f}"
        return f"fitted extortion factor {factor} (rms distance {self.residual:.3f}; 0: it extorts)"


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Everything that `evaluate` measures; plain data.

    `naive_start` says how the naive learners started: from the run's initial policies ("static"), or as copies of its other
    agents ("dynamic").
    """

    updates: int
    meta_batch: int
    seed: int
    matches: list[Match]
    lines: list[PayoffLine]
    extortion: list[ExtortionFit] = dataclasses.field(default_factory=list)
    naive_start: str = "static"

    __repr__ = brief

    def match(self, opponent: str, agent: int = 0) -> Match:
        """The match of `agent` against the named opponent. Raises KeyError where it was not played."""
        for match in self.matches:
            if (match.opponent, match.agent) == (opponent, agent):
                return match
        raise KeyError(f"no match of agent {agent} against {opponent}")


@dataclasses.dataclass(frozen=True)
class Calibration:
    """The rate at which the exact learner follows the simulated one against a fixed strategy, and both curves."""

    strategy: str
    rate: float
    simulated: list[float]  # the learner's reward per step, one an inner episode
    exact: list[float]
    error: float  # root mean square of their difference


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a fixed memory-one policy earns against naive learners of one rate; rewards per step, curves over episodes.

    `slope` and `intercept` are those of its payoff line (see `PayoffLine`).
    """

    rate: float
    policy: list[float]
    reward: float
    naive_reward: float
    reward_curve: list[float]
    naive_curve: list[float]
    slope: float | None
    intercept: float | None


@dataclasses.dataclass(frozen=True)
class Simulated:
    """What the same policy earned against the run's own, simulated naive learners."""

    policy: list[float]
    reward: float
    naive_reward: float


@dataclasses.dataclass(frozen=True)
class Escape:
    """Can unconditional defection be left? The shaping gradient there in the probability of cooperating after DC.

    Per step, in two parts: `direct`, with the course of learning held fixed, and `via_learning`, through the changed
    course. Estimators that miss that all B parallel games teach the learner see direct + via_learning / B, which is
    uphill only for B below `critical_batch` (None: for no B at all, or for every B, as the signs tell).
    """

    direct: float
    via_learning: float
    critical_batch: float | None


@dataclasses.dataclass(frozen=True)
class Prediction:
    """Everything the theory says about a run's config; lists run over the calibrated rates: low, middle, high."""

    calibrations: list[Calibration]
    best: list[Outcome]
    defection: list[Outcome]
    extortion: list[ExtortionFit]
    escape: Escape  # at the middle rate, as the simulated figures
    simulated_best: Simulated
    simulated_defection: Simulated

    __repr__ = brief


#: What stands between a record and its checksum; files of older versions have none.
CHECK = ',\n "crc32": "'
#: Where a run folder keeps each record.
FILES = {Evaluation: "evaluation.json", Prediction: "prediction.json"}


def compact(data: Any, indent: str = "") -> str:
    """JSON for people: objects and lists of objects spread over lines, everything without objects on one line."""
    if not _has_objects(data):
        return json.dumps(data, allow_nan=False)
    inner = indent + " "
    if isinstance(data, dict):
        items = [f"{json.dumps(key)}: {compact(value, inner)}" for key, value in data.items()]
        return "{\n" + ",\n".join(inner + item for item in items) + f"\n{indent}}}"
    return "[\n" + ",\n".join(inner + compact(value, inner) for value in data) + f"\n{indent}]"


def _has_objects(data: Any) -> bool:
    return isinstance(data, dict) or (isinstance(data, list) and any(map(_has_objects, data)))


def save(record: Any, folder: Path) -> None:
    """Write an Evaluation or a Prediction into a run folder, as JSON."""
    write(record, folder / FILES[type(record)])


def write(record: Any, path: Path) -> None:
    """Write a record as JSON that ends with a CRC-32 of what stands before it; the file is there whole or not at all."""
    body = compact(dataclasses.asdict(record)).removesuffix("\n}")
    files.replace(path, f'{body}{CHECK}{zlib.crc32(body.encode()):08x}"\n}}\n')


def load(kind: type[Record], folder: Path) -> Record | None:
    """The record of that kind in a run folder, or None where there is none.

    Raises:
        ValueError: where the file is something else, for instance of another version; the remedy is to delete it.
    """
    path = folder / FILES[kind]
    files.check_regular(path)
    return read(kind, path) if path.exists() else None


def read(kind: type[Any], path: Path) -> Any:
    """The record of that kind in a file that `write` wrote. Raises ValueError as `load`."""
    try:
        text = path.read_text(encoding="utf-8")
        body, checked, rest = text.rpartition(CHECK)
        if checked and rest[:8] != f"{zlib.crc32(body.encode()):08x}":
            raise ValueError("it was changed")
        record = cattrs.structure(json.loads(text), kind)
        if kind in FILES and (wrong := _misshapen(record)):
            raise ValueError(wrong)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError, cattrs.BaseValidationError) as error:
        reason = str(error) if type(error) is ValueError else type(error).__name__
        raise ValueError(f"{path} is unreadable ({reason}); delete it and it will be made again") from None
    return record


def _one_of_states(lengths: set[int]) -> bool:
    """Whether all signatures are of one game of n players, with 2 n + 1 states."""
    return len(lengths) == 1 and min(lengths) >= 5 and min(lengths) % 2 == 1


def _misshapen(record: Any) -> str:
    """What is wrong with the lengths of a record's lists, or nothing."""
    if isinstance(record, Evaluation):
        sides = [side for match in record.matches for side in (match.own, match.other)]
        if any(side.measures for side in sides):
            lengths = {len(curve) for s in sides for curve in (s.reward_curve, *s.measures.values())}
            names = {tuple(sorted(s.measures)) for s in sides}
            states = {len(x) for s in sides for x in (s.signature, s.first_signature, s.last_signature, s.visits)}
            good = len(lengths) == len(names) == 1 and 0 not in lengths and (states == {0} or _one_of_states(states))
            return "" if good else "its lists do not fit each other"
        curves = {len(curve) for side in sides for curve in (side.reward_curve, side.cooperation_curve)}
        states = {
            len(x) for s in sides for x in (s.signature, s.first_signature, s.last_signature, s.visits)
        }  # fmt: skip
        good = (
            len(curves) == 1
            and 0 not in curves
            and states == {5}
            and record.lines
            and all(x.points for x in record.lines)
        )
        naive = {match.agent for match in record.matches if match.opponent == "naive"}
        return "" if good and naive == {line.agent for line in record.lines} else "its lists do not fit each other"
    outcomes = record.best + record.defection
    curves = {len(curve) for o in outcomes for curve in (o.reward_curve, o.naive_curve)}
    curves |= {len(curve) for c in record.calibrations for curve in (c.simulated, c.exact)}
    policies = {len(o.policy) for o in (*outcomes, record.simulated_best, record.simulated_defection)}
    same = len(record.best) == len(record.defection) == len(record.extortion) > 0 and record.calibrations
    return (
        "" if same and len(curves) == 1 and 0 not in curves and policies == {5} else "its lists do not fit each other"
    )
