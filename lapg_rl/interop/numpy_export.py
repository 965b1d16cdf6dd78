"""Trained agents as NumPy archives: one time step as a list of operations, which `numpy_player` carries out."""

import json
import operator
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lapg_rl.envs.build import environment
from lapg_rl.interop import numpy_player
from lapg_rl.native.calls import left_out
from lapg_rl.runs.folder import RunFolder
from lapg_rl.study.agents import load
from lapg_rl.study.results import opened

#: Operations without settings: JAX's name -> the player's.
PLAIN = {
    "add": "add",
    "add_any": "add",
    "sub": "subtract",
    "mul": "multiply",
    "div": "divide",
    "max": "maximum",
    "min": "minimum",
    "neg": "negative",
    "pow": "power",
    "rem": "fmod",
    "eq": "equal",
    "ne": "not_equal",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "not": "invert",
    "is_finite": "isfinite",
    "select_n": "choose",
    "dynamic_update_slice": "put",
    "copy": "same",
    "copy_p": "same",
    "stop_gradient": "same",
    **{name: name for name in ("abs", "exp", "log", "log1p", "expm1", "tanh", "sqrt", "sign", "sin", "cos", "square")},
    **{name: name for name in ("logistic", "rsqrt", "floor")},
}
#: What only wraps other operations: compilation, and derivatives written by hand.
CALLS = {
    "jit",
    "pjit",
    "closed_call",
    "custom_jvp_call",
    "custom_vjp_call",
    "custom_vjp_call_jaxpr",
    "remat",
    "checkpoint",
}
REDUCED = {"reduce_sum": "sum", "reduce_max": "max", "reduce_min": "min", "reduce_and": "all", "reduce_or": "any"}


def _product(found: Any, left: Any, right: Any) -> tuple[str, dict[str, Any]]:
    """A general product as a specification of `einsum`."""
    (own, others), (own_batch, others_batch) = found["dimension_numbers"]
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    one, two = [""] * left.ndim, [""] * right.ndim
    for i, j in zip((*own_batch, *own), (*others_batch, *others), strict=True):
        one[i] = two[j] = next(letters)
    free = [[i for i, letter in enumerate(side) if not letter] for side in (one, two)]
    for side, places in zip((one, two), free, strict=True):
        for i in places:
            side[i] = next(letters)
    out = [one[i] for i in own_batch] + [one[i] for i in free[0]] + [two[i] for i in free[1]]
    return "product", {"spec": f"{''.join(one)},{''.join(two)}->{''.join(out)}"}


def _broadcast(found: Any, x: Any, *_: Any) -> tuple[str, dict[str, Any]]:
    kept = [1] * len(found["shape"])
    for axis, there in enumerate(found["broadcast_dimensions"]):
        kept[there] = x.shape[axis]
    return "broadcast", {"kept": kept, "shape": list(found["shape"])}


def _cut(found: Any, x: Any) -> tuple[str, dict[str, Any]]:
    strides = found["strides"] or (1,) * x.ndim
    return "cut", {
        "slices": [list(s) for s in zip(found["start_indices"], found["limit_indices"], strides, strict=True)]
    }


#: How JAX's other operations are said to the player: `(settings, *avals of the inputs) -> (name, settings)`.
SAID: dict[str, Callable[..., tuple[str, dict[str, Any]]]] = {
    "dot_general": _product,
    "broadcast_in_dim": _broadcast,
    "slice": _cut,
    "integer_pow": lambda found, x: ("integer_power", {"y": found["y"]}),
    "stack": lambda found, *parts: ("stack", {"axis": found["axis"]}),
    "convert_element_type": lambda found, x: ("convert", {"dtype": np.dtype(found["new_dtype"]).name}),
    "concatenate": lambda found, *parts: ("join", {"axis": found["dimension"]}),
    "transpose": lambda found, x: ("transpose", {"axes": list(found["permutation"])}),
    "argmax": lambda found, x: ("argmax", {"axis": found["axes"][0]}),
    "cumsum": lambda found, x: ("cumsum", {"axis": found["axis"]}),
}


