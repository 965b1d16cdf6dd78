"""`lapg watch`: one inner episode of CleanUp-lite or a repeated game, as text and HTML; of CleanUp-lite also as GIF.

With `--beside` there are two, those of the best and the worst of several runs.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lapg_rl.config.checks import check_draws
from lapg_rl.runs import files
from lapg_rl.runs.folder import RunFolder
from lapg_rl.study.results import collect, opened, runs_in


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="run folder")
    parser.add_argument(
        "opponent",
        nargs="?",
        default="naive",
        help="naive (default), the number of an agent of the run, or a strategy or script by name; in a group who sits in all "
        "other seats, or in each: naive+0",
    )
    parser.add_argument(
        "--beside", nargs="+", type=Path, metavar="RUN", default=[],
        help="other runs, or folders with runs inside: of all of them the one that earns most and the one that earns least",
    )  # fmt: skip
    parser.add_argument("--agent", type=int, default=0, metavar="N", help="which agent to watch (default 0)")
    parser.add_argument(
        "--inner-episode", type=int, metavar="N", help="which inner episode, from 0 (default: the last)"
    )
    parser.add_argument("--seed", type=int, default=0, help="another seed draws another game")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where episode.html and episode.gif go (default: RUN)")
    parser.add_argument("--quiet", action="store_true", help="no text")
    parser.add_argument("--json", action="store_true", help="print JSON instead: every step, and the files written")


def run(arguments: argparse.Namespace) -> int:
    """Record, print, write."""
    check_draws("--seed", arguments.seed, bits=30)
    folders = {"": opened(arguments.run_folder)}
    if arguments.beside:
        folders = _best_and_worst([folders[""], *runs_in(arguments.beside)])
    for folder in folders.values():
        RunFolder(folder).check_trained()  # before JAX is imported
    if not arguments.out and files.archive_of(arguments.run_folder):
        raise ValueError(f"{arguments.run_folder} stays as it is; say with --out DIR where the episode goes")
    from lapg_rl.reports import courses, episodes

    how = {"agent": arguments.agent, "inner_episode": arguments.inner_episode, "seed": arguments.seed}
    found = [episodes.record(folder, arguments.opponent, **how) for folder in folders.values()]
    found = [each._replace(title=f"{name}{each.title}") for name, each in zip(folders, found, strict=True)]
    grids = [each for each in found if isinstance(each, episodes.Episode)]
    shown: list[Any] = [episodes if isinstance(each, episodes.Episode) else courses for each in found]
    moving = len(grids) == len(found)
    out = arguments.out or arguments.run_folder
    out.mkdir(parents=True, exist_ok=True)
    if not (arguments.quiet or arguments.json):
        print("\n\n".join(one.text(each) for one, each in zip(shown, found, strict=True)))
    if moving:
        episodes.gif(out / "episode.gif", grids)
    pages = [one.html(each) for one, each in zip(shown, found, strict=True)]
    files.replace(out / "episode.html", courses.side_by_side(pages) if len(pages) > 1 else pages[0])
    written = [str(out / "episode.gif")] * moving + [str(out / "episode.html")]
    if arguments.json:
        told = [_told(each) for each in found]
        print(json.dumps({**(told[0] if len(told) == 1 else {"best": told[0], "worst": told[1]}), "written": written}))
    else:
        print("\n".join(f"wrote {path}" for path in written))
    return 0


def _best_and_worst(folders: Sequence[Path]) -> dict[str, Path]:
    """The runs whose agents earn most and least, and what is said of them."""
    results = sorted(map(collect, dict.fromkeys(folder.resolve() for folder in folders)), key=lambda one: -one.earned)
    if len(results) < 2:
        raise ValueError(f"--beside names no other run than {folders[0]}; name some")
    words = {"best": results[0], "worst": results[-1]}
    return {f"{word}, {one.name} ({one.earned:.3f} a step): ": one.path for word, one in words.items()}


def _told(episode: Any) -> dict[str, Any]:
    told = episode._asdict()
    return told | ({"frames": [frame._asdict() for frame in episode.frames]} if "frames" in told else {})
