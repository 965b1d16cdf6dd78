"""Canaries: small computations that past backends got wrong, each measured against NumPy on the default device.

`CANARIES` is the table; the tests and `lapg doctor` both walk it. Each function returns one number, what it measured,
which is sound while it is at most the canary's `limit`.
"""

import dataclasses
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np


def _row_norms(rows: int) -> float:
    random = np.random.default_rng(0)
    matrix, vectors = random.normal(size=(3, 3)), random.normal(size=(rows, 3))
    dtype = jnp.result_type(float)
    with jax.default_matmul_precision("highest"):
        norms = jax.jit(jax.vmap(lambda row: jnp.sum((jnp.asarray(matrix, dtype) @ row) ** 2)))
        measured = np.asarray(norms(jnp.asarray(vectors, dtype)))
    exact = np.sum((vectors @ matrix.T) ** 2, axis=1)
    return float(np.max(np.abs(measured - exact) / (1 + exact)))


def row_norms_float32() -> float:
    """Largest relative error of jitted |M v|^2 over 32,769 float32 rows (one row wrong on jax 0.10.2, CPU)."""
    return _row_norms(32_769)


def row_norms_float64() -> float:
    """Largest relative error of jitted |M v|^2 over 16,385 float64 rows (one row wrong on jax 0.10.2, CPU)."""
    with jax.enable_x64(True):
        return _row_norms(16_385)


def _wrong_after_shift(shift: Callable[[jax.Array], jax.Array]) -> float:
    values = np.arange(8 * 16, dtype=np.int32).reshape(8, 16)
    measured = jax.jit(lambda x: shift(x + 1).reshape(1, 8, 16))(jnp.asarray(values))
    exact = np.concatenate([values[:1], values[:-1]]) + 1
    return float(np.sum(np.asarray(measured)[0] != exact))


def forward_shift() -> float:
    """Wrong entries of a jitted shift by one along time, written with concatenate, as this project writes it."""
    return _wrong_after_shift(lambda x: jnp.concatenate([x[:1], x[:-1]]))


def forward_shift_in_place() -> float:
    """Wrong entries of the same shift written in place, `.at[1:].set`; wrong on CPU in many JAX versions, so unused."""
    return _wrong_after_shift(lambda x: x.at[1:].set(x[:-1]))


_RANK8 = """
import sys, jax, jax.numpy as jnp
a, b = jnp.ones((10, 4, 6)), jnp.ones((10, 4, 6, 9, 9, 9, 9, 9))
out = jax.jit(lambda a, b: jnp.log(jnp.sum(a[..., None, None, None, None, None] * b, axis=2)))(a, b)
sys.exit(0 if jnp.allclose(out, jnp.log(6.0)) else 1)
"""


def rank8_reduction() -> float:
    """Exit status of a process that multiplies and reduces arrays of rank 8 (killed or hung on jax 0.10.2, 0.11.0)."""
    environment = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}  # this process may hold most of a GPU
    command = [sys.executable, "-c", _RANK8]
    try:
        status = subprocess.run(command, env=environment, capture_output=True, timeout=600).returncode
    except subprocess.TimeoutExpired:
        return math.inf
    return float(abs(status))


def _scan_gradient_seconds(steps: int) -> float:
    def objective(x):
        return jnp.sum(jax.lax.scan(lambda carry, _: (jnp.sin(carry + x), carry), x, None, length=steps)[1])

    gradient, seconds = jax.jit(jax.grad(objective)), []
    for repeat in range(4):
        start = time.perf_counter()
        jax.block_until_ready(gradient(float(repeat)))
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])  # the first one compiles


def scan_gradient() -> float:
    """Gradient of a scan that stacks its outputs: time of 40,000 steps over that of 5,000 (64, not 8, on 0.11.1)."""
    return _scan_gradient_seconds(40_000) / _scan_gradient_seconds(5_000)


def small_operations() -> float:
    """Largest error of ones + 1 and of sqrt(512), infinite if a normal sample is not finite (some GPU kernels)."""
    sample = jax.random.normal(jax.random.key(0), (1000,))
    errors = [jnp.abs(jnp.ones(4) + 1 - 2), jnp.abs(jnp.sqrt(jnp.full(4, 512.0)) - math.sqrt(512))]
    return float(jnp.max(jnp.stack(errors))) if bool(jnp.all(jnp.isfinite(sample))) else math.inf


@jax.enable_x64(True)
def discounted_return(gamma: float = 0.9) -> float:
    """Difference between a memory-one pair's return by linear solve and by a product of 400 steps, in float64."""
    p, q = jnp.array([0.9, 0.2, 0.7, 0.1]), jnp.array([0.8, 0.6, 0.3, 0.2])
    moves = jnp.stack([p * q, p * (1 - q), (1 - p) * q, (1 - p) * (1 - q)], axis=1)
    start, payoffs = jnp.full(4, 0.25), jnp.array([1.0, -1.0, 2.0, 0.0])
    solved = start @ jnp.linalg.solve(jnp.eye(4) - gamma * moves, payoffs)

    def step(state, _):
        return gamma * (state @ moves), state @ payoffs

    with jax.default_matmul_precision("highest"):
        played = jax.jit(lambda s: jnp.sum(jax.lax.scan(step, s, None, length=400)[1]))(start)
    return float(jnp.abs(solved - played))


@dataclasses.dataclass(frozen=True)
class Canary:
    """A measurement, the `limit` up to which it is sound, and the `unit` that it is printed with."""

    measure: Callable[[], float]
    limit: float
    unit: str = ""


CANARIES = {
    "row norms, float32": Canary(row_norms_float32, 1e-5),
    "row norms, float64": Canary(row_norms_float64, 1e-13),
    "forward shift": Canary(forward_shift, 0.0, "wrong entries"),
    "rank-8 reduction": Canary(rank8_reduction, 0.0, "exit status"),
    "scan gradient": Canary(scan_gradient, 24.0, "times as long for 8 times the steps"),
    "small operations": Canary(small_operations, 1e-5),
    "discounted return": Canary(discounted_return, 1e-12),
}
