"""Schedules: keys of a config that change in the course of a run, in stages."""

import copy
import dataclasses
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lapg_rl.config.checks import MANY, OUTSTANDING, check, shown, unknown, without_blanks
from lapg_rl.config.pool import also_given

#: Keys that may change: whom the agents meet, and numbers that the shapes of a run's state don't depend on.
SHARES = ("pool.p_naive", "pool.p_fixed", "pool.p_memory_one", "pool.p_frozen", "pool.coplayers")
NUMBERS = tuple(
    f"{section}.{name}"
    for section, names in {
        "learner": ("learning_rate", "entropy_coef", "value_coef", "clip", "clip_norm"),
        "naive": ("learning_rate", "entropy_coef", "value_coef", "clip_norm"),
    }.items()
    for name in names
)
#: What makes all agents copies of one at the start of a stage.
COPIES = "agents"
#: A condition looks at the mean of a metric over the agents and this many updates.
WINDOW = 5
MOST_STAGES = 100
_WHEN = re.compile(r"(?:(?P<metric>[^\W\d]\w*(?:\+\w+)*)\s*(?P<sign>>=|<=)\s*)?(?P<number>[-+0-9.eE]+)")
_RAMP = re.compile(r"(?P<low>[^.]+(?:\.[^.]+)?)\.\.(?P<high>[^@]+)@(?P<over>[0-9]+)")


@dataclasses.dataclass(frozen=True)
class Ramp:
    """A number that moves in a straight line from `low` to `high` over `updates` updates, and then stays."""

    low: float
    high: float
    updates: int

    def at(self, update: int) -> float:
        """The number `update` updates after the start of the stage."""
        return self.low + (self.high - self.low) * min(update / self.updates, 1.0)


@dataclasses.dataclass(frozen=True)
class Stage:
    """A stage: what starts it, and what is different from then on.

    Attributes:
        metric: the metric that is looked at, or "" where the stage starts at a given update.
        above: whether it starts as soon as the metric is at least `number`, rather than at most.
        number: the threshold, or the update.
        changes: keys and values, as texts; a ramp is `LOW..HIGH@UPDATES`.
    """

    metric: str
    above: bool
    number: float
    changes: tuple[tuple[str, str], ...]

    def starts(self, done: int, rows: Sequence[Mapping[str, Any]]) -> bool:
        """Whether it starts after `done` updates, whose last WINDOW rows of metrics are `rows`."""
        if self.copied and len(rows) < WINDOW:
            return False
        if not self.metric:
            return done >= self.number
        values = [sum(row[self.metric]) / len(row[self.metric]) for row in rows if self.metric in row]
        if len(values) < WINDOW:
            return False
        mean = sum(values[-WINDOW:]) / WINDOW
        return mean >= self.number if self.above else mean <= self.number

    @property
    def ramps(self) -> dict[str, Ramp]:
        """The ramps by key."""
        return {key: _ramp(key, text) for key, text in self.changes if ".." in text}

    @property
    def copied(self) -> str:
        """Whom all agents become copies of when it starts, such as `max(reward_vs_naive)`; empty if they go on as they are."""
        return dict(self.changes).get(COPIES, "")

    @property
    def measures(self) -> bool:
        """Whether it looks at metrics: when to start, or whom to copy."""
        return bool(self.metric or self.copied)

    def metrics(self, known: Iterable[str]) -> list[str]:
        """What the stage before has to measure for it to start, read by the names of metrics that are known."""
        return [self.metric] * bool(self.metric) + summed(self.copied, known)


