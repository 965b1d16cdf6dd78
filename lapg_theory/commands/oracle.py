"""`lapg oracle`: exact gradient and estimator expectations of a small shaping problem, rationals in and out."""

import argparse
import json
from fractions import Fraction
from typing import Any

from lapg_theory.game import NAMED, STATES, MatrixGame, symmetric_game
from lapg_theory.oracle.episodes import Reinforce, number
from lapg_theory.oracle.moments import ESTIMATORS, expectations, leaves


def _game(payoffs: str) -> MatrixGame:
    values = [number(part) for part in payoffs.split(",")]
    if len(values) != 4:
        raise ValueError(f"--payoffs needs the four numbers T,R,P,S, got {payoffs!r}")
    T, R, P, S = values
    return symmetric_game(T, R, P, S)


def _policy(text: str) -> tuple[Any, ...]:
    """A named strategy at its exact probabilities, or what is written between commas."""
    if text == "gtft":  # whose third no float holds
        return tuple(Fraction(p).limit_denominator(3) for p in NAMED[text])
    return NAMED[text] if text in NAMED else tuple(text.split(","))


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    states = ",".join(STATES)
    parser.epilog = (
        "Numbers are rationals: 1/3 and 0.25 are exact. Where a list starts with a minus, write --payoffs=-1,..."
    )
    add = parser.add_argument
    add("--payoffs", default="2,1,0,-1", metavar="T,R,P,S", help="payoffs of the symmetric game (default %(default)s)")
    add("--steps", type=int, required=True, help="steps of an inner episode")
    add("--inner-episodes", type=int, required=True, help="inner episodes of a meta-episode")
    add("--batch", type=int, required=True, help="streams that feed one update of the naive learner")
    add(
        "--ego",
        required=True,
        metavar=states,
        help="the ego's probabilities of cooperating, own view, or a named strategy such as tft",
    )
    add(
        "--naive",
        required=True,
        metavar=states,
        help="the naive learner's initial ones, in its own view, or a named strategy",
    )
    add("--alpha", required=True, help="learning rate of the naive learner")
    add("--clip", default="1/50", help="its probabilities stay in [clip, 1 - clip] (default %(default)s)")
    add("--max-leaves", type=int, default=1_000_000, help="refuse an enumeration above this (default %(default)s)")
    add("--json", action="store_true", help="print JSON with rationals as strings")


def run(arguments: argparse.Namespace) -> None:
    """Enumerate and print J, its gradient in the ego's logits, and each estimator's expectation and variance."""
    game = _game(arguments.payoffs)
    sizes = {name: getattr(arguments, name) for name in ("steps", "inner_episodes", "batch")}
    result = expectations(
        game,
        _policy(arguments.ego),
        _policy(arguments.naive),
        **sizes,
        update=Reinforce(game, arguments.alpha, arguments.clip),
        max_leaves=arguments.max_leaves,
    )
    vectors = {name: getattr(result, name) for name in ("gradient", *ESTIMATORS)}
    if arguments.json:
        report = {"J": result.J, **vectors, "variance": result.variance, "leaves": leaves(**sizes)}
        print(json.dumps(report, indent=2, default=str))
        return
    print(f"J = {result.J} = {float(result.J):.10g}")
    for name, vector in vectors.items():
        print(f"\n{name}" + (", equal to the gradient" if name != "gradient" and vector == result.gradient else ""))
        spread = result.variance.get(name)
        for k, value in enumerate(vector):
            deviation = f"sd {float(spread[k]) ** 0.5:<10.6g}" if spread else ""
            print(f"  {STATES[k]}  {float(value):+.10f}  {deviation}  {value}")
