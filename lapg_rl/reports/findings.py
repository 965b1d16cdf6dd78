"""The findings of Meulemans et al. (2025) beside what our runs show: one list, one function from folders to rows.

A finding looks at run folders (their metrics or their `balance.json`) or at the numbers of a `lapg theory figures` figure.
"""

import dataclasses
import json
import os
import shlex
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lapg_rl import config
from lapg_rl.config import Config
from lapg_rl.config.schedule import parse
from lapg_rl.runs import files
from lapg_rl.study import archive, intervals
from lapg_rl.study import markdown as md
from lapg_rl.study.intervals import Estimate
from lapg_rl.study.results import LAST, Result, by_setting, training_settings
from lapg_theory.game.words import LITTLE, MUCH

NO_RUN = "no run yet"


@dataclasses.dataclass(frozen=True)
class Finding:
    """What the paper found, of which runs it speaks, which figures tell, and when a run bears it out.

    `figures` gives a run's figures by label. `command` is what to type besides training, for a run folder RUN.
    """

    key: str
    statement: str
    paper: str
    about: Callable[[Result], bool]
    figures: Callable[[Result], dict[str, float]]
    holds: Callable[[Result], bool]
    command: str = ""


@dataclasses.dataclass(frozen=True)
class Row:
    """A finding and one setting that speaks to it, as text; `folders` are empty where nothing does yet."""

    finding: str
    setting: str
    seeds: str
    ours: str
    holds: str
    paper: str
    command: str
    folders: list[Path]


def _against_naive(r: Result) -> dict[str, float]:
    return {"agent": r.last["reward_vs_naive"], "naive learner": r.last["naive_reward"]}


def _among(r: Result) -> dict[str, float]:
    return {"among agents": r.last["reward_vs_meta"], "cooperation": r.last["cooperation_vs_meta"]}


def _by_estimator(r: Result) -> dict[str, float]:
    """The reward of the agents of each estimator among all agents of their pool."""
    rewards, names = r.last_of_agents("reward_vs_meta"), np.array(r.config.estimators)
    return {name: float(rewards[names == name].mean()) for name in dict.fromkeys(r.config.estimators)}


def _pure(r: Result, *names: str) -> bool:
    """Whether all agents learn by one of these estimators; LOLA-DiCE and Shaper have none."""
    return r.config.learner.credited and len(set(r.config.estimators)) == 1 and r.config.estimators[0] in names


def _shaping(r: Result, *names: str) -> bool:
    """Trained against naive learners only; not a run that was made to have its gradient measured."""
    return r.config.pool.p_naive == 1 and not r.config.schedule and _pure(r, *names) and not _balance(r)


def _mixed(r: Result) -> bool:
    """Whether agents meet naive learners and each other; on a schedule, whether they did in the end.

    Not where they were given what they know: the claim is of agents that come to it each by itself.
    """
    if _given(r.config):
        return False
    if r.config.schedule:
        return {"reward_vs_naive", "reward_vs_meta"} <= r.last.keys()
    return 0 < r.config.pool.p_naive < 1 and r.config.pool.p_meta > 0


def _given(cfg: Config) -> bool:
    """Whether agents began as another run's, or became copies of one at a stage."""
    return bool(cfg.pool.agents_from) or any(stage.copied for stage in parse(cfg.schedule))


def _balance(r: Result) -> dict[str, float]:
    """Ratios of the future to the current part of the gradient at the smallest and the largest B, from `balance.json`."""
    path = r.path / "balance.json"
    if not path.exists():
        return {}
    text = files.read(path)
    try:
        ratios = {(row["estimator"], row["batch"]): row["ratio"] for row in json.loads(text)}
        ends = [find(batch for _, batch in ratios) for find in (min, max)]
        return {f"{name} B={batch}": float(ratios[name, batch]) for name in ("lapg", *BASELINES) for batch in ends}
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is no output of `lapg balance RUN --json` ({error!r}); make it again") from None


def _stays(r: Result) -> bool:
    """Whether the balance of LAPG keeps at least half its size from the smallest to the largest B, and no other does."""
    ratios = list(_balance(r).values())
    return [large >= small / 2 for small, large in zip(ratios[::2], ratios[1::2], strict=True)] == [True, False, False]


