"""`lapg in-context`: cooperation by in-context inference of the co-player, in four steps."""

import argparse
from pathlib import Path

EPILOGUE = """stages, each a run for every seed (ROOT/STAGE/seedN):
  responder    learns against random memory-one strategies
  extorter     fresh agents learn against the frozen responder
  pair         two extorters learn against each other
  mixed        half random memory-one strategies, half each other
  agents-only  each other alone
  told         as mixed, but told whom they face

examples:
  lapg in-context --seeds 5
  lapg in-context --stages pair                      with the two before it
  lapg in-context steps=100 extorter:updates=600     for all, and for one

The preset is ipd-in-context-small. The same command carries on with what is
not finished. What came out is ROOT/in-context.json, .md, .html and .svg.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOGUE
    parser.add_argument(
        "settings", nargs="*", metavar="[STAGE:]key=value", help="what to change in all stages, or in one"
    )
    parser.add_argument(
        "--root", type=Path, default=Path("runs/in-context"), metavar="DIR", help="directory of all runs"
    )
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="runs of each stage, on consecutive seeds")
    parser.add_argument("--stages", default="", metavar="A,B", help="only these, and those that they begin from")
    parser.add_argument(
        "--meta-batch",
        type=int,
        default=256,
        metavar="N",
        help="episodes of each agent that are looked at (default 256)",
    )
    parser.add_argument("--seed", type=int, default=0, help="another one plays other such episodes")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="runs that train side by side (default 1)")
    parser.add_argument("--quiet", action="store_true", help="no progress lines")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the page")


def run(arguments: argparse.Namespace) -> int:
    """Train, play; write the page and print it."""
    from lapg_rl.commands.training import options, prepare

    prepare(arguments.jobs, 1, None)
    from lapg_rl.reports import in_context as pages
    from lapg_rl.runs import trust
    from lapg_rl.study.in_context import in_context, runs_of

    names = ("seeds", "meta_batch", "seed", "jobs", "quiet")
    more = {name: getattr(arguments, name) for name in names}
    stages = [name.strip() for name in arguments.stages.split(",")] if arguments.stages else []
    told = options(arguments.quiet, None)
    for one in runs_of(arguments.settings, arguments.root, seeds=arguments.seeds, stages=stages):
        trust.allow(*one.planned.config.addresses)  # what is named is allowed
    outcome = in_context(arguments.settings, arguments.root, stages=stages, options=told, **more)
    written = pages.write(outcome, arguments.root)
    if arguments.json:
        print((arguments.root / "in-context.json").read_text(encoding="utf-8"), end="")
    else:
        print("\n".join([pages.markdown(outcome), *(f"wrote {path}" for path in written)]))
    return 0
