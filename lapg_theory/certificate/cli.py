"""`lapg theory thresholds`: the defection certificate of a game, on the command line."""

import argparse
import dataclasses
import json
import math
from typing import Any

from lapg_theory.certificate.certificate import DefectionCertificate, defection_certificate
from lapg_theory.game import prisoners_dilemma


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add(
        "--payoffs",
        default="2,1,0,-1",
        metavar="T,R,P,S",
        help="default %(default)s; where T < 0 write --payoffs=T,...",
    )
    add("--gamma", type=float, required=True, help="discount factor, in [0, 1)")
    add("--updates", type=int, default=20, help="naive updates in a meta-episode (default %(default)s)")
    add("--eta", type=float, default=1.0, help="naive learning rate, on returns per step (default %(default)s)")
    add("--p-naive", type=float, default=1.0, help="share of naive learners in the pool (default %(default)s)")
    add("--init-spread", type=float, default=1.0, help="s.d. of the initial naive logits (default %(default)s)")
    add("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> None:
    """Print the certificate."""
    found = report(certificate(arguments))
    print(json.dumps(found, indent=2, allow_nan=False) if arguments.json else text(found))


def certificate(arguments: argparse.Namespace) -> DefectionCertificate:
    """The certificate that the options ask for."""
    try:
        payoffs = [float(part) for part in arguments.payoffs.split(",")]
    except ValueError:
        payoffs = []
    if len(payoffs) != 4:
        raise ValueError(f"--payoffs needs the four numbers T,R,P,S, got {arguments.payoffs!r}")
    named = {name: getattr(arguments, name) for name in ("gamma", "eta", "updates", "p_naive")}
    return defection_certificate(prisoners_dilemma(*payoffs), init=arguments.init_spread, **named)


def report(found: DefectionCertificate) -> dict[str, Any]:
    """Everything that the certificate states, as plain data; null where there is none."""
    s, scan = found.setting, found.rate_scan
    return {
        "payoffs": [float(x) for x in s.game.trps],
        "gamma": s.gamma,
        "eta": s.eta,
        "updates": s.updates,
        "p_naive": s.p_naive,
        "components": {state: part.value for state, part in found.components.items()},
        "parts": {state: dataclasses.asdict(part) for state, part in found.components.items()},
        "window": None if found.window is None else list(found.window),
        "window_scan": _plain(dataclasses.asdict(scan)),
        "tau_star": found.tau_star,
        "tau_lower": found.tau_lower,
        "gamma_window": None if found.gamma_window is None else list(found.gamma_window),
        "p_critical": found.p_critical,
        "batch_star": _plain(found.batch_star),
        "local": found.local.stable,
        "local_details": _plain(dataclasses.asdict(found.local)),
        "nash": found.nash.is_nash,
        "nash_details": _plain(dataclasses.asdict(found.nash)),
        "errors": _plain(found.errors),
    }


def _plain(value: Any) -> Any:
    """Numbers and containers that JSON knows; infinite and undefined ones as text."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def text(r: dict[str, Any]) -> str:
    """The report in a few lines."""
    lines = [
        f"prisoner's dilemma (T, R, P, S) = ({', '.join(f'{x:g}' for x in r['payoffs'])}), gamma {r['gamma']:g}",
        f"naive learners: {r['updates']} updates of rate {r['eta']:g} on returns per step; their share {r['p_naive']:g}",
        "",
        "shaping gradient at unconditional defection, per step (probability of cooperating after ...):",
    ]
    for state in ("s0", "DC", "DD"):
        part = r["parts"][state]
        lines.append(
            f"  {state:2}  {part['value']:+.5f} +- {part['error']:.1g}  = {part['direct']:+.5f} within the episode "
            f"{part['via_learning']:+.5f} through the other's learning"
        )
    if r["window"] is None:
        lines.append(
            "window of learning rates: none; no rate tried makes the DC component positive (see window_scan in --json)"
        )
    else:
        lines.append(
            f"window of learning rates: {r['window'][0]:.4g} to {r['window'][1]:.4g}: inside it defection is unstable"
        )
        lines.append(f"critical total learning time tau*: {r['tau_lower']:.4g} at these updates")
    lines.append(f"critical total learning time for many small updates: {_number(r['tau_star'])}")
    lines.append(f"critical batch size of batch-unaware and M-FOS at this rate: {_number(r['batch_star'])}")
    lines.append(
        f"mutual defection is {'a' if r['local'] else 'no'} stable fixed point of gradient ascent in this pool"
    )
    nash = r["nash_details"]
    lines.append(
        "no memory-one policy earns more than defection in this pool"
        if r["nash"]
        else f"defection is no best reply: {[round(x, 3) for x in nash['deviation']]} earns {nash['gain']:.4g} more per step"
    )
    return "\n".join(lines)


def _number(value: Any) -> str:
    return "none" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
