"""`lapg theory ess`: is a strategy evolutionarily stable, and who breaks it?"""

import argparse
from typing import Any

from lapg_theory.commands.options import FACTOR, add_game, add_group, game_or_group, heading, noise, policy, show
from lapg_theory.ess import is_ess
from lapg_theory.game import GROUP_NAMED, AnonymousGame, Discounted

EPILOGUE = """examples:
  lapg theory ess tft --against allc,alld
  lapg theory ess 1,1,0,0.35,0 --payoffs 4,3,1,0 --noise 0.02
  lapg theory ess tft --players 3 --factor 2 --gamma 0.3
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOGUE
    add = parser.add_argument
    add("strategy", metavar="POLICY", help="the resident: a name, or probabilities s0,CC,CD,DC,DD")
    text = (
        "names of invaders (default: the 32 deterministic strategies, among which is a best reply of any memory; in "
        "groups those with a name)"
    )
    add("--against", metavar="NAME,NAME", help=text)
    add("--gamma", type=float, default=0.99, help="discount factor, from 0 to below 1 (default %(default)s)")
    add_group(parser)
    add_game(parser)


def run(arguments: argparse.Namespace) -> None:
    """Print the verdict, with the invader that gains most or those that drift in."""
    played = game_or_group(arguments)
    resident = policy("the resident", arguments.strategy, played)
    group = isinstance(played, AnonymousGame)
    names = arguments.against.split(",") if arguments.against is not None else GROUP_NAMED if group else None
    against = None if names is None else {name: policy("--against", name, played) for name in names}
    found = is_ess(resident, against, game=played, horizon=Discounted(arguments.gamma))
    if not found.tested:
        raise ValueError(f"--against names nobody but the resident, got {arguments.against!r}; name others")
    at_stake = (
        {"game": played.name, "players": played.players, "factor": arguments.factor or FACTOR}
        if isinstance(played, AnonymousGame)
        else {"payoffs": list(map(float, played.trps))}
    )
    report = at_stake | {
        "gamma": arguments.gamma,
        "noise": noise(played),
        "policy": resident,
        "stable": bool(found),
        "verdict": str(found),
    }
    show(report | vars(found), arguments.json, _text)


def _text(report: dict[str, Any]) -> str:
    game = report.get("payoffs") or f"{report['game']}, {report['players']} players, factor {report['factor']:g}"
    return f"{heading(game, report['gamma'], report['noise'])}\n{report['verdict']}"