BASELINES = ("mfos", "batch_unaware")
#: Inner episodes up to which LOLA-DiCE, which looks ahead of all but the last, is said to look ahead few times.
FEW = 4
FINDINGS = (
    Finding(
        "a", "LAPG extorts naive learners", "extorts",
        lambda r: _shaping(r, "lapg"), _against_naive, lambda r: r.verdict == "extort",
    ),
    Finding(
        "a", "baselines defect against naive learners and earn less", "defect from the start, earn much less",
        lambda r: _shaping(r, *BASELINES), _against_naive, lambda r: r.verdict == "defect",
    ),
    Finding(
        "b", "in a mixed pool LAPG agents cooperate with each other", "cooperate",
        lambda r: _mixed(r) and _pure(r, "lapg"), _among, lambda r: r.pool_verdict == "cooperate",
    ),
    Finding(
        "b", "in a mixed pool baselines fall into mutual defection", "mutual defection",
        lambda r: _mixed(r) and _pure(r, *BASELINES), _among, lambda r: r.pool_verdict == "defect",
    ),
    Finding(
        "c", "without naive learners LAPG agents defect too", "mutual defection",
        lambda r: r.config.pool.p_meta == 1 and not r.config.schedule and _pure(r, "lapg"), _among,
        lambda r: r.pool_verdict == "defect",
    ),
    Finding(
        "d", "sampled LOLA-DiCE, too, cooperates with few look-aheads, not with many", "cooperates with few, extorts with many",
        lambda r: r.config.learner.algorithm == "lola_dice" and "reward_vs_meta" in r.last, _among,
        lambda r: (r.pool_verdict == "cooperate") == (r.config.inner_episodes <= FEW),
    ),
    Finding(
        "e", "the future's part of the gradient keeps its weight for LAPG alone as B grows", "stays of order 1; vanishes",
        lambda r: bool(_balance(r)), _balance, _stays,
        "lapg balance RUN --batches 4,64 --meta-batch 4096 --json > RUN/balance.json",
    ),
    Finding(
        "f", "LAPG and M-FOS agents in one pool cooperate", "LAPG 0.850 ± 0.037, M-FOS 0.853 ± 0.017",
        lambda r: "reward_vs_meta" in r.last and set(r.config.estimators) == {"lapg", "mfos"} and not _given(r.config),
        _by_estimator,
        lambda r: r.pool_verdict == "cooperate",
    ),
)  # fmt: skip
#: Figure (see `lapg theory figures`) -> statement, what the paper says, and how its numbers are read.
FIGURES = {
    "4A": ("LOLA-DiCE cooperates with few look-aheads, not with many", "cooperates with few, extorts with many"),
    "4B": ("LOLA-DiCE with many look-aheads extorts a fresh naive learner", "extorts"),
}


def rows(results: Iterable[Result], figures: Mapping[str, Path] = types.MappingProxyType({})) -> list[Row]:
    """Every finding with every setting that speaks to it, by letter; a row that says so where none does.

    Args:
        results: of run folders; those that differ in their seed only make one row, and so do those of other seeds that were
            only made longer: all are read at the shortest length, as which runs go on may depend on how they ended.
        figures: the JSON files of figures, by name.
    """
    results = sorted((r for r in results if r.config.game.dilemma), key=lambda r: r.config.seed)
    found = []
    for finding in FINDINGS:
        settings = _of_one_length(by_setting(filter(finding.about, results)))
        name = f"({finding.key}) {finding.statement}"
        found += [_row(name, finding, group) for group in settings] or [_missing(name, finding.paper)]
    for figure, (statement, paper) in FIGURES.items():
        name = f"(d) {statement}"
        found.append(_figure_row(name, paper, figures[figure]) if figure in figures else _missing(name, paper))
    return sorted(found, key=lambda row: row.finding[:3])


def _of_one_length(groups: Iterable[list[Result]]) -> list[list[Result]]:
    """Groups that differ in length and seeds only, together, cut to the shortest; not what a `balance.json` was made at."""
    found: dict[Any, list[Result]] = {}
    for number, group in enumerate(groups):
        settings = training_settings(group[0].config) | {"updates": 0, "dtype": group[0].dtype}
        key: Any = number if any((r.path / "balance.json").exists() for r in group) else tuple(settings.items())
        if {r.config.seed for r in group} & {r.config.seed for r in found.get(key, ())}:
            key = number  # the same seeds at another length are another experiment
        found[key] = sorted([*found.get(key, ()), *group], key=lambda r: r.config.seed)
    return [part for group in found.values() for part in _cut(group)]


def _cut(group: list[Result]) -> list[list[Result]]:
    """Runs cut to the shortest; or by length where a thinned one has not all of its last updates there."""
    lengths = sorted({r.config.updates for r in group})
    shortest = lengths[0]
    if len(lengths) == 1:
        return [group]
    cut = [r.until(shortest) for r in group]
    if all((np.diff(r.metrics["update"][-LAST:]) == 1).all() and r.metrics["update"][-1] == shortest - 1 for r in cut):
        return [cut]
    return [[r for r in group if r.config.updates == n] for n in lengths]


def _missing(name: str, paper: str) -> Row:
    return Row(name, "", "", NO_RUN, "", paper, "", [])


def _row(name: str, finding: Finding, runs: Sequence[Result]) -> Row:
    cfg = runs[0].config
    each = [finding.figures(r) for r in runs]
    ours = ", ".join(f"{label} {spell(intervals.of_metric(label, [e[label] for e in each]))}" for label in each[0])
    changes = [f"{key.split('.')[-1]}={value}" for key, value in _changes(cfg).items() if key != "learner.estimator"]
    setting = " ".join([cfg.method, *changes])
    seeds = [r.config.seed for r in runs]
    command = _command(cfg, seeds) + (f"; {finding.command}" if finding.command else "")
    held = f"{sum(map(finding.holds, runs))} of {len(runs)}"
    return Row(
        name, f"{cfg.name}: {setting}", _counted(seeds), ours, held, finding.paper, command,
        [r.path for r in runs],
    )  # fmt: skip


