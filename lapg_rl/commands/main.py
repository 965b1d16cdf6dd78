"""The `lapg` command: a table of sub-commands, each in a module of its own that is imported only when it is called."""

import argparse
import difflib
import importlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from lapg_rl import __version__
from lapg_rl.commands import process
from lapg_rl.machine import cache
from lapg_rl.runs import trust
from lapg_rl.runs.progress import say

#: name -> (module with `configure(parser)` and `run(arguments) -> int | None`, one line of help)
COMMANDS = {
    "doctor": ("lapg_rl.commands.doctor", "check that this machine's JAX computes right"),
    "list": ("lapg_rl.commands.list", "what there is: presets, games, strategies, estimators, models, metrics, ..."),
    "config": ("lapg_rl.commands.config", "every key of a run's config with its value, its default and what it means"),
    "demo": ("lapg_rl.commands.demo", "derive, train, compare, and write the report: the whole story, small"),
    "train": ("lapg_rl.commands.train", "train learning-aware agents, or carry on with a run"),
    "sweep": ("lapg_rl.commands.sweep", "train a grid of settings and make one table"),
    "evaluate": ("lapg_rl.commands.evaluate", "play trained agents against naive learners and fixed strategies"),
    "watch": ("lapg_rl.commands.watch", "show an episode of CleanUp-lite or a repeated game, step by step"),
    "log": ("lapg_rl.commands.log", "give the metrics of runs to TensorBoard, Weights & Biases or a logger of yours"),
    "tournament": (
        "lapg_rl.commands.tournament",
        "play agents of several runs, classics and naive learners against all",
    ),
    "exploit": (
        "lapg_rl.commands.exploit",
        "train best responses against a run's agents: what they take, what is kept",
    ),
    "league": (
        "lapg_rl.commands.league",
        "methods x seeds x games: cross-play, exploitability, cost, ranking, on a page",
    ),
    "in-context": (
        "lapg_rl.commands.in_context",
        "cooperation by in-context inference of the co-player, in four steps",
    ),
    "export": ("lapg_rl.commands.export", "write a trained agent as a NumPy archive, to be played without JAX"),
    "balance": ("lapg_rl.commands.balance", "compare the future with the current part of each estimator's gradient"),
    "report": ("lapg_rl.commands.report", "turn run folders into one HTML file"),
    "compare": ("lapg_rl.commands.compare", "settings side by side: figures, differences and intervals over seeds"),
    "crossval": ("lapg_rl.commands.crossval", "compare theory and simulation level by level, with verdicts"),
    "oracle": ("lapg_theory.commands.oracle", "exact gradient and estimator expectations of a small shaping problem"),
    "explore": ("lapg_theory.commands.explore", "the theory of a pool behind sliders, in a browser on this machine"),
    "completion": ("lapg_rl.commands.completion", "a script that lets your shell complete lapg's command lines"),
    "theory": ("lapg_theory.commands.theory", "derive thresholds, fixed points and figures"),
}
#: Commands that play what run folders and config files describe.
PLAYING = (
    "train",
    "sweep",
    "evaluate",
    "watch",
    "tournament",
    "exploit",
    "league",
    "in-context",
    "export",
    "balance",
    "report",
    "crossval",
)


