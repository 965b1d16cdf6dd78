"""`lapg evaluate`: what trained agents do, measured."""

import argparse
import dataclasses
import json
from pathlib import Path

from lapg_rl import records
from lapg_rl.records import Evaluation


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folders; writes RUN/evaluation.json")
    parser.add_argument("--meta-batch", type=int, default=128, metavar="N", help="meta-episodes a match (default 128)")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other games")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(arguments: argparse.Namespace) -> int:
    """Evaluate each run and print what came out."""
    for folder in arguments.runs:
        evaluation = evaluate_run(folder, arguments.meta_batch, arguments.seed)
        print(json.dumps(dataclasses.asdict(evaluation)) if arguments.json else table(folder, evaluation))
    return 0


def evaluate_run(folder: Path, meta_batch: int = 128, seed: int = 0) -> Evaluation:
    """Evaluate a run, fit the theory's extortion family to its agents, and keep both in the run folder."""
    from lapg_rl.crossval.extortion import fit_extortion
    from lapg_rl.evaluate import evaluate
    from lapg_rl.run import RunFolder

    evaluation = evaluate(folder, meta_batch=meta_batch, seed=seed)
    game = RunFolder(folder).config().game.build()
    fits = [fit_extortion(game, m.own.signature, m.agent) for m in evaluation.matches if m.opponent == "naive"]
    evaluation = dataclasses.replace(evaluation, extortion=[fit for fit in fits if fit is not None])
    records.save(evaluation, folder)
    return evaluation


def table(folder: Path, evaluation: Evaluation) -> str:
    """The evaluation in a few lines of text."""
    lines = [
        f"{folder} after {evaluation.updates} updates; {evaluation.meta_batch} meta-episodes a match; rewards per step",
        f"{'agent':>5}  {'co-player':18} {'own reward':>16} {'other':>8}   {'own C':>5} {'other C':>7}",
    ]
    for match in evaluation.matches:
        own, other = match.own, match.other
        error = f"± {own.error:.3f}" if own.error is not None else ""
        lines.append(
            f"{match.agent:>5}  {match.opponent:18} {own.reward:+8.3f} {error:7} {other.reward:+8.3f}   "
            f"{_mean(own.cooperation_curve):5.0%} {_mean(other.cooperation_curve):7.0%}"
        )
    for match in evaluation.matches:
        if match.opponent == "naive":
            states = zip(("s0", "CC", "CD", "DC", "DD"), match.own.signature, strict=True)
            shown = "  ".join(f"{state} {'-' if p is None else f'{p:.2f}'}" for state, p in states)
            lines.append(f"agent {match.agent} cooperates with naive learners after  {shown}")
    for fit in evaluation.extortion:
        factor = "unbounded" if fit.factor is None else f"{fit.factor:.2f}"
        lines.append(f"agent {fit.agent} fitted extortion factor {factor} (rms distance {fit.residual:.3f})")
    for line in evaluation.lines:
        if line.slope is not None:
            lines.append(f"agent {line.agent} payoff line: slope {line.slope:.2f}, intercept {line.intercept:+.2f}")
    return "\n".join(lines)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
