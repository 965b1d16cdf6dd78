"""Settings side by side: every measured figure with its interval over seeds, and the differences to one of them."""

import dataclasses
import difflib
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lapg_rl.config.checks import several
from lapg_rl.study import intervals
from lapg_rl.study.intervals import Estimate, told
from lapg_rl.study.markdown import plain
from lapg_rl.study.results import (
    LAST,
    Result,
    begun,
    by_setting,
    mean_of_measured,
    runs_in,
    training_settings,
)  # fmt: skip
from lapg_theory.game.show import table as html_table

#: Figures of the optimiser, which are shown only if asked for.
TECHNICAL = ("policy_loss", "value_loss", "model_loss", "baseline_loss", "divergence", "gradient_norm", "entropy")
CAPTION = f"means over agents and the last {LAST} updates (or all), with 95 % intervals over seeds, ± half of one or [its ends]"
STAR = "* 0 is outside of the interval of this difference"
#: Characters of a label at the head of a column.
LONGEST = 40


@dataclasses.dataclass(frozen=True)
class Setting:
    """Runs that differ in their seed only, and what tells them from the other settings."""

    label: str
    runs: list[Result]


@dataclasses.dataclass(frozen=True)
class Row:
    """A metric: its mean in every setting, and what every other setting has more of it than the first.

    `firm` says of each difference whether it is none by chance with all differences of the table looked at (`intervals.holm`).
    """

    metric: str
    means: list[Estimate]
    differences: list[Estimate]
    firm: list[bool]


def settings(results: Iterable[Result]) -> list[Setting]:
    """The settings of runs, in the order in which they come.

    A label is the name of the method where this is enough to tell the settings apart, else what differs between them.

    Raises:
        ValueError: for two runs of one setting with the same seed.
    """
    groups = by_setting(results)
    for first, second in itertools.chain.from_iterable(itertools.combinations(group, 2) for group in groups):
        if first.config.seed == second.config.seed:
            raise ValueError(
                f"{first.path} and {second.path} are the same run, seed {first.config.seed}; name one of them, or train the "
                "other with another seed"
            )
    methods = [group[0].estimator for group in groups]
    labels = methods if len(set(methods)) == len(methods) else _distinctions([group[0] for group in groups])
    return [Setting(label, group) for label, group in zip(labels, groups, strict=True)]


def compare(
    paths: str | Path | Iterable[str | Path],
    metrics: Sequence[str] = (),
    *,
    upto: int | None = None,
    reference: str | None = None,
) -> "Comparison":
    """Compare the settings of some runs: means over the last 20 updates, with intervals over seeds, and differences.

    Args:
        paths: a run folder or several, or folders with runs inside.
        metrics: names; all that every run has, but for those of the optimiser, if none is named.
        upto: leave out what came after so many updates.
        reference: the label of the setting that differences are to; "lapg", or else the first.

    Raises:
        ValueError: for an unknown metric or setting, the same run twice, finished runs of unequal length without `upto`.

    Runs that are not begun, or not finished where others are, are left out; `left_out` says so.

    Example:
        >>> import lapg_rl as rl
        >>> compared = rl.compare([run], ["reward_vs_naive"])
        >>> [setting.label for setting in compared.settings], [row.metric for row in compared.rows]
        (['lapg'], ['reward_vs_naive'])
    """
    results, left = begun(runs_in(map(Path, several(paths))))
    results, short = _long_enough(results, upto)
    compared = settings(results)
    labels = [setting.label for setting in compared]
    chosen = reference or ("lapg" if "lapg" in labels else labels[0])
    if chosen not in labels:
        raise ValueError(f"--reference must be one of the settings {'; '.join(labels)}, got {chosen!r}")
    compared.sort(key=lambda setting: setting.label != chosen)
    return Comparison(compared, table(compared, several(metrics), upto), left + short)


def _long_enough(results: list[Result], upto: int | None) -> tuple[list[Result], list[str]]:
    """Of runs of unequal length those that are finished, or have `upto` updates, if there are any; and a line on the rest."""
    if len({result.updates for result in results}) == 1:
        return results, []
    short = [r for r in results if r.unfinished and (upto is None or r.updates < upto)]
    if len(short) == len(results):
        return results, []
    return [r for r in results if r not in short], [r.unfinished for r in short]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Settings, the reference first, and a row for every metric; printed, it is a table."""

    settings: list[Setting]
    rows: list[Row]
    left_out: list[str] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        return "\n".join([markdown(self.settings, self.rows), "", *self._below()])

    def _below(self) -> list[str]:
        """What stands below the table: what its figures are, what its stars say, what was left out."""
        count = sum(len(row.differences) for row in self.rows)
        firm = f"; ** with all {count} differences looked at (Holm)"
        told = [CAPTION]
        if any(_beyond(difference) for row in self.rows for difference in row.differences):
            told.append(STAR + firm * any(any(row.firm) for row in self.rows))
        return told + [f"left out: {line}" for line in self.left_out]

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        heads = ["", *(f"{s.label} ({len(s.runs)})" for s in self.settings)]
        rows = []
        for row in self.rows:
            rows.append([row.metric, *map(_mean, row.means)])
            if row.differences:
                rows.append(["", "", *map(_difference, row.differences, row.firm)])
        return html_table(heads, rows, below="; ".join(self._below()))


def _distinctions(results: Sequence[Result]) -> list[str]:
    each = varied([training_settings(r.config) | {"dtype": r.dtype} for r in results])
    return [" ".join(f"{key}={value}" for key, value in e.items()) for e in each]


def varied(each: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of each mapping what is not the same in all."""
    shared = set.intersection(*(set(e.items()) for e in each))
    return [{key: value for key, value in e.items() if (key, value) not in shared} for e in each]


