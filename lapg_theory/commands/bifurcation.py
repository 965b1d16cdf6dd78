"""`lapg theory bifurcation`: how the fixed points of a mixed pool move, appear and vanish along one parameter."""

import argparse
from typing import Any

from lapg_theory.commands.options import five, show
from lapg_theory.commands.pool_options import add_axis, add_pool, axis, pool, said, setting
from lapg_theory.metagame.bifurcation import bifurcation
from lapg_theory.metagame.labels import LABELS


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_pool(parser)
    add = parser.add_argument
    add_axis(parser, ["p_naive", "eta", "tau", "gamma"])
    add("--p-naive", type=float, default=0.5, help="share of naive learners where that is fixed (default %(default)s)")
    add("--nodes", type=int, default=256, help="initial naive learners, a power of two (default %(default)s)")


def run(arguments: argparse.Namespace) -> None:
    """Print the range in which each kind of fixed point exists, and the points at every value."""
    meta = pool(arguments, arguments.p_naive, arguments.nodes)
    found = bifurcation(meta, over=arguments.over, values=axis(arguments))
    report = {
        "setting": setting(meta, found.over),
        "over": found.over,
        "stable_range": {label: found.range(label) for label in LABELS},
        "neutral_range": {label: found.neutral(label) for label in LABELS},
        "points": [
            {
                "value": float(value),
                "label": x.label,
                "policy": x.policy,
                "stability": x.stability,
                "residual": x.residual,
            }
            for value, points in zip(found.values, found.points, strict=True)
            for x in points
        ],
    }
    show(report, arguments.json, _text)


def _range(ends: tuple[float, float]) -> str:
    return f"from {ends[0]:.4g} to {ends[1]:.4g}"


def _text(report: dict[str, Any]) -> str:
    lines = said(report)
    for label, ends in report["stable_range"].items():
        neutral = report["neutral_range"][label]
        more = "" if neutral is None else f"; neutral {_range(neutral)}"
        lines.append(f"stable {label}: {'at no value tried' if ends is None else _range(ends)}{more}")
    if any(report["neutral_range"].values()):
        lines.append("neutral: no state that play reaches leads away, states that it never reaches may be anything")
        lines.append("(`lapg theory thresholds` calls such mutual defection stable)")
    lines += ["", f"{report['over']:>8}  {'':<10} {'s0':>6} {'CC':>6} {'CD':>6} {'DC':>6} {'DD':>6}  stability"]
    for x in report["points"]:
        lines.append(f"{x['value']:8.4g}  {x['label']:<10} {five(x['policy'])}  {x['stability']}")
    return "\n".join(lines)
