"""`lapg theory thresholds`: the defection certificate of a game, on the command line."""

import argparse
import dataclasses
from typing import Any

from lapg_theory.certificate.certificate import DefectionCertificate, defection_certificate
from lapg_theory.commands.options import add_game, game, heading, noise, renamed, show, table


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_game(parser, column=True)
    add = parser.add_argument
    add("--gamma", type=float, default=0.99, help="discount factor, in [0, 1) (default %(default)s)")
    add("--updates", type=int, default=20, help="naive updates in a meta-episode (default %(default)s)")
    add("--eta", type=float, default=1.0, help="naive learning rate, on returns per step (default %(default)s)")
    add("--p-naive", type=float, default=1.0, help="share of naive learners in the pool (default %(default)s)")
    add("--spread", type=float, default=1.0, help="s.d. of the initial naive logits (default %(default)s)")
    renamed(parser, "--init-spread", "--spread", type=float)
    add("--raw", action="store_true", help="eta acts on discounted sums, not on returns per step")
    add("--weighting", choices=["mean", "sum"], default="mean", help="over inner episodes (default %(default)s)")
    add("--space", default="logit", help="coordinates of the naive learner: logit or probability (default %(default)s)")
    add("--nodes", type=int, default=1024, help="naive learners in a quadrature, a power of two (default %(default)s)")
    add("--seed", type=int, default=0, help="of the quadrature (default %(default)s)")


def run(arguments: argparse.Namespace) -> None:
    """Print the certificate."""
    show(report(certificate(arguments)), arguments.json, text)


def certificate(arguments: argparse.Namespace) -> DefectionCertificate:
    """The certificate that the options ask for."""
    names = ("gamma", "eta", "updates", "p_naive", "weighting", "space", "nodes", "seed")
    named = {name: getattr(arguments, name) for name in names}
    raw = {"normalize_returns": not arguments.raw, "init": arguments.spread}
    return defection_certificate(game(arguments), **named, **raw)


def report(found: DefectionCertificate) -> dict[str, Any]:
    """Everything that the certificate states, as plain data; null where there is none."""
    s, scan = found.setting, found.rate_scan
    nash = found.nash if s.space == "logit" else None  # no exact return is at hand for probability space
    return {
        "payoffs": _trps(s.game.row_payoffs),
        "column_payoffs": _trps(s.game.column_payoffs),
        "noise": noise(s.game),
        "gamma": s.gamma,
        "eta": s.eta,
        "updates": s.updates,
        "p_naive": s.p_naive,
        "components": {state: part.value for state, part in found.components.items()},
        "parts": {state: dataclasses.asdict(part) for state, part in found.components.items()},
        "window": None if found.window is None else list(found.window),
        "window_scan": dataclasses.asdict(scan),
        "tau_star": found.tau_star,
        "time_searched": found.time_scan.searched,
        "tau_lower": found.tau_lower,
        "gamma_window": None if found.gamma_window is None else list(found.gamma_window),
        "p_critical": found.p_critical,
        "batch_star": found.batch_star,
        "local": found.local.stable,
        "local_details": dataclasses.asdict(found.local),
        "nash": None if nash is None else nash.is_nash,
        "nash_details": None if nash is None else dataclasses.asdict(nash),
        "errors": found.errors,
    }


def _trps(payoffs: Any) -> list[float]:
    R, S, T, P = map(float, payoffs)
    return [T, R, P, S]


def text(r: dict[str, Any]) -> str:
    """The report in a few lines."""
    two_sided = r["column_payoffs"] != r["payoffs"]
    learners = f", of the naive learners {table(r['column_payoffs'])}" if two_sided else ""
    noisy = r["noise"]
    lines = [
        heading(r["payoffs"], r["gamma"], noisy, learners),
        f"naive learners: {r['updates']} updates of rate {r['eta']:g} on returns per step; their share {r['p_naive']:g}",
        "",
        "shaping gradient at unconditional defection, per step, where all are naive learners",
        "(it counts by their share), in the probability of cooperating after ...:",
    ]
    for state in r["parts"] if noisy else ("s0", "DC", "DD"):
        part = r["parts"][state]
        lines.append(
            f"  {state:2}  {part['value']:+.5f} +- {part['error']:.1g}  = {part['direct']:+.5f} within the episode "
            f"{part['via_learning']:+.5f} through the other's learning"
        )
    inside = "the DC component is positive" if noisy else "defection is unstable"
    if r["window"] is None:
        scan = r["window_scan"]
        low, high = scan["scanned"]
        lines.append(
            f"window of learning rates: no window; of the rates from {low:.3g} to {high:.3g} none makes the DC component "
            f"positive (largest: {scan['peak_value']:.3g}, at {scan['peak']:.3g})"
        )
    else:
        lines.append(f"window of learning rates: {r['window'][0]:.4g} to {r['window'][1]:.4g}: inside it {inside}")
        lines.append(f"critical total learning time at these updates: {r['tau_lower']:.4g}")
    time = f"none up to {r['time_searched']:.3g}" if r["tau_star"] is None else f"{r['tau_star']:.4g}"
    lines.append(f"critical total learning time tau*, for many small updates: {time}")
    lines.append(f"critical batch size of batch-unaware and M-FOS at this rate: {_number(r['batch_star'])}")
    if noisy:
        share = r["local_details"]["p_critical"]
        when = "at no share of naive learners" if share is None else f"above a share {share:.3g} of naive learners"
        lines.append(f"at this rate mutual defection is left {when}")
    lines.append(
        f"mutual defection is {'a' if r['local'] else 'no'} stable fixed point of gradient ascent in this pool"
    )
    nash = r["nash_details"]
    if nash is None:
        return "\n".join([*lines, "best replies are searched against learners in logit space only"])
    reply = [round(x, 3) for x in nash["deviation"]]
    earns = f"s0 CC CD DC DD {reply} earns {nash['gain']:.4g} +- {nash['error']:.1g} more per step"
    if nash["doubt"]:
        earns += " and the slope in {} there is {:.2g} +- {:.1g}".format(*nash["doubt"])
    verdicts = {
        True: "no memory-one policy was found that earns more than defection in this pool",
        False: f"defection is no best reply: {earns}",
        None: f"whether defection is a best reply is undecided: {earns}; take more --nodes",
    }
    lines.append(verdicts[r["nash"]])
    return "\n".join(lines)


def _number(value: Any) -> str:
    return "none" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
