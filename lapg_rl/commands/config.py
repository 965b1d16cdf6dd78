"""`lapg config`: every key of a run's config, with its value, its default and what it means."""

import argparse
import dataclasses
import json
from pathlib import Path

EPILOGUE = """examples:
  lapg config ipd-shaping-small
  lapg config ipd-shaping-small estimator=mfos > mine.toml
  lapg train --config mine.toml
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOGUE
    parser.add_argument("settings", nargs="*", metavar="PRESET key=value", help="a preset, then what to change in it")
    parser.add_argument("--config", type=Path, metavar="FILE", help="start from this TOML file, not from a preset")
    parser.add_argument("--json", action="store_true", help="print JSON instead of TOML")


def run(arguments: argparse.Namespace) -> int:
    """Print it, as TOML that `lapg train --config` reads."""
    from lapg_rl import config
    from lapg_rl.commands.training import named_config
    from lapg_rl.config.meanings import explained, keys

    cfg = config.override(named_config(arguments), [text for text in arguments.settings if "=" in text])
    if arguments.json:
        values = config.flat(cfg)
        print(json.dumps([{**dataclasses.asdict(key), "value": values[key.name]} for key in keys()], indent=1))
    else:
        print(explained(cfg), end="")
    return 0
