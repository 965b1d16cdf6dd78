"""`lapg balance`: how the two parts of each estimator's gradient compare as the minibatch grows."""

import argparse
import dataclasses
import json
from pathlib import Path

from lapg_rl import config
from lapg_rl.config.checks import check_draws
from lapg_rl.runs.folder import RunFolder
from lapg_theory.game import check_count


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("source", help="a run folder (its newest agent 0) or a preset (a fresh agent)")
    parser.add_argument("settings", nargs="*", metavar="key=value", help="what to change in a preset")
    parser.add_argument("--batches", default="1,4,16,64", metavar="B,B", help="minibatch sizes (default 1,4,16,64)")
    parser.add_argument("--meta-batch", type=int, default=256, metavar="N", help="meta-episodes at each (default 256)")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other games")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(arguments: argparse.Namespace) -> int:
    """Measure and print."""
    try:
        batches = [int(text) for text in arguments.batches.split(",")]
    except ValueError:
        raise ValueError(f"--batches must be integers such as 1,4,16, got {arguments.batches!r}") from None
    for batch in batches:
        check_count("--batches", batch)
    check_count("--meta-batch", arguments.meta_batch, 3)  # fewer don't tell signal from noise
    check_draws("--seed", arguments.seed)
    folder = None
    if Path(arguments.source).name != arguments.source or Path(arguments.source).exists():
        if arguments.settings:
            raise ValueError(f"a run takes everything from its folder, got {' '.join(arguments.settings)}")
        folder = RunFolder(arguments.source)
        cfg = folder.check_trained()
    else:
        cfg = config.override(config.preset(arguments.source), arguments.settings)
        if cfg.pool.parents:
            raise ValueError(
                f"pool.{next(iter(cfg.pool.parents))} is of no use here: a preset is measured without its parents; train "
                "it, and give the run"
            )
    import jax

    from lapg_rl.runs.loop import fresh_state
    from lapg_rl.study import entrants
    from lapg_rl.study.balance import balance

    state = folder.final_state() if folder else fresh_state(cfg)
    policy = jax.tree.map(lambda x: x[0], state.agents)
    key = jax.random.key(arguments.seed)
    naive = entrants.naive_of(cfg, state, 0).policy
    rows = balance(cfg, policy, naive, batches, arguments.meta_batch, key)
    if arguments.json:
        print(json.dumps([dataclasses.asdict(row) for row in rows]))
        return 0
    print("norm of the future-return part of the policy gradient over that of its current-return part")
    print(f"{'estimator':14} {'B':>5} {'ratio':>9} {'error':>9} {'sampled':>9}")
    for row in sorted(rows, key=lambda row: row.estimator):
        cells = (f"{'noise':>9}" if x is None else f"{x:9.4f}" for x in (row.ratio, row.error, row.sampled))
        print(f"{row.estimator:14} {row.batch:5d} {' '.join(cells)}")
    return 0
