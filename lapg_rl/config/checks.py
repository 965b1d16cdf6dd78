"""Checks that the sections of a config share; each raises one ValueError."""

import difflib
import functools
import math
import numbers
import operator
import re
import typing
from pathlib import PurePath
from typing import Any, Literal

from lapg_theory.game import check_count

#: The largest number of a config: beyond it single precision has nothing sensible to say.
LARGE = 1e6
#: The largest count of updates: checkpoints are named with nine digits.
MANY = 999_999_999
#: The largest seed: JAX keys take 32 bits, and would make the same run of seeds that differ by 2^32.
LAST_SEED = 2**32 - 1
#: What is said of a share in percent.
SHARE = "a share is a number from 0 to 1, such as 0.5 for 50%"
#: A name that is part of a folder's name.
FOLDER = re.compile(r"\w[\w.,+=@-]*(?<![.])")


def shown(value: object) -> str:
    """A value as a message shows it: on one line, and not for ever."""
    return clipped(repr(value))


def clipped(text: str) -> str:
    """A text, or how it begins where it is long."""
    return text if len(text) <= 100 else f"{text[:80]}... ({len(text)} characters)"


def several(given: Any) -> list[Any]:
    """What stands where several may: one text or path is one, not its letters."""
    return [given] if isinstance(given, str | PurePath) else list(given)


def check(condition: bool, name: str, value: object, bound: str, remedy: str) -> None:
    """Refuse a value: one sentence that names it, the bound and the remedy."""
    if not condition:
        raise ValueError(f"{name} must be {bound}, got {shown(value)}; {remedy}")


_hints = functools.cache(typing.get_type_hints)


def check_kinds(section: str, config: Any) -> None:
    """Take numbers of NumPy, JAX and the like for Python's own, and refuse what is of no use for a field.

    Raises:
        ValueError: for a value of another kind than the field's, or not among its choices.
    """
    prefix = f"{section}." if section else ""
    for name, hint in _hints(type(config)).items():
        value, choices = getattr(config, name), typing.get_args(hint)
        if typing.get_origin(hint) is Literal:
            if value not in choices:
                raise ValueError(f"{prefix}{name} must be one of {', '.join(choices)}, got {shown(value)}")
        elif hint in _KINDS:
            object.__setattr__(config, name, _plain(hint, value, prefix + name))
        elif hint is not Any and not isinstance(value, hint):
            raise ValueError(f"{prefix}{name} must be a {hint.__name__}, got {shown(value)}")


def _plain(hint: type, value: Any, field: str) -> Any:
    if type(value) is hint:
        return value
    truth = isinstance(value, bool) or str(getattr(value, "dtype", "")) == "bool"
    try:
        if truth == (hint is bool):
            return _KINDS[hint](value)
    except Exception:  # of any kind: an array of several numbers, a value that JAX traces
        pass
    if hint is int:
        return value  # check_count says what it wants
    yours = hint is str and callable(value)
    remedy = f"; name it by its address, package.module:{getattr(value, '__name__', 'name')}" if yours else ""
    raise ValueError(f"{field} must be a {'number' if hint is float else hint.__name__}, got {shown(value)}{remedy}")


def _number(value: Any) -> float:
    if not isinstance(value, numbers.Real) and not hasattr(value, "dtype"):
        raise TypeError
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return str(value)


_KINDS: dict[type, Any] = {bool: bool, int: operator.index, float: _number, str: _text}


def check_counts(section: str, config: Any, most: int, *fields: str, least: int = 1) -> None:
    """Refuse fields that are no integers from `least` to `most`."""
    for field in fields:
        name, value = f"{section}.{field}" if section else field, getattr(config, field)
        check_count(name, value, least)
        check(value <= most, name, value, f"an integer <= {most}", "no run is that large")


def check_discounts(section: str, config: Any) -> None:
    """Refuse discounts outside (0, 1]."""
    for field in ("gamma", "td_lambda", "gae_lambda"):
        value = getattr(config, field)
        check(0 < value <= 1, f"{section}.{field}", value, "in (0, 1]", "1 weighs all later rewards alike")


def check_at_least_zero(section: str, config: Any, *fields: str) -> None:
    """Refuse fields that are negative, not finite or beyond `LARGE`."""
    for field in fields:
        name, value = f"{section}.{field}", getattr(config, field)
        check(math.isfinite(value) and value >= 0, name, value, "a finite number >= 0", "0 turns it off")
        check(value <= LARGE, name, value, f"at most {LARGE:g}", "lower it")


def check_positive(section: str, config: Any, remedy: str, *fields: str, most: float = LARGE) -> None:
    """Refuse fields that are not above 0, or beyond `most`."""
    for field in fields:
        name, value = f"{section}.{field}", getattr(config, field)
        check(value > 0, name, value, "> 0", remedy)
        check(value <= most, name, value, f"a finite number <= {most:g}", remedy)


def check_draws(name: str, seed: Any, bits: int = 31) -> None:
    """Refuse the seed of an evaluation unless it is an integer from 0 to 2^bits - 1: its keys are beyond those of training."""
    check_count(name, seed, least=0)
    check(seed < 2**bits, name, seed, f"an integer <= {2**bits - 1}", "take another")


def check_folder_name(field: str, name: str) -> None:
    """Refuse names that can't be part of a folder's name, or would lead out of it."""
    check(
        bool(FOLDER.fullmatch(name)) and len(name) <= 100, field, name,
        "1 to 100 letters, digits and ._,+=@- that begin with a letter or digit and do not end with a dot",
        "folders are named after it",
    )  # fmt: skip


#: The agent with most, or least, of a sum of metrics. Those of mixed groups, as `reward_vs_naive+2meta`, hold a "+", too.
OUTSTANDING = re.compile(r"(max|min)\(\s*[^\W\d]\w*(?:\s*\+\s*\w+)*\s*\)")


def without_blanks(text: str) -> str:
    """A text in which `max( A + B )` is written `max(A+B)`, wherever it stands."""
    return OUTSTANDING.sub(lambda found: "".join(found[0].split()), text)


def check_run(field: str, text: str) -> tuple[str, int | str | None]:
    """(folder, agent) of `RUN`, `RUN:agent` or `RUN:max(METRIC+METRIC)`; None stands for all. Raises ValueError for others."""
    folder, _, agent = text.rpartition(":")
    whole, which = text, None
    if re.fullmatch("[0-9]{1,4}", agent):
        whole, which = folder, int(agent)
    elif OUTSTANDING.fullmatch(agent):
        whole, which = folder, without_blanks(agent)
    good = bool(whole.strip()) and whole.isprintable() and len(whole) <= 1000
    remedy = "as in runs/extorters, runs/extorters:0 or 'runs/extorters:max(reward_vs_naive)'"
    check(good, field, text, "a run folder, or folder:agent", remedy)
    return whole, which


def unknown(what: str, name: str, known: list[str], listing: str = "") -> str:
    """The message for an unknown name: near matches, or else all that is known, or (for a long list) what prints it."""
    near = difflib.get_close_matches(name.split(".")[-1], known, n=3, cutoff=0.5)
    alike = [difflib.SequenceMatcher(None, name.split(".")[-1], other).ratio() for other in near]
    near = [other for other, ratio in zip(near, alike, strict=True) if ratio > alike[0] - 0.2]
    if near:
        return f"unknown {what}; did you mean {' or '.join(near)}?"
    return f"unknown {what}; {listing or 'known: ' + ', '.join(known)}"
