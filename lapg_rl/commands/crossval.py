"""`lapg crossval`: what the theory predicts beside what the training code samples, level by level, with verdicts."""

import argparse
from pathlib import Path
from typing import Any


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    parser.epilog = (
        "Numbers are rationals: 1/3 and 0.25 are exact. Where a list starts with a minus, write --payoffs=-1,... "
        "Exit status: 0 if nothing is refuted, 1 if something is."
    )
    add("--level", nargs="+", default=[], metavar="L", help="levels, such as L0 L2 or L0-L4 (default); L5 and L6 train")
    add("--payoffs", default="2,1,0,-1", metavar="T,R,P,S", help="payoffs of the symmetric game (default %(default)s)")
    add("--ego", metavar="s0,CC,CD,DC,DD", help="the agent's probabilities of cooperating, own view")
    add("--naive", metavar="s0,CC,CD,DC,DD", help="the co-player's at first, in its own view")
    add("--gamma", type=float, help="discount of the games that stop at random (L0)")
    add("--steps", type=int, metavar="T", help="steps of an inner episode (L0, L1, L4; L2 and L3 use 2)")
    add("--inner-episodes", type=int, metavar="M", help="inner episodes of a meta-episode (L4; L2 and L3 use 2)")
    add("--batch", type=int, metavar="B", help="games that feed one update of the co-player (L1, L4; L3 up to 4)")
    add("--alpha", help="learning rate of the co-player, in probabilities")
    add(
        "--budget", default="medium", help="small, medium, large or a factor for all sample sizes (default %(default)s)"
    )
    add("--seed", type=int, help="seed of the simulation")
    add("--false-alarms", type=float, metavar="RATE", help="false-alarm rate of each level")
    add("--sabotage", metavar="KIND", help="put a classical mistake into the simulation; `list` names them")
    add("--run", type=Path, nargs="+", default=[], metavar="DIR", help="run folders that L6 looks at")
    add(
        "--agents",
        default="tabular",
        help="who trains in L5: tabular (default), gru or hawk, the latter with few seeds",
    )
    add("--out", type=Path, default=Path("runs/crossval"), metavar="DIR", help="default %(default)s")
    add("--json", action="store_true", help="print results.json instead of the verdicts")


def _budget(text: str) -> float:
    from lapg_rl.crossval.setting import BUDGETS

    try:
        return BUDGETS[text] if text in BUDGETS else float(text)
    except ValueError:
        raise ValueError(f"--budget must be {', '.join(BUDGETS)} or a number, got {text!r}") from None


def setting_of(arguments: argparse.Namespace):
    """The setting that the options describe."""
    from lapg_rl.crossval.setting import Setting, numbers
    from lapg_theory.game import symmetric_game

    T, R, P, S = numbers("payoffs", arguments.payoffs, 4)
    given: dict[str, Any] = {"game": symmetric_game(T, R, P, S), "budget": _budget(arguments.budget)}
    for name in ("ego", "naive"):
        if (text := getattr(arguments, name)) is not None:
            given[name] = numbers(name, text, 5)
    if arguments.alpha is not None:
        (given["alpha"],) = numbers("alpha", arguments.alpha, 1)
    for name in ("gamma", "steps", "inner_episodes", "batch", "seed", "false_alarms"):
        if (value := getattr(arguments, name)) is not None:
            given[name] = value
    return Setting(**given)


def run(arguments: argparse.Namespace) -> int:
    """Carry out the levels and write the report; 1 if a level is refuted."""
    from lapg_rl.crossval import levels, page
    from lapg_rl.crossval.sabotage import EXPECTED, SABOTAGES
    from lapg_rl.crossval.simulation import HONEST

    if arguments.sabotage == "list":
        for kind, (words, _) in SABOTAGES.items():
            print(f"{kind:18} {words}; to be noticed by {', '.join(sorted(EXPECTED[kind]))}")
        return 0
    setting, codes = setting_of(arguments), levels.chosen(arguments.level)
    if arguments.sabotage not in (None, *SABOTAGES):
        raise ValueError(f"unknown sabotage {arguments.sabotage!r}; known: {', '.join(SABOTAGES)}")
    if arguments.agents not in ("tabular", "gru", "hawk"):
        raise ValueError(f"--agents must be tabular, gru or hawk, got {arguments.agents!r}")
    simulation = SABOTAGES[arguments.sabotage][1] if arguments.sabotage else HONEST
    found = []
    for level in levels.run(setting, codes, simulation, arguments.out, runs=arguments.run, agents=arguments.agents):
        found.append(level)
        if not arguments.json:
            print(page.text(level), flush=True)
    written = page.write(arguments.out, setting, found, arguments.sabotage)
    print(
        page.dumps(setting, found, arguments.sabotage)
        if arguments.json
        else "\n".join(f"wrote {p}" for p in written[:2])
    )
    return int(any(level.verdict == "refuted" for level in found))
