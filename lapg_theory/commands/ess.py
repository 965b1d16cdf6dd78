"""`lapg theory ess`: is a strategy evolutionarily stable, and who breaks it?"""

import argparse
from typing import Any

from lapg_theory.commands.options import add_game, game, heading, noise, policy, show
from lapg_theory.ess import is_ess
from lapg_theory.game import Discounted, named_policy

EPILOGUE = """examples:
  lapg theory ess tft --against allc,alld
  lapg theory ess 1,1,0,0.35,0 --payoffs 4,3,1,0 --noise 0.02
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOGUE
    add = parser.add_argument
    add("strategy", metavar="POLICY", help="the resident: a name, or probabilities s0,CC,CD,DC,DD")
    text = "names of invaders (default: the 32 deterministic strategies; a best reply of any memory is among them)"
    add("--against", metavar="NAME,NAME", help=text)
    add("--gamma", type=float, default=0.99, help="discount factor (default %(default)s)")
    add_game(parser)


def run(arguments: argparse.Namespace) -> None:
    """Print the verdict, with the invader that gains most or those that drift in."""
    played = game(arguments)
    resident = policy("the resident", arguments.strategy, played)
    names = None if arguments.against is None else arguments.against.split(",")
    against = None if names is None else {name: list(named_policy(played, name)) for name in names}
    found = is_ess(resident, against, game=played, horizon=Discounted(arguments.gamma))
    if not found.tested:
        raise ValueError(f"--against names nobody but the resident, got {arguments.against!r}; name others")
    report = {
        "payoffs": list(map(float, played.trps)),
        "gamma": arguments.gamma,
        "noise": noise(played),
        "policy": resident,
        "stable": bool(found),
        "verdict": str(found),
    } | vars(found)
    show(report, arguments.json, _text)


def _text(report: dict[str, Any]) -> str:
    return f"{heading(report['payoffs'], report['gamma'], report['noise'])}\n{report['verdict']}"