def table(compared: Sequence[Setting], names: Sequence[str] = (), upto: int | None = None) -> list[Row]:
    """Means over agents and the last 20 updates, with 95 % intervals over seeds (`intervals`), and differences (Welch's t).

    Args:
        compared: the settings; differences are to the first.
        names: of the metrics; all that every run has, but for `TECHNICAL`, if none is named.
        upto: leave out what came after so many updates.

    Raises:
        ValueError: for a metric that a run has not, or runs of unequal length without `upto`, or shorter than that.
    """
    runs = [run for setting in compared for run in setting.runs]
    lengths = {run.updates for run in runs}
    if upto is None and len(lengths) > 1:
        raise ValueError(
            f"the runs have between {min(lengths)} and {max(lengths)} updates; compare all at --upto {min(lengths)}, or train "
            "the shorter ones on with `lapg train --resume RUN updates=N`"
        )
    upto = max(lengths) if upto is None else upto
    if not 1 <= upto <= min(lengths):
        raise ValueError(f"--upto must be from 1 to {min(lengths)}, the updates that all runs have, got {upto}")
    common = [name for name in runs[0].metrics if name != "update" and all(name in run.metrics for run in runs)]
    for name in names:
        if name not in common:
            near = difflib.get_close_matches(name, common, 1)
            raise ValueError(
                f"not every run has the metric {name!r}; "
                + (f"do you mean {near[0]}?" if near else f"all have {', '.join(common)}")
            )
    rows, chances = [], []
    for name in names or [name for name in common if name not in TECHNICAL]:
        values = [[_last(run, name, upto) for run in setting.runs] for setting in compared]
        if any(map(math.isnan, itertools.chain(*values))):  # by a schedule: not yet, or no longer
            if name in names:
                raise ValueError(
                    f"not every run measured {name!r} in its last {LAST} updates of {upto}: its schedule says when"
                )
            continue
        differences = [intervals.of_difference(v, values[0]) for v in values[1:]]
        chances += [intervals.p_of_difference(v, values[0]) for v in values[1:]]
        rows.append(Row(name, [intervals.of_metric(name, v) for v in values], differences, []))
    firm = iter(intervals.holm(chances))
    return [dataclasses.replace(row, firm=list(itertools.islice(firm, len(row.differences)))) for row in rows]


def _last(run: Result, name: str, upto: int) -> float:
    updates = run.metrics["update"]
    chosen = (updates < upto) & (updates >= upto - LAST)
    if not chosen.any():
        raise ValueError(
            f"{run.path} keeps no update from {max(upto - LAST, 0)} to {upto - 1}, it is thinned; choose another --upto"
        )
    return float(mean_of_measured(run.metrics[name][chosen]))


def markdown(compared: Sequence[Setting], rows: Sequence[Row]) -> str:
    """The table; a difference whose interval leaves out 0 has a star, one that is firm two.

    Long labels stand above it and are letters in it.
    """
    labels, above = [plain(s.label) for s in compared], []
    if max(map(len, labels)) > LONGEST:
        letters = [_letter(n) for n in range(len(labels))]
        above = [f"- {letter}: {label}" for letter, label in zip(letters, labels, strict=True)] + [""]
        labels = letters
    heads = ["", *(f"{label} ({len(s.runs)})" for label, s in zip(labels, compared, strict=True))]
    lines = [heads, ["---"] * len(heads)]
    for row in rows:
        lines.append([plain(row.metric), *map(_mean, row.means)])
        if row.differences:
            lines.append([f"minus {labels[0]}", "", *map(_difference, row.differences, row.firm)])
    widths = [max(len(line[n]) for line in lines) for n in range(len(heads))]
    rows_of_text = ("| " + " | ".join(t.ljust(w) for t, w in zip(line, widths, strict=True)) + " |" for line in lines)
    return "\n".join([*above, *rows_of_text])


def _letter(n: int) -> str:
    """A to Z, then A1 and so on."""
    return chr(ord("A") + n % 26) + str(n // 26 or "")


def _mean(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.3f}"
    up, down = estimate.high - estimate.value, estimate.value - estimate.low
    even = abs(up - down) < 5e-4
    return f"{estimate.value:.3f} " + (f"± {up:.3f}" if even else f"[{estimate.low:.3f}, {estimate.high:.3f}]")


def _difference(estimate: Estimate, firm: bool) -> str:
    shown = told(estimate.value, estimate.low, estimate.high)
    return shown + (" **" if firm else " *" * _beyond(estimate))


def _beyond(estimate: Estimate) -> bool:
    """Whether the interval leaves out 0."""
    return estimate.low is not None and estimate.high is not None and (estimate.low > 0 or estimate.high < 0)
