"""`lapg list`: what there is to choose from."""

import argparse
import json
import textwrap
from collections.abc import Sequence


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = "Where a config takes a name of these, it also takes the address package.module:name of your own."
    parser.add_argument("names", nargs="*", metavar="KIND", help="presets, games, ... (default: all kinds)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print them."""
    return show(arguments.names, arguments.json)


def show(kinds: Sequence[str], as_json: bool) -> int:
    """Print the names of these kinds, or of all, with a line on each. Raises ValueError for an unknown kind."""
    from lapg_rl.config.catalogue import CATALOGUE
    from lapg_rl.config.checks import unknown

    for kind in kinds:
        if kind not in CATALOGUE:
            raise ValueError(unknown(f"kind {kind}", kind, list(CATALOGUE)))
    chosen = {kind: CATALOGUE[kind] for kind in kinds or CATALOGUE}
    if as_json:
        print(json.dumps({kind: dict(found) for kind, found in chosen.items()}, indent=1))
        return 0
    for kind, found in chosen.items():
        if len(chosen) > 1:
            print(f"{kind}:")
        width = max(map(len, found)) + 2
        for name, about in found.items():
            print(textwrap.fill(about, 80, initial_indent=f"{name:{width}}", subsequent_indent=" " * width))
        if len(chosen) > 1:
            print()
    return 0
