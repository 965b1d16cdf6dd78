"""`lapg theory figures`: the analytic figures, their numbers, and their settings."""

import argparse
import json
import time
from pathlib import Path

from lapg_theory.commands.options import Counted, add_quiet, plain
from lapg_theory.figures.catalogue import FIGURES, figure
from lapg_theory.figures.store import read_numbers, save, write_numbers


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help=f"which figures (default: all): {', '.join(FIGURES)}")
    add(
        "--out",
        default="figures",
        metavar="DIR",
        help="folder for NAME.svg or .png, and NAME.json (default %(default)s)",
    )
    add("--quick", action="store_true", help="few seeds and a coarse quadrature: seconds instead of minutes")
    add("--redraw", action="store_true", help="draw from the NAME.json in DIR instead of computing")
    add("--json", action="store_true", help="print JSON: what was drawn, where, from which settings")
    add_quiet(parser)


def run(arguments: argparse.Namespace) -> None:
    """Compute, write and draw; prints the files written."""
    chosen = [figure(name) for name in arguments.names] or list(FIGURES.items())
    folder = writable(Path(arguments.out))
    say, drawn = Counted("figures", arguments.quiet or arguments.redraw), []
    for number, (name, made) in enumerate(chosen):
        say(number, len(chosen), f"{name}: {made.title}")
        begin = time.process_time()
        if arguments.redraw:
            settings, numbers = read_numbers(folder, name)
        else:
            settings = made.settings(arguments.quick)
            settings, numbers = write_numbers(folder, name, settings, made.numbers(**settings))
        path = save(folder, name, made, settings, numbers)
        seconds = round(time.process_time() - begin, 1)
        files = {"picture": str(path), "numbers": str(folder / f"{name}.json")}
        drawn.append({"name": name, "title": made.title, **files, "cpu_seconds": seconds, "settings": settings})
        if not arguments.json:
            print(path, flush=True)
    say(len(chosen), len(chosen))
    if arguments.json:
        print(json.dumps(plain({"figures": drawn}), indent=1))


def writable(folder: Path) -> Path:
    """The folder, made if need be and tried, before anything is computed for it.

    Raises:
        ValueError: where nothing can be written.
    """
    probe = folder / ".writable"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ValueError(f"cannot write to {folder}: {error.strerror}; name another folder with --out") from error
    return folder
