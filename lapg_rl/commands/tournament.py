"""`lapg tournament`: everyone against everyone."""

import argparse
import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

EPILOGUE = """--with takes names separated by commas: naive (fresh naive learners) and fixed
strategies (`lapg list strategies`; zd-extort-3 or another factor, always-0 or
another action), scripts of the game (ac and ad in the Coin Game, cleaner and
harvester in CleanUp-lite), players of the Axelrod library (axelrod:CLASS);
--with "" plays the runs' agents alone.
Runs that differ in their seed only are also grouped, with intervals over seeds.

In groups of N players (public-goods) a row has one seat and the column the
N - 1 others; --curves adds every other way to share the seats. Strategies
there: allc, alld, tft, grim, random.

examples:
  lapg tournament runs/ipd-shaping-small-*
  lapg tournament runs/mine runs/theirs --with tft,naive --out runs/cup
  lapg tournament runs/mine --with axelrod:TitFor2Tats,axelrod:Gradual
  lapg tournament runs/public-goods-small-* --curves
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOGUE
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folders; each agent is a player")
    parser.add_argument("--with", dest="others", metavar="NAMES", help="who plays too (default: classics and naive)")
    parser.add_argument("--out", type=Path, default=Path("tournament"), metavar="DIR", help="default tournament")
    parser.add_argument("--meta-batch", type=int, default=64, metavar="N", help="meta-episodes a match (default 64)")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other games")
    parser.add_argument("--curves", action="store_true", help="in groups: both players' rewards by seats held")
    parser.add_argument("--quiet", action="store_true", help="no progress line")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(arguments: argparse.Namespace) -> int:
    """Play, write the files, print the tables."""
    from lapg_rl.config import tables
    from lapg_rl.config.checks import check_draws
    from lapg_rl.runs import trust
    from lapg_rl.runs.folder import RunFolder
    from lapg_rl.runs.progress import Progress
    from lapg_rl.study.names import check_name, check_player
    from lapg_rl.study.results import runs_in
    from lapg_theory.game import check_count

    words = [] if arguments.others is None else arguments.others.split(",")
    named = [word.strip() if ":" in word else word.strip().lower() for word in words if word.strip()]
    trust.allow(*(name for name in named if tables.is_address(name)))  # what is named is allowed
    check_count("--meta-batch", arguments.meta_batch)  # every mistake in the arguments is told before JAX is imported
    check_draws("--seed", arguments.seed)
    try:
        configs = {folder: RunFolder(folder).check_trained() for folder in runs_in(arguments.runs)}
    except ValueError:  # of two mistakes a mistyped name is told first
        for name in named:
            if name not in tables.COPLAYERS:
                check_name(name)
        raise
    for folder, cfg in configs.items():
        for name in named:
            check_player(name, cfg)
        if arguments.curves and cfg.game.players == 2:
            raise ValueError(f"--curves is over the seats of a group, but {folder} has game.players = 2; leave it out")
    from lapg_rl.study.tournament import tournament

    others = None if arguments.others is None else named
    progress = Progress("tournament", 0, 0, quiet=arguments.quiet)

    def show(done: int, total: int) -> None:
        progress.total = total
        progress.show(done)

    sizes = {"meta_batch": arguments.meta_batch, "seed": arguments.seed, "curves": arguments.curves}
    played = tournament(arguments.runs, others, **sizes, show=show)
    progress.done()
    written = write(played, arguments.out)
    if arguments.json:
        print(written[0].read_text(encoding="utf-8"), end="")
    else:
        print("\n".join([text(played), *(f"wrote {path}" for path in written)]))
    return 0


def write(played: Any, folder: Path) -> list[Path]:
    """Write the outcome as JSON, CSV and heat map (SVG, PNG); the files written."""
    from lapg_rl.reports import crossplay, figures
    from lapg_rl.study import records
    from lapg_theory.game import look

    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"tournament.{suffix}" for suffix in ("json", "csv", "svg", "png")]
    records.write(played, paths[0])
    paths[1].write_text(as_csv(played), encoding="utf-8")
    drawing = figures.draw(crossplay.heat_map, played.groups or played.players, played.marks)
    paths[2].write_text(look.svg(drawing), encoding="utf-8")
    drawing.savefig(paths[3], dpi=160)
    return paths


def as_csv(played: Any) -> str:
    """One line for each ordered pair: of players, then of groups; rewards per step of the row player."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    dilemma = "P" in played.marks
    names = ["reward", "standard_error", "low_95", "high_95"] + ["cooperation"] * dilemma
    writer.writerow(["level", "row", "column", *names])
    for level, table in (("player", played.players), ("group", played.groups)):
        for i, j in _cells(table):
            fields = [table.rewards, table.errors, table.low, table.high] + [table.cooperation] * dilemma
            writer.writerow([level, table.names[i], table.names[j], *(field[i][j] for field in fields)])
    return buffer.getvalue()


def _cells(table: Any) -> Iterator[tuple[int, int]]:
    names = table.names if table else ()
    return ((i, j) for i in range(len(names)) for j in range(len(names)))


def text(played: Any) -> str:
    """The tables for a terminal: of groups where there are any, else of players."""
    from lapg_rl.study.intervals import told

    table, kind, over = played.players, "players", "meta-episodes"
    if played.groups:
        table, kind, over = played.groups, "groups", "the seeds of groups that have several"
    width = max(map(len, table.names))
    group = "" if table.players == 2 else f" in one seat, the column player in the other {table.players - 1}"
    lines = [f"reward per step of the row player{group}; {played.meta_batch} meta-episodes a match"]
    lines += [" " * (width + 4) + "".join(f"{f'({n})':>8}" for n in range(1, len(table.names) + 1))]
    for n, (name, row) in enumerate(zip(table.names, table.rewards, strict=True), start=1):
        lines.append(f"{n:>3} {name:{width}}" + "".join(map(_cell, row)))
    lines += ["", f"ranking by the mean over all other {kind}; 95 % intervals over {over}"]
    lines += [
        f"{n:>3} {rank.name:{width}} {told(rank.score, rank.low, rank.high)}"
        for n, rank in enumerate(table.ranking, start=1)
    ]
    if played.circles:
        lines += ["", "against itself / its own run's other agents / agents of other seeds; 95 % intervals over seeds"]
    for circle in played.circles:
        met = (circle.itself, circle.own_run, circle.other_seeds)
        shown = ["-" if e is None else told(e.value, e.low, e.high) for e in met]
        lines.append(f"    {circle.group:{width}} {' / '.join(shown)}")
    if played.curves:
        seats = "".join(f"{n:>8}" for n in range(1, table.players))
        lines += ["", "reward per step of both players in one group, by the seats that the one named first has"]
        lines += [" " * (2 * width + 9) + seats]
    for shared in played.curves:
        first, second = shared.names
        for own, other, earned in zip((first, second), (second, first), shared.rewards, strict=True):
            by_own = earned if own == first else earned[::-1]
            lines.append(f"    {own:{width}} with {other:{width}}" + "".join(map(_cell, by_own)))
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    return f"{'-' if value is None else f'{value:+.3f}':>8}"
