"""`lapg theory metagame`: the fixed points of a mixed pool of learning-aware agents and naive learners."""

import argparse
from typing import Any

import numpy as np

from lapg_theory.commands.options import add_quiet, five, noise, show, stages
from lapg_theory.commands.pool_options import add_pool, pool, said, setting
from lapg_theory.metagame.atlas import FixedPoint


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_pool(parser)
    add = parser.add_argument
    add("--p-naive", type=float, default=0.5, help="share of naive learners in the pool (default %(default)s)")
    add("--nodes", type=int, default=1024, help="initial naive learners, a power of two (default %(default)s)")
    add("--starts", type=int, default=2, help="starts of the search on each face (default %(default)s)")
    add("--iterations", type=int, default=25, help="most Newton steps of the last stage (default %(default)s)")
    add("--no-nash", action="store_true", help="skip the search for best replies")
    add_quiet(parser)


def run(arguments: argparse.Namespace) -> None:
    """Print the closed-form thresholds, and every fixed point."""
    meta = pool(arguments, arguments.p_naive, arguments.nodes)
    budget = {"starts": arguments.starts, "iterations": arguments.iterations}
    atlas = meta.fixed_points(**budget, nash=not arguments.no_nash, report=stages(arguments.quiet))
    report: dict[str, Any] = {
        "setting": setting(meta),
        "share": meta.share,
        "tau": meta.tau,
        "noise": noise(meta.game),
        "p_critical": meta.p_critical(),
        "forgiving_below": meta.forgiving_below(),
        "basin_boundary": meta.basin_boundary(),
        "boundary_pull": meta.boundary_pull(),
        "errors": meta.errors(),
        "fixed_points": [_point(point) for point in atlas],
        "unsettled": [{"policy": list(policy), "residual": residual} for policy, residual in atlas.unsettled],
    }
    show(report, arguments.json, _text)


def _point(point: FixedPoint) -> dict[str, Any]:
    names = ("label", "policy", "self_play", "versus_naive", "naive_gets", "multipliers", "symmetric", "breaking")
    found = {name: getattr(point, name) for name in (*names, "residual", "stability", "stable", "nash")}
    if point.response is not None:
        found |= {
            "gain": point.response.gain,
            "gain_error": point.response.error,
            "best_response": point.response.policy,
        }
    return found


def _basin(report: dict[str, Any]) -> str:
    if report["noise"] is not None:
        return f"below {report['forgiving_below']:.4f} it gives way to policies that forgive"
    boundary = report["basin_boundary"]
    if boundary <= 0:
        return "its basin holds all of its edge"
    if np.isinf(boundary):
        return "its basin holds nothing of its edge"
    pull, error = report["boundary_pull"], report["errors"]["basin_boundary"]
    edge = (
        ""
        if np.isnan(pull)
        else f", which {'repels' if pull > 0 else 'attracts'} in p_CD (its slope F_CD is {pull:+.2g} there)"
    )
    return f"its basin begins at an opening of {boundary:.3g} +- {error:.1g} on its edge{edge}"


LEGEND = """
s0 to DD: chance of cooperating at the start and after CC, CD, DC, DD (own first)
stability, of two agents near the point: stable, or a small deviation grows when
  both deviate alike (together), in opposite ways (apart), or in either (both
  ways); neutral: none does, but in some state nothing holds the point either
best reply: itself, or what another memory-one policy gains on it per step"""


def _text(report: dict[str, Any]) -> str:
    lines = [
        *said(report),
        f"effective share of naive learners {report['share']:.4g}, total naive learning time {report['tau']:.4g}",
        f"cooperation is a fixed point up to p_naive = {report['p_critical']:.4f} +- {report['errors']['p_critical']:.1g}; "
        f"{_basin(report)}",
        "",
        f"{'':<12} {'s0':>6} {'CC':>6} {'CD':>6} {'DC':>6} {'DD':>6}   self-play  vs naive  naive gets  "
        f"{'stability':<16}  best reply",
    ]
    for point in report["fixed_points"]:
        gain = {None: "-", True: "itself", False: f"gains {point.get('gain', 0):.4f}"}[point["nash"]]
        if point["nash"] is None and "gain" in point:
            gain = f"undecided, gains {point['gain']:.2g} +- {point['gain_error']:.1g}"
        earned = f"{point['self_play']:9.3f}  {point['versus_naive']:8.3f}  {point['naive_gets']:10.3f}"
        lines.append(f"{point['label']:<12} {five(point['policy'])}   {earned}  {point['stability']:<16}  {gain}")
    lines += LEGEND.split("\n")
    lines += [f"unsettled: {x['policy']}, residual {x['residual']:.2g}" for x in report["unsettled"]]
    return "\n".join(lines)
