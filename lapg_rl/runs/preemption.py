"""SIGTERM, or SIGUSR2 from Slurm: the machine is about to be taken away. Finish the update in hand, save it, exit with 75."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

#: Exit status of a command that was asked to stop and saved its work: EX_TEMPFAIL of sysexits.h, "try again later".
EXIT = 75

_asked = threading.Event()
_listening = threading.Event()


class Preempted(Exception):  # noqa: N818 (nothing went wrong)
    """A run stopped because the process was asked to; its first `updates` updates are saved in `folder`."""

    def __init__(self, folder: Path, updates: int):
        self.folder, self.updates = folder, updates
        super().__init__(
            f"stopped by SIGTERM; {updates} updates are saved, carry on with `lapg train --resume {folder}`"
        )


@contextmanager
def listen() -> Iterator[Callable[[], bool]]:
    """Note SIGTERM instead of dying of it; gives a function that tells whether it came.

    So is SIGUSR2, with which Slurm announces the end of the time limit where it is told to, unless it has a handler already.
    Inside another `listen` this is the outer one. Outside the main thread, which alone may set signal handlers, it tells
    what the main thread has noted.
    """
    if _listening.is_set() or threading.current_thread() is not threading.main_thread():
        yield _asked.is_set
        return
    _asked.clear()
    numbers = [signal.SIGTERM] + [signal.SIGUSR2] * (signal.getsignal(signal.SIGUSR2) == signal.SIG_DFL)
    before = {number: signal.signal(number, lambda *_: _asked.set()) for number in numbers}
    _listening.set()
    try:
        yield _asked.is_set
    finally:
        _listening.clear()
        for number, handler in before.items():
            signal.signal(number, handler)
