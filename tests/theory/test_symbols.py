"""One symbol for one name in all formulas, whichever module they come from."""

import importlib
import pkgutil

import sympy as sp

from lapg_theory import symbolic
from lapg_theory.symbolic.symbols import gamma


def test_no_name_has_two_symbols():
    found: dict[str, set] = {}
    for info in pkgutil.iter_modules(symbolic.__path__):
        for value in vars(importlib.import_module(f"lapg_theory.symbolic.{info.name}")).values():
            if isinstance(value, sp.Basic | sp.MatrixBase | tuple | list):
                for symbol in sp.Tuple(*value if isinstance(value, tuple | list) else (value,)).free_symbols:
                    found.setdefault(symbol.name, set()).add(symbol)
    assert len(found) > 20 and not [name for name, symbols in found.items() if len(symbols) > 1]
    assert found["gamma"] == {gamma}
