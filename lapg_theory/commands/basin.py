"""`lapg theory basin`: which end a mixed pool reaches, beforehand: edge, window, folds, and the ends of recipes."""

import argparse
import dataclasses
from typing import Any

import numpy as np

from lapg_theory.basin import RECIPES, Pool, pool_of, predict, shaping_path, small_pool
from lapg_theory.basin.entropy import Branch, NoEndError, follow
from lapg_theory.basin.shaping_path import Estimate, estimate
from lapg_theory.commands.options import add_quiet, five, game, numbers, renamed, show, stages
from lapg_theory.commands.pool_options import add_pool, pool
from lapg_theory.game.matrix_game import MatrixGame, symmetric_game


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_pool(parser)
    add = parser.add_argument
    parser.set_defaults(gamma=None, eta=None)
    add("--steps", type=int, default=10, help="of an inner episode, unless --gamma is given (default %(default)s)")
    add("--inner-episodes", type=int, default=20, metavar="M", help="against a naive learner (default %(default)s)")
    renamed(parser, "--episodes", "--inner-episodes", type=int)
    add("--shares", default="0.25,0.5,0.75", help="of naive learners, for the folds (default %(default)s)")
    add("--agents", type=int, default=4, help="in a run (default %(default)s)")
    add("--runs", type=int, default=16, help="random starts for every recipe (default %(default)s)")
    add("--agent-updates", type=int, default=1000, metavar="N", help="AdamW steps of a run (default %(default)s)")
    renamed(parser, "--updates-of-agents", "--agent-updates", type=int)
    add("--nodes", type=int, default=16, help="with --gamma: initial naive learners (default %(default)s)")
    add("--scramblings", type=int, default=4, help="with --gamma: sets of them, for error bars (default %(default)s)")
    add("--shared", action="store_true", help="logits have a bias that all states share")
    add_quiet(parser)


def run(arguments: argparse.Namespace) -> None:
    """Print edge, window, folds and the predicted shares of ends."""
    report = stages(arguments.quiet)
    sets, one = pools(arguments)
    report("following pure shaping")
    found: dict[str, Any] = {"path": _path(sets)}
    report("following the rest points in the entropy bonus")
    found["folds"] = [_folds(sets, share) for share in numbers("--shares", arguments.shares)]
    report(f"{len(RECIPES)} recipes, {arguments.runs} runs of {arguments.agents} agents each")
    courses = predict(
        one,
        runs=arguments.runs,
        agents=arguments.agents,
        seed=arguments.seed,
        steps=arguments.agent_updates,
        shared=arguments.shared,
        report=lambda done, total: report(f"{done} of {total} recipes"),
    )
    found["recipes"] = {name: _ends(course) for name, course in courses.items()}
    found["train"] = training(one, arguments)
    found["payoffs"], found["units"] = ([float(x) for x in each.trps] for each in (game(arguments), one.game))
    show(found, arguments.json, _text)


def pools(arguments: argparse.Namespace) -> tuple[Pool, Pool]:
    """The pool with a set of learners for each scrambling, and with one set; payoffs in units of R - P above P.

    Raises:
        ValueError: for R <= P, of which there is no such unit.
    """
    played = _in_units(game(arguments))
    if arguments.gamma is None:
        eta = {} if arguments.eta is None else {"eta": arguments.eta}
        small = small_pool(steps=arguments.steps, episodes=arguments.inner_episodes, game=played, **eta)
        return small, small
    arguments.eta = 2.0 if arguments.eta is None else arguments.eta
    meta = dataclasses.replace(pool(arguments, 0.5, arguments.nodes), game=played)
    return pool_of(meta, arguments.nodes, arguments.scramblings), pool_of(meta, arguments.nodes)


def training(one: Pool, arguments: argparse.Namespace) -> str | None:
    """The command that trains the recipe with copies in this dilemma.

    None where it would be another game: with a discount or noise, or no dilemma.
    """
    T, R, P, S = one.game.trps
    if arguments.gamma is not None or one.game.noise is not None or not T > R > P > S:
        return None
    usual = {"game.T": 2.0, "game.S": -1.0, "steps": 10, "inner_episodes": 20, "pool.agents": 4}
    here = {"game.T": T, "game.S": S}
    here |= {"steps": arguments.steps, "inner_episodes": arguments.inner_episodes, "pool.agents": arguments.agents}
    changes = [f" {key}={value:.6g}" for key, value in here.items() if abs(value - usual[key]) > 1e-9]
    return f"lapg train ipd-steered-small{''.join(changes)} --run runs/steered"


