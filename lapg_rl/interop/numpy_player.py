"""Plays an exported agent with NumPy alone. A file of its own: copy it, no other part of lapg and no JAX is needed.

    agent = Player("agent.npz")
    state = agent.initial_state()
    state, (logits, value) = agent.step(state, observation)  # one-hot [o]: s0, CC, CD, DC, DD, own action first

The archive holds the constants of one time step, and the step as a list of operations on them (see `lapg export`).
"""

import json

import numpy as np


def _over(reduction):
    return lambda x, axis: reduction(x, axis=tuple(axis))


#: Functions of NumPy that keep their names.
PLAIN = (
    "add", "subtract", "multiply", "divide", "maximum", "minimum", "negative", "exp", "log", "log1p", "expm1", "tanh", "sqrt",
    "abs", "sign", "sin", "cos", "power", "square", "equal", "not_equal", "less", "less_equal", "greater", "greater_equal",
    "bitwise_and", "bitwise_or", "invert", "fmod", "isfinite", "floor", "reshape", "transpose", "argmax", "cumsum",
)  # fmt: skip


def _put(x, part, *starts):
    """A part put into an array, moved to where it fits."""
    x = np.array(x)
    first = [int(min(max(s, 0), n - m)) for s, n, m in zip(starts, x.shape, part.shape, strict=True)]
    x[tuple(slice(s, s + m) for s, m in zip(first, part.shape, strict=True))] = part
    return x


#: Operations by name: `(*inputs, **settings) -> output`.
OPERATIONS = {
    **{name: getattr(np, name) for name in PLAIN},
    **{name: _over(getattr(np, name)) for name in ("sum", "max", "min", "any", "all")},
    "logistic": lambda x: 0.5 * np.tanh(0.5 * x) + 0.5,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "integer_power": lambda x, y: x ** np.asarray(y, x.dtype),
    "convert": lambda x, dtype: x.astype(dtype),
    "choose": lambda which, *cases: np.select([which == n for n in range(len(cases))], cases),
    "product": lambda x, y, spec: np.einsum(spec, x, y),
    "broadcast": lambda x, kept, shape: np.broadcast_to(np.reshape(x, kept), shape),
    "join": lambda *parts, axis: np.concatenate(parts, axis=axis),
    "stack": lambda *parts, axis: np.stack(parts, axis=axis),
    "cut": lambda x, slices: x[tuple(slice(*s) for s in slices)],
    "put": _put,
    "same": lambda x: x,
}


class Player:
    """An exported agent; its `step` agrees with that of the agent in JAX to rounding.

    Attributes:
        about: where it comes from, as a dictionary.
    """

    def __init__(self, path):
        with np.load(path, allow_pickle=False) as archive:
            self.constants = [archive[f"constant_{n}"] for n in range(int(archive["constants"]))]
            self.start = [archive[f"state_{n}"] for n in range(int(archive["states"]))]
            self.program, self.about = (json.loads(str(archive[name])) for name in ("program", "about"))

    def initial_state(self):
        """The state before the first step: a list of arrays."""
        return list(self.start)

    def step(self, state, observation):
        """Advance by one step: `(state, (logits [a], value))`."""
        values = [*self.constants, *state, np.asarray(observation, np.float32)]
        for name, inputs, settings in self.program["operations"]:
            values.append(np.asarray(OPERATIONS[name](*(values[i] for i in inputs), **settings)))
        *state, logits, value = (values[i] for i in self.program["outputs"])
        return state, (logits, value)
