"""Checks that the sections of a config share; each raises one ValueError."""

import difflib
import math
import typing
from typing import Any, Literal


def check(condition: bool, name: str, value: object, bound: str, remedy: str) -> None:
    """Refuse a value: one sentence that names it, the bound and the remedy."""
    if not condition:
        raise ValueError(f"{name} must be {bound}, got {value!r}; {remedy}")


def check_choices(section: str, config: Any) -> None:
    """Refuse a value that is not among the choices of its `Literal` hint."""
    for name, hint in typing.get_type_hints(type(config)).items():
        choices = typing.get_args(hint)
        if typing.get_origin(hint) is Literal and getattr(config, name) not in choices:
            value = getattr(config, name)
            raise ValueError(f"{section}.{name} must be one of {', '.join(choices)}, got {value!r}")


def check_discounts(section: str, config: Any) -> None:
    """Refuse discounts outside (0, 1]."""
    for field in ("gamma", "td_lambda", "gae_lambda"):
        value = getattr(config, field)
        check(0 < value <= 1, f"{section}.{field}", value, "in (0, 1]", "1 weighs all later rewards alike")


def check_at_least_zero(section: str, config: Any, *fields: str) -> None:
    """Refuse fields that are negative or not finite."""
    for field in fields:
        value = getattr(config, field)
        check(
            math.isfinite(value) and value >= 0, f"{section}.{field}", value, "a finite number >= 0", "0 turns it off"
        )


def unknown(what: str, name: str, known: list[str]) -> str:
    """The message for an unknown name, with near matches."""
    near = difflib.get_close_matches(name.split(".")[-1], known, n=3, cutoff=0.5)
    return f"unknown {what}" + (f"; did you mean {' or '.join(near)}?" if near else f"; known: {', '.join(known)}")
