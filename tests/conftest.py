import os

# Each worker of pytest-xdist gets its share of the processors; XLA reads this when it starts.
os.environ.setdefault(
    "NPROC", str(max(1, (os.cpu_count() or 1) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))))
)

import jax
import pytest


@pytest.fixture(autouse=True, scope="module")
def forget_compiled_functions():
    """Free what a module's tests compiled, or the executables of the whole suite pile up in memory."""
    yield
    jax.clear_caches()
