"""`lapg theory phase`: what becomes of a pool over its share of naive learners and one more parameter."""

import argparse
from typing import Any

import numpy as np

from lapg_theory.commands.options import Counted, add_quiet, numbers, policy, renamed, show
from lapg_theory.commands.pool_options import add_axis, add_pool, axis, pool, said, setting
from lapg_theory.metagame.phase import attractor_map, phase_diagram


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_pool(parser)
    add = parser.add_argument
    add("--p-naive", default="0,0.05,0.25,0.5,0.75,0.9,0.95,0.99,1", help="shares, e.g. 0,0.5,1 or 0:1:50")
    add_axis(parser, ["tau", "eta", "gamma"])
    add("--nodes", type=int, default=128, help="initial naive learners, a power of two (default %(default)s)")
    add("--simulate", action="store_true", help="let random pairs learn, instead of asking which attractors exist")
    add("--runs", type=int, default=8, help="with --simulate: pairs in each cell (default %(default)s)")
    text = "with --simulate: one pair from near this policy (kept 0.01 from 0 and 1) instead of random ones"
    add("--start", metavar="POLICY", help=text)
    add(
        "--agent-updates",
        type=int,
        default=1500,
        metavar="N",
        help="with --simulate: AdamW steps (default %(default)s)",
    )
    renamed(parser, "--steps", "--agent-updates", type=int)
    add("--rate", type=float, default=0.02, help="with --simulate: AdamW rate (default %(default)s)")
    add("--scramblings", type=int, default=1, help="with --simulate: sets of naive learners (default %(default)s)")
    add_quiet(parser)


def run(arguments: argparse.Namespace) -> None:
    """Print the map, or the diagram with its error bars."""
    grid = {
        "p_naive": numbers("--p-naive", arguments.p_naive),
        "over": arguments.over,
        "values": axis(arguments),
    }
    meta = pool(arguments, grid["p_naive"][0], arguments.nodes)
    if meta.game.noise is not None and not arguments.simulate:
        raise ValueError(
            "--noise: this map is told by three policies that noise does away with; add --simulate, or list the fixed "
            "points of one pool with `lapg theory metagame`"
        )
    report = _simulate(arguments, meta, grid) if arguments.simulate else _map(meta, grid)
    show({"setting": setting(meta, "p_naive", arguments.over)} | grid | report, arguments.json, _text)


def _map(meta: Any, grid: dict[str, Any]) -> dict[str, Any]:
    found = attractor_map(meta, **grid)
    boundary = np.where(np.isfinite(found.boundary), found.boundary, np.nan).tolist()
    return {
        "cells": found.names.tolist(),
        "boundary": [[None if x != x else x for x in row] for row in boundary],
        "key": "fixed points that no gradient leads away from: D defection, E extortion, C cooperation; blank: none of them\n"
        "(D where `lapg theory thresholds` says stable and `lapg theory bifurcation` stable or neutral; E is looked for\n"
        "at the best answer to naive learners alone; `lapg theory metagame` lists all ends of one pool, such as alternation)",
    }


def _simulate(arguments: argparse.Namespace, meta: Any, grid: dict[str, Any]) -> dict[str, Any]:
    budget = {name: getattr(arguments, name) for name in ("runs", "rate", "nodes", "scramblings", "seed")}
    budget["steps"] = arguments.agent_updates
    start = None
    if arguments.start is not None:
        start = np.clip(policy("--start", arguments.start, meta.game), 0.01, 0.99)
    found = phase_diagram(meta, **grid, **budget, start=start, report=Counted("cells", arguments.quiet))
    low, high = found.sampling("cooperate", "alternate")
    quadrature = found.quadrature("cooperate", "alternate")
    return {
        "cells": [[name[0].upper() for name in row] for row in found.majority],
        "cooperation": {
            "share": found.share("cooperate", "alternate").tolist(),
            "low": low.tolist(),
            "high": high.tolist(),
            "quadrature": None if np.isnan(quadrature).any() else quadrature.tolist(),
        },
        "labels": found.labels.tolist(),
        "key": "most frequent end: C cooperate, A alternate, E extort, D defect, O other",
    }


def _text(report: dict[str, Any]) -> str:
    columns = "".join(f"{p:>6.3g}" for p in report["p_naive"])
    lines = [*said(report), report["key"], f"{report['over']:>8} \\ p_naive {columns}"]
    for value, row in zip(report["values"], report["cells"], strict=True):
        lines.append(f"{value:>18.4g} " + "".join(f"{cell:>6}" for cell in row))
    return "\n".join(lines)
