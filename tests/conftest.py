import functools
import gc
import os
import resource
import signal
import sys
from pathlib import Path

CACHE = Path(__file__).parents[1] / ".cache"
# As `run.py` does for its tasks: without bytecode every process that tests start compiles all of JAX.
if sys.dont_write_bytecode:
    sys.dont_write_bytecode, sys.pycache_prefix = False, str(CACHE / "python")
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# What one test compiled another one finds, in this run or the next, and in the processes that tests start.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(CACHE / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
# Each worker of pytest-xdist gets its share of the processors; XLA reads this when it starts.
os.environ.setdefault(
    "NPROC", str(max(1, (os.cpu_count() or 1) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))))
)

import jax  # noqa: E402
import pytest  # noqa: E402

#: KiB that a process of the tests may come to before it forgets what it compiled.
MEMORY = 2_500_000

# A shell that starts the tests in the background has interrupts ignored; the processes that tests interrupt must not.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):  # which nohup ignores
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Compile fast rather than well, which halves the suite's time, except for tests marked `slow` or `optimised`."""
    fast = not any(item.get_closest_marker(mark) for mark in ("slow", "optimised"))
    if os.environ.get("JAX_DISABLE_MOST_OPTIMIZATIONS") != str(fast):
        os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = str(fast)  # for the processes that tests start
        jax.config.update("jax_disable_most_optimizations", fast)
        jax.clear_caches()


def pytest_collection_finish(session):
    """Spare the garbage collector what lives as long as the tests do; tracing makes many objects and little garbage."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


@pytest.fixture(autouse=True, scope="session")
def compile_each_step_once():
    """Keep the compiled step of every run, not of the newest sixteen alone."""
    if training_step := sys.modules.get("lapg_rl.learn.training_step"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(training_step, "_kept", functools.cache(training_step.make_train_step))
            yield
    else:
        yield


@pytest.fixture(autouse=True, scope="module")
def forget_compiled_functions():
    """Free what was compiled where it takes much memory, or the executables of the whole suite pile up there."""
    yield
    if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > MEMORY:
        jax.clear_caches()