def _in_units(given: MatrixGame) -> MatrixGame:
    T, R, P, S = given.trps
    if R <= P:
        raise ValueError(
            f"--payoffs needs R > P, whose difference is the unit of what agents earn, got R = {R:g} and P = {P:g}; "
            "call cooperation what pays more when both do it"
        )
    scaled = symmetric_game(*((x - P) / (R - P) for x in (T, R, P, S)))
    return dataclasses.replace(scaled, noise=given.noise)


def _path(sets: Pool) -> dict[str, Any]:
    runs = sets.traced.learners.shape[1]
    path = shaping_path(sets, np.zeros((runs, 5)), steps=1000, every=10)
    windows = [each for each in path.window() if each is not None]
    return {"edge": vars(estimate(path.edge)), "windows": windows, "sets": runs}


def _folds(sets: Pool, share: float) -> dict[str, Any]:
    return {"share": share, "T_E": vars(_fold(sets, share, "extort")), "T_K": vars(_fold(sets, share, "cooperate"))}


def _fold(sets: Pool, share: float, end: Branch) -> Estimate:
    """Where an end ceases to exist; NaN where it wasn't found, or lost."""
    try:
        return follow(sets, share, end).fold
    except NoEndError:
        return Estimate(np.nan, np.nan)


def _ends(course: Any) -> dict[str, Any]:
    times = course.reached(0.75)
    seen = times[np.isfinite(times)]
    return {
        "shares": course.shares,
        "steps": {"median": float(np.median(times)) if len(seen) else np.inf, "last": seen.max(initial=0.0)},
        "among": course.among[-1],
        "versus_naive": float(course.versus_naive[-1].mean()),
    }


def _fold_text(found: dict[str, float]) -> str:
    if np.isnan(found["value"]):
        return "not found"
    return str(Estimate(**found)) if np.isfinite(found["value"]) else "none below 1"


def _text(report: dict[str, Any]) -> str:
    path = report["path"]
    lines = [f"edge: forgiveness grows on the path of pure shaping only below a share of {Estimate(**path['edge'])}"]
    for moment in ("opens", "closes"):
        seen = [window[moment] for window in path["windows"] if window[moment] is not None]
        if seen:
            earned, policy = np.mean([x["versus_naive"] for x in seen]), np.mean([x["policy"] for x in seen], axis=0)
            step = np.mean([x["steps"] for x in seen])
            lines.append(
                f"window {moment} at step {step:.0f}: {earned:.2f} from naive learners, at s0 CC CD DC DD {five(policy)}"
            )
    if not path["windows"]:
        lines.append("no window: self-play destroys cooperation everywhere on the path")
    lines += [
        "",
        "folds: the ends E (extort) and K (cooperate) exist below T, entropy coefficient / reward scale",
        f"share   {'E: T':<20}  K: T",
    ]
    lines += [f"{x['share']:5.3g}   {_fold_text(x['T_E']):<20}  {_fold_text(x['T_K'])}" for x in report["folds"]]
    lines += ["", f"{'recipe':<24} {'cooperate (95%)':<20} {'extort':>6} {'other':>6}   steps to 0.75: median, last"]
    for name, found in report["recipes"].items():
        share, low, high = found["shares"]["cooperate"]
        rest = 1 - share - found["shares"]["extort"][0]
        steps = found["steps"]
        when = f"{steps['median']:.0f}, {steps['last']:.0f}" if share else "-"
        lines.append(
            f"{name:<24} {share:.2f} ({low:.2f} to {high:.2f})  {found['shares']['extort'][0]:6.2f} {rest:6.2f}   {when}"
        )
    if report["units"] != report["payoffs"]:
        words = ",".join(f"{x:.6g}" for x in report["units"])
        lines += ["", f"in units of R - P above P, where these payoffs are {words}; so is --eta, and are temperatures"]
    if report["train"]:
        lines += ["", "to train the recipe with copies, rewards in units of R - P above P:", f"    {report['train']}"]
    return "\n".join(lines)