class _Tracer:
    """Goes through the operations of a step and writes down those that depend on the state or the observation.

    A value is an array, if it is known already, or the number of a place among the player's values.
    """

    def __init__(self, places: int):
        self.operations: list[tuple[str, list[Any], dict[str, Any]]] = []
        self.inputs = places

    def run(self, jaxpr: Any, consts: Any, arguments: Any) -> list[Any]:
        """The values of the outputs."""
        known: dict[Any, Any] = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *arguments), strict=True))

        def read(atom: Any) -> Any:
            return np.asarray(atom.val, atom.aval.dtype) if hasattr(atom, "val") else known[atom]

        for equation in jaxpr.eqns:
            values = [read(atom) for atom in equation.invars]
            outputs = self._outputs(equation, values)
            known.update(zip(equation.outvars, outputs, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def _outputs(self, equation: Any, values: list[Any]) -> list[Any]:
        name, found = equation.primitive.name, equation.params
        if name in CALLS:
            inner = next(found[key] for key in ("jaxpr", "call_jaxpr", "fun_jaxpr") if key in found)
            return self.run(getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), values)
        if not any(isinstance(value, int) for value in values):
            outputs = equation.primitive.bind(*values, **found)
            return list(outputs) if equation.primitive.multiple_results else [outputs]
        if name == "optimization_barrier":
            return values
        avals = [atom.aval for atom in equation.invars]
        if (name == "div" and not jnp.issubdtype(avals[0].dtype, jnp.floating)) or found.get("reverse"):
            name = f"{name} of whole numbers or from the end"
        if name in ("split", "unstack"):
            return self._parts(equation, values[0])
        if name in PLAIN:
            said = PLAIN[name], {}
        elif name in REDUCED:
            said = REDUCED[name], {"axis": list(found["axes"])}
        elif name in ("reshape", "squeeze", "expand_dims"):
            said = "reshape", {"shape": list(equation.outvars[0].aval.shape)}
        elif name in SAID:
            said = SAID[name](found, *avals)
        else:
            raise ValueError(
                f"the operation {name} of this model has no counterpart in NumPy here; play it with lapg_rl.load"
            )
        return [self._append(*said, values)]

    def _append(self, name: str, settings: dict[str, Any], values: list[Any]) -> int:
        self.operations.append((name, values, settings))
        return self.inputs + len(self.operations) - 1

    def _parts(self, equation: Any, value: Any) -> list[Any]:
        """An array cut along an axis; `unstack` drops the axis, too."""
        axis, stop, cuts = equation.params["axis"], 0, []
        for size in equation.params.get("sizes", (1,) * len(equation.outvars)):
            start, stop = stop, stop + size
            slices = [[0, length, 1] for length in equation.invars[0].aval.shape]
            slices[axis] = [start, stop, 1]
            cuts.append(self._append("cut", {"slices": slices}, [value]))
        if equation.primitive.name == "split":
            return cuts
        shape = list(equation.outvars[0].aval.shape)
        return [self._append("reshape", {"shape": shape}, [part]) for part in cuts]


def export_numpy(run: str | Path, path: str | Path, agent: int = 0) -> Path:
    """Write an agent of a run as a NumPy archive, and `numpy_player.py`, which plays it, beside it.

    Args:
        run: a run folder.
        path: of the archive, ending with .npz.
        agent: which of the run's agents, from 0.

    Raises:
        ValueError: as `lapg_rl.load`; for another ending; for a model with an operation that is not known here.

    Example:
        >>> from lapg_rl.interop.numpy_export import export_numpy
        >>> export_numpy(run, folder / "agent.npz").name
        'agent.npz'
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise ValueError(f"an exported agent is a NumPy archive, so its name must end with .npz, got {path}")
    policy, folder = load(run, agent), RunFolder(opened(run))
    start, structure = jax.tree.flatten(policy.initial_state())
    size = environment(folder.trusted_config()).observation_size

    def step(observation: Any, *state: Any) -> Any:
        after, (logits, value) = policy.step(jax.tree.unflatten(structure, state), observation)
        return *jax.tree.leaves(after), logits, value

    with left_out():
        closed = jax.make_jaxpr(step)(jnp.zeros(size), *start)
    tracer = _Tracer(len(start) + 1)
    outputs = tracer.run(closed.jaxpr, closed.consts, [len(start), *range(len(start))])
    constants: list[np.ndarray] = []

    def constant(value: Any) -> int:
        constants.append(np.asarray(value))
        return len(constants) - 1 - 2**30  # told from places, which are counted once there are no more constants

    operations = [
        (name, [v if isinstance(v, int) else constant(v) for v in values], settings)
        for name, values, settings in tracer.operations
    ]
    outputs = [v if isinstance(v, int) else constant(v) for v in outputs]

    def place(value: int) -> int:
        return value + 2**30 if value < 0 else value + len(constants)

    program = {
        "operations": [(name, [place(v) for v in values], settings) for name, values, settings in operations],
        "outputs": [place(v) for v in outputs],
    }
    about = {"run": folder.path.resolve().name, "agent": agent, "observations": size}
    arrays: dict[str, Any] = {f"constant_{n}": x for n, x in enumerate(constants)} | {
        f"state_{n}": np.asarray(x) for n, x in enumerate(start)
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        **arrays,
        constants=len(constants),
        states=len(start),
        program=json.dumps(program, default=operator.index),  # shapes may be integers of NumPy
        about=json.dumps(about),
    )
    shutil.copyfile(numpy_player.__file__, path.with_name("numpy_player.py"))
    return path
