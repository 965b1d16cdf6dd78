"""`lapg theory published`: recompute published numbers of learning dynamics, and say which reading gives them."""

import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--runs", type=int, default=1024, help="independent runs of each protocol (default 1024)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the initial policies (default 0)")


def run(arguments: argparse.Namespace) -> int:
    """Print the table, in Markdown."""
    from lapg_theory.published import NUMBERS, compute, table

    print("\n".join(table(NUMBERS, compute(NUMBERS, arguments.runs, arguments.seed))))
    return 0
