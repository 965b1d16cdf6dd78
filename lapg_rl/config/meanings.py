"""What the keys of a config mean, as the docstrings of its sections say, and a config as TOML that tells."""

import dataclasses
import inspect
import re
import textwrap
import typing
from collections.abc import Sequence
from typing import Any, Literal

import tomli_w

from lapg_rl.config.text import flat, full_key
from lapg_rl.config.whole import Config

_ENTRY = re.compile(r"^    (\w+(?:, \w+)*): ((?:.+\n?)(?:^        .+\n?)*)", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Key:
    """A key of a config.

    Attributes:
        name: with its sections: learner.gamma.
        kind: of value: int, float, bool, str, or the choices.
        default: what it is where nobody says otherwise.
        meaning: in words.
    """

    name: str
    kind: str
    default: Any
    meaning: str


def attributes(kind: type) -> dict[str, str]:
    """What the docstring of a class says of each attribute."""
    _, _, text = inspect.getdoc(kind).partition("Attributes:\n")  # type: ignore[union-attr]
    return {name: " ".join(says.split()) for name, says in _ENTRY.findall(text.partition("\n\n")[0])}


def keys(kind: type = Config, prefix: str = "") -> list[Key]:
    """Every key of a config, in the order of its files."""
    found, said = [], attributes(kind)
    for field in dataclasses.fields(kind):
        name, hint = prefix + field.name, typing.get_type_hints(kind)[field.name]
        if dataclasses.is_dataclass(hint):
            found += keys(hint, f"{name}.")  # type: ignore[arg-type]
            continue
        words = " or ".join(typing.get_args(hint)) if typing.get_origin(hint) is Literal else hint.__name__
        words = "str or lists" if hint is Any else words
        found.append(Key(name, words, field.default, said[field.name]))
    return found


def chosen(names: Sequence[str]) -> list[Key]:
    """The keys that names of keys and sections stand for; all, where there are none. Raises ValueError for an unknown name."""
    everything = keys()
    sections = {key.name.rpartition(".")[0] for key in everything}
    whole = tuple(f"{name}." for name in names if name in sections)
    single = {full_key(name) for name in names if name not in sections}
    return [key for key in everything if not names or key.name in single or key.name.startswith(whole)]


def explained(config: Config, only: Sequence[str] = (), width: int = 80) -> str:
    """The config as TOML in which a comment above every key says what it means; where it is not the default, that too."""
    lines, values, section = [], flat(config), ""
    about = dict(_sections(Config))
    top_first = sorted(chosen(only), key=lambda key: "." in key.name)  # a table ends where the next begins
    for key in top_first:
        part, _, name = key.name.rpartition(".")
        if part != section:
            section = part
            lines += ["", f"[{part}]", *_comment(inspect.getdoc(about[part]).splitlines()[0], width)]  # type: ignore
        other = values[key.name] != key.default
        default = f" (default {_toml('x', key.default)[4:]})" if other else ""
        lines += ["", *_comment(key.meaning + default, width), _toml(name, values[key.name])]
    return "\n".join(lines).lstrip() + "\n"


def _sections(kind: type, prefix: str = "") -> list[tuple[str, type]]:
    found = []
    for name, hint in typing.get_type_hints(kind).items():
        if dataclasses.is_dataclass(hint):
            found += [(prefix + name, hint), *_sections(hint, f"{prefix}{name}.")]  # type: ignore[arg-type]
    return found


def _comment(text: str, width: int) -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent="# ", subsequent_indent="# ", break_long_words=False, break_on_hyphens=False
    )


def _toml(name: str, value: Any) -> str:
    return tomli_w.dumps({name: value}).rstrip()