def _number(text: str) -> float:
    """A finite number. Raises ValueError."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


def _value(key: str, text: str) -> float:
    try:
        return _number(text)
    except ValueError:
        raise ValueError(
            f"schedule: {key} must be a finite number, got {shown(text)}; or a ramp, LOW..HIGH@UPDATES"
        ) from None


def _ramp(key: str, text: str) -> Ramp:
    found = _RAMP.fullmatch(text)
    try:
        ramp = Ramp(_number(found["low"]), _number(found["high"]), int(found["over"]))  # type: ignore[index]
    except (TypeError, ValueError):
        raise ValueError(
            f"schedule: {key} = {shown(text)} is no ramp; write LOW..HIGH@UPDATES, as in 0.01..0@100"
        ) from None
    numbers = f"a ramp of one of {', '.join(NUMBERS)}"
    check(key in NUMBERS, f"schedule: {key}", text, numbers, "shares change in steps, each of which is compiled")
    check(1 <= ramp.updates <= MANY, f"schedule: {key}", text, f"a ramp over 1 to {MANY} updates", "or give one number")
    return ramp


def parse(text: str) -> tuple[Stage, ...]:
    """The stages of a schedule such as `reward_vs_naive>=0.6: p_naive=0.25 learner.entropy_coef=0.01; 300: p_naive=0.5`.

    Stages stand apart by ";", each `WHEN: key=value key=value`, and a stage waits for the one before it. WHEN is a number of
    updates (of the whole run), or `metric>=number` or `metric<=number`, of the metric's mean over the agents and the last 5
    updates of the stage before. A key keeps its value until a later stage changes it. It is one of `SHARES` or `NUMBERS`, or
    its last part where that is unambiguous; the value of a number may be a straight line, `LOW..HIGH@UPDATES`, from the start
    of the stage on: it ends at HIGH, or where the next stage starts, which then goes on from HIGH. Lines need no compilation.
    `agents=max(METRIC+METRIC)` makes all agents copies, with the optimiser's state, of the one that has most of a sum of
    metrics (min: least) over the last 5 updates of the stage before, which takes 5 at least.

    Raises:
        ValueError: for what is no stage, or a key that can't change in a run.

    Example:
        >>> from lapg_rl.config.schedule import parse
        >>> [(stage.metric, stage.number) for stage in parse("reward_vs_naive>=0.6: p_naive=0.25; 300: p_naive=0.5")]
        [('reward_vs_naive', 0.6), ('', 300.0)]
    """
    stages: list[Stage] = []
    parts = [part for p in text.split(";") if (part := p.strip())]
    few = len(parts) <= MOST_STAGES and bool(parts or not text)
    check(few, "schedule", text, f"1 to {MOST_STAGES} stages, or empty", "leave it out for a run without stages")
    for part in parts:
        stages.append(_stage(part))
        earlier = max([s.number for s in stages[:-1] if not s.metric], default=0)
        if not stages[-1].metric:
            number = stages[-1].number
            check(number == int(number) and number > earlier, "schedule: the update of a stage", number,
                  f"an integer above {earlier:g}", "a stage waits for the one before it")  # fmt: skip
    return tuple(stages)


def _stage(part: str) -> Stage:
    when, colon, changes = part.partition(":")
    pairs = [change.partition("=") for change in without_blanks(changes).split()]
    found = _WHEN.fullmatch(when.strip())
    if not (found and colon and pairs and all(value for _, _, value in pairs)):
        raise ValueError(
            "schedule takes stages WHEN: key=value key=value; ..., as in `reward_vs_naive>=0.6: p_naive=0.25; 300: "
            f"p_naive=0.5`, got {shown(part)}"
        )
    keys = [(resolve(key), value) for key, _, value in pairs]
    given = [one for key, value in keys for one in (key, *also_given(key, value))]
    for key, value in keys:
        if key == COPIES:
            one = "max(METRIC), min(METRIC), or either of a sum of metrics, max(A+B)"
            good = bool(OUTSTANDING.fullmatch(value))
            check(good, "schedule: agents", value, one, "as in agents=max(reward_vs_naive)")
        elif key not in SHARES + NUMBERS:
            several = [k for k in NUMBERS if k.split(".")[-1] == key]
            raise ValueError(
                f"schedule: key {key} is ambiguous: write {' or '.join(several)}"
                if several
                else f"schedule can't change {shown(key)}; it changes {', '.join(SHARES + NUMBERS + (COPIES,))}"
            )
        if given.count(key) > 1:
            raise ValueError(f"schedule: {shown(part)} gives {key} twice; give it once")
    try:
        number = _number(found["number"])
    except ValueError:
        raise ValueError(f"schedule: {shown(when.strip())} holds no finite number") from None
    return Stage(found["metric"] or "", found["sign"] == ">=", number, tuple(keys))


def resolve(key: str) -> str:
    """The whole key of a key or its last part, if it is unambiguous among those that may change; else the key itself."""
    whole = [k for k in SHARES + NUMBERS if k == key or k.split(".")[-1] == key]
    return whole[0] if len(whole) == 1 else key


def stage_configs(config: Any) -> tuple[Any, ...]:
    """The configs that hold before the first stage and from each stage on, without schedules of their own.

    Raises:
        ValueError: see `parse`; also where the changes of a stage make no sound config.
    """
    sections = {name: getattr(config, name) for name in ("learner", "naive", "pool")}
    whole = lambda: dataclasses.replace(config, schedule="", **sections | {"pool": sections["pool"].met()})  # noqa: E731
    found = [whole()]
    for stage in parse(config.schedule):
        ramps = stage.ramps
        steps = {key: text for key, text in stage.changes if key not in ramps and key != COPIES}
        values = {key: text if key == "pool.coplayers" else _value(key, text) for key, text in steps.items()}
        try:
            for end in ("low", "high"):  # what is in between is sound, too
                sections = _changed(sections, values | {key: getattr(ramp, end) for key, ramp in ramps.items()})
                last = whole()
        except ValueError as error:
            pairs = " ".join(f"{key}={text}" for key, text in stage.changes)
            raise ValueError(f"schedule: {shown(pairs)}: {error}") from None
        found.append(last)
    return tuple(found)


def _changed(sections: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Sections with other values of dotted keys."""
    given: dict[str, dict[str, Any]] = {name: {} for name in sections}
    for key, value in values.items():
        section, _, name = key.partition(".")
        given[section][name] = value
    return {name: dataclasses.replace(section, **given[name]) for name, section in sections.items()}


def check_metric(stage: Stage, known: Iterable[str]) -> None:
    """Refuse a stage that looks at a metric that there is not. Raises ValueError with near matches."""
    names = [name for name in known if name != "update"]
    for metric in stage.metrics(names):
        if metric not in names:
            raise ValueError(f"schedule: {unknown(f'metric {metric}', metric, names)}: the stage could never start")


def summed(which: str, known: Iterable[str]) -> list[str]:
    """The metrics of `max(METRIC+METRIC)`; a name that holds a "+" itself is one that is known, the longest if several are."""
    names, parts, found = set(known), which[4:-1].split("+") if which else [], []
    while parts:
        long = next((n for n in range(len(parts), 1, -1) if "+".join(parts[:n]) in names), 1)
        found.append("+".join(parts[:long]))
        del parts[:long]
    return found


def with_numbers(config: Any, numbers: Mapping[str, Any]) -> Any:
    """A config that holds `numbers`, by their keys, which may be traced by JAX and are therefore not checked again."""
    for key, value in numbers.items():
        section, _, name = key.partition(".")
        config, inner = copy.copy(config), copy.copy(getattr(config, section))
        object.__setattr__(inner, name, value)
        object.__setattr__(config, section, inner)
    return config
