"""`lapg theory basins`: where pairs of learning agents end that start at random or near a policy."""

import argparse
from typing import Any

import numpy as np

from lapg_theory.commands.options import five, policy, renamed, show
from lapg_theory.commands.pool_options import add_pool, pool, said, setting


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_pool(parser)
    add = parser.add_argument
    add("--p-naive", type=float, default=0.5, help="share of naive learners in the pool (default %(default)s)")
    add("--start", metavar="POLICY", help="both start near this policy (kept 0.01 from 0 and 1), not at random")
    add("--runs", type=int, default=16, help="random pairs, N(0, 1) logits (default %(default)s)")
    add("--agent-updates", type=int, default=1500, metavar="N", help="AdamW steps of both (default %(default)s)")
    renamed(parser, "--steps", "--agent-updates", type=int)
    add("--rate", type=float, default=0.02, help="AdamW rate (default %(default)s)")
    add("--nodes", type=int, default=64, help="initial naive learners, a power of two (default %(default)s)")


def run(arguments: argparse.Namespace) -> None:
    """Print the share of each end with its 95% interval, and the final policies."""
    meta = pool(arguments, arguments.p_naive, arguments.nodes)
    starts: Any = arguments.runs
    if arguments.start is not None:
        starts = np.tile(np.clip(policy("--start", arguments.start, meta.game), 0.01, 0.99), (1, 2, 1))
    budget = {name: getattr(arguments, name) for name in ("rate", "nodes", "seed")}
    found = meta.basins(starts, steps=arguments.agent_updates, **budget)
    shares = {} if arguments.start is not None else found.shares
    ends = [
        {"label": label, "policies": pair, "residual": residual}
        for label, pair, residual in zip(found.labels, found.policies, found.residuals, strict=True)
    ]
    show({"setting": setting(meta), "shares": shares, "ends": ends}, arguments.json, _text)


def _text(report: dict[str, Any]) -> str:
    lines = said(report) + [
        f"{label:<10} {x:.3f}  (95%: {low:.3f} to {high:.3f})" for label, (x, low, high) in report["shares"].items()
    ]
    for end in report["ends"]:
        policies = "  |  ".join(map(five, end["policies"]))
        lines.append(f"{end['label']:<10} {policies}   still moving by {end['residual']:.1g}")
    lines.append("each end: s0, CC, CD, DC, DD of one agent  |  of the other")
    if any(end["label"] == "alternate" for end in report["ends"]):
        lines.append(
            "alternate: on average they earn as much as cooperators, but not both open with C: by\n"
            "turns, or one gives and one takes, or they get there in a step or two"
        )
    return "\n".join(lines)
