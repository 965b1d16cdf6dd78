"""`lapg theory zd`: which lines of payoffs a memory-one policy can enforce, with which policy, and how near one comes."""

import argparse
import dataclasses
import math
from typing import Any

from lapg_theory.commands.options import add_game, five, game, policy, show
from lapg_theory.game import Discounted, MatrixGame
from lapg_theory.game.extortion import NEAR
from lapg_theory.zd.enforce import enforce, feasible
from lapg_theory.zd.fit import extortion_fit, fit
from lapg_theory.zd.polygon import payoff_polygon


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_game(parser, column=True)
    add = parser.add_argument
    add(
        "--gamma", type=float, default=0.99, help="discount, in [0, 1]; 1: the undiscounted limit (default %(default)s)"
    )
    line = parser.add_mutually_exclusive_group()
    line.add_argument("--chi", type=float, help="own gain over the baseline as a multiple of the other's")
    line.add_argument("--slope", type=float, help="1 / chi; 0 sets the other's payoff (equaliser)")
    line.add_argument("--fit", metavar="POLICY", help="fit a line to a named strategy or to five probabilities instead")
    add("--baseline", default="P", help="payoff at which both are equal: P (extort), R (generous) or a number")
    add("--phi", type=float, help="strength of the reaction (default: middle of what is feasible)")
    add("--p0", type=float, help="first move (default: middle of what is feasible)")


def run(arguments: argparse.Namespace) -> int:
    """Print what can be enforced, or the fit; status 1 where nothing enforces the line at this gamma."""
    if arguments.fit is not None:
        show(_fit(arguments), arguments.json, _fit_text)
        return 0
    report = _line(arguments)
    show(report, arguments.json, _line_text)
    return 0 if report["feasible"] else 1


def _line(arguments: argparse.Namespace) -> dict[str, Any]:
    played = game(arguments)
    named = {"P": played.row_payoffs[3], "R": played.row_payoffs[0]}
    try:
        baseline = float(named.get(arguments.baseline, arguments.baseline))
    except ValueError as error:
        raise ValueError(f"--baseline takes P, R or a number, got {arguments.baseline!r}") from error
    line = {"baseline": baseline, "slope": arguments.slope, "chi": arguments.chi}
    found = feasible(played, arguments.gamma, **line)
    report = (
        {"gamma": arguments.gamma} | line | dataclasses.asdict(found) | {"policy": None, "corners": None, "why": ""}
    )
    slope = arguments.slope if arguments.chi is None else 1 / arguments.chi
    if math.isinf(found.gamma_min) and played.is_dilemma and not played.noise and slope is not None:
        report["why"] = _why(played, baseline, slope)
    if found:
        p = enforce(played, arguments.gamma, **line, phi=arguments.phi, p0=arguments.p0)
        report["policy"] = p
        if arguments.gamma < 1:
            report["corners"] = payoff_polygon(played, p, Discounted(arguments.gamma), n=1).hull
    return report


def _line_text(r: dict[str, Any]) -> str:
    least = {math.inf: "no gamma enforces this line", 1.0: "only the undiscounted limit, gamma = 1, enforces this line"}
    text = least.get(r["gamma_min"], f"this line can be enforced for gamma >= {r['gamma_min']:.6g}")
    if not r["feasible"]:
        return text + f"; at gamma {r['gamma']:g} none does{r['why']}"
    lines = [text, f"phi from {r['phi'][0]:.6g} to {r['phi'][1]:.6g}", f"policy s0 CC CD DC DD: {five(r['policy'])}"]
    if r["corners"] is not None:
        ends = ", ".join(f"({x:.4g}, {y:.4g})" for x, y in r["corners"])
        lines.append(f"payoffs per step (own, other's) run between {ends}")
    return "\n".join(lines)


def _why(played: MatrixGame, baseline: float, slope: float) -> str:
    """Why no gamma enforces a line of a prisoner's dilemma, where its slope or its baseline tells; else nothing."""
    _, R, P, _ = played.trps
    if slope > 1:
        return f": a slope above 1 (chi below 1), here {slope:g}, takes P >= R"
    return "" if P <= baseline <= R or slope <= -1 else f": the baseline must lie from P = {P:g} to R = {R:g}"


def _fit(arguments: argparse.Namespace) -> dict[str, Any]:
    played = game(arguments)
    p = policy("--fit", arguments.fit, played)
    report: dict[str, Any] = {"policy": p, "line": dataclasses.asdict(fit(played, p, arguments.gamma)), "corners": None}
    _, S, _, P = played.row_payoffs
    report["extortion_family"] = dataclasses.asdict(extortion_fit(played, p)) if played.is_symmetric and P > S else None
    if arguments.gamma < 1:
        report["corners"] = payoff_polygon(played, p, Discounted(arguments.gamma)).hull
    return report


def _fit_text(r: dict[str, Any]) -> str:
    line, family = r["line"], r["extortion_family"]
    through = f"through baseline {line['baseline']:.4g}"
    if line["slope"] == 1:
        through = "on which both earn the same" if math.isnan(line["baseline"]) else "on which both never earn the same"
    lines = [
        f"nearest line: slope {line['slope']:.4g} (chi {line['chi']:.4g}) {through}, phi {line['phi']:.4g}; "
        f"distance {line['residual']:.4g}"
    ]
    if family is not None:
        member = (
            f"chi {family['chi']:.4g}, phi {family['phi']:.4g}" if family["loss"] <= 4 * NEAR**2 else "none is near"
        )
        lines.append(f"two-parameter extortion family: {member}; squared distance {family['loss']:.4g}")
    if r["corners"] is not None:
        ends = ", ".join(f"({x:.4g}, {y:.4g})" for x, y in r["corners"])
        lines.append(f"corners of the payoffs per step that it leaves to be had (own, other's): {ends}")
    return "\n".join(lines)
