"""`lapg crossval`: what the theory predicts beside what the training code samples, level by level, with verdicts."""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

#: Exit status after an interrupt: 128 + SIGINT, as of a shell.
INTERRUPTED = 130


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    parser.epilog = (
        "Numbers are rationals: 1/3 and 0.25 are exact. "
        "Exit status: 0 if nothing is refuted (or miscalibrated), 1 if something is, 130 if interrupted."
    )
    add("--level", nargs="+", default=[], metavar="L", help="levels, such as L0,L2 or L0-L4 (default); L5 and L7 train")
    add("--game", metavar="NAME", help="a game with its default payoffs: stag_hunt, rock_paper_scissors, ...")
    text = "of a symmetric game (default 2,1,0,-1), or tables of k actions as game.payoffs takes them: [[4,0],[3,2]]"
    add("--payoffs", metavar="T,R,P,S", help=text)
    add("--players", type=int, metavar="N", help="a public goods game of so many players (L0, L1, L3)")
    add("--factor", metavar="R", help="of it: by which contributions of 1 are multiplied (default 8/5)")
    text = "chance that {} (default 0; L0, L1, L3)"
    add("--execution", type=float, metavar="E", help=text.format("an action slips"))
    add("--perception", type=float, metavar="D", help=text.format("an action is seen wrongly"))
    add(
        "--ego",
        metavar="s0,CC,CD,DC,DD",
        help="the agent's probabilities of cooperating, own view; with k actions (1 + k^2) k numbers",
    )
    add("--naive", metavar="s0,CC,CD,DC,DD", help="the co-player's at first, in its own view")
    add("--gamma", type=float, help="discount of the games that stop at random (L0)")
    add("--steps", type=int, metavar="T", help="steps of an inner episode (L0, L1, L4; L2 and L3 use 2)")
    add("--inner-episodes", type=int, metavar="M", help="inner episodes of a meta-episode (L4; L2 and L3 use 2)")
    add("--batch", type=int, metavar="B", help="games that feed one update of the co-player (L1, L4; L3 up to 4)")
    add("--alpha", help="learning rate of the co-player, in probabilities (default 1/10 over its largest payoff)")
    add(
        "--budget", default="medium", help="small, medium, large or a factor for all sample sizes (default %(default)s)"
    )
    add("--seed", type=int, help="seed of the simulation")
    add("--false-alarms", type=float, metavar="RATE", help="false-alarm rate of each level")
    add("--sabotage", metavar="KIND", help="put a classical mistake into the simulation; `list` names them")
    add("--run", type=Path, nargs="+", default=[], metavar="DIR", help="run folders that L6 or L7 looks at")
    text = "the policies that train in L5: tabular (default), gru or hawk, the latter with few seeds"
    add("--model", default="tabular", metavar="KIND", help=text)
    add("--agents", dest="model", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    add(
        "--calibrate",
        type=int,
        metavar="N",
        help="instead of verdicts, measure the rate of false alarms: each level anew for N seeds (with 200 seeds, take "
        "--false-alarms 0.05 --budget 0.1)",
    )
    add("--out", type=Path, default=Path("runs/crossval"), metavar="DIR", help="default %(default)s")
    add("--json", action="store_true", help="print results.json instead of the verdicts")


def _budget(text: str) -> float:
    from lapg_rl.crossval.setting import BUDGETS

    try:
        return BUDGETS[text] if text in BUDGETS else float(text)
    except ValueError:
        raise ValueError(f"--budget must be {', '.join(BUDGETS)} or a number, got {text!r}") from None


def _group(arguments: argparse.Namespace) -> Any:
    """The public goods game of --players and --factor. Raises ValueError where that is no dilemma, or with another game."""
    from lapg_rl.config import GameConfig
    from lapg_rl.crossval.setting import numbers
    from lapg_theory.game import public_goods

    if given := next((f"--{name}" for name in ("game", "payoffs") if getattr(arguments, name)), None):
        raise ValueError(f"--players {arguments.players} is about a public goods game, got {given} as well; give one")
    (factor,) = numbers("factor", arguments.factor or "8/5", 1)
    try:
        GameConfig(kind="public-goods", players=arguments.players, factor=float(factor))  # refuses what is no dilemma
    except ValueError as error:
        raise ValueError(str(error).replace("game.", "--")) from None
    return public_goods(arguments.players, factor)


def _game(name: str | None, payoffs: str | None) -> Any:
    """The game of --game or --payoffs. Raises ValueError for both at once."""
    from lapg_rl.config import GameConfig
    from lapg_rl.crossval.setting import numbers
    from lapg_theory.game import symmetric_game

    if name and payoffs:
        raise ValueError(f"--game {name} has payoffs, got --payoffs {payoffs} as well; give one of the two")
    if not name and not (payoffs or "").lstrip().startswith("["):
        T, R, P, S = numbers("payoffs", payoffs or "2,1,0,-1", 4)
        return symmetric_game(T, R, P, S)
    return GameConfig(kind="matrix", name=name or "", payoffs="" if name else payoffs).repeated


def setting_of(arguments: argparse.Namespace):
    """The setting that the options describe."""
    from lapg_rl.crossval.setting import Setting, numbers
    from lapg_theory.game import NormalFormGame

    if arguments.factor is not None and arguments.players is None:
        raise ValueError(f"--factor {arguments.factor} is of a public goods game; say of how many with --players")
    game = _game(arguments.game, arguments.payoffs) if arguments.players is None else _group(arguments)
    if arguments.execution is not None or arguments.perception is not None:
        game = game.noisy(arguments.execution or 0.0, arguments.perception or 0.0)
    given: dict[str, Any] = {"game": game, "budget": _budget(arguments.budget)}
    k = game.actions[0] if isinstance(game, NormalFormGame) else 2
    for name in ("ego", "naive"):
        if (text := getattr(arguments, name)) is not None:
            given[name] = numbers(name, text, 2 * (arguments.players or 2) + 1 if k == 2 else (1 + k * k) * k)
    if arguments.alpha is not None:
        (given["alpha"],) = numbers("alpha", arguments.alpha, 1)
    for name in ("gamma", "steps", "inner_episodes", "batch", "seed", "false_alarms"):
        if (value := getattr(arguments, name)) is not None:
            given[name] = value
    return Setting(**given)


def run(arguments: argparse.Namespace) -> int:
    """Carry out the levels and write the report; 1 if a level is refuted."""
    from lapg_rl.crossval import ladder, page
    from lapg_rl.crossval.sabotage import EXPECTED, SABOTAGES
    from lapg_rl.crossval.simulation import HONEST

    if arguments.sabotage == "list":
        for kind, (words, _) in SABOTAGES.items():
            print(f"{kind:18} {words}; to be noticed by {', '.join(sorted(EXPECTED[kind]))}")
        return 0
    setting = setting_of(arguments)
    codes = ladder.chosen(arguments.level or ([] if setting.plain else ladder.GENERAL))
    ladder.check_general(setting, codes)
    if arguments.sabotage not in (None, *SABOTAGES):
        raise ValueError(f"unknown sabotage {arguments.sabotage!r}; known: {', '.join(SABOTAGES)}")
    if arguments.model not in ("tabular", "gru", "hawk"):
        raise ValueError(f"--model must be tabular, gru or hawk, got {arguments.model!r}")
    if arguments.calibrate is not None:
        return _calibrate(arguments, setting, codes)
    _make_writable(arguments.out)
    simulation = SABOTAGES[arguments.sabotage][1] if arguments.sabotage else HONEST
    if not arguments.json:
        print(f"the co-player learns at rate {setting.rate} (--alpha)", flush=True)
    found, interrupted = [], False
    try:
        for level in ladder.run(setting, codes, simulation, arguments.out, runs=arguments.run, agents=arguments.model):
            found.append(level)
            if not arguments.json:
                print(page.text(level), flush=True)
    except KeyboardInterrupt:
        interrupted = True
        print(f"lapg crossval: interrupted after {len(found)} of {len(codes)} levels", file=sys.stderr)
        if not found:
            return INTERRUPTED
    except BaseException:  # a level that refuses, a signal: what is finished stays
        if found:
            page.write(arguments.out, setting, found, arguments.sabotage)
        raise
    written = page.write(arguments.out, setting, found, arguments.sabotage)
    print(
        page.dumps(setting, found, arguments.sabotage)
        if arguments.json
        else "\n".join(f"wrote {p}" for p in written[:2])
    )
    return INTERRUPTED if interrupted else int(any(level.verdict == "refuted" for level in found))


def _make_writable(folder: Path) -> None:
    """Create the folder, and find out now rather than at the end whether files can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(f"cannot write to {folder}: {error.strerror}; name another folder with --out") from error


def _calibrate(arguments: argparse.Namespace, setting: Any, codes: list[str]) -> int:
    """Measure the false-alarm rates of the levels; 1 if one isn't as stated."""
    from lapg_rl.crossval import page
    from lapg_rl.crossval.calibration import calibrate
    from lapg_rl.crossval.ladder import LEVELS, TRAINED
    from lapg_theory.game import check_count

    if arguments.sabotage:
        raise ValueError("--calibrate measures false alarms, for which nothing must be wrong: leave out --sabotage")
    if trained := [code for code in codes if code in TRAINED]:
        raise ValueError(
            f"{trained[0]} trains, which is too much for many seeds; --calibrate takes {', '.join(LEVELS)}"
        )
    check_count("--calibrate", arguments.calibrate, 2)
    _make_writable(arguments.out)
    told = (lambda row: None) if arguments.json else (lambda row: print(page.calibration_text(row), flush=True))
    try:
        rows = calibrate(setting, codes, arguments.calibrate, told=told)
    except KeyboardInterrupt:
        print("lapg crossval: interrupted; nothing was written", file=sys.stderr)
        return INTERRUPTED
    written = page.write_calibration(arguments.out, setting, rows)
    print(page.dumps_calibration(setting, rows) if arguments.json else "\n".join(f"wrote {p}" for p in written))
    return int(not all(row["calibrated"] for row in rows))