#: Where something goes, which commands call differently.
PLACES = ("--run", "--root", "--run-root", "--out")


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, and that imports the module behind it when it is asked to parse."""

    def __init__(self, *args, module=None, **options):
        super().__init__(*args, allow_abbrev=False, **options)
        self.module = module
        self._negative_number_matcher = re.compile(r"-\.?\d")  # also -1,2,0,3 is a value, and no option

    def error(self, message):
        self.exit(2, f"{self.prog}: {process.one_line(message)} (try `{self.prog} --help`)\n")

    def load(self):
        """Declare what the module behind it declares."""
        if self.module:
            implementation, self.module = importlib.import_module(self.module), None
            process.check_interrupts()
            implementation.configure(self)
            self.set_defaults(function=getattr(implementation, "run", None), parser=self)

    def parse_known_args(self, args=None, namespace=None):
        self.load()
        return super().parse_known_args(args, namespace)

    def refuse(self, left: list[str], parsed: argparse.Namespace) -> NoReturn:
        """End with what could not be parsed: an unknown option with what it may stand for, or what is one too many."""
        option = next((text.partition("=")[0] for text in left if text.startswith("-")), None)
        if option is None:
            self.error(f"unknown arguments: {' '.join(left)}")
        told = {name for name, action in self._option_string_actions.items() if action.help != argparse.SUPPRESS}
        known = [name for name in self._option_string_actions if name.startswith("--") and name in told]
        key = option.lstrip("-").replace("-", "_")
        self.error(f"unknown option {option}{_meant(option, known)}{_or_setting(key) if 'settings' in parsed else ''}")

    def _check_value(self, action, value):
        if action.choices is not None and value not in action.choices:
            found = _meant(str(value), [str(choice) for choice in action.choices])
            raise argparse.ArgumentError(action, f"invalid choice: {value!r}{found}")

    def _get_value(self, action, arg_string):
        if action.type is Path and not arg_string.strip():
            raise argparse.ArgumentError(action, "a path must not be empty; the working folder is .")
        if action.type is float and arg_string.endswith("%"):
            from lapg_rl.config.checks import SHARE

            raise argparse.ArgumentError(action, f"{SHARE}, got {arg_string!r}")
        return super()._get_value(action, arg_string)


def _meant(name: str, known: list[str]) -> str:
    """What a mistyped name may stand for, in words."""
    starting = [other for other in known if name.strip("-") and other.startswith(name)]
    alike = [other for other in PLACES if name in PLACES and other in known]
    near = starting or alike or difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(near)}?" if near else f"; known: {', '.join(known)}"


def _or_setting(key: str) -> str:
    """A hint where an option has the name of a key of the config."""
    from lapg_rl.config import full_key

    try:
        full_key(key)
    except ValueError:
        return ""
    return f" A key of the config is given without dashes: {key}=..."


def main(arguments: list[str] | None = None) -> int:
    """Run one `lapg` command line and return its exit status.

    0 done, 1 failed or refuted, 2 bad input or files that can't be used, 75 stopped by SIGTERM or SIGHUP with everything
    saved, 130 interrupted, 141 nobody reads what it prints.
    """
    process.open_streams()
    process.end_with_parent()
    for library in ("OPENBLAS", "MKL"):  # whose threads would wait for each other at matrices of five rows
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] != ["doctor"]:  # which sees how this machine compiles now
        cache.keep_compiled()
    name = f"lapg {given[0]}" if given and given[0] in COMMANDS else "lapg"
    with process.signals() as caught:
        try:
            status = _run(given)
            if not status:  # else the command has said why
                process.check_interrupts()
            return process.flushed(name, status)
        except SystemExit as end:
            process.flushed(name, 0)
            raise end from None
        except BaseException as error:
            if caught:
                say(f"{name}: {process.saying(caught[0], name)}")
                return process.STATUS[caught[0]]
            status, line = process.told(error)
            if status is None:
                raise
            if line:
                say(f"{name}: {process.one_line(line)}")
            process.drop_output()
            return status


def parser() -> "_Parser":
    """The parser of all command lines; those of the commands declare their options when they are asked to parse."""
    parser = _Parser(prog="lapg", description="Learning-aware policy gradients: derive, train, compare.")
    parser.add_argument("--version", action="version", version=f"lapg {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, text) in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", module=module)
        if name in PLAYING:
            command.add_argument(
                "--trust", action="append", default=[], metavar="MODULE:NAME",
                help="let run folders and config files load what they name by this address, which runs its code",
            )  # fmt: skip
    return parser


def helps(parser: "_Parser") -> Iterator[tuple[str, str]]:
    """Every command of a parser and of its commands, with its help; all their modules are imported."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                command.load()
                yield command.prog, command.format_help()
                yield from helps(command)


def parsed(arguments: list[str]) -> argparse.Namespace:
    """A command line's arguments; `function` is what runs them. Ends with one line where they don't fit."""
    whole = parser()
    found, later = whole.parse_known_args(arguments)
    several = [name for name in ("settings", "names") if name in found]
    if any(a.startswith("-") for a in later) or (later and not several):
        getattr(found, "parser", whole).refuse(later, found)
    for name in several:  # argparse leaves positional arguments that stand after an option
        setattr(found, name, getattr(found, name) + later)
    return found


def _run(arguments: list[str]) -> int:
    found = parsed(arguments)
    trust.allow(*(name.strip() for text in getattr(found, "trust", ()) for name in text.split(",")))
    return found.function(found) or 0


if __name__ == "__main__":
    sys.exit(main())
