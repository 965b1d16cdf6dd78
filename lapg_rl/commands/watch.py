"""`lapg watch`: one inner episode of CleanUp-lite or a repeated game, as text and HTML; of CleanUp-lite also as GIF."""

import argparse
import json
from pathlib import Path
from typing import Any

from lapg_rl.config.checks import check_draws
from lapg_rl.runs import files
from lapg_rl.runs.folder import RunFolder
from lapg_rl.study.results import opened


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
    folder = opened(arguments.run_folder)
    RunFolder(folder).check_trained()  # before JAX is imported
    if not arguments.out and files.archive_of(arguments.run_folder):
        raise ValueError(f"{arguments.run_folder} stays as it is; say with --out DIR where the episode goes")
    from lapg_rl.reports import courses, episodes

    episode = episodes.record(
        folder,
        arguments.opponent,
        agent=arguments.agent,
        inner_episode=arguments.inner_episode,
        seed=arguments.seed,
    )
    out = arguments.out or arguments.run_folder
    out.mkdir(parents=True, exist_ok=True)
    repeated = isinstance(episode, courses.Course)
    shown: Any = courses if repeated else episodes
    if not (arguments.quiet or arguments.json):
        print(shown.text(episode))
    if not repeated:
        episodes.gif(episode, out / "episode.gif")
    files.replace(out / "episode.html", shown.html(episode))
    written = [str(out / "episode.gif")] * (not repeated) + [str(out / "episode.html")]
    if arguments.json:
        told = episode._asdict()
        if not repeated:
            told["frames"] = [frame._asdict() for frame in episode.frames]
        print(json.dumps({**told, "written": written}))
    else:
        print("\n".join(f"wrote {path}" for path in written))
    return 0
