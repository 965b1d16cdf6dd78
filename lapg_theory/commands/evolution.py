"""`lapg theory evolution`: the replicator dynamics of learning-aware types and naive learners."""

import argparse
from typing import Any

from lapg_theory.commands.options import five, policy, show
from lapg_theory.commands.pool_options import add_pool, pool, said, setting
from lapg_theory.evolution import population


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_pool(parser)
    add = parser.add_argument
    text = (
        "a type: five probabilities or a named strategy, or just a strategy's name; repeat for more "
        "(default: the stable fixed points)"
    )
    add("--type", action="append", metavar="NAME=POLICY", help=text)
    add(
        "--p-naive",
        type=float,
        default=0.9,
        help="share of the pool whose fixed points are taken (default %(default)s)",
    )
    add("--nodes", type=int, default=1024, help="initial naive learners, a power of two (default %(default)s)")


def run(arguments: argparse.Namespace) -> None:
    """Print who earns what from whom, how each type fares against naive learners, and the mixtures at rest."""
    meta = pool(arguments, arguments.p_naive, arguments.nodes)
    aware: dict[str, Any] = {}
    for written in arguments.type or ():
        name, _, text = written.partition("=")
        if not name:
            raise ValueError(f"--type takes NAME=POLICY, or the name of a strategy, got {written!r}")
        if name in aware:
            raise ValueError(f"--type names {name!r} twice; give every type a name of its own")
        aware[name] = policy("--type", text or name, meta.game)
    if not aware:
        stable = [point for point in meta.fixed_points(nash=False) if point.stable]
        aware = {f"{point.label} {i + 1}": point.policy for i, point in enumerate(stable)}
    if not aware:
        raise ValueError(
            f"this pool (--p-naive {arguments.p_naive:g}) has no stable fixed point whose policy could spread; name policies "
            "with --type, as in --type tft, or see what it has: `lapg theory metagame`"
        )
    types = population(meta, aware)
    report = {
        "setting": setting(meta),
        "types": list(types.names),
        "policies": aware,
        "payoffs": types.payoffs,
        "against_naive": {name: types.verdict(name, "naive") for name in aware},
        "rest_points": [
            {name: getattr(point, name) for name in ("shares", "payoff", "stable", "stability", "modes")}
            for point in types.rest_points()
        ],
    }
    show(report, arguments.json, _text)


def _text(report: dict[str, Any]) -> str:
    width = max(map(len, report["types"]))
    lines = said(report) + [f"{name:<{width}}  {five(p)}" for name, p in report["policies"].items()]
    lines += ["", "what the row earns per step against the column: " + ", ".join(report["types"])]
    for name, row in zip(report["types"], report["payoffs"], strict=True):
        lines.append(f"{name:<{width}}  " + " ".join(f"{x:7.3f}" for x in row))
    lines += ["", *(f"{name} against naive learners: {says}" for name, says in report["against_naive"].items())]
    for point in report["rest_points"]:
        mixture = ", ".join(f"{x:.3f} {n}" for x, n in zip(point["shares"], report["types"], strict=True) if x >= 5e-4)
        lines.append(f"rest point: {mixture}; earns {point['payoff']:.3f}; {point['stability']}")
    if any(point["stability"] == "neutral" for point in report["rest_points"]):
        lines.append(
            "neutral: to first order nothing grows, but something doesn't shrink: it drifts in, or\n"
            "spreads by what it earns with itself (`lapg theory ess`)"
        )
    return "\n".join(lines)
