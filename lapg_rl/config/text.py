"""Configs as plain data, TOML files and `key=value` changes."""

import dataclasses
import functools
import json
import re
import tomllib
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import cattrs
import tomli_w

from lapg_rl.config.checks import SHARE, clipped, several, shown, unknown
from lapg_rl.config.pool import also_given
from lapg_rl.config.whole import Config

#: Bytes of a config file.
LARGEST = 1_000_000
#: How a number may be written in `key=value`; nan and inf are refused by every number's bounds, which say how.
NUMBER = re.compile(r"[+-]?(nan|inf|infinity|(\d+\.?\d*|\.\d+)(e[+-]?\d+)?)", re.IGNORECASE | re.ASCII)

_CONVERTER = cattrs.Converter(forbid_extra_keys=True)


def _strict(kind: type, accept: tuple[type, ...]) -> None:
    def structure(value: Any, _: type) -> Any:
        if not isinstance(value, accept) or (isinstance(value, bool) and kind is not bool):
            percent = kind is float and isinstance(value, str) and value.endswith("%")
            raise ValueError(f"expected {kind.__name__}, got {shown(value)}{f'; {SHARE}' * percent}")
        return kind(value)

    _CONVERTER.register_structure_hook(kind, structure)


_strict(int, (int,))
_strict(float, (int, float))
_strict(bool, (bool,))
_strict(str, (str,))


def _choice(value: Any, hint: Any) -> Any:
    if value not in typing.get_args(hint):
        raise ValueError(f"expected one of {', '.join(typing.get_args(hint))}, got {shown(value)}")
    return value


_CONVERTER.register_structure_hook_func(lambda hint: typing.get_origin(hint) is Literal, _choice)


def _plain_reasons(error: BaseException, path: str = "") -> list[str]:
    """The leaves of a (possibly nested) conversion error, each with the path to the value."""
    notes = " ".join(getattr(error, "__notes__", []))
    if "attribute " in notes:
        path = f"{path}.{notes.rsplit('attribute ', 1)[1]}".lstrip(".")
    if isinstance(error, cattrs.ForbiddenExtraKeysError):
        known = [field.name for field in dataclasses.fields(error.cl)]
        return [unknown(f"key {path + '.' if path else ''}{key}", key, known) for key in sorted(error.extra_fields)]
    if isinstance(error, BaseExceptionGroup):
        return [reason for inner in error.exceptions for reason in _plain_reasons(inner, path)]
    reason = str(error) or type(error).__name__
    return [f"{path}: {reason}" if path and path not in reason else reason]


def from_dict(data: dict[str, Any]) -> Config:
    """A config from nested plain data. Raises ValueError naming every unknown key (with near matches) or bad value."""
    try:
        return _CONVERTER.structure(data, Config)
    except (cattrs.BaseValidationError, cattrs.StructureHandlerNotFoundError, TypeError, OverflowError) as error:
        raise ValueError("; ".join(_plain_reasons(error))) from None


def check_config(config: Config) -> Config:
    """The config; the name of a preset, or anything else in its place, is refused by a TypeError."""
    if not isinstance(config, Config):
        remedy = "lapg_rl.preset(name) makes one of a preset, lapg_rl.config.load(path) of a file"
        raise TypeError(f"expected a lapg_rl.Config, got {shown(config)}; {remedy}")
    return config


def to_dict(config: Config) -> dict[str, Any]:
    """The config as nested plain data; `from_dict(to_dict(c)) == c`."""
    return _CONVERTER.unstructure(config)


def dumps(config: Config) -> str:
    """The config as TOML."""
    return tomli_w.dumps(to_dict(config))


def save(config: Config, path: Path) -> None:
    """Write the config as TOML."""
    path.write_text(dumps(config), encoding="utf-8")


