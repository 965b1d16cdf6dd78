"""What the process of a `lapg` command does with its streams, with signals, and with errors: one line each, and no run lost."""

import atexit
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from lapg_rl.runs.preemption import EXIT, Preempted
from lapg_rl.runs.processes import WITH_PARENT
from lapg_rl.runs.progress import say

#: Exit status when nobody reads what a command prints: that of a process which SIGPIPE ended.
UNREAD = 141
_HANGUP = getattr(signal, "SIGHUP", None)
STATUS = {signal.SIGINT: 130, signal.SIGTERM: EXIT, _HANGUP: EXIT}
SAYING = {
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "stopped by SIGTERM",
    _HANGUP: "stopped by SIGHUP",
}
#: Commands that save what they do as they go, and carry on from there.
SAVING = frozenset({"train", "demo", "sweep", "exploit", "in-context", "league"})
_caught: list[int] = []


class Stopped(BaseException):
    """A signal to stop that came while nothing was there to save."""


def open_streams() -> None:
    """Give closed standard streams somewhere to go, so that no file gets their numbers; and let every name be printed."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if number == 0 else "w", encoding="utf-8"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        encoding = (getattr(stream, "encoding", None) or "utf-8").lower().replace("-", "")
        if encoding != "utf8" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def end_with_parent() -> None:
    """Stop as by SIGTERM when the `lapg` process that started this one is gone: it holds the other end of standard input."""
    if not os.environ.pop(WITH_PARENT, ""):
        return

    def wait() -> None:
        with suppress(OSError):
            while os.read(0, 4096):
                pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


@contextmanager
def signals() -> Iterator[list[int]]:
    """Turn signals to stop into exceptions, wherever they come; gives the list of those that came."""
    _caught.clear()
    if threading.current_thread() is not threading.main_thread():
        yield _caught
        return

    def stop(number: int, _: Any) -> None:
        _caught.append(number)
        raise KeyboardInterrupt if number == signal.SIGINT else Stopped

    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL, _HANGUP: signal.SIG_DFL}
    before = {n: signal.signal(n, stop) for n, how in usual.items() if n is not None and signal.getsignal(n) == how}
    hook, sys.unraisablehook = sys.unraisablehook, _hook
    try:
        yield _caught
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def _hook(unraisable: Any) -> None:
    if not issubclass(unraisable.exc_type, KeyboardInterrupt | Stopped):
        sys.__unraisablehook__(unraisable)


def saying(number: int, name: str) -> str:
    """What is said after a signal to stop the command `lapg NAME`."""
    if name.removeprefix("lapg ") in SAVING:
        return f"{SAYING[number]}; what was saved is kept, and the same command carries on"
    return f"{SAYING[number]} before it was done; the same command begins anew"


def check_interrupts() -> None:
    """Raise again what came while an exception could not be raised, as in the middle of an import."""
    if _caught:
        raise KeyboardInterrupt


def one_line(text: str) -> str:
    """Text of any origin as one line that can't steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in " ".join(text.split()))


def told(error: BaseException) -> tuple[int | None, str]:
    """The exit status and the line of an error that has nothing to do with a mistake in this program; else no status."""
    if isinstance(error, BrokenPipeError):
        return UNREAD, ""
    if isinstance(error, Preempted):
        return EXIT, str(error)
    if isinstance(error, KeyboardInterrupt):
        return 130, SAYING[signal.SIGINT]
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        absent = isinstance(error, FileNotFoundError | NotADirectoryError)
        remedy = "name another" if absent else "make room or mend it, or name another place"
        return 2, f"{where}{error.strerror}; {remedy}"
    if isinstance(error, ValueError | OSError):
        return 2, str(error)
    if isinstance(error, FloatingPointError):
        return 1, str(error)
    if isinstance(error, RecursionError):
        return 2, "a file or value is nested too deeply; restore it"
    words = str(error)
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in words:
        return 2, "out of memory; lower meta_batch, batch or the sizes in model"
    if _raised_in(error, "xla_bridge.py"):
        reason = next(iter(words.splitlines()), "there is no such device, or no plugin of JAX for it")
        return 2, f"JAX cannot use the device it is told to ({reason}); unset JAX_PLATFORMS, or set JAX_PLATFORMS=cpu"
    return None, ""


def _raised_in(error: BaseException, file: str) -> bool:
    trace = traceback.extract_tb(error.__traceback__)
    return bool(trace) and trace[-1].filename.endswith(file)


def leave_at_exit(status: int) -> None:
    """End with this status before JAX waits, at exit, for other processes of --distributed that this one has left alone."""

    def leave() -> None:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)

    atexit.register(leave)


def flushed(name: str, status: int) -> int:
    """The exit status of a command that is done, once what it printed is written."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        drop_output()
    except (OSError, ValueError) as error:
        drop_output()
        say(f"{name}: cannot write to standard output: {getattr(error, 'strerror', None) or error}")
        return status or 2
    return status


def drop_output() -> None:
    """Forget what can't be written to standard output, of which the interpreter would complain when it ends."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError, AttributeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
