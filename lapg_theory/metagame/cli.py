"""`lapg theory metagame`: the fixed points of a mixed pool of learning-aware agents and naive learners."""

import argparse
import json
from typing import Any

from lapg_theory.evolution import population
from lapg_theory.metagame.atlas import Atlas, FixedPoint
from lapg_theory.metagame.options import add_pool, pool
from lapg_theory.metagame.pool import MetaGame


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_pool(parser)
    add = parser.add_argument
    add("--p-naive", type=float, required=True, help="share of naive learners in the pool")
    add("--nodes", type=int, default=1024, help="initial naive learners, a power of two (default %(default)s)")
    add("--starts", type=int, default=2, help="starts of the search on each face (default %(default)s)")
    add("--no-nash", action="store_true", help="skip the search for best replies")
    add("--evolution", action="store_true", help="add the replicator dynamics of the stable types and naive learners")


def run(arguments: argparse.Namespace) -> None:
    """Print the closed-form thresholds, every fixed point, and if asked for the evolutionary layer."""
    meta = pool(arguments, arguments.p_naive, arguments.nodes)
    atlas = meta.fixed_points(starts=arguments.starts, nash=not arguments.no_nash)
    report: dict[str, Any] = {
        "share": meta.share,
        "tau": meta.tau,
        "p_critical": meta.p_critical(),
        "basin_boundary": meta.basin_boundary(),
        "fixed_points": [_plain(point) for point in atlas],
        "unsettled": [{"policy": list(policy), "residual": residual} for policy, residual in atlas.unsettled],
    }
    if arguments.evolution:
        report["evolution"] = _evolution(meta, atlas)
    print(json.dumps(report, indent=2) if arguments.json else _text(report))


def _plain(point: FixedPoint) -> dict[str, Any]:
    found = {name: getattr(point, name) for name in ("label", "self_play", "versus_naive", "naive_gets", "residual")}
    found |= {"policy": point.policy.tolist(), "multipliers": point.multipliers.tolist()}
    found |= {name: [[x.real, x.imag] for x in getattr(point, name).tolist()] for name in ("symmetric", "breaking")}
    found |= {"stability": point.stability, "stable": point.stable, "nash": point.nash}
    if point.response is not None:
        found |= {"gain": point.response.gain, "best_response": point.response.policy.tolist()}
    return found


def _evolution(meta: MetaGame, atlas: Atlas) -> dict[str, Any]:
    aware = {f"{point.label} {i + 1}": point.policy for i, point in enumerate(p for p in atlas if p.stable)}
    types = population(meta, aware)
    return {
        "types": list(types.names),
        "payoffs": types.payoffs.tolist(),
        "against_naive": {name: types.verdict(name, "naive") for name in aware},
        "rest_points": [
            {"shares": point.shares.tolist(), "payoff": point.payoff, "stable": point.stable}
            for point in types.rest_points()
        ],
    }


def _text(report: dict[str, Any]) -> str:
    lines = [
        f"effective share of naive learners {report['share']:.4g}, total naive learning time {report['tau']:.4g}",
        f"cooperation is a fixed point up to p_naive = {report['p_critical']:.4f}; "
        f"its basin begins at an opening of {report['basin_boundary']:.3g} on its edge",
        "",
        f"{'':<12} {'s0':>6} {'CC':>6} {'CD':>6} {'DC':>6} {'DD':>6}   self-play  vs naive  naive gets  "
        f"{'stability':<16}  best reply",
    ]
    for point in report["fixed_points"]:
        policy = " ".join(f"{x:6.3f}" for x in point["policy"])
        gain = {None: "-", True: "itself", False: f"gains {point.get('gain', 0):.4f}"}[point["nash"]]
        earned = f"{point['self_play']:9.3f}  {point['versus_naive']:8.3f}  {point['naive_gets']:10.3f}"
        lines.append(f"{point['label']:<12} {policy}   {earned}  {point['stability']:<16}  {gain}")
    lines += [f"unsettled: {x['policy']}, residual {x['residual']:.2g}" for x in report["unsettled"]]
    if evolution := report.get("evolution"):
        lines += ["", *(f"{name} against naive learners: {says}" for name, says in evolution["against_naive"].items())]
        for point in evolution["rest_points"]:
            mixture = ", ".join(
                f"{x:.3f} {n}" for x, n in zip(point["shares"], evolution["types"], strict=True) if x > 0
            )
            lines.append(
                f"rest point: {mixture}; earns {point['payoff']:.3f}" + ("; stable" if point["stable"] else "")
            )
    return "\n".join(lines)
