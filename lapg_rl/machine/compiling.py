"""How hard XLA tries when it compiles."""

import functools
from collections.abc import Callable
from typing import Any, Literal

import equinox as eqx
import jax

from lapg_rl.native import library

Options = tuple[tuple[str, int | str], ...]

#: XLA's options on a CPU: two thirds to four fifths of the time to a first result, and programs that are as fast.
QUICKLY: Options = (("xla_backend_optimization_level", 1),)
#: Sums and small products in XLA's own loops, not by the library YNN, which is 4 times as slow where many are short. Only
#: beside our kernels: without them YNN's larger products are worth having. Not every version of XLA knows the option.
OWN_LOOPS: Options = (("xla_cpu_experimental_ynn_fusion_type", ""),)


def options() -> Options:
    """The compiler's options on this device, none where JAX was told to optimise less than these would."""
    if jax.config.values["jax_disable_most_optimizations"] or jax.default_backend() != "cpu":
        return ()
    return QUICKLY + (OWN_LOOPS if library.in_use() and known(OWN_LOOPS) else ())


@functools.cache
def known(options: Options) -> bool:
    """Whether this version of XLA knows the options."""
    try:
        jax.jit(lambda x: x, compiler_options=dict(options)).lower(0.0).compile()
    except jax.errors.JaxRuntimeError:
        return False
    return True


class _Jitted:
    def __init__(self, function: Callable[..., Any], donate: Literal["all", "none"]):
        self._function, self._donate = function, donate

    @functools.cached_property
    def _compiled(self) -> Any:
        told: dict[str, Any] = {"donate": self._donate, "compiler_options": dict(options())}
        return eqx.filter_jit(self._function, **told)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        traced = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((arguments, named)))
        return (self._function if traced else self._compiled)(*arguments, **named)

    def __getattr__(self, name: str) -> Any:
        """What else `eqx.filter_jit` gives, such as `lower`."""
        return getattr(self._compiled, name)


def jitted(function: Callable[..., Any], donate: Literal["all", "none"] = "none") -> Callable[..., Any]:
    """`eqx.filter_jit` with these options; within other compiled functions, where JAX takes none, the function itself."""
    return _Jitted(function, donate)
