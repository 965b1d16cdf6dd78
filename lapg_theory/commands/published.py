"""`lapg theory published`: recompute published numbers of learning dynamics, and say which reading gives them."""

import argparse
import dataclasses
from typing import Any

from lapg_theory.commands.options import Counted, add_quiet, show


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--runs", type=int, default=1024, help="independent runs of each protocol (default 1024)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the initial policies (default 0)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_quiet(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the table, in Markdown."""
    from lapg_theory.published import NUMBERS, compute, table

    say = Counted("numbers", arguments.quiet)
    found = compute(NUMBERS, arguments.runs, arguments.seed, say)
    say(len(NUMBERS), len(NUMBERS))
    rows = [_row(number, computed) for number, computed in zip(NUMBERS, found, strict=True)]
    show({"numbers": rows}, arguments.json, lambda report: "\n".join(table(NUMBERS, found)))
    return 0


def _row(number: Any, computed: Any) -> dict[str, Any]:
    reading = number.reading
    return {
        "source": number.source,
        "rules": reading.says,
        "game": reading.game.name,
        "gamma": reading.gamma,
        "updates": reading.updates,
        "start": reading.start,
        "measure": number.measure,
        "published": number.value,
        "here": dataclasses.asdict(computed),
    }
