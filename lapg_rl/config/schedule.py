"""Schedules: keys of a config that change in the course of a run, in stages."""

import copy
import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any

from lapg_rl.config.checks import check

#: Keys that may change: whom the agents meet, and numbers that the shapes of a run's state don't depend on.
SHARES = ("pool.p_naive", "pool.p_fixed", "pool.p_memory_one", "pool.coplayers")
NUMBERS = tuple(
    f"{section}.{name}"
    for section, names in {
        "learner": ("learning_rate", "entropy_coef", "value_coef", "clip", "clip_norm"),
        "naive": ("learning_rate", "entropy_coef", "value_coef", "clip_norm"),
    }.items()
    for name in names
)
#: A condition looks at the mean of a metric over the agents and this many updates.
WINDOW = 5
_WHEN = re.compile(r"(?:(?P<metric>[a-z_]+)\s*(?P<sign>>=|<=)\s*)?(?P<number>[-+0-9.eE]+)")
_RAMP = re.compile(r"(?P<low>[^.]+(?:\.\d+)?)\.\.(?P<high>[^@]+)@(?P<over>\d+)")


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

    def starts(self, done: int, rows: Iterable[Mapping[str, Any]]) -> bool:
        """Whether it starts after `done` updates, whose last WINDOW rows of metrics are `rows`."""
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


def _ramp(key: str, text: str) -> Ramp:
    found = _RAMP.fullmatch(text)
    try:
        ramp = Ramp(float(found["low"]), float(found["high"]), int(found["over"]))  # type: ignore[index]
    except (TypeError, ValueError):
        raise ValueError(f"schedule: {key}={text} is no ramp; write LOW..HIGH@UPDATES, as in 0.01..0@100") from None
    check(
        key in NUMBERS and ramp.updates > 0,
        f"schedule: {key}",
        text,
        f"a ramp of one of {', '.join(NUMBERS)}",
        "step it",
    )
    return ramp


def parse(text: str) -> tuple[Stage, ...]:
    """The stages of a schedule such as `reward_vs_naive>=0.6: p_naive=0.25 learner.entropy_coef=0.01; 300: p_naive=0.5`.

    Args:
        text: stages apart by ";", each `WHEN: key=value key=value`. WHEN is a number of updates, or `metric>=number` or
            `metric<=number`, of the metric's mean over agents and the last 5 updates. A stage waits for the one before it.

    Raises:
        ValueError: for what is no stage, or a key that can't change in a run.
    """
    stages: list[Stage] = []
    for part in filter(None, (p.strip() for p in text.split(";"))):
        when, colon, changes = part.partition(":")
        found, pairs = _WHEN.fullmatch(when.strip()), [change.partition("=") for change in changes.split()]
        if not (found and colon and pairs and all(value for _, _, value in pairs)):
            raise ValueError(
                f"schedule takes stages WHEN: key=value key=value; ..., as in `reward_vs_naive>=0.6: p_naive=0.25; 300: "
                f"p_naive=0.5`, got {part!r}"
            )
        keys = [(resolve(key), value) for key, _, value in pairs]
        for key, _ in keys:
            if key not in SHARES + NUMBERS:
                raise ValueError(f"schedule can't change {key}; it changes {', '.join(SHARES + NUMBERS)}")
        try:
            number = float(found["number"])
        except ValueError:
            raise ValueError(f"schedule: {when.strip()!r} holds no number") from None
        if not found["metric"]:
            earlier = max([s.number for s in stages if not s.metric], default=0)
            check(number == int(number) and number > earlier, "schedule: the update of a stage", when.strip(),
                  f"an integer above {earlier:g}", "a stage waits for the one before it")  # fmt: skip
        stages.append(Stage(found["metric"] or "", found["sign"] == ">=", number, tuple(keys)))
    return tuple(stages)


def resolve(key: str) -> str:
    """The whole key of a key or its last part, if it is unambiguous among those that may change; else the key itself."""
    whole = [k for k in SHARES + NUMBERS if k == key or k.split(".")[-1] == key]
    return whole[0] if len(whole) == 1 else key


def changed(config: Any, changes: Mapping[str, Any]) -> Any:
    """A config with other values of dotted keys; checked as every config is. Raises ValueError for a value that doesn't fit."""
    for key, value in changes.items():
        section, _, name = key.partition(".")
        config = dataclasses.replace(
            config, **{section: dataclasses.replace(getattr(config, section), **{name: value})}
        )
    return config


def stage_configs(config: Any) -> tuple[Any, ...]:
    """The configs that hold before the first stage and from each stage on, without schedules of their own.

    Raises:
        ValueError: see `parse`; also where the changes of a stage make no sound config.
    """
    found = [dataclasses.replace(config, schedule="")]
    for stage in parse(config.schedule):
        ends = {key: ramp.high for key, ramp in stage.ramps.items()}
        try:
            texts = {key: text for key, text in stage.changes if key not in ends}
            values = {key: text if key == "pool.coplayers" else float(text) for key, text in texts.items()}
            found.append(changed(found[-1], values | ends))
        except ValueError as error:
            raise ValueError(f"schedule: {' '.join(f'{key}={text}' for key, text in stage.changes)}: {error}") from None
    return tuple(found)


def with_numbers(config: Any, numbers: Mapping[str, Any]) -> Any:
    """A config that holds `numbers`, by their keys, which may be traced by JAX and are therefore not checked again."""
    for key, value in numbers.items():
        section, _, name = key.partition(".")
        config, inner = copy.copy(config), copy.copy(getattr(config, section))
        object.__setattr__(inner, name, value)
        object.__setattr__(config, section, inner)
    return config