def _counted(seeds: Sequence[int]) -> str:
    """How many seeds, and which."""
    return f"{len(seeds)} (seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))})"


def _figure_row(name: str, paper: str, path: Path) -> Row:
    """The numbers of a figure at the end of its course, over its seeds."""
    text = files.read(path)
    try:
        content = json.loads(text)
        settings, numbers = content["settings"], content["numbers"]
        if content["figure"] == "4A":
            last = np.array(numbers["reward"], float)[:, -1]
            ends = {f"{n} look-aheads": row for n, row in zip(settings["look_aheads"], last, strict=True)}
            holds = last[0].mean() >= MUCH > last[-1].mean()
        else:
            ends = {
                "agent": np.array(numbers["agent"], float)[-1],
                "naive learner": np.array(numbers["naive"], float)[-1],
            }
            holds = ends["agent"].mean() >= MUCH and ends["naive learner"].mean() <= LITTLE
        ours = ", ".join(f"{label} {spell(intervals.of_mean(values))}" for label, values in ends.items())
        setting = f"exact, {settings['seeds']} seeds"
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise ValueError(f"{path} does not hold the numbers of a figure ({error!r}); compute it anew") from None
    held = "holds" if holds else "does not hold"
    return Row(name, setting, str(settings["seeds"]), ours, held, paper, f"lapg theory figures {path.stem}", [path])


def _changes(cfg: Config) -> dict[str, Any]:
    """Keys and values that differ from the preset that the run is named after, but for the seed and the checkpoints."""
    if cfg.name not in config.PRESETS:
        return {}
    ours, base = config.flat(cfg), config.flat(config.preset(cfg.name))
    left_out = ("seed", "checkpoint_every", "keep_checkpoints", "keep_every")
    return {key: ours[key] for key in ours if ours[key] != base[key] and key not in left_out}


def _command(cfg: Config, seeds: Sequence[int]) -> str:
    """The `lapg train` line that repeats the runs; one that names a preset, or the config file."""
    source = [cfg.name] if cfg.name in config.PRESETS else ["--config", "FOLDER/config.toml"]
    changes = [f"{key}={value}" for key, value in _changes(cfg).items()]
    first, count = seeds[0], len(seeds)
    if list(seeds) != list(range(first, first + count)):
        return f"seeds {', '.join(map(str, seeds))} of: {shlex.join(['lapg', 'train', *source, *changes])}"
    seeding = [f"seed={first}"] * (first != 0) + ["--seeds", str(count)] * (count > 1)
    return shlex.join(["lapg", "train", *source, *changes, *seeding])


def spell(estimate: Estimate) -> str:
    """A figure with its interval over seeds, or their number where there are too few."""
    value = f"{round(estimate.value, 3) + 0.0:.3f}"
    if estimate.low is None or estimate.high is None:
        return value
    return f"{value} [{round(estimate.low, 3) + 0.0:.3f}, {round(estimate.high, 3) + 0.0:.3f}]"


def cells(row: Row, link: Callable[[Path], str]) -> list[str]:
    """The row as text under `HEADS`; `link` turns a folder into one."""
    links = " ".join(link(folder) for folder in row.folders)
    return [row.finding, row.setting, row.seeds, row.ours, row.holds, row.paper, row.command, links]


HEADS = ("finding", "preset: setting", "seeds", "ours", "holds in", "paper", "command", "run folders")


def markdown(found: Iterable[Row], path: Path) -> str:
    """The page for `path`; links are relative to it, and lead to files, which the documentation can hold too."""

    def link(folder: Path) -> str:
        packed = archive.origin(folder)
        there = packed or folder.resolve() / ("config.toml" if folder.is_dir() else "")
        relative = Path(os.path.relpath(there, path.resolve().parent)).as_posix()
        return md.link(folder.resolve().name, relative)

    lines = ["# Findings in the iterated prisoner's dilemma", "", INTRODUCTION, ""]
    lines += ["| " + " | ".join(HEADS) + " |", "|---" * len(HEADS) + "|"]
    for row in found:
        told = {"setting": md.plain(row.setting), "command": md.code(row.command) if row.command else ""}
        lines.append("| " + " | ".join(cells(dataclasses.replace(row, **told), link)) + " |")
    return "\n".join(lines) + "\n"


INTRODUCTION = (
    "Findings of Meulemans et al. (2025) and what our runs show. Ours: rewards per step (and frequencies of cooperation), "
    "means over the last 20 updates and over seeds, with 95 % intervals over seeds (Student's t, for frequencies Clopper and "
    "Pearson's for as many trials as the seeds are worth; none for fewer than two). "
    "Runs that only went on for longer than others of their setting are read at the others' last update. "
    "A finding *holds* in a run by the thresholds that the reports state. Made from the folders beside it: "
    "`lapg report docs/results --quick --findings docs/results/findings-ipd.md`; a row appears when a folder does."
)
