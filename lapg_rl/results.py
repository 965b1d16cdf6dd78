"""The results of runs, read from their folders alone: headline numbers, verdicts, summaries, small copies to keep."""

import dataclasses
import functools
import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lapg_rl import records
from lapg_rl.config import Config
from lapg_rl.records import Evaluation, Prediction
from lapg_rl.run import RunFolder

#: Headline numbers are means over this many last updates.
LAST = 20
#: Shares of the surplus of mutual cooperation over mutual defection, (reward - P) / (R - P), that a verdict needs.
MUCH, LITTLE = 0.75, 0.35
#: Below this frequency of cooperation an agent is said to defect.
RARELY = 0.1
#: A copied metrics file above this size is thinned.
LARGE = 200_000


@dataclasses.dataclass(frozen=True)
class Result:
    """One run: its name, config, metrics (each an array over the updates), provenance and, if there, its records."""

    name: str
    config: Config
    metrics: dict[str, np.ndarray]
    provenance: list[dict[str, Any]]
    evaluation: Evaluation | None
    prediction: Prediction | None

    @property
    def estimator(self) -> str:
        """The estimator of the run's agents."""
        return self.config.learner.estimator

    @property
    def updates(self) -> int:
        """How many updates are done."""
        return int(self.metrics["update"][-1]) + 1

    @functools.cached_property
    def last(self) -> dict[str, float]:
        """Every metric's mean over the last 20 updates (or as many as there are)."""
        return {name: float(values[-LAST:].mean()) for name, values in self.metrics.items()}

    @property
    def verdict(self) -> str:
        """See `verdict`."""
        last = self.last
        if "reward_vs_naive" not in last:
            return "met no naive learners"
        return verdict(self.config, last["reward_vs_naive"], last["naive_reward"], last["cooperation_vs_naive"])


def verdict(cfg: Config, reward: float, naive_reward: float, cooperation: float) -> str:
    """What an agent does to naive learners, from rewards per step and how often it cooperates.

    With surplus shares (reward - P) / (R - P): it *defects* if it cooperates in less than 10 % of the steps, *cooperates*
    if both players' shares reach 0.75, *extorts* if its own does and the other's stays within 0.35, and is *undecided*
    otherwise.
    """
    own, other = ((r - cfg.game.P) / (cfg.game.R - cfg.game.P) for r in (reward, naive_reward))
    if cooperation < RARELY:
        return "defects"
    if own >= MUCH and other >= MUCH:
        return "cooperates"
    return "extorts" if own >= MUCH and other <= LITTLE else "undecided"


def collect(folder: str | Path) -> Result:
    """Read a run folder. Raises ValueError where it holds no run or no metrics yet."""
    run = RunFolder(folder)
    cfg, rows = run.config(), run.metrics()
    if not rows:
        raise ValueError(f"{run.path} has no metrics yet; train it with `lapg train --resume {run.path}`")
    metrics = {name: np.array([np.mean(row[name]) for row in rows]) for name in rows[0]}
    load = functools.partial(records.load, folder=run.path)
    return Result(run.path.resolve().name, cfg, metrics, run.provenance(), load(Evaluation), load(Prediction))


def by_estimator(results: Iterable[Result]) -> dict[str, list[Result]]:
    """Results grouped by estimator, each group in the order of the seeds."""
    groups: dict[str, list[Result]] = {}
    for result in sorted(results, key=lambda r: r.config.seed):
        groups.setdefault(result.estimator, []).append(result)
    order = ("lapg", "mfos", "batch_unaware", "inner_episode")
    return {name: groups[name] for name in (*order, *groups) if name in groups}


def summary(results: Sequence[Result]) -> list[dict[str, Any]]:
    """One dictionary a run: what a table of results needs."""
    rows = []
    for r in results:
        fit = next((f for f in r.evaluation.extortion if f.agent == 0), None) if r.evaluation else None
        rows.append(
            {
                "run": r.name,
                "estimator": r.estimator,
                "seed": r.config.seed,
                "updates": r.updates,
                "agent_reward": _rounded(r.last.get("reward_vs_naive")),
                "naive_reward": _rounded(r.last.get("naive_reward")),
                "agent_cooperation": _rounded(r.last.get("cooperation_vs_naive")),
                "verdict": r.verdict,
                "extortion_factor": _rounded(fit.factor if fit else None),
            }
        )
    return rows


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def summary_markdown(results: Sequence[Result]) -> str:
    """The summary as a Markdown table."""
    rows = summary(results)
    cell = lambda v: "-" if v is None else f"{v:.3f}" if isinstance(v, float) else str(v)  # noqa: E731
    lines = [f"Means over the last {LAST} updates; rewards per step, against naive learners.", ""]
    lines += ["| " + " | ".join(name.replace("_", " ") for name in rows[0]) + " |", "|---" * len(rows[0]) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(map(cell, row.values())) + " |" for row in rows)]) + "\n"


def export(folders: Iterable[Path], target: Path) -> None:
    """Copy what is worth keeping of each run into `target`: all but the checkpoints, long metrics thinned.

    A thinned file keeps every n-th update and the last 20, so headline numbers stay what they were.
    """
    for folder in folders:
        copy = target / folder.resolve().name
        copy.mkdir(parents=True, exist_ok=True)
        for name in ("config.toml", "provenance.jsonl", *records.FILES.values()):
            if (folder / name).exists():
                shutil.copyfile(folder / name, copy / name)
        rows = RunFolder(folder).metrics()
        lines = [json.dumps(_short(row)) + "\n" for row in rows]
        every = -(-sum(map(len, lines)) // LARGE)
        kept = [line for n, line in enumerate(lines) if n % every == 0 or n >= len(lines) - LAST]
        (copy / "metrics.jsonl").write_text("".join(kept))


def _short(data: Any) -> Any:
    if isinstance(data, dict):
        return {name: _short(value) for name, value in data.items()}
    if isinstance(data, list):
        return [_short(value) for value in data]
    return float(f"{data:.5g}") if isinstance(data, float) else data
