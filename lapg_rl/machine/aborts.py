"""What C++ prints when JAX's coordination of several processes aborts, in one line.

When the first process is lost JAX aborts the others within milliseconds, with fifty lines. No handler of Python's runs then, so
another process holds these lines back and says what happened.
"""

import atexit
import os
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress

TOLD = b"lapg has told\n"
_ABORT = (b"coordination_service", b"JAX distributed service detected fatal errors")


def hold_back(folder: str) -> None:
    """Let no abort of JAX's coordination print its stack: one line instead. To be called before JAX is imported.

    Python's standard error stays what it is; a forked process prints what is written to file descriptor 2, in C++ that is.
    """
    if not hasattr(os, "fork"):
        return
    read, write = os.pipe()
    kept = os.dup(2)
    if os.fork():
        os.close(read)
        sys.stderr = os.fdopen(kept, "w", 1, encoding=sys.stderr.encoding, errors=sys.stderr.errors)
        os.dup2(write, 2)
        os.close(write)
        atexit.register(told)
        return
    os.close(write)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    try:
        if _passed_on(os.fdopen(read, "rb"), kept):
            os.write(kept, f"lapg train: {lost('process 0', folder)}\n".encode())
    finally:
        os._exit(0)


def _passed_on(lines: Iterable[bytes], to: int) -> bool:
    """Copy lines until an abort of the coordination begins; whether one did, of which nobody has told."""
    aborts = False
    for line in lines:
        if line == TOLD:
            return False
        aborts = aborts or any(word in line for word in _ABORT)
        if not aborts:
            with suppress(OSError):
                os.write(to, line)
    return aborts


def lost(name: str, folder: str) -> str:
    """The words for a process that is gone."""
    return f"{name} was lost, so this one stops too; {folder} is sound: start all of them again with the same command"


def told() -> None:
    """Nothing is left to say: this process ends by itself, or has said who is lost."""
    with suppress(OSError):
        os.write(2, TOLD)
