"""How hard XLA tries when it compiles."""

from collections.abc import Callable
from typing import Any, Literal

import equinox as eqx
import jax

Options = tuple[tuple[str, int], ...]

#: XLA's options on a CPU: two thirds to four fifths of the time to a first result, and programs that are as fast.
QUICKLY: Options = (("xla_backend_optimization_level", 1),)


def options() -> Options:
    """The compiler's options on this device, none where JAX was told to optimise less than these would."""
    as_ever = jax.config.values["jax_disable_most_optimizations"] or jax.default_backend() != "cpu"
    return () if as_ever else QUICKLY


class _Jitted:
    def __init__(self, function: Callable[..., Any], donate: Literal["all", "none"]):
        told: dict[str, Any] = {"donate": donate, "compiler_options": dict(options())}
        self._function, self._compiled = function, eqx.filter_jit(function, **told)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        traced = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((arguments, named)))
        return (self._function if traced else self._compiled)(*arguments, **named)

    def __getattr__(self, name: str) -> Any:
        """What else `eqx.filter_jit` gives, such as `lower`."""
        return getattr(self._compiled, name)


def jitted(function: Callable[..., Any], donate: Literal["all", "none"] = "none") -> Callable[..., Any]:
    """`eqx.filter_jit` with these options; within other compiled functions, where JAX takes none, the function itself."""
    return _Jitted(function, donate)
