"""`lapg config`: every key of a run's config, with its value, its default and what it means."""

import argparse
import dataclasses
import json
from pathlib import Path

EPILOGUE = """examples:
  lapg config ipd-shaping-small
  lapg config ipd-shaping-small learner updates   # these alone
  lapg config ipd-shaping-small estimator=mfos > mine.toml
  lapg train --config mine.toml
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOGUE
    parser.add_argument(
        "settings",
        nargs="*",
        metavar="PRESET key=value key",
        help="a preset, then what to change in it, and the keys or sections to print if not all",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="start from this TOML file, not from a preset")
    parser.add_argument("--json", action="store_true", help="print JSON instead of TOML")


def run(arguments: argparse.Namespace) -> int:
    """Print it, as TOML that `lapg train --config` reads."""
    from lapg_rl import config
    from lapg_rl.commands.training import named_config
    from lapg_rl.config.meanings import chosen, explained

    changes = [text for text in arguments.settings if "=" in text]
    names = [text for text in arguments.settings if "=" not in text]
    first = 0 if arguments.config else 1  # then what is a preset's place is a key's
    named = argparse.Namespace(settings=names[:first], config=arguments.config)
    only = names[first:]
    cfg = config.override(named_config(named), changes)
    if arguments.json:
        values = config.flat(cfg)
        print(json.dumps([{**dataclasses.asdict(key), "value": values[key.name]} for key in chosen(only)], indent=1))
    else:
        print(explained(cfg, only), end="")
    return 0