def load(path: str | Path, complete: bool = False) -> Config:
    """Read a config written by `save`, or by hand: keys that are left out take their defaults.

    Raises:
        ValueError: for a file that is empty, no TOML, or no config; with `complete` also where a section is missing,
            because then the file was cut.
    """
    text = _text(Path(path))
    try:
        data = tomllib.loads(text.decode())
    except (ValueError, RecursionError) as error:  # a TOMLDecodeError, no UTF-8, a number of thousands of digits
        raise ValueError(f"{path} is no TOML file: {error}") from None
    if not data:
        raise ValueError(f"{path} is empty; a config sets at least one key")
    sections = [field.name for field in dataclasses.fields(Config) if dataclasses.is_dataclass(field.type)]
    if complete and (missing := [name for name in sections if name not in data]):
        raise ValueError(f"{path} was cut: it lacks the sections {', '.join(missing)}; restore it")
    try:
        return from_dict(data)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _text(path: Path) -> bytes:
    """The bytes of a file; a FIFO or a device would hang."""
    if path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "a FIFO" if path.is_fifo() else "a device or socket"
        raise ValueError(f"{path} is {what}, not a regular file; a config is a TOML file")
    if path.exists() and (size := path.stat().st_size) > LARGEST:
        raise ValueError(f"{path} has {size} bytes, and a config has at most {LARGEST}; is it another file?")
    return path.read_bytes()


def flat(config: Config) -> dict[str, Any]:
    """The config as one dictionary with dotted keys."""
    data = to_dict(config)
    return {key: functools.reduce(lambda d, part: d[part], key.split("."), data) for key in _leaves(Config)}


def _leaves(kind: type, prefix: str = "") -> dict[str, Any]:
    leaves = {}
    for name, hint in typing.get_type_hints(kind).items():
        nested = dataclasses.is_dataclass(hint)
        leaves.update(_leaves(hint, f"{prefix}{name}.") if nested else {prefix + name: hint})
    return leaves


def _parse(text: str, hint: Any) -> Any:
    if hint is str or typing.get_origin(hint) is Literal:
        return text
    if hint is float and NUMBER.fullmatch(text):
        return float(text)
    try:
        return json.loads(text.lower() if hint is bool else text)
    except (ValueError, RecursionError):
        return text  # from_dict then says what was expected


def full_key(key: str) -> str:
    """The dotted key that a key, or its unambiguous last part, names. Raises ValueError for an unknown or ambiguous one."""
    leaves = _leaves(Config)
    full = [key] if key in leaves else [leaf for leaf in leaves if leaf.split(".")[-1] == key]
    section = [leaf for leaf in leaves if leaf.startswith(f"{key}.")]
    if not full and not section:
        known = sorted({leaf.split(".")[-1] for leaf in leaves})
        raise ValueError(unknown(f"key {key}", key, known, "`lapg config PRESET` prints all keys"))
    if len(full) > 1:
        raise ValueError(f"key {key} is ambiguous: write {' or '.join(full)}")
    if section and key not in leaves:
        raise ValueError(f"key {key} is a section: write {' or '.join(full + section[:3])}")
    return full[0]


def override(config: Config, assignments: Iterable[str]) -> Config:
    """`config` with `key=value` assignments applied, e.g. `learner.estimator=mfos`; an unambiguous last part suffices.

    Raises:
        ValueError: for an unknown or ambiguous key, one that is given twice, or a value that doesn't fit.

    Example:
        >>> import lapg_rl as rl
        >>> rl.override(rl.preset("ipd-shaping-small"), ["estimator=mfos", "learner.gamma=0.999"]).learner.estimator
        'mfos'
    """
    leaves, data = _leaves(Config), to_dict(check_config(config))
    given: dict[str, str] = {}
    for assignment in several(assignments):
        key, equals, text = assignment.partition("=")
        if not equals:
            raise ValueError(f"expected key=value, got {shown(assignment)}")
        full = full_key(key)
        for one in [full, *also_given(full, text)]:
            if one in given:
                raise ValueError(
                    f"{one} is given twice, by {clipped(given[one])} and {clipped(assignment)}; give it once"
                )
            given[one] = assignment
        *sections, name = full.split(".")
        target = functools.reduce(lambda inner, section: inner[section], sections, data)
        target[name] = _parse(text, leaves[full])
    return from_dict(data)
