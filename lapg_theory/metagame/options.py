"""Command-line options that describe a mixed pool, shared by the commands about it."""

import argparse
import dataclasses

import numpy as np

from lapg_theory.game import symmetric_game
from lapg_theory.metagame.pool import MetaGame

DEFAULTS = {field.name: field.default for field in dataclasses.fields(MetaGame)}


def add_pool(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the pool."""
    add = parser.add_argument
    add(
        "--payoffs",
        default="2,1,0,-1",
        metavar="T,R,P,S",
        help="default %(default)s; where T < 0 write --payoffs=T,...",
    )
    add("--gamma", type=float, default=0.99, help="discount factor (default %(default)s)")
    add("--weighting", choices=["mean", "sum"], default="mean", help="over inner episodes (default %(default)s)")
    add("--eta", type=float, default=DEFAULTS["eta"], help="naive learning rate (default %(default)s)")
    add("--raw", action="store_true", help="eta acts on sums of discounted rewards, not on returns per step")
    add("--updates", type=int, default=DEFAULTS["updates"], help="naive updates (default %(default)s)")
    add("--spread", type=float, default=DEFAULTS["spread"], help="s.d. of initial naive logits (default %(default)s)")
    add("--seed", type=int, default=DEFAULTS["seed"], help="of the quadrature (default %(default)s)")
    add("--json", action="store_true", help="print JSON")


def pool(arguments: argparse.Namespace, p_naive: float, nodes: int) -> MetaGame:
    """The pool that the options describe."""
    values = numbers("--payoffs", arguments.payoffs)
    if len(values) != 4:
        raise ValueError(f"--payoffs needs the four numbers T,R,P,S, got {arguments.payoffs!r}")
    T, R, P, S = values
    named = {name: getattr(arguments, name) for name in ("gamma", "weighting", "eta", "updates", "spread", "seed")}
    return MetaGame(symmetric_game(T, R, P, S), p_naive=p_naive, nodes=nodes, normalize=not arguments.raw, **named)


def numbers(option: str, text: str) -> list[float]:
    """Numbers from "0.1,0.5,1", or from "0:1:50" (from, to, how many; "1:100:50:log" in equal ratios)."""
    try:
        if ":" not in text:
            return [float(part) for part in text.split(",")]
        low, high, count, *scale = text.split(":")
        if scale not in ([], ["log"]):
            raise ValueError(scale)
        space = np.geomspace if scale else np.linspace
        return space(float(low), float(high), int(count)).tolist()
    except ValueError as error:
        raise ValueError(f"{option} takes numbers like 0.1,0.5,1 or 0:1:50 or 1:100:50:log, got {text!r}") from error
