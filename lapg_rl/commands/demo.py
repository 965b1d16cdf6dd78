"""`lapg demo`: derive what theory says, train LAPG and M-FOS, compare, and write the report."""

import argparse
import dataclasses
import sys
from pathlib import Path

from lapg_rl import config
from lapg_rl.commands.training import consecutive_seeds, default_folder, train_all
from lapg_rl.config import Config
from lapg_rl.study.records import Prediction
from lapg_rl.study.results import Result
from lapg_theory.game.words import LITTLE, MUCH

PRESET = "ipd-shaping-small"
ESTIMATORS = ("lapg", "mfos")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("settings", nargs="*", metavar="key=value", help=f"what to change in {PRESET}")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="runs of each estimator (default 1)")
    parser.add_argument("--updates", type=int, metavar="N", help="updates of each run (default: the preset's)")
    parser.add_argument(
        "--root", type=Path, default=Path("runs/demo"), metavar="DIR", help="of all (default runs/demo)"
    )
    parser.add_argument("--run-root", dest="root", type=Path, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    parser.add_argument("--jobs", type=int, metavar="N", help="runs side by side (default: 2 on a CPU, else 1)")
    parser.add_argument("--quiet", action="store_true", help="no progress line")


def run(arguments: argparse.Namespace) -> int:
    """Do what is left to do: finished runs are used again, begun ones carried on."""
    updates = [] if arguments.updates is None else [f"updates={arguments.updates}"]
    base = config.override(config.preset(PRESET), [*arguments.settings, *updates])
    base.game.build()  # refuses other games, of which its words don't speak
    runs = plan(base, arguments.seeds, arguments.root)
    from lapg_rl.reports.make import gather, predict_run, report  # takes seconds to import
    from lapg_rl.runs.folder import open_run

    folders = [open_run(cfg, folder).path for cfg, folder in runs]
    print("1. Derive: what the exact theory says of an agent against naive learners in this game", flush=True)
    if base.inner_episodes > 1:
        predictions = [
            predict_run(folder, _say) for folder in folders
        ]  # of one game: derived once, kept in every folder
        print(describe(predictions[0], base.batch), flush=True)
    print(f"2. Train: {', '.join(str(folder) for folder in folders)}", flush=True)
    if status := train_all(runs, arguments.quiet, jobs=_jobs() if arguments.jobs is None else arguments.jobs):
        return status
    print("3. Compare: the trained agents meet fresh naive learners, fixed strategies and random ones", flush=True)
    results = gather(folders, say=_say)
    print(*(f"wrote {path}" for path in report(folders, arguments.root / "report.html", quick=True)), sep="\n")
    print("\n".join(verdict_line(result) for result in results))
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _jobs() -> int:
    import jax

    return 2 if jax.default_backend() == "cpu" else 1


def plan(base: Config, seeds: int, root: Path) -> list[tuple[Config, Path]]:
    """The runs of the demo and their folders: all estimators on the first seed, then on the next."""
    configs = [
        dataclasses.replace(cfg, learner=dataclasses.replace(cfg.learner, estimator=estimator))
        for cfg in consecutive_seeds(base, seeds)
        for estimator in ESTIMATORS
    ]
    return [(cfg, default_folder(cfg, root)) for cfg in configs]


def describe(prediction: Prediction, batch: int) -> str:
    """The prediction in a few lines."""
    low, middle, high = prediction.best
    defector = prediction.defection[1]
    policy = "  ".join(
        f"{state} {p:.2f}" for state, p in zip(("s0", "CC", "CD", "DC", "DD"), middle.policy, strict=True)
    )
    critical = prediction.escape.critical_batch
    return (
        f"   naive learning rate, calibrated: {low.rate:.1f} to {high.rate:.1f}\n"
        f"   best memory-one policy: {policy}\n"
        f"   it earns {middle.reward:+.2f} a step ({low.reward:+.2f} to {high.reward:+.2f}) and leaves the naive learner "
        f"{middle.naive_reward:+.2f}; a defector earns {defector.reward:+.2f} and leaves {defector.naive_reward:+.2f}\n"
        f"   estimators that are blind to the batch leave defection "
        f"{'for no B' if critical is None else f'only for B < {critical:.1f}'}; here B = {batch}"
    )


def verdict_line(result: Result) -> str:
    """The headline of one run; for LAPG with the thresholds of extortion."""
    last = result.last
    if "reward_vs_naive" not in last:
        return f"{result.estimator} seed {result.config.seed}: {result.verdict}"
    _, R, P, _ = result.config.game.build().trps
    much, little = (P + share * (R - P) for share in (MUCH, LITTLE))
    needs = (
        (f" (extortion: at least {much:.2f})", f" (at most {little:.2f})") if result.estimator == "lapg" else ("", "")
    )
    return (
        f"{result.estimator} seed {result.config.seed}: agent {last['reward_vs_naive']:+.3f}{needs[0]}, "
        f"naive co-player {last['naive_reward']:+.3f}{needs[1]}: {result.verdict}"
    )
