"""Command-line options that describe a mixed pool, shared by the commands about it."""

import argparse
import dataclasses
from typing import Any

from lapg_theory.commands.options import add_game, game, heading, noise, numbers
from lapg_theory.metagame.pool import MetaGame

DEFAULTS = {field.name: field.default for field in dataclasses.fields(MetaGame)}


#: Values of what a report goes over, unless others are given.
AXES = {"p_naive": "0.1:0.98:12", "tau": "2:100:12:log", "eta": "0.05:5:12:log", "gamma": "0.5:0.99:12"}


def add_axis(parser: argparse.ArgumentParser, over: list[str]) -> None:
    """Declare `--over`, the first of which is the default, and `--values`."""
    parser.add_argument("--over", choices=over, default=over[0], help="what varies (default %(default)s)")
    text = f"its values, rising, e.g. 1,2,5 or {AXES['tau']} (default {', '.join(f'{AXES[o]} for {o}' for o in over)})"
    parser.add_argument("--values", help=text)


def axis(arguments: argparse.Namespace) -> list[float]:
    """The values of `--values`, or the default ones of `--over`."""
    return numbers("--values", AXES[arguments.over] if arguments.values is None else arguments.values)


def add_pool(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the pool."""
    add_game(parser)
    add = parser.add_argument
    add("--gamma", type=float, default=0.99, help="discount factor (default %(default)s)")
    add("--weighting", choices=["mean", "sum"], default="mean", help="over inner episodes (default %(default)s)")
    add("--eta", type=float, default=DEFAULTS["eta"], help="naive learning rate (default %(default)s)")
    add("--raw", action="store_true", help="eta acts on sums of discounted rewards, not on returns per step")
    add("--updates", type=int, default=DEFAULTS["updates"], help="naive updates (default %(default)s)")
    add("--spread", type=float, default=DEFAULTS["spread"], help="s.d. of initial naive logits (default %(default)s)")
    add("--seed", type=int, default=DEFAULTS["seed"], help="of the quadrature (default %(default)s)")


def pool(arguments: argparse.Namespace, p_naive: float, nodes: int) -> MetaGame:
    """The pool that the options describe."""
    named = {name: getattr(arguments, name) for name in ("gamma", "weighting", "eta", "updates", "spread", "seed")}
    return MetaGame(game(arguments), p_naive=p_naive, nodes=nodes, normalize=not arguments.raw, **named)


def setting(meta: MetaGame, *over: str) -> dict[str, Any]:
    """What a pool's report is of, as plain data, without what varies in it: the parameters that it goes `over`."""
    names = ("gamma", "p_naive", "weighting", "updates", "rate", "spread", "nodes", "seed")
    named = {"payoffs": list(map(float, meta.game.trps)), "noise": noise(meta.game)}
    named |= {name: getattr(meta, name) for name in names}
    raw = set() if meta.normalize else {"rate"}
    keys = {"p_naive": {"p_naive"}, "eta": {"rate"}, "tau": {"rate"}, "gamma": {"gamma"} | raw}
    varies = set().union(*(keys[name] for name in over))
    return {name: value for name, value in named.items() if name not in varies}


def said(report: dict[str, Any]) -> list[str]:
    """The lines of a report that say what it is of; what varies in it is said by its table."""
    s = report["setting"]
    rate = f" of rate {s['rate']:g} on returns per step" if "rate" in s else ""
    learners = [f"{s['updates']} updates{rate}"]
    learners += [f"{s['p_naive']:g} of the pool"] if "p_naive" in s else []
    game = heading(s["payoffs"], s.get("gamma"), s["noise"])
    return [game, f"naive learners: {', '.join(learners)}"]
