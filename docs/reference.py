"""The pages of the documentation that are made from the code: commands with their help, keys of a config, names."""

import os
import re

from lapg_rl.commands.main import helps, parser
from lapg_rl.config.catalogue import CATALOGUE
from lapg_rl.config.meanings import keys
from lapg_rl.study.markdown import plain


def commands():
    """Every command with its help, at 80 columns."""
    os.environ["COLUMNS"] = "80"
    parts = ["# Commands\n\n`lapg COMMAND --help` prints the same. Options can't be abbreviated.\n"]
    for name, text in helps(parser()):
        parts.append(f"## {name}\n\n```text\n{text.rstrip()}\n```\n")
    return "\n".join(parts)


def config():
    """Every key of a config, by section."""
    parts = ["# Keys of a config\n\nGiven as `key=value` to `lapg train`; the last part of a key suffices where it is "
             "unambiguous. `lapg config PRESET` prints them with a preset's values.\n"]  # fmt: skip
    section = None
    for key in keys():
        part = key.name.rpartition(".")[0]
        if part != section:
            section = part
            parts.append(f"## {part or 'of the run'}\n")
        default = f'"{key.default}"' if isinstance(key.default, str) else str(key.default).lower()
        parts.append(f"`{key.name}`\n: {_escaped(key.meaning)} *{key.kind}, default {default}*\n")
    return "\n".join(parts)


def names():
    """What there is, by kind."""
    parts = [
        "# Names\n\n`lapg list` prints the same. In a config, `package.module:name` of your own stands wherever a name does.\n"
    ]
    for kind, found in CATALOGUE.items():
        parts.append(f"## {kind}\n\n| name | |\n|---|---|")
        parts += [f"| `{name}` | {plain(about)} |" for name, about in found.items()]
        parts.append("")
    return "\n".join(parts)


def _escaped(text):
    """Prose in which code stays code and nothing else is markup."""
    return "".join(part if n % 2 else plain(part) for n, part in enumerate(re.split(r"(`[^`]*`)", text)))


PAGES = {"commands": commands, "config": config, "names": names}
