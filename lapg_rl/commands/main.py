"""The `lapg` command: a table of sub-commands, each in a module of its own that is imported only when it is called."""

import argparse
import importlib
import sys

#: name -> (module with `configure(parser)` and `run(arguments) -> int | None`, one line of help)
COMMANDS = {
    "doctor": ("lapg_rl.commands.doctor", "check that this machine's JAX computes right"),
    "demo": ("lapg_rl.commands.demo", "derive, train, compare, and write the report: the whole story, small"),
    "train": ("lapg_rl.commands.train", "train learning-aware agents, or carry on with a run"),
    "sweep": ("lapg_rl.commands.sweep", "train a grid of settings and make one table"),
    "evaluate": ("lapg_rl.commands.evaluate", "play trained agents against naive learners and fixed strategies"),
    "watch": ("lapg_rl.commands.watch", "show an episode of CleanUp-lite: text, GIF, HTML"),
    "tournament": (
        "lapg_rl.commands.tournament",
        "play agents of several runs, classics and naive learners against all",
    ),
    "balance": ("lapg_rl.commands.balance", "compare the future with the current part of each estimator's gradient"),
    "report": ("lapg_rl.commands.report", "turn run folders into one HTML file"),
    "compare": ("lapg_rl.commands.compare", "settings side by side: figures, differences and intervals over seeds"),
    "crossval": ("lapg_rl.commands.crossval", "compare theory and simulation level by level, with verdicts"),
    "oracle": ("lapg_theory.commands.oracle", "exact gradient and estimator expectations of a small shaping problem"),
    "theory": ("lapg_theory.commands.theory", "derive thresholds, fixed points and figures"),
}


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, and that imports the module behind it when it is asked to parse."""

    def __init__(self, *args, module=None, **options):
        super().__init__(*args, **options)
        self.module = module

    def error(self, message):
        self.exit(2, f"{self.prog}: {message} (try `{self.prog} --help`)\n")

    def parse_known_args(self, args=None, namespace=None):
        if self.module:
            implementation = importlib.import_module(self.module)
            implementation.configure(self)
            self.set_defaults(function=getattr(implementation, "run", None))
        return super().parse_known_args(args, namespace)


def main(arguments: list[str] | None = None) -> int:
    """Run one `lapg` command line and return its exit status.

    0 done, 1 failed or refuted, 2 bad input or files that can't be used, 75 stopped by SIGTERM with everything saved, 130
    interrupted.
    """
    if "" not in sys.path:
        sys.path.append("")  # game.factory may name a module in the working folder, as under python -m
    parser = _Parser(prog="lapg", description="Learning-aware policy gradients: derive, train, compare.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, text) in COMMANDS.items():
        commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", module=module)
    parsed, later = parser.parse_known_args(arguments)
    several = [name for name in ("settings", "names") if name in parsed]
    if any(a.startswith("-") for a in later) or (later and not several):
        parser.error(f"unknown arguments: {' '.join(later)}")
    for name in several:  # argparse leaves positional arguments that stand after an option
        setattr(parsed, name, getattr(parsed, name) + later)
    try:
        return parsed.function(parsed) or 0
    except (ValueError, OSError) as error:
        print(f"lapg {parsed.command}: {error}", file=sys.stderr)
        return 2
    except FloatingPointError as error:
        print(f"lapg {parsed.command}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
