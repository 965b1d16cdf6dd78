"""`lapg evaluate`: what trained agents do, measured."""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from lapg_rl.config import tables
from lapg_rl.config.checks import check_draws
from lapg_rl.runs import files, trust
from lapg_rl.runs.folder import RunFolder
from lapg_rl.study import records
from lapg_rl.study.names import check_opponents
from lapg_rl.study.records import Evaluation, Match, Player
from lapg_rl.study.results import opened
from lapg_theory.game import check_count
from lapg_theory.game.show import state_names

EPILOGUE = """opponents:
  naive; the name of a fixed strategy (`lapg list strategies`; zd-extort-3 or
  another factor, always-0 or another action) or five probabilities
  (1,1,0,0.4,0); a player of the Axelrod library (axelrod:CLASS); a script of
  the game (ac and ad in the Coin Game, cleaner and harvester in CleanUp-lite);
  one of your own (mine:NAME: probabilities, or a kind of co-player as in
  pool.coplayers); the folder of another run, all of whose agents are met. In a
  group naive or a strategy in all other seats, or in each of them: naive+alld

examples:
  lapg evaluate runs/mine                    everything; kept in the run folder
  lapg evaluate runs/mine runs/theirs tft    these only; kept where --out says
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOGUE
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="run folder")
    parser.add_argument(
        "opponents", nargs="*", metavar="OPPONENT", help="whom to meet (default: everyone but other runs)"
    )
    parser.add_argument("--meta-batch", type=int, default=128, metavar="N", help="meta-episodes a match (default 128)")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other games")
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write the evaluation there, as JSON")
    parser.add_argument("--quiet", action="store_true", help="no text; what is kept is kept")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(arguments: argparse.Namespace) -> int:
    """Evaluate the run and print what came out."""
    folder, opponents = arguments.run_folder, arguments.opponents or None
    trust.allow(*(name for name in arguments.opponents if tables.is_address(name)))  # what is named is allowed
    check_count("--meta-batch", arguments.meta_batch)  # every mistake in the arguments is told before JAX is imported
    check_draws("--seed", arguments.seed)
    packed, folder = files.archive_of(folder), opened(folder)
    check_opponents(arguments.opponents, RunFolder(folder).check_trained())
    from lapg_rl.study.evaluation import evaluate

    evaluation = evaluate(folder, opponents, meta_batch=arguments.meta_batch, seed=arguments.seed)
    try:  # kept before it is shown: a reader that leaves costs nothing
        if arguments.out:
            records.write(evaluation, arguments.out)
        if opponents is None:
            if not packed:
                records.save(evaluation, folder)
            elif not arguments.out:
                print(f"{packed} stays as it is; --out FILE keeps the evaluation", file=sys.stderr)
    finally:  # and shown where it can't be kept
        if arguments.json:
            print(records.compact(dataclasses.asdict(evaluation)), flush=True)
        elif not arguments.quiet:
            print(table(arguments.run_folder, evaluation), flush=True)
    return 0


def table(folder: Path, evaluation: Evaluation) -> str:
    """The evaluation as text: rewards, what was done early and late, extortion."""
    if any(not match.own.signature for match in evaluation.matches):
        return _measured(folder, evaluation)
    told = any(match.own.of_dilemma for match in evaluation.matches)
    what, letter = ("cooperation", "C") if told else ("action 0", "0")
    states = max((len(match.own.signature) for match in evaluation.matches), default=5)
    what += f" after {', '.join(state_names(states, told))}"
    lines = [
        f"{folder} after {evaluation.updates} updates; {evaluation.meta_batch} meta-episodes a match; rewards per step "
        "± standard error",
        *_naive_note(evaluation),
        f"{'agent':>5}  {'co-player':18} {'own reward':>16} {'other':>16}   own {letter} other {letter}",
        *(_match(match) for match in evaluation.matches),
        f"{what} in the first and the last inner episode (-: never there)",
        *(_signatures(match) for match in evaluation.matches),
    ]
    for fit in evaluation.extortion:
        lines.append(f"agent {fit.agent} {fit}")
    for line in evaluation.lines:
        if line.slope is not None:
            interval = "" if line.low is None else f" [{line.low:.2f}, {line.high:.2f}]"
            lines.append(
                f"agent {line.agent} payoff line: a random co-player gains {line.slope:.2f}{interval} for each 1 that it "
                f"gives the agent, from {line.intercept:+.2f} on (an extorter of factor x: 1/x, from 0)"
            )
    return "\n".join(lines)


def _naive_note(evaluation: Evaluation) -> list[str]:
    """How the naive learners started, where any were met."""
    if all(match.opponent != "naive" for match in evaluation.matches):
        return []
    dynamic = evaluation.naive_start == "dynamic"
    return [
        f"naive learners start {'as copies of the other agents' if dynamic else 'with the initial policies of the run'}"
    ]


def _measured(folder: Path, evaluation: Evaluation) -> str:
    """The evaluation of another game: what the environment measures, of both players, early and late."""
    lines = [
        f"{folder} after {evaluation.updates} updates; {evaluation.meta_batch} meta-episodes a match; all per step, means over "
        "all inner episodes (first -> last)",
        *_naive_note(evaluation),
    ]
    for match in evaluation.matches:
        lines.append(f"agent {match.agent} against {match.opponent}")
        lines += [
            f"  {name:12} own {_course(own)}   other {_course(other)}"
            + (f"   apart {_course(match.discrepancies[name])}" if name in match.discrepancies else "")
            for name, own, other in [
                ("reward", match.own.reward_curve, match.other.reward_curve),
                *((name, curve, match.other.measures[name]) for name, curve in match.own.measures.items()),
            ]
        ]
    return "\n".join(lines)


def _course(curve: Sequence[float]) -> str:
    return f"{_mean(curve):6.3f} ({curve[0]:.3f} -> {curve[-1]:.3f})"


def _match(match: Match) -> str:
    sides = [
        f"{side.reward:+8.3f} " + ("" if side.error is None else f"± {side.error:.3f}")
        for side in (match.own, match.other)
    ]
    own, other = (_often(side) for side in (match.own, match.other))
    return f"{match.agent:>5}  {match.opponent:18} {sides[0]:16} {sides[1]:16}   {own:5.0%} {other:7.0%}"


def _often(side: Player) -> float:
    """How often a player takes action 0."""
    taken = sum(v * p for v, p in zip(side.visits, side.signature, strict=True) if p is not None)
    return taken / sum(side.visits)


def _signatures(match: Match) -> str:
    shown = [
        " ".join("   -" if p is None else f"{p:4.2f}" for p in signature)
        for signature in (match.own.first_signature, match.own.last_signature)
    ]
    return f"{match.agent:>5}  {match.opponent:18} {shown[0]}  ->  {shown[1]}"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
