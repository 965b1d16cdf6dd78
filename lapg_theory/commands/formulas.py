"""`lapg theory formulas`: the closed forms behind the numbers, as SymPy derived them."""

import argparse
import functools
from typing import Any

import sympy as sp

from lapg_theory.commands.options import show
from lapg_theory.symbolic import metagame, noise, thresholds, zd
from lapg_theory.symbolic.symbols import gamma


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--latex", action="store_true", help="in LaTeX")
    parser.add_argument("--json", action="store_true", help="print JSON")


@functools.cache
def statements() -> tuple[thresholds.Statement, ...]:
    """Every closed form: of the certificate, of the mixed pool, of zero-determinant strategies."""
    pool = (
        metagame.hold(False),
        metagame.temptation(False),
        metagame.p_critical(False),
        metagame.basin_boundary(False),
    )
    enforcing = (
        thresholds.Statement(f"enforcing policy, {state}", "enforces pi_2 - l = s (pi_1 - l)", expression)
        for state, expression in zip(("CC", "CD", "DC", "DD"), zd.enforcing_policy(), strict=True)
    )
    least = (
        thresholds.Statement(
            f"least discount, {kind} line", "of slope s in a prisoner's dilemma", zd.least_discount(kind)
        )
        for kind in ("extortionate", "generous")
    )
    noisy = (noise.mutual_tit_for_tat(), noise.forgiving_from(False), noise.least_discount(gamma))
    pairs = (zd.gain_of_cooperating(), zd.least_determinism())
    return (*thresholds.statements(), *pool, metagame.forgiveness_needed(), *enforcing, *least, *pairs, *noisy)


def run(arguments: argparse.Namespace) -> None:
    """Print them."""
    write = sp.latex if arguments.latex else str
    found = [{"name": x.name, "says": x.says, "expression": write(x.expression)} for x in statements()]
    show({"statements": found}, arguments.json, _text)


def _text(report: dict[str, Any]) -> str:
    return "\n\n".join(f"{x['name']}: {x['says']}\n    {x['expression']}" for x in report["statements"])
